/* SPDX-License-Identifier: Apache-2.0 */
/* A sample is one row for each (stack, labels): the value types of a request
 * are spread over its profiles, and wick has them side by side. */
#include "format/otlp_decoder.h"

#include "base/saturate.h"

#include <inttypes.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Where the fields of a profile are in this layout; 0 = it has none. */
struct fields {
	uint32_t time, duration, period_type, period, comments, attributes, default_type;
};

static struct fields fields_1_8(struct slice message)
{
	struct fields v1_8 = { 3, 4, 5, 6, 7, 12, 0 }, v1_9 = { 3, 4, 5, 6, 0, 11, 0 };
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	/* v1.9 took the comments away and moved what followed up by one. */
	while (pb_next(&r, &f) > 0)
		if ((f.number == 8 && f.wire == PB_BYTES) || (f.number == 9 && f.wire == PB_VARINT) || f.number == 12 ||
		    (f.number == 7 && (f.wire == PB_VARINT || f.bytes.size != 16)))
			return v1_8;
	return v1_9;
}

static struct fields fields_of(const struct otlp_decoder *d, struct slice message)
{
	if (d->layout == OTLP_1_7)
		return (struct fields){ PROFILE_1_7_TIME,	 PROFILE_1_7_DURATION, PROFILE_1_7_PERIOD_TYPE,
					PROFILE_1_7_PERIOD,	 PROFILE_1_7_COMMENTS, PROFILE_1_7_ATTRIBUTES,
					PROFILE_1_7_DEFAULT_TYPE };
	if (d->layout == OTLP_1_8)
		return fields_1_8(message);
	return (struct fields){ 3, 4, 5, 6, 0, OTLP_PROFILE_ATTRIBUTES, 0 };
}

