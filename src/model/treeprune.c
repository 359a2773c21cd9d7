/* SPDX-License-Identifier: Apache-2.0 */
#include "model/treeprune.h"

#include "base/saturate.h"

#include <assert.h>
#include <errno.h>

/* Nodes left when every subtree of total <= threshold is folded. */
static uint64_t count_kept(const struct calltree *t, int64_t threshold)
{
	uint64_t kept = 1;
	for (uint32_t i = 1; i < t->n;) {
		if (t->total[i] > threshold) {
			kept++;
			i++;
		} else {
			/* One box for this child and all the smaller ones behind it. */
			kept++;
			i = t->end[t->parent[i]];
		}
	}
	return kept;
}

/* Smallest threshold that fits. Totals fall from parent to child and from
 * sibling to sibling, so what is kept hangs together. */
static int64_t prune_threshold(const struct calltree *t, uint32_t max_nodes)
{
	int64_t low = 0, high = t->total[0] > 0 ? t->total[0] : 0;
	while (low < high) {
		int64_t middle = low + (high - low) / 2;
		if (count_kept(t, middle) <= max_nodes)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Appends node `from` of `t` to `out`, or, when it is not above the
 * threshold, one box for it and all its smaller siblings. Returns the next
 * node to look at. */
static uint32_t prune_step(const struct calltree *t, int64_t threshold, uint32_t from, const uint32_t *new_id,
			   struct calltree *out)
{
	uint32_t n = out->n++;
	out->parent[n] = new_id[t->parent[from]];
	out->depth[n] = t->depth[from];
	if (t->total[from] > threshold) {
		out->func[n] = t->func[from];
		out->self[n] = t->self[from];
		out->total[n] = t->total[from];
		out->pruned[n] = t->pruned[from];
		out->found[n] = t->found[from];
		return from + 1;
	}
	uint32_t to = t->end[t->parent[from]];
	out->func[n] = TREE_FUNC_PRUNED;
	out->total[n] = 0;
	for (uint32_t i = from; i < to; i = t->end[i])
		out->total[n] = i64_add_saturating(out->total[n], t->total[i]);
	out->self[n] = out->total[n];
	for (uint32_t i = from; i < to; i++)
		out->pruned[n] += t->pruned[i] ? t->pruned[i] : 1;
	return to;
}

static void columns_swap(struct calltree *a, struct calltree *b)
{
	struct calltree old = *a;
	*a = *b;
	a->funcs = old.funcs;
	a->n_funcs = old.n_funcs;
	a->funcs_cap = old.funcs_cap;
	a->names = old.names;
	*b = old;
	b->funcs = NULL;
	b->funcs_cap = 0;
	b->names = (struct strtab){ .budget = old.budget };
}

int calltree_prune(struct calltree *t, uint32_t max_nodes)
{
	assert(t->found); /* children stand by falling total */
	if (max_nodes < 2)
		max_nodes = 2;
	if (t->n <= max_nodes)
		return 0;
	int64_t threshold = prune_threshold(t, max_nodes);
	_cleanup_(free_ptr)
	uint32_t *new_id = malloc((size_t)t->n * sizeof(*new_id));
	_cleanup_(calltree_done)
	struct calltree out = { .budget = t->budget, .names.budget = t->budget };
	if (!new_id)
		return -ENOMEM;
	int r = calltree_alloc(&out, (uint32_t)count_kept(t, threshold), false);
	if (r < 0)
		return r;
	out.n = 1;
	out.parent[0] = out.depth[0] = 0;
	out.func[0] = t->func[0];
	out.self[0] = t->self[0];
	out.total[0] = t->total[0];
	new_id[0] = 0;
	for (uint32_t i = 1; i < t->n;) {
		new_id[i] = out.n;
		i = prune_step(t, threshold, i, new_id, &out);
	}
	for (uint32_t i = 0; i < out.n; i++) {
		out.end[i] = i + 1;
		out.n_pruned += out.pruned[i];
	}
	for (uint32_t i = out.n - 1; i > 0; i--)
		if (out.end[out.parent[i]] < out.end[i])
			out.end[out.parent[i]] = out.end[i];
	columns_swap(t, &out);
	return 0;
}
