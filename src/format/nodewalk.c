/* SPDX-License-Identifier: Apache-2.0 */
#include "format/nodewalk.h"

#include <assert.h>

/* One entry per node the dict has room for, so that the two grow together. */
static int follow_growth(struct nodewalk *w)
{
	uint32_t cap = w->dict->node_frame.cap;
	if (w->last_child.n >= cap)
		return 0;
	int r = vec_reserve(w->dict->budget, &w->last_child, cap - w->last_child.n);
	if (r < 0)
		return r;
	memset(w->last_child.data + w->last_child.n, 0, (size_t)(cap - w->last_child.n) * sizeof(uint32_t));
	w->last_child.n = cap;
	return 0;
}

int nodewalk_init(struct nodewalk *w, struct dict *dict)
{
	*w = (struct nodewalk){ .dict = dict };
	return follow_growth(w);
}

void nodewalk_done(struct nodewalk *w)
{
	if (w->dict)
		vec_done(w->dict->budget, &w->last_child);
}

int nodewalk_turn(struct nodewalk *w, uint32_t node, uint32_t frame, uint32_t *ret)
{
	assert(frame > 0);
	struct node_id child;
	int r = dict_node(w->dict, (struct node_id){ node }, (struct frame_id){ frame }, &child);
	if (r == 0)
		r = follow_growth(w);
	if (r < 0)
		return r;
	w->last_child.data[node] = child.v;
	*ret = child.v;
	return 0;
}
