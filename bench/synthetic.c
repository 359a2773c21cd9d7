/* SPDX-License-Identifier: Apache-2.0 */
#include "synthetic.h"

#include <stdio.h>
#include <stdlib.h>

#define N_BASE 2000 /* stacks that share little */

/* xorshift64* (S. Vigna, 2016). */
static uint64_t state = 0x9e3779b97f4a7c15;

uint32_t synthetic_any(uint32_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1d >> 32) * below >> 32);
}

static uint32_t extend(struct synthetic *t, uint32_t node, uint32_t depth)
{
	while (t->depth[node] < depth) {
		uint32_t child = t->n++;
		t->parent[child] = node;
		t->depth[child] = t->depth[node] + 1;
		uint32_t n = t->shape.n_codes;
		t->code[child] = 1 + (synthetic_any(4) ? synthetic_any(n) : synthetic_any(n / 64));
		node = child;
	}
	return node;
}

static uint32_t grow(struct synthetic *t)
{
	uint32_t n = t->n_leaves, min = t->shape.min_depth, max = t->shape.max_depth;
	if (n == 0)
		return extend(t, 0, min);
	uint32_t from = n > 100 && synthetic_any(2) ? n - 1 - synthetic_any(100) : synthetic_any(n);
	uint32_t node = t->leaves[from], depth = t->depth[node];
	uint32_t dice = synthetic_any(10), up = dice < 5 ? 1 : dice < 8 ? 2 : 3;
	if (n < N_BASE) {
		up = 1 + synthetic_any(depth - 1);
		depth = min + synthetic_any(max - min + 1);
	} else {
		depth += synthetic_any(3);
		depth -= depth > min;
	}
	for (uint32_t i = 0; i < up; i++)
		node = t->parent[node];
	return extend(t, node, depth > max ? max : depth);
}

void synthetic_init(struct synthetic *t, struct synthetic_shape shape, uint32_t max_leaves)
{
	size_t n_nodes = (size_t)max_leaves * 5 + (size_t)N_BASE * shape.max_depth;
	*t = (struct synthetic){
		.shape = shape,
		.parent = calloc(n_nodes, sizeof(uint32_t)),
		.code = calloc(n_nodes, sizeof(uint32_t)),
		.depth = calloc(n_nodes, sizeof(uint32_t)),
		.leaves = calloc(max_leaves, sizeof(uint32_t)),
		.n = 1,
	};
	if (!t->parent || !t->code || !t->depth || !t->leaves) {
		(void)fputs("out of memory\n", stderr);
		exit(1);
	}
}

uint32_t synthetic_next(struct synthetic *t)
{
	uint32_t leaf = grow(t);
	t->leaves[t->n_leaves++] = leaf;
	return leaf;
}

void synthetic_done(struct synthetic *t)
{
	free(t->parent);
	free(t->code);
	free(t->depth);
	free(t->leaves);
}

uint32_t synthetic_stack(const struct synthetic *t, uint32_t node, uint32_t *ret_codes)
{
	uint32_t n = 0;
	for (; node; node = t->parent[node])
		ret_codes[n++] = t->code[node];
	return n;
}
