/* SPDX-License-Identifier: Apache-2.0 */
/* A sample is one row for each (stack, labels), with a value for each type;
 * where times are wanted, one for each (stack, labels, time).
 *
 * What a sample leads to (the node of its stack, its labels, their row) is
 * spread over more memory than caches hold. So samples are taken a batch at a
 * time and in passes, each fetching what the next one reads. */
#include "format/otlp_decoder.h"

#include "base/saturate.h"

#include <inttypes.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define FEW 8

struct sample {
	struct pb_field message;
	uint64_t stack, length, link;
	struct pb_field attributes; /* the first of its fields */
	uint32_t n_attribute_fields;
	int64_t values[PROFILE_MAX_TYPES]; /* of the profile */
	uint32_t n_values;
	uint64_t n_times;
	bool pairs; /* there is a value for each time */
	struct otlp_label_key key;
	uint64_t hash; /* of `key` */
	struct node_id node;
	struct labels_id labels;
	bool is_lost; /* its stack is in the half that is not there */
};

/* v1.7 has one value for each type; since then there is one type, and a value
 * for each time or one for all. */
static int add_values(struct otlp_decoder *d, const struct pb_field *f, const struct otlp_header *h, struct sample *s)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t v = 0;
	int k;
	while ((k = otlp_repeated_next(&r, f, &v)) > 0) {
		uint32_t i = h->n_types == 1 ? 0 : s->n_values;
		if (i >= h->n_types)
			return otlp_fail(d, f->at, -EBADMSG, "more values than the %" PRIu32 " sample types",
					 h->n_types);
		s->values[i] = i64_add_saturating(s->n_values == i ? 0 : s->values[i], (int64_t)v);
		s->n_values++;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static void count_times(const struct pb_field *f, struct sample *s)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t v;
	if (f->wire != PB_BYTES)
		s->n_times++;
	else
		while (otlp_repeated_next(&r, f, &v) > 0)
			s->n_times++;
}

enum meaning { M_NONE, M_STACK, M_LENGTH, M_VALUES, M_ATTRIBUTES, M_LINK, M_TIMES };

static const uint8_t meanings[][8] = {
	[OTLP_1_7] = { 0, M_STACK, M_LENGTH, M_VALUES, M_ATTRIBUTES, M_LINK, M_TIMES },
	[OTLP_1_8] = { 0, M_STACK, M_VALUES, M_ATTRIBUTES, M_LINK, M_TIMES },
	[OTLP_1_10] = { 0, M_STACK, M_ATTRIBUTES, M_LINK, M_VALUES, M_TIMES },
};

/* The numbers of one field of a sample that has been read, in however many
 * pieces they are. */
struct numbers {
	const uint8_t *meanings;
	enum meaning meaning;
	bool is_fixed; /* eight bytes each */
	struct pb_reader message, piece;
	struct pb_field f;
};

static struct numbers numbers_of(const struct otlp_decoder *d, const struct sample *s, enum meaning m)
{
	return (struct numbers){ .meanings = meanings[d->layout],
				 .meaning = m,
				 .is_fixed = m == M_TIMES && d->layout != OTLP_1_7,
				 .message = pb_reader_nested(s->message.bytes) };
}

static bool next_number(struct numbers *n, uint64_t *ret)
{
	while (n->piece.at == n->piece.end) {
		if (pb_next(&n->message, &n->f) <= 0)
			return false;
		if (n->f.number >= 8 || n->meanings[n->f.number] != n->meaning)
			continue;
		*ret = n->f.value;
		if (n->f.wire != PB_BYTES)
			return true;
		n->piece = pb_reader_nested(n->f.bytes);
	}
	return (n->is_fixed ? pb_fixed(&n->piece, 8, ret) : pb_varint(&n->piece, ret)) == 0;
}

static int sample_field(struct otlp_decoder *d, const struct pb_field *f, const struct otlp_header *h, struct sample *s)
{
	switch ((enum meaning)(f->number < 8 ? meanings[d->layout][f->number] : M_NONE)) {
	case M_NONE:
		return 0;
	case M_STACK:
		return otlp_number(d, f, d->layout == OTLP_1_7 ? "locations_start_index" : "stack_index", &s->stack);
	case M_LENGTH:
		return otlp_number(d, f, "locations_length", &s->length);
	case M_VALUES:
		return add_values(d, f, h, s);
	case M_ATTRIBUTES:
		if (s->n_attribute_fields++ == 0)
			s->attributes = *f;
		return 0;
	case M_LINK:
		return otlp_number(d, f, "link_index", &s->link);
	case M_TIMES:
		if (d->layout == OTLP_1_7) {
			count_times(f, s);
			return 0;
		}
		if (f->wire == PB_BYTES && f->bytes.size % 8)
			return otlp_fail(d, f->at, -EBADMSG, "timestamps_unix_nano of %zu bytes", f->bytes.size);
		s->n_times += f->wire == PB_BYTES ? f->bytes.size / 8 : 1;
		return 0;
	}
	return 0;
}

