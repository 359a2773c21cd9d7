/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pprof_decoder.h"

#include <inttypes.h>

static int missing_location(struct pprof_decoder *d, const uint8_t *at, uint64_t id)
{
	return pprof_fail(d, at, -EBADMSG, "location %" PRIu64 " does not exist", id);
}

static int push_location(struct pprof_decoder *d, const uint8_t *at, uint64_t id)
{
	if (d->stack.n >= d->limits->depth)
		return pprof_fail_limit(d, at, "frames", d->limits->depth);
	int r = vec_reserve(d->p->budget, &d->stack, 1);
	if (r < 0)
		return pprof_fail_memory(d, at, r);
	uint32_t code = idtable_get(&d->locations, id);
	if (!code)
		return missing_location(d, at, id);
	d->stack.data[d->stack.n++] = code;
	return 0;
}

/* The loop the time goes into: most of a profile's bytes are these ids. */
static int push_packed_locations(struct pprof_decoder *d, struct slice ids)
{
	struct pb_reader r = pb_reader_nested(ids);
	/* Each id is at least a byte. */
	size_t n_most = ids.size < d->limits->depth ? ids.size : d->limits->depth;
	int k = vec_reserve(d->p->budget, &d->stack, (uint32_t)n_most);
	if (k < 0)
		return pprof_fail_memory(d, r.at, k);
	uint32_t n = d->stack.n, limit = d->limits->depth;
	uint32_t *stack = d->stack.data;
	while (r.at < r.end) {
		const uint8_t *at = r.at;
		uint64_t id = *at;
		if (id < 0x80) {
			r.at = at + 1;
		} else if (r.end - at >= 3 && at[1] < 0x80) {
			id = (id & 0x7f) | (uint64_t)at[1] << 7;
			r.at = at + 2;
		} else if (r.end - at >= 3 && at[2] < 0x80) {
			id = (id & 0x7f) | (uint64_t)(at[1] & 0x7f) << 7 | (uint64_t)at[2] << 14;
			r.at = at + 3;
		} else {
			k = pb_varint(&r, &id);
			if (k < 0)
				return pprof_fail_reader(d, &r, k);
		}
		if (n >= limit)
			return pprof_fail_limit(d, at, "frames", limit);
		stack[n] = idtable_get(&d->locations, id);
		if (!stack[n++])
			return missing_location(d, at, id);
	}
	d->stack.n = n;
	return 0;
}

static int push_value(struct pprof_decoder *d, const uint8_t *at, uint32_t *n, uint64_t value)
{
	if (*n == d->p->n_types)
		return pprof_fail(d, at, -EBADMSG, "more values than the %" PRIu32 " sample types", d->p->n_types);
	d->values[(*n)++] = (int64_t)value;
	return 0;
}

static int push_packed_values(struct pprof_decoder *d, struct slice values, uint32_t *n)
{
	struct pb_reader r = pb_reader_nested(values);
	while (r.at < r.end) {
		const uint8_t *at = r.at;
		uint64_t value = 0;
		int k = pb_varint(&r, &value);
		if (k < 0)
			return pprof_fail_reader(d, &r, k);
		k = push_value(d, at, n, value);
		if (k < 0)
			return k;
	}
	return 0;
}

/* A label without string is a number when the file writes one, be it 0. */
static int push_label(struct pprof_decoder *d, const struct pb_field *message, uint32_t *n)
{
	uint32_t limit = d->limits->n_labels < LABELS_MAX ? d->limits->n_labels : LABELS_MAX;
	if (*n == limit)
		return pprof_fail_limit(d, message->at, "labels", limit);
	struct label label = { 0 };
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	uint64_t num = 0;
	bool has_num = false;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == LABEL_KEY) {
			k = pprof_string(d, &f, "label key", &label.key);
		} else if (f.number == LABEL_STR) {
			k = pprof_string(d, &f, "label str", &label.str);
		} else if (f.number == LABEL_NUM) {
			k = pprof_number(d, &f, "label num", &num);
			has_num = true;
		} else if (f.number == LABEL_NUM_UNIT) {
			k = pprof_string(d, &f, "label num_unit", &label.unit);
		}
		if (k < 0)
			return k;
	}
	if (k < 0)
		return pprof_fail_reader(d, &r, k);
	if (label.str.v) {
		label.unit.v = 0;
	} else {
		label.is_num = has_num || label.unit.v;
		label.num = (int64_t)num;
	}
	d->labels[(*n)++] = label;
	return 0;
}

