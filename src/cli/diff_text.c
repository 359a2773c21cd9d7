/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonw.h"
#include "cli/diff_view.h"
#include "model/namesake.h"
#include "model/quantity.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define NAME_COLUMN 72 /* columns before a name */

struct row {
	uint32_t item;
	bool is_significant;
	double size;		  /* |delta| in the unit of the mode */
	struct slice name, apart; /* apart: from others of the name, may be "" */
};

bool diff_mode_parse(const char *text, enum diff_mode *ret)
{
	static const struct {
		const char *text;
		enum diff_mode mode;
	} modes[] = { { "relative", DIFF_RELATIVE },
		      { "absolute", DIFF_ABSOLUTE },
		      { "normalised", DIFF_NORMALISED },
		      { "normalized", DIFF_NORMALISED } };
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(text, modes[i].text) == 0) {
			*ret = modes[i].mode;
			return true;
		}
	return false;
}

static bool is_of_nodes(const struct diff_view *v)
{
	return v->family == DIFF_NODE_SELF || v->family == DIFF_NODE_TOTAL;
}

static struct slice name_of(const struct diff_view *v, uint32_t item)
{
	const struct calltree *t = &v->diff->tree;
	return is_of_nodes(v) ? calltree_name(t, item) : strtab_get(&t->names, t->funcs[item].name);
}

static int compare_row(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->is_significant != y->is_significant)
		return x->is_significant ? -1 : 1;
	if (x->size < y->size || x->size > y->size)
		return x->size > y->size ? -1 : 1;
	size_t n = x->name.size < y->name.size ? x->name.size : y->name.size;
	int c = n ? memcmp(x->name.data, y->name.data, n) : 0;
	if (c == 0 && x->name.size != y->name.size)
		c = x->name.size < y->name.size ? -1 : 1;
	return c ? c : x->item < y->item ? -1 : x->item > y->item;
}

/* Everything but the root that has a value on some side. */
static int sorted_rows(const struct diff_view *v, struct row **ret, uint32_t *ret_n)
{
	const struct diff *d = v->diff;
	struct row *rows = malloc((size_t)d->n[v->family] * sizeof(*rows));
	_cleanup_(free_ptr)
	uint8_t *namesake = NULL;
	int r = rows && !is_of_nodes(v) ? namesakes_find(&d->tree, &namesake) : 0;
	if (!rows || r < 0) {
		free(rows);
		return -ENOMEM;
	}
	uint32_t n = 0;
	for (uint32_t i = 1; i < d->n[v->family]; i++) {
		const struct diff_item *item = &d->item[v->family][i];
		if (item->value[0] == 0 && item->value[1] == 0)
			continue;
		double a = (double)item->value[0], b = (double)item->value[1];
		double wa = (double)d->side[0].whole, wb = (double)d->side[1].whole;
		double delta = v->mode == DIFF_ABSOLUTE ? b - a : (wb > 0 ? b / wb : 0) - (wa > 0 ? a / wa : 0);
		rows[n] = (struct row){ i, d->significant[v->family][i], fabs(delta), name_of(v, i), slice_of("", 0) };
		if (namesake)
			rows[n].apart = namesake_text(&d->tree, i, namesake[i]);
		n++;
	}
	qsort(rows, n, sizeof(*rows), compare_row);
	*ret = rows;
	*ret_n = n;
	return 0;
}

/* "950", "259 k", "1.35 M" */
static void put_count(double n)
{
	static const char *const units[] = { "", " k", " M", " G", " T" };
	size_t i = 0;
	if (n >= 9999.5)
		for (; n >= 999.5 && i + 1 < ARRAY_SIZE(units); i++)
			n /= 1000;
	(void)printf("%.*f%s", i == 0 || n >= 99.95 ? 0 : n >= 9.995 ? 1 : 2, n, units[i]);
}

static void put_side(const struct diff_view *v, enum diff_side side)
{
	const struct diff_side_sum *s = &v->diff->side[side];
	char value[QUANTITY_SIZE];
	quantity_format(s->whole, v->unit, value);
	(void)printf("%c %s in %u window%s", side == DIFF_A ? 'A' : 'B', value, s->n_windows,
		     s->n_windows == 1 ? "" : "s");
	if (v->diff->has_samples) {
		(void)fputs(" (", stdout);
		put_count(s->samples);
		(void)fputs(" samples", stdout);
		if (s->seconds > 0)
			(void)printf(", %.4g/s", s->samples / s->seconds);
		(void)putchar(')');
	}
}

