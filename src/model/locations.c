/* SPDX-License-Identifier: Apache-2.0 */
#include "model/locations.h"

#include <errno.h>

/* An inlined frame without the frame it is inlined into stands alone. */
static bool is_inlined(const struct dict *d, uint32_t node)
{
	uint32_t parent = d->node_parent.data[node].v;
	const struct frame *f = &d->frames.data[d->node_frame.data[node].v];
	const struct frame *into = &d->frames.data[d->node_frame.data[parent].v];
	return parent && f->flags & FRAME_INLINED && into->address == f->address && into->mapping.v == f->mapping.v;
}

static int add_chain(struct locations *l, uint32_t into, struct frame_id frame, uint32_t *ret)
{
	int r = vec_reserve(NULL, &l->chains, 1);
	uint32_t *id = r < 0 ? NULL : u64map_put(&l->ids, (uint64_t)into << 32 | frame.v);
	if (!id)
		return -ENOMEM;
	if (*id == 0) {
		*id = l->chains.n;
		l->chains.data[l->chains.n++] = (struct chain){ into, frame };
	}
	*ret = *id;
	return 0;
}

int locations_init(struct locations *l, const struct dict *d)
{
	uint32_t n = dict_n_nodes(d);
	*l = (struct locations){ .dict = d, .chain_of = calloc(n, sizeof(uint32_t)) };
	u64map_init(&l->ids, NULL);
	int r = l->chain_of ? vec_reserve(NULL, &l->chains, 1) : -ENOMEM;
	if (r == 0)
		l->chains.data[l->chains.n++] = (struct chain){ 0 };
	for (uint32_t i = 1; r == 0 && i < n; i++) {
		uint32_t into = is_inlined(d, i) ? l->chain_of[d->node_parent.data[i].v] : 0;
		r = add_chain(l, into, d->node_frame.data[i], &l->chain_of[i]);
	}
	if (r < 0)
		locations_done(l);
	return r;
}

void locations_done(struct locations *l)
{
	free(l->chain_of);
	vec_done(NULL, &l->chains);
	u64map_done(&l->ids);
	l->chain_of = NULL;
}

struct node_id locations_caller(const struct locations *l, struct node_id node)
{
	const struct dict *d = l->dict;
	for (uint32_t chain = l->chain_of[node.v]; chain; chain = l->chains.data[chain].into)
		node = d->node_parent.data[node.v];
	return node;
}
