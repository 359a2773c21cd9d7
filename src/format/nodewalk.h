/* SPDX-License-Identifier: Apache-2.0 */
/* nodewalk.h: going down a dict's node tree, fast.
 *
 *   last_child[node] = the child most recently gone to
 *
 * A stack's nodes are created one behind the other and most nodes have one
 * child, so nearly every step is two loads from neighbouring memory; the
 * hash table of dict_node() is asked only where the path turns. */
#pragma once

#include "model/dict.h"

struct nodewalk {
	struct dict *dict;
	VEC(uint32_t) last_child; /* n >= dict_n_nodes() */
};

int nodewalk_init(struct nodewalk *w, struct dict *dict) must_check;
void nodewalk_done(struct nodewalk *w);

int nodewalk_turn(struct nodewalk *w, uint32_t node, uint32_t frame, uint32_t *ret) must_check;

/* The child of `node` for `frame` (> 0, of the dict) if the last step from
 * here went there, else 0. By value, so that a loop keeps it in a register. */
static inline uint32_t nodewalk_again(const struct nodewalk *w, uint32_t node, uint32_t frame)
{
	uint32_t child = w->last_child.data[node];
	/* No child yet: 0, the root, whose frame is 0 and never asked for. */
	return w->dict->node_frame.data[child].v == frame ? child : 0;
}

/* *node = its child for `frame`, added if new. 0, -ENOBUFS or -ENOMEM. */
static inline int must_check nodewalk_child(struct nodewalk *w, uint32_t *node, uint32_t frame)
{
	uint32_t child = nodewalk_again(w, *node, frame);
	if (!child)
		return nodewalk_turn(w, *node, frame, node);
	*node = child;
	return 0;
}
