/* SPDX-License-Identifier: Apache-2.0 */
#include "model/toptable.h"

#include "base/saturate.h"

#include <errno.h>
#include <string.h>

struct order {
	const struct calltree *tree;
	enum top_order by;
};

static int compare_row(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	const struct top_row *x = a, *y = b;
	int64_t x1 = o->by == TOP_BY_SELF ? x->self : x->total, x2 = o->by == TOP_BY_SELF ? x->total : x->self;
	int64_t y1 = o->by == TOP_BY_SELF ? y->self : y->total, y2 = o->by == TOP_BY_SELF ? y->total : y->self;
	if (x1 != y1)
		return x1 > y1 ? -1 : 1;
	if (x2 != y2)
		return x2 > y2 ? -1 : 1;
	const struct calltree *t = o->tree;
	int c = strcmp(strtab_cstr(&t->names, t->funcs[x->func].name), strtab_cstr(&t->names, t->funcs[y->func].name));
	return c ? c : x->func < y->func ? -1 : x->func > y->func;
}

int top_compute_below(const struct calltree *t, uint32_t node, enum top_order by, struct top_row **ret, uint32_t *ret_n)
{
	_cleanup_(free_ptr)
	struct top_row *rows = calloc(t->n_funcs, sizeof(*rows));
	/* Preorder: while i < open_until[f], an ancestor of i is f already. */
	_cleanup_(free_ptr)
	uint32_t *open_until = calloc(t->n_funcs, sizeof(*open_until));
	if (!rows || !open_until)
		return -ENOMEM;
	for (uint32_t i = node + 1; i < t->end[node]; i++) {
		uint32_t f = t->func[i];
		if (f == TREE_FUNC_PRUNED)
			continue;
		rows[f].self = i64_add_saturating(rows[f].self, t->self[i]);
		if (i >= open_until[f]) {
			rows[f].total = i64_add_saturating(rows[f].total, t->total[i]);
			open_until[f] = t->end[i];
		}
	}
	uint32_t n = 0;
	for (uint32_t f = 0; f < t->n_funcs; f++)
		if (open_until[f]) {
			rows[n] = rows[f];
			rows[n++].func = f;
		}
	struct order o = { t, by };
	if (n > 1)
		qsort_r(rows, n, sizeof(*rows), compare_row, &o);
	*ret = take_ptr(rows);
	*ret_n = n;
	return 0;
}

int top_compute(const struct calltree *t, enum top_order by, struct top_row **ret, uint32_t *ret_n)
{
	return top_compute_below(t, 0, by, ret, ret_n);
}