static int add_comment(struct otlp_decoder *d, const struct pb_field *f)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t index = 0;
	int k;
	while ((k = otlp_repeated_next(&r, f, &index)) > 0) {
		if (index >= d->strings.n)
			return otlp_fail_index(d, f->at, "comment_strindices: string", index);
		k = otlp_push_comment(d, f->at, d->strings.data[index]);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static int push_location_indices(struct otlp_decoder *d, const struct pb_field *f)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t index = 0;
	int k;
	while ((k = otlp_repeated_next(&r, f, &index)) > 0) {
		if (index >= d->locations.n)
			return otlp_fail_index(d, f->at, "location", index);
		k = vec_reserve(d->p->budget, &d->location_indices, 1);
		if (k < 0)
			return otlp_fail_memory(d, f->at, k);
		d->location_indices.data[d->location_indices.n++] = (uint32_t)index;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static int time_field(struct otlp_decoder *d, const struct pb_field *f, const char *name, uint64_t *ret)
{
	/* fixed64 since v1.8; either way it is a number. */
	if (f->wire != PB_VARINT && f->wire != PB_64)
		return otlp_expect_wire(d, f, PB_64, name);
	*ret = f->value;
	return 0;
}

struct header {
	uint32_t column[PROFILE_MAX_TYPES]; /* of the model, for each value type of the profile */
	uint32_t n_types;
	struct value_type period_type;
	uint64_t time_ns, duration_ns, period, default_type;
	struct otlp_labels labels; /* of resource, scope and profile */
	uint32_t n_outer;
};

static int header_field(struct otlp_decoder *d, const struct pb_field *f, const struct fields *at, struct header *h)
{
	if (f->number == OTLP_PROFILE_SAMPLES)
		return 0;
	if (f->number == at->time)
		return time_field(d, f, "time_unix_nano", &h->time_ns);
	if (f->number == at->duration)
		return time_field(d, f, "duration_nano", &h->duration_ns);
	if (f->number == at->period_type)
		return otlp_value_type(d, f, &h->period_type);
	if (f->number == at->period)
		return otlp_number(d, f, "period", &h->period);
	if (f->number == at->attributes)
		return otlp_add_attributes(d, f, h->n_outer, &h->labels);
	if (at->comments && f->number == at->comments && d->n_profiles == 1)
		return add_comment(d, f);
	if (at->default_type && f->number == at->default_type)
		return otlp_number(d, f, "default_sample_type_index", &h->default_type);
	if (d->layout == OTLP_1_7 && f->number == PROFILE_1_7_LOCATION_INDICES)
		return push_location_indices(d, f);
	return 0;
}

/* The model has one of each: the first period, the time all profiles cover. */
static void keep_header(struct otlp_decoder *d, const struct header *h)
{
	struct profile *p = d->p;
	if (!p->period && !p->period_type.type.v && !p->period_type.unit.v) {
		p->period = (int64_t)h->period;
		p->period_type = h->period_type;
	}
	if (h->n_types > 1 && h->default_type < h->n_types && !p->default_type.v)
		p->default_type = p->types[h->column[h->default_type]].type;
	if (!h->time_ns && !h->duration_ns)
		return;
	int64_t start = (int64_t)h->time_ns, end = i64_add_saturating(start, (int64_t)h->duration_ns);
	if (d->n_timed++ == 0 || start < p->time_ns)
		p->time_ns = start;
	if (d->n_timed == 1 || end > d->end_ns)
		d->end_ns = end;
	if (__builtin_sub_overflow(d->end_ns, p->time_ns, &p->duration_ns))
		p->duration_ns = INT64_MAX;
}

static int column_of(struct otlp_decoder *d, const uint8_t *at, const struct value_type *t, uint32_t *ret)
{
	struct profile *p = d->p;
	for (*ret = 0; *ret < p->n_types; ++*ret)
		if (p->types[*ret].type.v == t->type.v && p->types[*ret].unit.v == t->unit.v)
			return 0;
	if (p->n_types == PROFILE_MAX_TYPES)
		return otlp_fail_limit(d, at, "sample types", PROFILE_MAX_TYPES);
	p->types[p->n_types++] = *t;
	return 0;
}

/* All types of all profiles come before the first sample. */
static int take_types(struct otlp_decoder *d, const struct pb_field *message, struct header *h)
{
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != OTLP_PROFILE_SAMPLE_TYPE)
			continue;
		struct value_type t;
		k = otlp_value_type(d, &f, &t);
		if (k == 0 && h->n_types == (d->layout == OTLP_1_7 ? PROFILE_MAX_TYPES : 1))
			k = otlp_fail_limit(d, f.at, "sample types", h->n_types);
		if (k == 0)
			k = column_of(d, f.at, &t, &h->column[h->n_types++]);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

/* --- samples --- */

struct sample {
	uint64_t stack, length, link;
	struct pb_field attributes; /* the first of its fields */
	uint32_t n_attribute_fields;
	int64_t values[PROFILE_MAX_TYPES]; /* of the profile */
	uint32_t n_values;
	uint64_t n_times;
};

/* v1.7 has one value for each type; since then there is one type, and a value
 * for each time or one for all. */
static int add_values(struct otlp_decoder *d, const struct pb_field *f, const struct header *h, struct sample *s)
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

enum meaning { M_NONE, M_STACK, M_LENGTH, M_VALUES, M_ATTRIBUTES, M_LINK, M_TIMES, M_TIMES_VARINT };

static const uint8_t meanings[][8] = {
	[OTLP_1_7] = { 0, M_STACK, M_LENGTH, M_VALUES, M_ATTRIBUTES, M_LINK, M_TIMES_VARINT },
	[OTLP_1_8] = { 0, M_STACK, M_VALUES, M_ATTRIBUTES, M_LINK, M_TIMES },
	[OTLP_1_10] = { 0, M_STACK, M_ATTRIBUTES, M_LINK, M_VALUES, M_TIMES },
};

static int sample_field(struct otlp_decoder *d, const struct pb_field *f, const struct header *h, struct sample *s)
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
		if (f->wire == PB_BYTES && f->bytes.size % 8)
			return otlp_fail(d, f->at, -EBADMSG, "timestamps_unix_nano of %zu bytes", f->bytes.size);
		s->n_times += f->wire == PB_BYTES ? f->bytes.size / 8 : 1;
		return 0;
	case M_TIMES_VARINT:
		count_times(f, s);
		return 0;
	}
	return 0;
}

