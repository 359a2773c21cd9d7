/* SPDX-License-Identifier: Apache-2.0 */
/* The dictionary stands behind what refers to it, and says nothing of its own
 * layout: first it is found, then the layout, then it is read, then the value
 * types of all profiles, and last the samples, each becoming a row at once. */
#include "format/otlp.h"

#include "format/inflate.h"
#include "format/otlp_decoder.h"

#include <inttypes.h>
#include <stdarg.h>

static void decoder_done(struct otlp_decoder *d)
{
	struct membudget *budget = d->p->budget;
	vec_done(budget, &d->strings);
	vec_done(budget, &d->attributes);
	vec_done(budget, &d->links);
	vec_done(budget, &d->mappings);
	vec_done(budget, &d->functions);
	vec_done(budget, &d->locations);
	vec_done(budget, &d->chains);
	vec_done(budget, &d->stacks);
	vec_done(budget, &d->stack);
	vec_done(budget, &d->location_indices);
	vec_done(budget, &d->samples);
	vec_done(budget, &d->range_of);
	u64map_done(&d->range_ids);
	vec_done(budget, &d->known);
	vec_done(budget, &d->first_row);
	vec_done(budget, &d->rows);
	pathcache_done(&d->paths);
	u64map_done(&d->long_chains);
	u64map_done(&d->ranges);
	u64map_done(&d->known_ids);
	u64map_done(&d->far_rows);
	u64map_done(&d->timed_rows);
	buf_done(&d->text);
}

int otlp_fail(struct otlp_decoder *d, const uint8_t *at, int code, const char *fmt, ...)
{
	char what[256];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	size_t offset = (size_t)(at - d->bytes.data);
	if (!d->row_name)
		return error_set(d->err, code, "at byte %zu: %s", offset, what);
	return error_set(d->err, code, "at byte %zu: %s %" PRIu64 ": %s", offset, d->row_name, d->row, what);
}

int otlp_fail_memory(struct otlp_decoder *d, const uint8_t *at, int code)
{
	if (code == -ENOBUFS)
		return otlp_fail(d, at, code, "the profile does not fit into the %zu bytes of memory allowed for it",
				 d->p->budget ? d->p->budget->max : (size_t)UINT32_MAX);
	return otlp_fail(d, at, code, "out of memory");
}

int otlp_fail_reader(struct otlp_decoder *d, const struct pb_reader *r, int code)
{
	return otlp_fail(d, r->at, code, "%s", r->why);
}

int otlp_fail_limit(struct otlp_decoder *d, const uint8_t *at, const char *what, uint64_t limit)
{
	return otlp_fail(d, at, -E2BIG, "more than %" PRIu64 " %s", limit, what);
}

int otlp_fail_index(struct otlp_decoder *d, const uint8_t *at, const char *what, uint64_t index)
{
	if (d->salvage)
		return error_set(d->err, -ENODATA, "%s %" PRIu64 " is missing", what, index);
	return otlp_fail(d, at, -EBADMSG, "%s %" PRIu64 " does not exist", what, index);
}

int otlp_expect_wire(struct otlp_decoder *d, const struct pb_field *f, enum pb_wire wire, const char *name)
{
	if (f->wire == (uint32_t)wire)
		return 0;
	return otlp_fail(d, f->at, -EBADMSG, "field %s has wire type %" PRIu32 " instead of %d", name, f->wire,
			 (int)wire);
}

int otlp_number(struct otlp_decoder *d, const struct pb_field *f, const char *name, uint64_t *ret)
{
	int r = otlp_expect_wire(d, f, PB_VARINT, name);
	if (r == 0)
		*ret = f->value;
	return r;
}

int otlp_string(struct otlp_decoder *d, const struct pb_field *f, const char *name, struct str_id *ret)
{
	int r = otlp_expect_wire(d, f, PB_VARINT, name);
	if (r < 0)
		return r;
	if (f->value < d->strings.n) {
		*ret = d->strings.data[f->value];
		return 0;
	}
	if (!d->salvage)
		return otlp_fail(d, f->at, -EBADMSG, "%s: string %" PRIu64 " does not exist", name, f->value);
	d->lost.strings++;
	ret->v = 0;
	return 0;
}