static int add_link(struct otlp_decoder *d, const uint8_t *at, uint64_t index, uint32_t n_outer,
		    struct otlp_labels *set)
{
	if (index == 0 || (index >= d->links.n && d->salvage))
		return 0;
	if (index >= d->links.n)
		return otlp_fail_index(d, at, "link", index);
	struct label trace = { .str = d->links.data[index].trace }, span = { .str = d->links.data[index].span };
	int r = otlp_intern(d, at, slice_str("trace_id"), &trace.key);
	if (r == 0)
		r = otlp_intern(d, at, slice_str("span_id"), &span.key);
	if (r == 0 && trace.str.v)
		r = otlp_add_label(d, at, &trace, n_outer, set);
	if (r == 0 && span.str.v)
		r = otlp_add_label(d, at, &span, n_outer, set);
	return r;
}

static int make_labels(struct otlp_decoder *d, const struct otlp_header *h, struct sample *s)
{
	struct otlp_labels set;
	set.n = h->labels.n;
	memcpy(set.set, h->labels.set, set.n * sizeof(set.set[0]));
	int k = 0;
	if (s->n_attribute_fields == 1) {
		k = otlp_add_attributes(d, &s->attributes, h->labels.n, &set);
	} else if (s->n_attribute_fields > 1) {
		struct pb_reader r = pb_reader_nested(s->message.bytes);
		struct pb_field f;
		while (k >= 0 && pb_next(&r, &f) > 0)
			if (f.number == s->attributes.number)
				k = otlp_add_attributes(d, &f, h->labels.n, &set);
	}
	if (k == 0)
		k = add_link(d, s->message.at, s->link, h->labels.n, &set);
	if (k < 0)
		return k;
	k = profile_labels(d->p, set.set, set.n, &s->labels);
	return k < 0 ? otlp_fail_memory(d, s->message.at, k) : 0;
}

/* Whether the labels have a key. */
static bool has_key(const struct sample *s)
{
	return s->link <= UINT32_MAX &&
	       (s->n_attribute_fields == 0 || (s->n_attribute_fields == 1 && s->attributes.wire == PB_BYTES));
}

static void make_key(const struct otlp_decoder *d, struct sample *s)
{
	struct otlp_label_key *key = &s->key;
	*key = (struct otlp_label_key){ .scope = (uint64_t)d->n_profiles << 32 | s->link };
	if (s->n_attribute_fields)
		key->indices = s->attributes.bytes;
	if (key->indices.size)
		memcpy(key->head, key->indices.data, key->indices.size < 16 ? key->indices.size : 16);
	s->hash = XXH3_64bits_withSeed(key->head, 16, key->scope ^ (uint64_t)key->indices.size << 48);
	if (key->indices.size > 16)
		s->hash = XXH3_64bits_withSeed(key->indices.data, key->indices.size, s->hash);
}

static bool same_key(const struct otlp_label_key *a, const struct otlp_label_key *b)
{
	return a->scope == b->scope && a->indices.size == b->indices.size && a->head[0] == b->head[0] &&
	       a->head[1] == b->head[1] && (a->indices.size <= 16 || slice_eq(a->indices, b->indices));
}

/* Samples that name the same attributes have the same labels. */
static int find_labels(struct otlp_decoder *d, const struct otlp_header *h, struct sample *s)
{
	if (!has_key(s))
		return make_labels(d, h, s);
	for (uint64_t hash = s->hash;; hash++) {
		uint32_t *id = u64map_put(&d->known_ids, hash);
		if (!id)
			return otlp_fail_memory(d, s->message.at, -ENOBUFS);
		if (*id == 0) {
			/* A slot must not stay empty. */
			*id = d->known.n + 1;
			int r = vec_reserve(d->p->budget, &d->known, 1);
			if (r < 0)
				return otlp_fail_memory(d, s->message.at, r);
			s->labels.v = 0;
			r = make_labels(d, h, s);
			d->known.data[d->known.n++] = (struct otlp_known_labels){ s->key, s->labels };
			return r;
		}
		const struct otlp_known_labels *known = &d->known.data[*id - 1];
		if (same_key(&known->key, &s->key)) {
			s->labels = known->labels;
			return 0;
		}
	}
}

