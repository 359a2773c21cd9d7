/* SPDX-License-Identifier: Apache-2.0 */
/* The value types of a request are spread over its profiles, and wick has them
 * side by side: all types are known before the first sample is read. */
#include "format/otlp_decoder.h"

#include "base/saturate.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Where the fields of a profile are in this layout; 0 = it has none. */
struct fields {
	uint32_t time, duration, period_type, period, comments, attributes, default_type;
};

/* The next field, over the samples that are known. */
static int next_field(struct pb_reader *r, const struct otlp_run *samples, struct pb_field *ret)
{
	if (r->at == samples->first)
		r->at = samples->end;
	return pb_next(r, ret);
}

static struct fields fields_1_8(struct slice message, const struct otlp_run *samples)
{
	struct fields v1_8 = { 3, 4, 5, 6, 7, 12, 0 }, v1_9 = { 3, 4, 5, 6, 0, 11, 0 };
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	/* v1.9 took the comments away and moved what followed up by one. */
	while (next_field(&r, samples, &f) > 0)
		if ((f.number == 8 && f.wire == PB_BYTES) || (f.number == 9 && f.wire == PB_VARINT) || f.number == 12 ||
		    (f.number == 7 && (f.wire == PB_VARINT || f.bytes.size != 16)))
			return v1_8;
	return v1_9;
}

static struct fields fields_of(const struct otlp_decoder *d, struct slice message, const struct otlp_run *samples)
{
	if (d->layout == OTLP_1_7)
		return (struct fields){ PROFILE_1_7_TIME,	 PROFILE_1_7_DURATION, PROFILE_1_7_PERIOD_TYPE,
					PROFILE_1_7_PERIOD,	 PROFILE_1_7_COMMENTS, PROFILE_1_7_ATTRIBUTES,
					PROFILE_1_7_DEFAULT_TYPE };
	if (d->layout == OTLP_1_8)
		return fields_1_8(message, samples);
	return (struct fields){ 3, 4, 5, 6, 0, OTLP_PROFILE_ATTRIBUTES, 0 };
}

