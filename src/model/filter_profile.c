/* SPDX-License-Identifier: Apache-2.0 */
#include "model/filter_profile.h"

#include <errno.h>

/* What samples lead to, and where those nodes go. */
struct rebuild {
	uint8_t *node;		/* enum calltree_node_flags */
	uint8_t *keep;		/* per label set */
	uint8_t *needed;	/* 1: a kept sample stands on it or above it */
	uint8_t *visible;	/* 1: its location has a frame left, itself included */
	struct node_id *new_id; /* per node */
};

static void rebuild_done(struct rebuild *b)
{
	free(b->node);
	free(b->keep);
	free(b->needed);
	free(b->visible);
	free(b->new_id);
}

static bool is_kept(const struct profile *p, const struct rebuild *b, uint32_t row)
{
	return !(b->node[p->node.data[row].v] & CALLTREE_DROPPED) && b->keep[p->labels.data[row].v];
}

/* The frame of node i in its new place: no longer inlined when nothing is
 * left of what it was inlined into. */
static int new_frame(struct profile *p, const struct rebuild *b, uint32_t i, struct frame_id *ret)
{
	struct frame frame = p->dict.frames.data[p->dict.node_frame.data[i].v];
	*ret = p->dict.node_frame.data[i];
	if (!(frame.flags & FRAME_INLINED) || b->visible[p->dict.node_parent.data[i].v])
		return 0;
	frame.flags &= (uint8_t)~FRAME_INLINED;
	return dict_frame(&p->dict, &frame, ret);
}

/* Nodes are added behind the old ones; a parent still precedes its children. */
static int rebuild_nodes(struct profile *p, struct rebuild *b, uint32_t n)
{
	struct dict *d = &p->dict;
	b->visible[0] = 1;
	for (uint32_t i = 1; i < n; i++) {
		uint32_t parent = d->node_parent.data[i].v;
		bool hidden = b->node[i] & CALLTREE_HIDDEN;
		bool inlined = d->frames.data[d->node_frame.data[i].v].flags & FRAME_INLINED;
		b->visible[i] = !hidden || (inlined && b->visible[parent]);
		b->new_id[i] = b->new_id[parent];
		if (hidden || !b->needed[i])
			continue;
		struct frame_id frame;
		int r = new_frame(p, b, i, &frame);
		if (r < 0)
			return r;
		if (b->new_id[parent].v == parent && frame.v == d->node_frame.data[i].v)
			b->new_id[i].v = i;
		else
			r = dict_node(d, b->new_id[parent], frame, &b->new_id[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void move_samples(struct profile *p, const struct rebuild *b)
{
	uint32_t to = 0;
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		if (!is_kept(p, b, i))
			continue;
		p->node.data[to] = b->new_id[p->node.data[i].v];
		p->labels.data[to] = p->labels.data[i];
		for (uint32_t t = 0; t < p->n_types; t++)
			p->value[t].data[to] = p->value[t].data[i];
		if (profile_has_times(p))
			p->sample_time_ns.data[to] = p->sample_time_ns.data[i];
		to++;
	}
	p->node.n = p->labels.n = to;
	for (uint32_t t = 0; t < p->n_types; t++)
		p->value[t].n = to;
	if (profile_has_times(p))
		p->sample_time_ns.n = to;
}

int filter_profile(const struct filter *f, struct profile *p, struct filter_failure *failure)
{
	if (!filter_has_frame_terms(f) && !filter_has_label_terms(f))
		return 0;
	uint32_t n = dict_n_nodes(&p->dict), n_sets = p->labels_off.n - 1;
	_cleanup_(rebuild_done)
	struct rebuild b = {
		.node = calloc(n, 1),
		.keep = malloc(n_sets),
		.needed = calloc(n, 1),
		.visible = calloc(n, 1),
		.new_id = calloc(n, sizeof(*b.new_id)),
	};
	if (!b.node || !b.keep || !b.needed || !b.visible || !b.new_id)
		return -ENOMEM;
	memset(b.keep, 1, n_sets);
	int r = filter_has_label_terms(f) ? filter_label_sets(f, p, p->budget, b.keep, failure) : 0;
	if (r == 0 && filter_has_frame_terms(f))
		r = filter_nodes(f, &p->dict, NULL, p->budget, b.node, NULL, failure);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		b.needed[p->node.data[i].v] |= is_kept(p, &b, i);
	for (uint32_t i = n - 1; i > 0; i--)
		b.needed[p->dict.node_parent.data[i].v] |= b.needed[i];
	r = rebuild_nodes(p, &b, n);
	if (r == 0)
		move_samples(p, &b);
	return r;
}