static bool has_stack(const struct otlp_decoder *d, const struct sample *s)
{
	if (d->layout == OTLP_1_7)
		return s->length <= d->location_indices.n && s->stack <= d->location_indices.n - s->length;
	return s->stack < d->stacks.n || s->stack == 0;
}

/* v1.7: samples may share stretches of a list. Each stretch is walked once,
 * and all together in proportion to what the file could list itself. */
static int walk_range(struct otlp_decoder *d, struct sample *s)
{
	const uint8_t *at = s->message.at;
	if (!has_stack(d, s))
		return otlp_fail(d, at, -EBADMSG, "locations %" PRIu64 " to %" PRIu64 " of the %" PRIu32 " there are",
				 s->stack, s->stack + s->length, d->location_indices.n);
	uint32_t *known = u64map_put(&d->ranges, s->stack << 32 | s->length);
	if (!known)
		return otlp_fail_memory(d, at, -ENOBUFS);
	if (*known) {
		s->node.v = *known - 1;
		return 0;
	}
	*known = 1;
	d->n_range_frames += s->length;
	if (d->n_range_frames / 16 > d->bytes.size)
		return otlp_fail_limit(d, at, "frames in stretches that overlap", (uint64_t)d->bytes.size * 16);
	int r = otlp_walk_locations(d, at, d->location_indices.data + s->stack, s->length, &s->node);
	if (r == 0)
		*known = s->node.v + 1;
	return r;
}

static int find_node(struct otlp_decoder *d, struct sample *s)
{
	s->is_lost = d->salvage && !has_stack(d, s);
	if (s->is_lost) {
		d->lost.samples++;
		s->node.v = 0;
		return 0;
	}
	if (d->layout == OTLP_1_7)
		return walk_range(d, s);
	if (!has_stack(d, s))
		return otlp_fail_index(d, s->message.at, "stack", s->stack);
	s->node.v = s->stack < d->stacks.n ? d->stacks.data[s->stack].v : 0;
	return 0;
}

/* The row of (node, labels), if there is one already: the value types of a
 * request are spread over its profiles. Most stacks have few sets of labels,
 * and those are looked through:
 *
 *   first_row[node] -> rows[].next -> ...    index + 1, 0 = no more
 *
 * What comes behind FEW rows of one stack is found by its hash. A new row is
 * the profile's next one. */
static int find_row(struct otlp_decoder *d, const struct sample *s, uint32_t *ret)
{
	uint32_t *link = &d->first_row.data[s->node.v];
	int r = vec_reserve(d->p->budget, &d->rows, 1);
	if (r < 0)
		return r;
	for (uint32_t i = 0; *link; i++) {
		struct otlp_row *row = &d->rows.data[*link - 1];
		*ret = row->row;
		if (row->labels.v == s->labels.v)
			return 0;
		link = &row->next;
		if (i < FEW)
			continue;
		link = u64map_put(&d->far_rows, (uint64_t)s->node.v << 32 | s->labels.v);
		if (!link)
			return -ENOBUFS;
		if (*link) {
			*ret = d->rows.data[*link - 1].row;
			return 0;
		}
	}
	*ret = profile_n_samples(d->p);
	*link = d->rows.n + 1;
	d->rows.data[d->rows.n++] = (struct otlp_row){ s->labels, *ret, 0 };
	return 0;
}

/* The same of a row with a time. With a single value type nobody else has a
 * value for it, and rows need not be unique. */
static int find_timed_row(struct otlp_decoder *d, const struct sample *s, int64_t time_ns, uint32_t *ret)
{
	const struct profile *p = d->p;
	uint64_t key[2] = { (uint64_t)s->node.v << 32 | s->labels.v, (uint64_t)time_ns };
	*ret = profile_n_samples(p);
	for (uint64_t hash = XXH3_64bits(key, sizeof(key)); p->n_types > 1; hash++) {
		uint32_t *slot = u64map_put(&d->timed_rows, hash);
		if (!slot)
			return -ENOBUFS;
		if (*slot == 0) {
			*slot = *ret + 1;
			return 0;
		}
		uint32_t row = *slot - 1;
		if (p->node.data[row].v == s->node.v && p->labels.data[row].v == s->labels.v &&
		    profile_sample_time(p, row) == time_ns) {
			*ret = row;
			return 0;
		}
	}
	return 0;
}

