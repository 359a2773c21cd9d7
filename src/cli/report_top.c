/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_top.h"

#include "base/saturate.h"

#include <math.h>

#define NAME_COLUMN 50 /* columns before a function's name */

struct table {
	struct top_row *rows;
	uint32_t n, n_shown;
};

static void table_done(struct table *t)
{
	free(t->rows);
}

/* The functions at and below `node`. */
static int table_init(struct table *t, const struct report *r, uint32_t node)
{
	int k = top_compute_below(r->tree, node, r->sort, &t->rows, &t->n);
	if (k < 0)
		return k;
	uint32_t most = r->limit && r->limit < t->n ? r->limit : t->n;
	for (uint32_t i = 0; i < most; i++) {
		const struct top_row *row = &t->rows[i];
		int64_t value = r->sort == TOP_BY_SELF ? row->self : row->total;
		if (fabs(report_percent(r, value)) >= r->min_percent)
			t->n_shown = i + 1;
	}
	return 0;
}

static void print_table(const struct report *r, const struct table *t)
{
	const char *bold = terminal_bold(&r->terminal), *plain = terminal_plain(&r->terminal);
	(void)printf("%s%10s %7s %7s %10s %7s  %s%s\n", bold, "self", "self%", "sum%", "total", "total%", "function",
		     plain);
	int64_t sum = 0;
	for (uint32_t i = 0; i < t->n_shown; i++) {
		const struct top_row *row = &t->rows[i];
		sum = i64_add_saturating(sum, row->self);
		report_put_value(r, row->self);
		(void)putchar(' ');
		report_put_share(r, row->self);
		(void)printf(" %6.2f%% ", report_percent(r, sum));
		report_put_value(r, row->total);
		(void)putchar(' ');
		report_put_share(r, row->total);
		(void)fputs("  ", stdout);
		report_put_function(r, row->func, NAME_COLUMN);
	}
	if (t->n_shown < t->n) {
		int64_t rest = 0;
		for (uint32_t i = t->n_shown; i < t->n; i++)
			rest = i64_add_saturating(rest, t->rows[i].self);
		report_put_value(r, rest);
		(void)putchar(' ');
		report_put_share(r, rest);
		(void)printf(" in %u more; --top %u%s shows all\n", t->n - t->n_shown, t->n,
			     r->min_percent > 0 ? " --min-percent 0" : "");
	}
}

static void json_table(const struct report *r, const struct table *t, struct jsonw *w)
{
	jsonw_u64(w, "functions_left_out", t->n - t->n_shown);
	jsonw_array(w, "functions");
	for (uint32_t i = 0; i < t->n_shown; i++) {
		jsonw_object(w, NULL);
		report_json_function(w, r, t->rows[i].func);
		jsonw_i64(w, "self", t->rows[i].self);
		jsonw_i64(w, "total", t->rows[i].total);
		jsonw_end(w, '}');
		report_json_flush(w, false);
	}
	jsonw_end(w, ']');
}

static int top_json(const struct report *r)
{
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)1 << 30);
	struct jsonw w = { .out = &out };
	const struct calltree *t = r->tree;
	report_json_begin(&w, r, "top");
	if (r->label)
		jsonw_array(&w, "groups");
	for (uint32_t node = r->label ? 1 : 0; node < t->n; node = t->end[node]) {
		_cleanup_(table_done)
		struct table table = { 0 };
		int k = table_init(&table, r, node);
		if (k < 0)
			return k;
		if (r->label) {
			jsonw_object(&w, NULL);
			jsonw_str(&w, "value", calltree_name(t, node));
			jsonw_i64(&w, "total", t->total[node]);
		}
		json_table(r, &table, &w);
		if (r->label)
			jsonw_end(&w, '}');
	}
	if (r->label)
		jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	buf_add_byte(&out, '\n');
	report_json_flush(&w, true);
	return 0;
}

static void print_group(const struct report *r, uint32_t node)
{
	(void)printf("\n%s=", r->label);
	terminal_put_name(stdout, calltree_name(r->tree, node), 0);
	(void)fputs(": ", stdout);
	report_put_quantity(r, r->tree->total[node]);
	(void)printf(" (%.2f%%)", report_percent(r, r->tree->total[node]));
}

static int top_text(const struct report *r)
{
	if (!report_heading(r))
		return 0;
	const struct calltree *t = r->tree;
	if (r->label)
		(void)printf(" by %s\n", r->label);
	for (uint32_t node = r->label ? 1 : 0; node < t->n; node = t->end[node]) {
		_cleanup_(table_done)
		struct table table = { 0 };
		int k = table_init(&table, r, node);
		if (k < 0)
			return k;
		if (r->label)
			print_group(r, node);
		(void)printf(" in %u %s%s\n", table.n, r->lines ? "line" : "function", table.n == 1 ? "" : "s");
		print_table(r, &table);
	}
	return 0;
}

int report_top(const struct report *r)
{
	return r->json ? top_json(r) : top_text(r);
}