static void put_heading(const struct diff_view *v)
{
	static const char *const delta[] = {
		[DIFF_RELATIVE] = "delta: share of B - share of A, in percent points",
		[DIFF_ABSOLUTE] = "delta: value of B - value of A",
		[DIFF_NORMALISED] = "delta: value of B - value of A * (all of B / all of A)",
	};
	static const char *const family[] = { "functions by self", "functions by total", "stacks", "call paths" };
	const struct diff *d = v->diff;
	(void)printf("%s: ", v->type);
	put_side(v, DIFF_A);
	(void)fputs(", ", stdout);
	put_side(v, DIFF_B);
	(void)printf("\n%s\n", delta[v->mode]);
	if (d->side[DIFF_A].whole <= 0 || d->side[DIFF_B].whole <= 0) {
		(void)printf("%c has no values: there are no shares to compare\n",
			     d->side[DIFF_A].whole <= 0 ? 'A' : 'B');
		return;
	}
	if (!d->has_samples) {
		(void)printf("Nothing tells how many samples are behind the values: no interval, no test\n");
		return;
	}
	(void)printf("significant: %u of %u %s, at a false discovery rate of 5 %%; 95 %% intervals of each by itself\n",
		     d->n_significant[v->family], d->n_tested[v->family], family[v->family]);
	if (d->df > 0)
		(void)printf("over-dispersion over windows: %.2f times the variance of independent samples on average, "
			     "taken into account\n",
			     d->pooled_phi);
	else
		(void)printf("one window a side: samples are assumed to be independent, which is optimistic; "
			     "several windows tell\n");
}

static void put_columns(const struct diff_view *v)
{
	const char *what = v->family == DIFF_FUNC_SELF || v->family == DIFF_NODE_SELF ? "self" : "total";
	const char *interval = v->mode != DIFF_ABSOLUTE && v->diff->has_samples ? "95 % interval" : "";
	char a[16], b[16];
	(void)snprintf(a, sizeof(a), "A %s", what);
	(void)snprintf(b, sizeof(b), "B %s", what);
	(void)printf("%s%10s %10s %11s %20s  %-15s  %s%s\n", terminal_bold(&v->terminal), a, b, "delta", interval,
		     "verdict", is_of_nodes(v) ? "stack" : "function", terminal_plain(&v->terminal));
}

/* A share times the whole of B as a value with its sign, in `columns`. */
static void put_delta(const struct diff_view *v, double value, int columns)
{
	char text[QUANTITY_SIZE], sign[QUANTITY_SIZE + 1];
	double most = 9.2e18;
	double rounded = round(value);
	quantity_format((int64_t)(rounded > most ? most : rounded < -most ? -most : rounded), v->unit, text);
	(void)snprintf(sign, sizeof(sign), "%s%s", rounded > 0 ? "+" : "", text);
	(void)printf("%*s", columns, sign);
}

static void put_value(const struct diff_view *v, double value)
{
	char text[QUANTITY_SIZE];
	quantity_format((int64_t)(value < 9.2e18 ? round(value) : 9.2e18), v->unit, text);
	(void)printf("%10s ", text);
}

static void put_numbers(const struct diff_view *v, uint32_t i, const struct diff_result *r)
{
	const struct diff_item *item = &v->diff->item[v->family][i];
	double a = (double)item->value[0], b = (double)item->value[1];
	double whole_a = (double)v->diff->side[0].whole, whole_b = (double)v->diff->side[1].whole;
	if (v->mode == DIFF_RELATIVE) {
		(void)printf("%9.2f%% %9.2f%% %+11.2f ", 100 * r->share[0], 100 * r->share[1], 100 * r->delta);
		if (r->has_interval)
			(void)printf("%+10.2f%+10.2f  ", 100 * r->interval.low, 100 * r->interval.high);
		else
			(void)printf("%20s  ", "");
		return;
	}
	if (v->mode == DIFF_NORMALISED)
		a *= whole_a > 0 ? whole_b / whole_a : 0;
	put_value(v, a);
	put_value(v, b);
	put_delta(v, b - a, 11);
	(void)putchar(' ');
	if (v->mode == DIFF_NORMALISED && r->has_interval) {
		put_delta(v, r->interval.low * whole_b, 10);
		put_delta(v, r->interval.high * whole_b, 10);
		(void)fputs("  ", stdout);
	} else {
		(void)printf("%20s  ", "");
	}
}

