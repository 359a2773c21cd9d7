/* SPDX-License-Identifier: Apache-2.0 */
#include "model/treecut.h"

#include "base/saturate.h"

#include <errno.h>

static int64_t magnitude(int64_t v)
{
	return v >= 0 ? v : v == INT64_MIN ? INT64_MAX : -v;
}

int64_t treecut_weight(const struct calltree *t)
{
	int64_t sum = 0;
	for (uint32_t i = 0; i < t->n; i++)
		sum = i64_add_saturating(sum, magnitude(t->self[i]));
	return sum;
}

static int64_t *weigh(const struct calltree *t)
{
	int64_t *weight = malloc((size_t)t->n * sizeof(*weight));
	if (!weight)
		return NULL;
	for (uint32_t i = 0; i < t->n; i++)
		weight[i] = magnitude(t->self[i]);
	for (uint32_t i = t->n; i-- > 1;)
		weight[t->parent[i]] = i64_add_saturating(weight[t->parent[i]], weight[i]);
	return weight;
}

/* Heaviest first; of equals the earlier node, so a parent before its child. */
static int compare_weight(const void *a, const void *b, void *arg)
{
	const int64_t *weight = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (weight[x] != weight[y])
		return weight[x] > weight[y] ? -1 : 1;
	return x < y ? -1 : x > y;
}

int treecut_select(const struct calltree *t, const struct treecut *cut, bool *shown, struct treecut_rest *ret)
{
	_cleanup_(free_ptr)
	int64_t *weight = weigh(t);
	_cleanup_(free_ptr)
	uint32_t *order = malloc((size_t)t->n * sizeof(*order));
	if (!weight || !order)
		return -ENOMEM;
	double least = (double)cut->whole * cut->min_percent / 100;
	uint32_t n = 0;
	for (uint32_t i = 0; i < t->n; i++) {
		shown[i] = i == 0 || (double)weight[i] >= least;
		if (i > 0 && shown[i])
			order[n++] = i;
	}
	if (cut->limit && n > cut->limit) {
		qsort_r(order, n, sizeof(*order), compare_weight, weight);
		for (uint32_t i = cut->limit; i < n; i++)
			shown[order[i]] = false;
	}
	struct treecut_rest rest = { 0 };
	for (uint32_t i = 1; i < t->n; i++)
		if (!shown[i]) {
			rest.n++;
			rest.self = i64_add_saturating(rest.self, t->self[i]);
		}
	*ret = rest;
	return 0;
}