static int add_row(struct otlp_decoder *d, const struct otlp_header *h, const struct sample *s, const int64_t *values,
		   int64_t time_ns)
{
	static const int64_t zeros[PROFILE_MAX_TYPES];
	struct profile *p = d->p;
	uint32_t row = 0;
	int r = time_ns ? find_timed_row(d, s, time_ns, &row) : find_row(d, s, &row);
	if (r == 0 && row == profile_n_samples(p)) {
		if (row >= d->limits->n_samples)
			return otlp_fail_limit(d, s->message.at, "samples", d->limits->n_samples);
		r = profile_add_sample_at(p, s->node, s->labels, zeros, time_ns);
	}
	if (r < 0)
		return otlp_fail_memory(d, s->message.at, r);
	for (uint32_t i = 0; i < h->n_types; i++) {
		int64_t *value = &p->value[h->column[i]].data[row];
		*value = i64_add_saturating(*value, values[i]);
	}
	return 0;
}

/* One observation after the other. A profile since v1.8 has one type, and as
 * many values as times, or none. Elsewhere values are sums: which part of them
 * was when is not known. */
static int add_rows(struct otlp_decoder *d, const struct otlp_header *h, const struct sample *s)
{
	if (s->n_times == 0 || !d->p->wants_times)
		return add_row(d, h, s, s->values, 0);
	struct numbers times = numbers_of(d, s, M_TIMES), values = numbers_of(d, s, M_VALUES);
	int64_t value[PROFILE_MAX_TYPES];
	uint64_t time_ns = 0, v = 0;
	int r = 0;
	for (uint64_t i = 0; r == 0 && next_number(&times, &time_ns); i++) {
		for (uint32_t t = 0; t < h->n_types; t++) {
			int64_t n = (int64_t)s->n_times;
			value[t] = s->values[t] / n + (i == 0 ? s->values[t] % n : 0);
		}
		if (s->pairs && next_number(&values, &v))
			value[0] = (int64_t)v;
		r = add_row(d, h, s, value, time_ns > INT64_MAX ? 0 : (int64_t)time_ns);
	}
	return r;
}

static int read_sample(struct otlp_decoder *d, const struct pb_field *message, const struct otlp_header *h,
		       struct sample *s)
{
	s->message = *message;
	s->stack = s->length = s->link = s->n_times = 0;
	s->n_values = s->n_attribute_fields = 0;
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	if (d->row > d->limits->n_samples)
		return otlp_fail_limit(d, message->at, "samples", d->limits->n_samples);
	while ((k = pb_next(&r, &f)) > 0) {
		k = sample_field(d, &f, h, s);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	s->pairs = s->n_values == s->n_times && h->n_types == 1;
	if (s->n_values == 0 && s->n_times && h->n_types == 1) {
		s->values[0] = (int64_t)s->n_times;
		s->n_values = 1;
	}
	if (h->n_types == 0 || (h->n_types == 1 ? s->n_values == 0 : s->n_values != h->n_types))
		return otlp_fail(d, message->at, -EBADMSG, "%" PRIu32 " values for %" PRIu32 " sample types",
				 s->n_values, h->n_types);
	if (has_key(s)) {
		make_key(d, s);
		u64map_prefetch(&d->known_ids, s->hash);
	}
	if (s->stack < d->stacks.n)
		__builtin_prefetch(&d->stacks.data[s->stack]);
	return 0;
}

/* Every node has a first_row. */
static int follow_nodes(struct otlp_decoder *d)
{
	uint32_t n_nodes = dict_n_nodes(&d->p->dict), n = d->first_row.n;
	int r = vec_reserve(d->p->budget, &d->first_row, n_nodes - n);
	if (r < 0)
		return r;
	memset(d->first_row.data + n, 0, (n_nodes - n) * sizeof(uint32_t));
	d->first_row.n = n_nodes;
	return 0;
}

int otlp_take_samples(struct otlp_decoder *d, const struct pb_field *messages, uint32_t n, const struct otlp_header *h)
{
	struct sample samples[OTLP_BATCH];
	uint64_t first = d->row;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		d->row = first + i + 1;
		r = read_sample(d, &messages[i], h, &samples[i]);
	}
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		d->row = first + i + 1;
		r = find_node(d, &samples[i]);
	}
	if (r == 0 && (r = follow_nodes(d)) < 0)
		r = otlp_fail_memory(d, messages[0].at, r);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		d->row = first + i + 1;
		__builtin_prefetch(&d->first_row.data[samples[i].node.v]);
		r = find_labels(d, h, &samples[i]);
	}
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		uint32_t row = d->first_row.data[samples[i].node.v];
		if (row)
			__builtin_prefetch(&d->rows.data[row - 1]);
	}
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		d->row = first + i + 1;
		r = samples[i].is_lost ? 0 : add_rows(d, h, &samples[i]);
	}
	return r;
}
