/* SPDX-License-Identifier: Apache-2.0 */
#include "model/profile_pick.h"

#include <errno.h>

enum table { FUNCTIONS, MAPPINGS, FRAMES, NODES, LABELS };

struct pick {
	struct profile *dst;
	const struct profile *src;
	struct u64map ids; /* table << 32 | id there -> id here + 1 */
};

static bool known(const struct pick *c, enum table table, uint32_t id, uint32_t *ret)
{
	uint32_t v = id ? u64map_get(&c->ids, (uint64_t)table << 32 | id) : 1;
	*ret = v - 1;
	return v > 0;
}

static int remember(struct pick *c, enum table table, uint32_t id, uint32_t v)
{
	uint32_t *slot = u64map_put(&c->ids, (uint64_t)table << 32 | id);
	if (!slot)
		return -ENOBUFS;
	*slot = v + 1;
	return 0;
}

static int pick_string(struct pick *c, struct str_id *s)
{
	return strtab_intern(&c->dst->dict.strings, strtab_get(&c->src->dict.strings, *s), s);
}

static int pick_function(struct pick *c, struct func_id *f)
{
	uint32_t id = f->v;
	if (known(c, FUNCTIONS, id, &f->v))
		return 0;
	struct function row = c->src->dict.functions.data[id];
	int r = pick_string(c, &row.name);
	if (r == 0)
		r = pick_string(c, &row.system_name);
	if (r == 0)
		r = pick_string(c, &row.file);
	if (r == 0)
		r = dict_function(&c->dst->dict, &row, f);
	return r < 0 ? r : remember(c, FUNCTIONS, id, f->v);
}

static int pick_mapping(struct pick *c, struct mapping_id *m)
{
	uint32_t id = m->v;
	if (known(c, MAPPINGS, id, &m->v))
		return 0;
	struct mapping row = c->src->dict.mappings.data[id];
	int r = pick_string(c, &row.path);
	if (r == 0)
		r = pick_string(c, &row.build_id);
	if (r == 0)
		r = dict_mapping(&c->dst->dict, &row, m);
	return r < 0 ? r : remember(c, MAPPINGS, id, m->v);
}

static int pick_frame(struct pick *c, struct frame_id *f)
{
	uint32_t id = f->v;
	if (known(c, FRAMES, id, &f->v))
		return 0;
	struct frame row = c->src->dict.frames.data[id];
	int r = pick_function(c, &row.function);
	if (r == 0)
		r = pick_mapping(c, &row.mapping);
	if (r == 0)
		r = dict_frame(&c->dst->dict, &row, f);
	return r < 0 ? r : remember(c, FRAMES, id, f->v);
}

/* Up to what is known, then down again: a node has no link to its children,
 * so the way is found anew for each. Together that is the depth once. */
static int pick_node(struct pick *c, struct node_id *node)
{
	const struct dict *d = &c->src->dict;
	VEC(uint32_t) path = { 0 };
	uint32_t at = node->v, here = 0;
	int r = 0;
	for (; r == 0 && !known(c, NODES, at, &here); at = d->node_parent.data[at].v) {
		r = vec_reserve(NULL, &path, 1);
		if (r == 0)
			path.data[path.n++] = at;
	}
	while (r == 0 && path.n > 0) {
		uint32_t id = path.data[--path.n];
		struct frame_id frame = d->node_frame.data[id];
		r = pick_frame(c, &frame);
		if (r == 0)
			r = dict_step(&c->dst->dict, &here, frame.v);
		if (r == 0)
			r = remember(c, NODES, id, here);
	}
	vec_done(NULL, &path);
	node->v = here;
	return r;
}

static int pick_labels(struct pick *c, struct labels_id *labels)
{
	uint32_t id = labels->v, n;
	if (known(c, LABELS, id, &labels->v))
		return 0;
	struct label set[LABELS_MAX];
	const struct label *old = profile_label_set(c->src, (struct labels_id){ id }, &n);
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		set[i] = old[i];
		r = pick_string(c, &set[i].key);
		if (r == 0)
			r = pick_string(c, &set[i].str);
		if (r == 0)
			r = pick_string(c, &set[i].unit);
	}
	if (r == 0)
		r = profile_labels(c->dst, set, n, labels);
	return r < 0 ? r : remember(c, LABELS, id, labels->v);
}

static int pick_row(struct pick *c, uint32_t row, uint32_t types)
{
	const struct profile *src = c->src;
	struct node_id node = src->node.data[row];
	struct labels_id labels = src->labels.data[row];
	int64_t values[PROFILE_MAX_TYPES];
	uint32_t n = 0;
	for (uint32_t t = 0; t < src->n_types; t++)
		if (types >> t & 1)
			values[n++] = src->value[t].data[row];
	int r = pick_node(c, &node);
	if (r == 0)
		r = pick_labels(c, &labels);
	return r < 0 ? r : profile_add_sample_at(c->dst, node, labels, values, profile_sample_time(src, row));
}

int profile_pick(struct profile *dst, const struct profile *src, const uint32_t *rows, uint32_t n, uint32_t types)
{
	struct pick c = { .dst = dst, .src = src };
	u64map_init(&c.ids, dst->budget);
	int r = profile_copy_header(dst, src, types);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = pick_row(&c, rows[i], types);
	u64map_done(&c.ids);
	return r;
}
