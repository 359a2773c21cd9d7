/* SPDX-License-Identifier: Apache-2.0 */
#include "model/stackwalk.h"

#include <assert.h>
#include <errno.h>

/* A stack on its way down. */
struct walker {
	const uint32_t *at; /* next frame */
	int32_t step;
	uint32_t n_left;
	uint32_t node;
	struct pair_probe probe; /* of { node, *at } */
	uint32_t row;		 /* what the probe came upon; 0: not looked yet */
};

struct batch {
	struct dict *dict;
	struct walker walkers[STACKWALK_BATCH];
	uint8_t active[STACKWALK_BATCH]; /* those not at their end */
	uint32_t n_active;
};

/* A stack's nodes are made one behind the other: as long as the next node is
 * the child wanted, the path is two columns read forwards. */
static inline void follow_run(struct walker *w, struct pair_columns rows, uint32_t n_nodes)
{
	const uint32_t *at = w->at;
	uint32_t node = w->node, n_left = w->n_left;
	while (n_left && node + 1 < n_nodes && rows.b[node + 1] == *at && rows.a[node + 1] == node) {
		node++;
		at += w->step;
		n_left--;
	}
	w->at = at;
	w->node = node;
	w->n_left = n_left;
}

/* False when the stack has come to its end. */
static inline bool next_turn(struct walker *w, const struct dict *d, struct pair_columns rows, uint32_t n_nodes)
{
	follow_run(w, rows, n_nodes);
	if (w->n_left == 0)
		return false;
	w->probe = pairset_probe(&d->node_ids, w->node, *w->at);
	w->row = 0;
	__builtin_prefetch(&d->node_ids.slots[w->probe.slot]);
	return true;
}

/* One step for one stack, up to the next memory that is likely to be far
 * away. False when the stack has come to its end or leaves the tree. */
static inline bool advance(struct walker *w, const struct dict *d, struct pair_columns rows, uint32_t n_nodes)
{
	if (w->row) {
		if (rows.b[w->row] == *w->at && rows.a[w->row] == w->node) {
			w->node = w->row;
			w->at += w->step;
			w->n_left--;
			return next_turn(w, d, rows, n_nodes);
		}
		pairset_next(&d->node_ids, &w->probe);
	}
	for (;;) {
		w->row = pairset_candidate(&d->node_ids, w->probe);
		if (w->row != UINT32_MAX)
			break;
		pairset_next(&d->node_ids, &w->probe);
	}
	if (w->row == 0)
		return false;
	__builtin_prefetch(&rows.a[w->row]);
	__builtin_prefetch(&rows.b[w->row]);
	return true;
}

static void walk_known(struct batch *b)
{
	const struct dict *d = b->dict;
	struct pair_columns rows = dict_node_columns(d);
	uint32_t n_nodes = dict_n_nodes(d);
	while (b->n_active) {
		uint32_t n = 0;
		for (uint32_t i = 0; i < b->n_active; i++) {
			uint32_t k = b->active[i];
			if (advance(&b->walkers[k], d, rows, n_nodes))
				b->active[n++] = (uint8_t)k;
		}
		b->n_active = n;
	}
}

/* The rest of a stack, of which an earlier one of the batch may have added
 * a part. */
static int add_rest(struct dict *d, struct walker *w)
{
	follow_run(w, dict_node_columns(d), dict_n_nodes(d));
	return dict_chain(d, &w->node, w->at, w->n_left, w->step);
}

/* Where the nodes of a rest will go. Below a new node all are new, and their
 * ids follow each other unless rests have beginnings in common. */
static void fetch_new(const struct dict *d, const struct walker *w, uint32_t *next)
{
	for (uint32_t i = 1; i < w->n_left; i++) {
		uint32_t parent = *next + i - 1, frame = w->at[(int64_t)i * w->step];
		__builtin_prefetch(&d->node_ids.slots[pairset_probe(&d->node_ids, parent, frame).slot]);
	}
	*next += w->n_left;
}

static int walk_batch(struct batch *b, const struct stack_frames *stacks, uint32_t n, struct node_id *ret)
{
	struct dict *d = b->dict;
	struct pair_columns rows = dict_node_columns(d);
	b->n_active = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct walker *w = &b->walkers[i];
		*w = (struct walker){
			.at = stacks[i].root, .step = stacks[i].step, .node = stacks[i].from, .n_left = stacks[i].n
		};
		if (d->node_ids.n && next_turn(w, d, rows, dict_n_nodes(d)))
			b->active[b->n_active++] = (uint8_t)i;
	}
	walk_known(b);
	uint32_t next = dict_n_nodes(d);
	for (uint32_t i = 0; d->node_ids.n && i < n; i++)
		fetch_new(d, &b->walkers[i], &next);
	for (uint32_t i = 0; i < n; i++) {
		int r = add_rest(d, &b->walkers[i]);
		if (r < 0)
			return r;
		ret[i].v = b->walkers[i].node;
	}
	return 0;
}

int stackwalk(struct dict *d, const struct stack_frames *stacks, uint32_t n, struct node_id *ret)
{
	struct batch b = { .dict = d };
	for (uint32_t i = 0; i < n; i += STACKWALK_BATCH) {
		uint32_t n_batch = n - i < STACKWALK_BATCH ? n - i : STACKWALK_BATCH;
		int r = walk_batch(&b, stacks + i, n_batch, ret + i);
		if (r < 0)
			return r;
	}
	return 0;
}