int otlp_intern(struct otlp_decoder *d, const uint8_t *at, struct slice bytes, struct str_id *ret)
{
	int r = strtab_intern(&d->p->dict.strings, bytes, ret);
	return r < 0 ? otlp_fail_memory(d, at, r) : 0;
}

int otlp_value_type(struct otlp_decoder *d, const struct pb_field *message, struct value_type *ret)
{
	struct value_type t = { 0 };
	int k = otlp_expect_wire(d, message, PB_BYTES, "sample_type or period_type");
	if (k < 0)
		return k;
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == OTLP_TYPE_TYPE)
			k = otlp_string(d, &f, "type_strindex", &t.type);
		else if (f.number == OTLP_TYPE_UNIT)
			k = otlp_string(d, &f, "unit_strindex", &t.unit);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	*ret = t;
	return 0;
}

/* --- the request --- */

/* The dictionary, and that the outermost message is whole. */
static int find_dictionary(struct otlp_decoder *d)
{
	struct pb_reader r = pb_reader_of(d->bytes);
	struct pb_field f;
	bool has_profiles = false;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number > OTLP_DICTIONARY)
			continue;
		k = otlp_expect_wire(d, &f, PB_BYTES, f.number == OTLP_DICTIONARY ? "dictionary" : "resource_profiles");
		if (k < 0)
			return k;
		has_profiles |= f.number == OTLP_RESOURCE_PROFILES;
		if (f.number == OTLP_RESOURCE_PROFILES)
			continue;
		if (d->dictionary.data)
			return otlp_fail(d, f.at, -EBADMSG, "a second dictionary");
		d->dictionary = f.bytes;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	if (!d->dictionary.data && d->salvage)
		return error_set(d->err, -ENODATA, "its dictionary is missing");
	if (has_profiles && !d->dictionary.data)
		return error_set(d->err, -EPROTONOSUPPORT,
				 "no dictionary: either the end is missing, or this is a layout from before "
				 "OTLP v1.7, which wick does not read");
	return 0;
}

/* Fields of a message that is the field `number` of another. */
static int resource_attributes(struct otlp_decoder *d, struct slice message, uint32_t outer, uint32_t inner,
			       struct otlp_labels *set)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f, g;
	uint32_t n_outer = set->n;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != outer)
			continue;
		k = otlp_expect_wire(d, &f, PB_BYTES, "resource or scope");
		if (k < 0)
			return k;
		struct pb_reader nested = pb_reader_nested(f.bytes);
		while ((k = pb_next(&nested, &g)) > 0) {
			if (g.number != inner)
				continue;
			k = otlp_add_key_value(d, &g, n_outer, set);
			if (k < 0)
				return k;
		}
		if (k < 0)
			return otlp_fail_reader(d, &nested, k);
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

enum pass { PASS_TYPES, PASS_SAMPLES };

