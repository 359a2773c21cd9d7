/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_tree.h"

#include "model/treecut.h"

#include <errno.h>

#define NAME_COLUMN 39 /* columns before the indentation */

/* Indentation of a node, and "[57] " where it would leave no room for names. */
static uint32_t put_indent(const struct report *r, uint32_t depth)
{
	uint32_t width = r->terminal.width, most = UINT32_MAX;
	if (width)
		most = width > NAME_COLUMN ? (width - NAME_COLUMN) / 2 : 0;
	if (2 * (uint64_t)depth <= most)
		return (uint32_t)printf("%*s", (int)(2 * depth), "");
	return (uint32_t)printf("%*s[%u] ", (int)(most > 8 ? most - 8 : 0), "", depth);
}

static void print_nodes(const struct report *r, const bool *shown, const struct treecut_rest *rest)
{
	const struct calltree *t = r->tree;
	(void)printf("%s%10s %7s %10s %7s  %s%s\n", terminal_bold(&r->terminal), "total", "total%", "self", "self%",
		     "function", terminal_plain(&r->terminal));
	/* The root is the heading, unless there are stacks without frames. */
	for (uint32_t i = t->self[0] ? 0 : 1; i < t->n; i++) {
		if (!shown[i])
			continue;
		report_put_value(r, t->total[i]);
		(void)putchar(' ');
		report_put_share(r, t->total[i]);
		(void)putchar(' ');
		report_put_value(r, t->self[i]);
		(void)putchar(' ');
		report_put_share(r, t->self[i]);
		(void)fputs("  ", stdout);
		uint32_t used = put_indent(r, t->depth[i] - (t->self[0] == 0));
		report_put_function(r, t, t->func[i], NAME_COLUMN + used);
	}
	if (rest->n == 0)
		return;
	report_put_value(r, rest->self);
	(void)printf(" %6.2f%% is left out with %u of %u nodes; --min-percent 0 shows all\n",
		     report_percent(r, rest->self), rest->n, t->n - 1);
}

static void json_nodes(const struct report *r, const char *view, const bool *shown, const struct treecut_rest *rest)
{
	const struct calltree *t = r->tree;
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)1 << 30);
	struct jsonw w = { .out = &out };
	report_json_begin(&w, r, view);
	jsonw_u64(&w, "nodes_left_out", rest->n);
	jsonw_i64(&w, "self_left_out", rest->self);
	jsonw_array(&w, "nodes");
	for (uint32_t i = 0; i < t->n; i++) {
		if (!shown[i])
			continue;
		jsonw_object(&w, NULL);
		jsonw_u64(&w, "depth", t->depth[i]);
		report_json_function(&w, t, t->func[i]);
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

int report_tree(const struct report *r, const char *view)
{
	if (!r->json) {
		if (!report_heading(r))
			return 0;
		(void)putchar('\n');
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
	if (r->json)
		json_nodes(r, view, shown, &rest);
	else
		print_nodes(r, shown, &rest);
	return 0;
}