/* "main;parse;read" of a node, root first. */
static void put_stack(const struct diff_view *v, uint32_t node, uint32_t columns)
{
	const struct calltree *t = &v->diff->tree;
	_cleanup_(buf_done)
	struct buf text = buf_of((size_t)64 << 20);
	_cleanup_(free_ptr)
	uint32_t *path = malloc((size_t)(t->depth[node] + 1) * sizeof(*path));
	if (!path)
		return;
	uint32_t n = 0;
	for (uint32_t i = node; i; i = t->parent[i])
		path[n++] = i;
	while (n--) {
		struct slice name = calltree_name(t, path[n]);
		buf_add(&text, name.data, name.size);
		if (n)
			buf_add_byte(&text, ';');
	}
	terminal_put_name(stdout, slice_of(text.data, text.n), columns);
}

static void put_row(const struct diff_view *v, const struct row *row)
{
	const struct terminal *t = &v->terminal;
	struct diff_result r = diff_result(v->diff, v->family, row->item, v->detect);
	const char *verdict = !r.has_interval ? "" : r.is_significant ? "significant" : "not significant";
	(void)fputs(r.has_interval && !r.is_significant ? terminal_dim(t) : "", stdout);
	put_numbers(v, row->item, &r);
	(void)printf("%-15s  ", verdict);
	if (r.is_new || r.is_gone)
		(void)printf("[%s", r.is_new ? "new" : "gone");
	if (r.zero_bound > 0)
		(void)printf(": %c below %.2g%%", r.is_new ? 'A' : 'B', 100 * r.zero_bound);
	if (r.is_new || r.is_gone)
		(void)fputs("] ", stdout);
	struct slice apart = row->apart;
	uint32_t used = NAME_COLUMN + terminal_remark_columns(apart);
	uint32_t columns = t->width > used + 20 ? t->width - used : 0;
	if (is_of_nodes(v))
		put_stack(v, row->item, columns);
	else
		terminal_put_name(stdout, row->name, columns);
	terminal_put_remark(t, apart);
	(void)printf("%s\n", r.has_interval && !r.is_significant ? terminal_plain(t) : "");
}

/* What it takes to see the change asked for, row by row. */
static void put_detect(const struct diff_view *v, const struct row *rows, uint32_t n)
{
	const struct diff_side_sum *a = &v->diff->side[DIFF_A], *b = &v->diff->side[DIFF_B];
	double have = a->samples < b->samples ? a->samples : b->samples;
	double rate = a->seconds > 0 && b->seconds > 0 ? (a->samples + b->samples) / (a->seconds + b->seconds) : 0;
	(void)printf("\nSamples per side that show a change (alpha .05 two-sided, power .8):\n");
	for (uint32_t i = 0; i < n; i++) {
		double needed = diff_result(v->diff, v->family, rows[i].item, v->detect).needed;
		if (!(needed > 0))
			continue;
		(void)printf("  a change of %g %% in ", 100 * v->detect);
		terminal_put_name(stdout, rows[i].name, 60);
		(void)fputs(" would need ", stdout);
		put_count(needed);
		(void)fputs(" samples per side; you have ", stdout);
		put_count(have);
		if (rate > 0 && needed > have)
			(void)printf(" (%.3g min more at %.3g samples/s)", (needed - have) / rate / 60, rate);
		(void)putchar('\n');
	}
}

int diff_text(const struct diff_view *v)
{
	_cleanup_(free_ptr)
	struct row *rows = NULL;
	uint32_t n = 0;
	int r = sorted_rows(v, &rows, &n);
	if (r < 0)
		return r;
	uint32_t n_shown = v->limit && v->limit < n ? v->limit : n;
	put_heading(v);
	(void)putchar('\n');
	put_columns(v);
	for (uint32_t i = 0; i < n_shown; i++)
		put_row(v, &rows[i]);
	if (n_shown < n)
		(void)printf("%u more; --limit %u shows all\n", n - n_shown, n);
	if (v->detect > 0 && v->diff->has_samples)
		put_detect(v, rows, n_shown);
	return 0;
}