static int add_comment(struct otlp_decoder *d, const struct pb_field *f)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t index = 0;
	int k;
	while ((k = otlp_repeated_next(&r, f, &index)) > 0) {
		if (index >= d->strings.n && d->salvage) {
			d->lost.strings++;
			continue;
		}
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

static int header_field(struct otlp_decoder *d, const struct pb_field *f, const struct fields *at,
			struct otlp_header *h)
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
static void keep_header(struct otlp_decoder *d, const struct otlp_header *h)
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

static void note_sample(struct otlp_run *samples, const uint8_t *first, const uint8_t *end)
{
	if (!samples->first)
		samples->first = samples->end = first;
	if (samples->end == first)
		samples->end = end;
}

/* All types of all profiles come before the first sample. */
static int take_types(struct otlp_decoder *d, const struct pb_field *message, struct otlp_header *h)
{
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	while ((k = next_field(&r, &h->samples, &f)) > 0) {
		if (f.number == OTLP_PROFILE_SAMPLES)
			note_sample(&h->samples, f.at, r.at);
		if (f.number != OTLP_PROFILE_SAMPLE_TYPE)
			continue;
		struct value_type t;
		uint64_t n_lost = d->lost.strings;
		k = otlp_value_type(d, &f, &t);
		/* Numbers of nobody knows what. */
		if (k == 0 && d->lost.strings > n_lost)
			return error_set(d->err, -ENODATA, "its sample types' names are missing");
		if (k == 0 && h->n_types == (d->layout == OTLP_1_7 ? PROFILE_MAX_TYPES : 1))
			k = otlp_fail_limit(d, f.at, "sample types", h->n_types);
		if (k == 0)
			k = column_of(d, f.at, &t, &h->column[h->n_types++]);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

/* The number of the time that a profile covers. */
static int find_range(struct otlp_decoder *d, const uint8_t *at, const struct otlp_range *range, uint32_t *ret)
{
	struct otlp_request *request = d->request;
	for (uint64_t hash = XXH3_64bits(range, sizeof(*range));; hash++) {
		uint32_t *slot = u64map_put(&d->range_ids, hash);
		if (!slot)
			return otlp_fail_memory(d, at, -ENOBUFS);
		*ret = *slot ? *slot - 1 : request->ranges.n;
		if (*slot && memcmp(&request->ranges.data[*ret], range, sizeof(*range)) != 0)
			continue;
		if (*slot)
			return 0;
		*slot = *ret + 1;
		if (*ret == OTLP_RANGES_MAX)
			return otlp_fail_limit(d, at, "times that profiles cover", OTLP_RANGES_MAX);
		int r = vec_reserve(NULL, &request->ranges, 1);
		if (r < 0)
			return otlp_fail_memory(d, at, r);
		request->ranges.data[request->ranges.n++] = *range;
		return 0;
	}
}

static int note_range(struct otlp_decoder *d, const struct pb_field *message, struct otlp_header *h)
{
	struct fields at = fields_of(d, message->bytes, &h->samples);
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k = 0;
	while (k >= 0 && next_field(&r, &h->samples, &f) > 0)
		if (f.number == at.time || f.number == at.duration)
			k = header_field(d, &f, &at, h);
	struct otlp_range range = { (int64_t)h->time_ns, (int64_t)h->duration_ns };
	uint32_t i = 0;
	if (k >= 0)
		k = find_range(d, message->at, &range, &i);
	if (k < 0)
		return k;
	k = vec_reserve(d->p->budget, &d->range_of, 1);
	if (k < 0)
		return otlp_fail_memory(d, message->at, k);
	d->range_of.data[d->range_of.n++] = i;
	return 0;
}

/* Its samples say which time it covers, where there are several. */
static int label_range(struct otlp_decoder *d, const struct pb_field *message, struct otlp_header *h)
{
	struct label l = { .is_num = 1, .num = d->range_of.data[d->n_profiles - 1] };
	int k = 0;
	if (d->request->ranges.n > 1) {
		k = otlp_intern(d, message->at, slice_str(OTLP_RANGE_LABEL), &l.key);
		if (k == 0)
			k = otlp_add_label(d, message->at, &l, h->labels.n, &h->labels);
	}
	if (k < 0 || d->n_profiles > 1)
		return k;
	struct otlp_labels set = h->labels;
	k = profile_labels(d->p, set.set, set.n, &d->request->labels);
	return k < 0 ? otlp_fail_memory(d, message->at, k) : 0;
}

int otlp_note_types(struct otlp_decoder *d, const struct pb_field *message)
{
	struct otlp_header h = { 0 };
	int r = take_types(d, message, &h);
	if (r == 0 && d->request)
		r = note_range(d, message, &h);
	if (r < 0)
		return r;
	r = vec_reserve(d->p->budget, &d->samples, 1);
	if (r < 0)
		return otlp_fail_memory(d, message->at, r);
	d->samples.data[d->samples.n++] = h.samples;
	return 0;
}

static int take_header(struct otlp_decoder *d, const struct pb_field *message, const struct otlp_labels *outer,
		       struct otlp_header *h)
{
	h->samples = d->samples.data[d->n_profiles - 1];
	struct fields at = fields_of(d, message->bytes, &h->samples);
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k = take_types(d, message, h);
	if (k < 0)
		return k;
	h->labels = *outer;
	h->n_outer = outer->n;
	while ((k = next_field(&r, &h->samples, &f)) > 0) {
		k = header_field(d, &f, &at, h);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	keep_header(d, h);
	return d->request ? label_range(d, message, h) : 0;
}

static int take_samples(struct otlp_decoder *d, struct slice message, const struct otlp_header *h)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field batch[OTLP_BATCH];
	int k = 1;
	while (k > 0) {
		uint32_t n = 0;
		while (n < OTLP_BATCH && (k = pb_next(&r, &batch[n])) > 0) {
			if (batch[n].number != OTLP_PROFILE_SAMPLES)
				continue;
			if (batch[n].wire != PB_BYTES)
				break;
			n++;
		}
		int taken = otlp_take_samples(d, batch, n, h);
		if (taken < 0)
			return taken;
		if (k > 0 && n < OTLP_BATCH) {
			d->row++;
			return otlp_expect_wire(d, &batch[n], PB_BYTES, "samples");
		}
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

int otlp_take_profile(struct otlp_decoder *d, const struct pb_field *message, const struct otlp_labels *outer)
{
	struct otlp_header h = { 0 };
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
	k = take_samples(d, message->bytes, &h);
	if (k < 0)
		return k;
	d->n_samples = (uint32_t)d->row;
	d->row_name = NULL;
	return 0;
}