static int add_link(struct otlp_decoder *d, const uint8_t *at, uint64_t index, uint32_t n_outer,
		    struct otlp_labels *set)
{
	if (index == 0)
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

static int make_labels(struct otlp_decoder *d, const struct pb_field *message, const struct header *h,
		       const struct sample *s, struct labels_id *ret)
{
	struct otlp_labels set;
	set.n = h->labels.n;
	memcpy(set.set, h->labels.set, set.n * sizeof(set.set[0]));
	int k = 0;
	if (s->n_attribute_fields == 1) {
		k = otlp_add_attributes(d, &s->attributes, h->labels.n, &set);
	} else if (s->n_attribute_fields > 1) {
		struct pb_reader r = pb_reader_nested(message->bytes);
		struct pb_field f;
		while (k >= 0 && pb_next(&r, &f) > 0)
			if (f.number == s->attributes.number)
				k = otlp_add_attributes(d, &f, h->labels.n, &set);
	}
	if (k == 0)
		k = add_link(d, message->at, s->link, h->labels.n, &set);
	if (k < 0)
		return k;
	k = profile_labels(d->p, set.set, set.n, ret);
	return k < 0 ? otlp_fail_memory(d, message->at, k) : 0;
}

/* Samples that name the same attributes have the same labels. */
static int sample_labels(struct otlp_decoder *d, const struct pb_field *message, const struct header *h,
			 const struct sample *s, struct labels_id *ret)
{
	bool one = s->n_attribute_fields == 0 || (s->n_attribute_fields == 1 && s->attributes.wire == PB_BYTES);
	if (!one || s->link > UINT32_MAX)
		return make_labels(d, message, h, s, ret);
	struct slice indices = s->n_attribute_fields ? s->attributes.bytes : slice_of("", 0);
	uint64_t scope = (uint64_t)d->n_profiles << 32 | s->link;
	for (uint64_t key = XXH3_64bits_withSeed(indices.data, indices.size, scope);; key++) {
		uint32_t *id = u64map_put(&d->known_ids, key);
		if (!id)
			return otlp_fail_memory(d, message->at, -ENOBUFS);
		if (*id == 0) {
			/* A slot must not stay empty. */
			*id = d->known.n + 1;
			int r = vec_reserve(d->p->budget, &d->known, 1);
			if (r < 0)
				return otlp_fail_memory(d, message->at, r);
			r = make_labels(d, message, h, s, ret);
			d->known.data[d->known.n++] = (struct otlp_known_labels){ indices, scope, *ret };
			return r;
		}
		const struct otlp_known_labels *known = &d->known.data[*id - 1];
		if (known->scope == scope && slice_eq(known->indices, indices)) {
			*ret = known->labels;
			return 0;
		}
	}
}

/* v1.7: samples may share stretches of a list. Each stretch is walked once,
 * and all together in proportion to what the file could list itself. */
static int walk_range(struct otlp_decoder *d, const uint8_t *at, const struct sample *s, struct node_id *ret)
{
	if (s->length > d->location_indices.n || s->stack > d->location_indices.n - s->length)
		return otlp_fail(d, at, -EBADMSG, "locations %" PRIu64 " to %" PRIu64 " of the %" PRIu32 " there are",
				 s->stack, s->stack + s->length, d->location_indices.n);
	uint32_t *known = u64map_put(&d->ranges, s->stack << 32 | s->length);
	if (!known)
		return otlp_fail_memory(d, at, -ENOBUFS);
	if (*known) {
		ret->v = *known - 1;
		return 0;
	}
	*known = 1;
	d->n_range_frames += s->length;
	if (d->n_range_frames / 16 > d->bytes.size)
		return otlp_fail_limit(d, at, "frames in stretches that overlap", (uint64_t)d->bytes.size * 16);
	d->stack.n = 0;
	for (uint64_t i = s->stack; i < s->stack + s->length; i++) {
		int r = otlp_push_location(d, at, d->location_indices.data[i]);
		if (r < 0)
			return r;
	}
	int r = otlp_walk_stack(d, at, ret);
	if (r == 0)
		*known = ret->v + 1;
	return r;
}

static int sample_node(struct otlp_decoder *d, const uint8_t *at, const struct sample *s, struct node_id *ret)
{
	if (d->layout == OTLP_1_7)
		return walk_range(d, at, s, ret);
	if (s->stack >= d->stacks.n && s->stack > 0)
		return otlp_fail_index(d, at, "stack", s->stack);
	ret->v = s->stack < d->stacks.n ? d->stacks.data[s->stack].v : 0;
	return 0;
}

static int add_row(struct otlp_decoder *d, const uint8_t *at, struct node_id node, struct labels_id labels,
		   const struct header *h, const struct sample *s)
{
	struct profile *p = d->p;
	uint32_t *row = u64map_put(&d->rows, (uint64_t)node.v << 32 | labels.v);
	if (!row)
		return otlp_fail_memory(d, at, -ENOBUFS);
	if (*row == 0) {
		static const int64_t zeros[PROFILE_MAX_TYPES];
		*row = profile_n_samples(p) + 1;
		int r = profile_add_sample(p, node, labels, zeros);
		if (r < 0)
			return otlp_fail_memory(d, at, r);
	}
	for (uint32_t i = 0; i < h->n_types; i++) {
		int64_t *value = &p->value[h->column[i]].data[*row - 1];
		*value = i64_add_saturating(*value, s->values[i]);
	}
	return 0;
}

static int take_sample(struct otlp_decoder *d, const struct pb_field *message, const struct header *h)
{
	struct sample s;
	s.stack = s.length = s.link = s.n_times = 0;
	s.n_values = s.n_attribute_fields = 0;
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	if (d->row > d->limits->n_samples)
		return otlp_fail_limit(d, message->at, "samples", d->limits->n_samples);
	while ((k = pb_next(&r, &f)) > 0) {
		k = sample_field(d, &f, h, &s);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	if (s.n_values == 0 && s.n_times && h->n_types == 1) {
		s.values[0] = (int64_t)s.n_times;
		s.n_values = 1;
	}
	if (h->n_types == 0 || (h->n_types == 1 ? s.n_values == 0 : s.n_values != h->n_types))
		return otlp_fail(d, message->at, -EBADMSG, "%" PRIu32 " values for %" PRIu32 " sample types",
				 s.n_values, h->n_types);
	struct node_id node;
	struct labels_id labels = { 0 };
	k = sample_node(d, message->at, &s, &node);
	if (k == 0)
		k = sample_labels(d, message, h, &s, &labels);
	return k < 0 ? k : add_row(d, message->at, node, labels, h, &s);
}

int otlp_note_types(struct otlp_decoder *d, const struct pb_field *message)
{
	struct header h = { 0 };
	return take_types(d, message, &h);
}

static int take_header(struct otlp_decoder *d, const struct pb_field *message, const struct otlp_labels *outer,
		       struct header *h)
{
	struct fields at = fields_of(d, message->bytes);
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k = take_types(d, message, h);
	if (k < 0)
		return k;
	h->labels = *outer;
	h->n_outer = outer->n;
	while ((k = pb_next(&r, &f)) > 0) {
		k = header_field(d, &f, &at, h);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	keep_header(d, h);
	return 0;
}

int otlp_take_profile(struct otlp_decoder *d, const struct pb_field *message, const struct otlp_labels *outer)
{
	struct header h = { 0 };
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	d->location_indices.n = 0;
	/* Let go, not cleared: a large one would cost each small profile. */
	if (d->ranges.n) {
		u64map_done(&d->ranges);
		u64map_init(&d->ranges, d->p->budget);
	}
	int k = take_header(d, message, outer, &h);
	if (k < 0)
		return k;
	d->row_name = "sample";
	d->row = d->n_samples;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != OTLP_PROFILE_SAMPLES)
			continue;
		d->row++;
		k = otlp_expect_wire(d, &f, PB_BYTES, "samples");
		if (k == 0)
			k = take_sample(d, &f, &h);
		if (k < 0)
			return k;
	}
	d->n_samples = (uint32_t)d->row;
	d->row_name = NULL;
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}