static int take_scope(struct otlp_decoder *d, struct slice message, enum pass pass, const struct otlp_labels *outer)
{
	struct otlp_labels labels = *outer;
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	int k = 0;
	if (pass == PASS_SAMPLES)
		k = resource_attributes(d, message, SCOPE_PROFILES_SCOPE, SCOPE_ATTRIBUTES, &labels);
	if (k < 0)
		return k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != SCOPE_PROFILES_PROFILES)
			continue;
		d->row_name = "profile";
		d->row = ++d->n_profiles;
		k = otlp_expect_wire(d, &f, PB_BYTES, "profiles");
		if (k == 0)
			k = pass == PASS_TYPES ? otlp_note_types(d, &f) : otlp_take_profile(d, &f, &labels);
		if (k < 0)
			return k;
		d->row_name = NULL;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static int take_resource(struct otlp_decoder *d, struct slice message, enum pass pass)
{
	struct otlp_labels labels;
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	int k = 0;
	labels.n = 0;
	if (pass == PASS_SAMPLES)
		k = resource_attributes(d, message, RESOURCE_PROFILES_RESOURCE, RESOURCE_ATTRIBUTES, &labels);
	if (k < 0)
		return k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != RESOURCE_PROFILES_SCOPE_PROFILES)
			continue;
		k = otlp_expect_wire(d, &f, PB_BYTES, "scope_profiles");
		if (k == 0)
			k = take_scope(d, f.bytes, pass, &labels);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static int take_request(struct otlp_decoder *d, enum pass pass)
{
	struct pb_reader r = pb_reader_of(d->bytes);
	struct pb_field f;
	int k;
	d->n_profiles = 0;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != OTLP_RESOURCE_PROFILES)
			continue;
		k = take_resource(d, f.bytes, pass);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static int decode(struct otlp_decoder *d)
{
	struct membudget *budget = d->p->budget;
	u64map_init(&d->long_chains, budget);
	u64map_init(&d->ranges, budget);
	u64map_init(&d->known_ids, budget);
	u64map_init(&d->range_ids, budget);
	u64map_init(&d->far_rows, budget);
	u64map_init(&d->timed_rows, budget);
	int r = find_dictionary(d);
	if (r < 0)
		return r;
	d->layout = otlp_find_layout(d->bytes, d->dictionary);
	r = otlp_read_dictionary(d);
	if (r == 0)
		r = take_request(d, PASS_TYPES);
	if (r == 0)
		r = take_request(d, PASS_SAMPLES);
	return r;
}

int otlp_salvage(struct slice plain, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		 struct error *err)
{
	if (plain.size == 0)
		return error_set(err, -ENODATA, "not a profile: it is empty");
	_cleanup_(buf_done)
	struct buf mended = buf_of(SIZE_MAX / 2);
	_cleanup_(decoder_done)
	struct otlp_decoder d = { .bytes = plain, .limits = limits, .p = p, .err = err };
	if (salvage && otlp_mend(plain, salvage, &mended, &d.bytes) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	if (salvage && salvage_is_half(salvage))
		d.salvage = salvage;
	int r = decode(&d);
	if (r == 0 && d.salvage)
		otlp_end_salvage(&d);
	return r;
}

void otlp_request_done(struct otlp_request *r)
{
	vec_done(NULL, &r->ranges);
}

int otlp_decode_request(struct slice plain, const struct format_limits *limits, struct profile *p,
			struct otlp_request *ret, struct error *err)
{
	_cleanup_(decoder_done)
	struct otlp_decoder d = { .bytes = plain, .limits = limits, .p = p, .request = ret, .err = err };
	*ret = (struct otlp_request){ 0 };
	return decode(&d);
}

int otlp_decode(struct slice bytes, const struct format_limits *limits, struct profile *p, struct error *err)
{
	_cleanup_(buf_done)
	struct buf inflated = buf_of(0);
	struct slice plain;
	int r = inflate_bytes(bytes, limits, &inflated, &plain, err);
	if (r < 0)
		return r;
	r = otlp_salvage(plain, limits, NULL, p, err);
	if (r < 0 && codec_of(bytes) != CODEC_RAW)
		error_prefix(err, "decompressed");
	return r;
}

/* resource_profiles: messages, of which the first is a resource, a scope or a
 * text. */
static bool looks_like_resource(struct slice message)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	return pb_next(&r, &f) > 0 && f.wire == PB_BYTES && f.number <= RESOURCE_PROFILES_SCHEMA_URL;
}

/* pprof's fields 1 and 2 are a value type (of numbers) and a sample, and it
 * has a string table further on: here there is nothing but 1 and 2, and what
 * is in 1 are messages. */
bool otlp_looks_like(struct slice bytes)
{
	struct pb_reader r = pb_reader_of(bytes);
	struct pb_field f;
	bool found = false;
	int k = 0;
	for (int i = 0; i < 1000 && (k = pb_next(&r, &f)) > 0; i++) {
		if (f.number > OTLP_DICTIONARY || f.wire != PB_BYTES)
			return false;
		if (f.number != OTLP_RESOURCE_PROFILES || found || f.bytes.size == 0)
			continue;
		if (!looks_like_resource(f.bytes))
			return false;
		found = true;
	}
	return found || (k == -ENODATA && otlp_looks_half(bytes));
}