static int walk_frames(struct pprof_decoder *d, const uint32_t *frames, uint32_t n, uint32_t *node)
{
	for (uint32_t i = 0; i < n; i++) {
		int r = nodewalk_child(&d->nodes, node, frames[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A location of thousands of lines is two bytes in each sample that uses it:
 * remembering where it led keeps the work in proportion to the input. */
static int walk_chain(struct pprof_decoder *d, uint32_t code, uint32_t *node)
{
	const uint32_t *chain = d->chains.data + (code & ~PPROF_CHAIN);
	if (*chain <= 16)
		return walk_frames(d, chain + 1, *chain, node);
	uint32_t *last = u64map_put(&d->long_chains, (uint64_t)*node << 32 | code);
	if (!last)
		return -ENOBUFS;
	if (*last) {
		*node = *last;
		return 0;
	}
	int r = walk_frames(d, chain + 1, *chain, node);
	*last = r < 0 ? 1 : *node;
	return r;
}

/* Where the path turns or lines are inlined. */
static int walk_slowly(struct pprof_decoder *d, uint32_t code, uint32_t *n_frames, uint32_t *node)
{
	if (!(code & PPROF_CHAIN))
		return nodewalk_turn(&d->nodes, *node, code, node);
	*n_frames += d->chains.data[code & ~PPROF_CHAIN] - 1;
	return *n_frames > d->limits->depth ? -E2BIG : walk_chain(d, code, node);
}

static int walk_stack(struct pprof_decoder *d, const uint8_t *at, uint32_t *ret)
{
	uint32_t node = 0, n_frames = d->stack.n;
	const uint32_t *stack = d->stack.data;
	for (uint32_t i = d->stack.n; i-- > 0;) {
		uint32_t child = nodewalk_again(&d->nodes, node, stack[i]);
		if (__builtin_expect(!child, 0)) {
			child = node;
			int r = walk_slowly(d, stack[i], &n_frames, &child);
			if (r == -E2BIG)
				return pprof_fail_limit(d, at, "frames", d->limits->depth);
			if (r < 0)
				return pprof_fail_memory(d, at, r);
		}
		node = child;
	}
	*ret = node;
	return 0;
}

static int read_sample_field(struct pprof_decoder *d, const struct pb_field *f, uint32_t *n_values, uint32_t *n_labels)
{
	int r;
	switch (f->number) {
	case SAMPLE_LOCATION_ID:
		if (f->wire == PB_BYTES)
			return push_packed_locations(d, f->bytes);
		r = pprof_expect_wire(d, f, PB_VARINT, "location_id");
		return r < 0 ? r : push_location(d, f->at, f->value);
	case SAMPLE_VALUE:
		if (f->wire == PB_BYTES)
			return push_packed_values(d, f->bytes, n_values);
		r = pprof_expect_wire(d, f, PB_VARINT, "value");
		return r < 0 ? r : push_value(d, f->at, n_values, f->value);
	case SAMPLE_LABEL:
		r = pprof_expect_wire(d, f, PB_BYTES, "label");
		return r < 0 ? r : push_label(d, f, n_labels);
	default:
		return 0;
	}
}

int pprof_take_sample(struct pprof_decoder *d, const struct pb_field *message)
{
	uint32_t n_values = 0, n_labels = 0;
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	d->stack.n = 0;
	while ((k = pb_next(&r, &f)) > 0) {
		k = read_sample_field(d, &f, &n_values, &n_labels);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return pprof_fail_reader(d, &r, k);
	if (n_values != d->p->n_types || n_values == 0)
		return pprof_fail(d, message->at, -EBADMSG, "%" PRIu32 " values for %" PRIu32 " sample types", n_values,
				  d->p->n_types);
	struct node_id node;
	struct labels_id labels;
	k = walk_stack(d, message->at, &node.v);
	if (k < 0)
		return k;
	k = profile_labels(d->p, d->labels, n_labels, &labels);
	if (k == 0)
		k = profile_add_sample(d->p, node, labels, d->values);
	return k < 0 ? pprof_fail_memory(d, message->at, k) : 0;
}
