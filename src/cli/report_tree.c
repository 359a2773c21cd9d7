/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_tree.h"

#include "model/callers.h"
#include "model/namesake.h"
#include "model/treecut.h"

#include <errno.h>

/* Columns before the indentation, with and without self. */
#define NAME_COLUMN	   39
#define CALLER_NAME_COLUMN 20

/* Which tree, how it is called. In one that is turned round, self would be
 * the value of stacks that end there: their root. */
struct tree_view {
	const struct report *r;
	const char *name;
	bool has_self;
	struct callers_cut cut;
};

static uint32_t name_column(const struct tree_view *v)
{
	return v->has_self ? NAME_COLUMN : CALLER_NAME_COLUMN;
}

/* Indentation of a node, and "[57] " where it would leave no room for names. */
static uint32_t put_indent(const struct tree_view *v, uint32_t depth)
{
	uint32_t width = v->r->terminal.width, most = UINT32_MAX, column = name_column(v);
	if (width)
		most = width > column ? (width - column) / 2 : 0;
	if (2 * (uint64_t)depth <= most)
		return (uint32_t)printf("%*s", (int)(2 * depth), "");
	return (uint32_t)printf("%*s[%u] ", (int)(most > 8 ? most - 8 : 0), "", depth);
}

static void print_node(const struct tree_view *v, uint32_t i, uint32_t depth)
{
	const struct report *r = v->r;
	const struct calltree *t = r->tree;
	report_put_value(r, t->total[i]);
	(void)putchar(' ');
	report_put_share(r, t->total[i]);
	if (v->has_self) {
		(void)putchar(' ');
		report_put_value(r, t->self[i]);
		(void)putchar(' ');
		report_put_share(r, t->self[i]);
	}
	(void)fputs("  ", stdout);
	uint32_t used = put_indent(v, depth);
	report_put_function(r, t->func[i], name_column(v) + used);
}

/* A node's own value is what is left out with it, but where the tree is
 * turned round it is not worth a word. */
static void print_rest(const struct tree_view *v, const struct treecut_rest *rest)
{
	const struct report *r = v->r;
	uint32_t n = r->tree->n - 1;
	const char *hint = r->limit ? "" : "; --min-percent 0 shows all";
	if (rest->n && v->has_self) {
		report_put_value(r, rest->self);
		(void)printf(" %6.2f%% in %u of %u nodes left out%s\n", report_percent(r, rest->self), rest->n, n,
			     hint);
	} else if (rest->n) {
		(void)printf("%u of %u nodes left out%s\n", rest->n, n, hint);
	}
	if (v->cut.n) {
		report_put_value(r, v->cut.total);
		(void)printf(" %6.2f%% is shown without its callers: there are too many\n",
			     report_percent(r, v->cut.total));
	}
}

static void print_nodes(const struct tree_view *v, const bool *shown)
{
	const struct report *r = v->r;
	const struct calltree *t = r->tree;
	(void)printf("%s%10s %7s", terminal_bold(&r->terminal), "total", "total%");
	if (v->has_self)
		(void)printf(" %10s %7s", "self", "self%");
	(void)printf("  %s%s\n", "function", terminal_plain(&r->terminal));
	/* The root is the heading, unless there are stacks without frames. */
	bool has_root = t->self[0];
	for (uint32_t i = has_root ? 0 : 1; i < t->n; i++)
		if (shown[i])
			print_node(v, i, t->depth[i] - !has_root);
}

/* The ways that are known; nothing where none is. */
static void json_found(struct jsonw *w, uint8_t found)
{
	if (!(found & ~CALLTREE_FOUND(FRAME_FOUND_UNKNOWN)))
		return;
	jsonw_array(w, "found");
	for (int f = FRAME_FOUND_UNKNOWN + 1; f < N_FRAME_FOUNDS; f++)
		if (found & CALLTREE_FOUND(f))
			jsonw_cstr(w, NULL, frame_found_name((enum frame_found)f));
	jsonw_end(w, ']');
}

static void json_nodes(const struct tree_view *v, const bool *shown, const struct treecut_rest *rest)
{
	const struct report *r = v->r;
	const struct calltree *t = r->tree;
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)1 << 30);
	struct jsonw w = { .out = &out };
	report_json_begin(&w, r, v->name);
	jsonw_u64(&w, "nodes_left_out", rest->n);
	if (v->has_self)
		jsonw_i64(&w, "self_left_out", rest->self);
	else
		jsonw_i64(&w, "without_callers", v->cut.total);
	jsonw_array(&w, "nodes");
	for (uint32_t i = 0; i < t->n; i++) {
		if (!shown[i])
			continue;
		jsonw_object(&w, NULL);
		jsonw_u64(&w, "depth", t->depth[i]);
		report_json_function(&w, r, t->func[i]);
		json_found(&w, t->found[i]);
		if (v->has_self)
			jsonw_i64(&w, "self", t->self[i]);
		jsonw_i64(&w, "total", t->total[i]);
		jsonw_end(&w, '}');
		report_json_flush(&w, false);
	}
	jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	buf_add_byte(&out, '\n');
	report_json_flush(&w, true);
}

/* `text`: behind the heading. */
static int show(const struct tree_view *v, const char *text)
{
	const struct report *r = v->r;
	if (!r->json) {
		if (!report_heading(r))
			return 0;
		if (r->label)
			(void)printf(" by %s", r->label);
		(void)puts(text);
	}
	_cleanup_(free_ptr)
	bool *shown = malloc(r->tree->n * sizeof(*shown));
	if (!shown)
		return -ENOMEM;
	struct treecut cut = { .min_percent = r->min_percent, .whole = r->whole, .limit = r->limit };
	struct treecut_rest rest;
	int k = treecut_select(r->tree, &cut, shown, &rest);
	if (k < 0)
		return k;
	if (r->json) {
		json_nodes(v, shown, &rest);
	} else {
		print_nodes(v, shown);
		print_rest(v, &rest);
	}
	return 0;
}

int report_tree(const struct report *r)
{
	struct tree_view v = { .r = r, .name = "tree", .has_self = true };
	return show(&v, "");
}

/* Another tree has other functions. */
static int show_turned(const struct report *r, const struct calltree *t, struct tree_view *v, const char *text)
{
	struct report turned = *r;
	_cleanup_(free_ptr)
	uint8_t *namesake = NULL;
	int k = namesakes_find(t, &namesake);
	turned.tree = t;
	turned.inlining = NULL;
	turned.namesake = namesake;
	v->r = &turned;
	return k < 0 ? k : show(v, text);
}

int report_callers(const struct report *r, const bool *match)
{
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	struct tree_view v = { .name = "callers" };
	int k = callers_above(r->tree, match, &t, &v.cut);
	return k < 0 ? k : show_turned(r, &t, &v, "; each function above its callers");
}

int report_callees(const struct report *r, const bool *match)
{
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	struct tree_view v = { .name = "callees", .has_self = true };
	int k = callers_below(r->tree, match, &t);
	return k < 0 ? k : show_turned(r, &t, &v, "; each function above its callees");
}
