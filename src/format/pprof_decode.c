/* SPDX-License-Identifier: Apache-2.0 */
/* Two walks over the top level. The first takes strings and numbers and notes
 * where each other kind of row begins and ends; the second goes over those
 * stretches in the order of dependence:
 *
 *   mappings, functions -> locations -> samples
 *
 * so that a row is turned into the model's columns the moment it is read. A
 * location becomes a code: the id of its frame or, where lines are inlined
 * into it, PPROF_CHAIN | index of its frames in `chains`. */
#include "format/pprof.h"

#include "format/inflate.h"
#include "format/pprof_decoder.h"

#include <inttypes.h>
#include <stdarg.h>

/* Samples for which a memo of stacks pays. */
#define MEMO_MIN 10000

static void decoder_done(struct pprof_decoder *d)
{
	struct membudget *budget = d->p->budget;
	vec_done(budget, &d->strings);
	vec_done(budget, &d->chains);
	vec_done(budget, &d->frames);
	idtable_done(&d->mappings);
	idtable_done(&d->functions);
	idtable_done(&d->locations);
	u64map_done(&d->long_chains);
	stackmemo_done(&d->memo);
}

int pprof_fail(struct pprof_decoder *d, const uint8_t *at, int code, const char *fmt, ...)
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

int pprof_fail_memory(struct pprof_decoder *d, const uint8_t *at, int code)
{
	if (code == -ENOBUFS)
		return pprof_fail(d, at, code, "the profile does not fit into the %zu bytes of memory allowed for it",
				  d->p->budget ? d->p->budget->max : (size_t)UINT32_MAX);
	return pprof_fail(d, at, code, "out of memory");
}

int pprof_fail_reader(struct pprof_decoder *d, const struct pb_reader *r, int code)
{
	return pprof_fail(d, r->at, code, "%s", r->why);
}

int pprof_fail_limit(struct pprof_decoder *d, const uint8_t *at, const char *what, uint64_t limit)
{
	return pprof_fail(d, at, -E2BIG, "more than %" PRIu64 " %s", limit, what);
}

int pprof_miss(struct pprof_decoder *d, const uint8_t *at, const char *what, uint64_t id, uint64_t *lost)
{
	if (!d->salvage)
		return pprof_fail(d, at, -EBADMSG, "%s %" PRIu64 " does not exist", what, id);
	++*lost;
	return 0;
}

int pprof_fail_wire(struct pprof_decoder *d, const struct pb_field *f, enum pb_wire wire, const char *name)
{
	return pprof_fail(d, f->at, -EBADMSG, "field %s has wire type %" PRIu32 " instead of %d", name, f->wire,
			  (int)wire);
}

int pprof_string_at(struct pprof_decoder *d, const uint8_t *at, const char *name, uint64_t index, struct str_id *ret)
{
	if (index < d->strings.n) {
		*ret = d->strings.data[index];
		return 0;
	}
	if (!d->salvage)
		return pprof_fail(d, at, -EBADMSG, "%s: string %" PRIu64 " does not exist", name, index);
	d->lost.strings++;
	ret->v = 0;
	return 0;
}

/* A varint field that names a string. */
int pprof_string(struct pprof_decoder *d, const struct pb_field *f, const char *name, struct str_id *ret)
{
	int r = pprof_expect_wire(d, f, PB_VARINT, name);
	return r < 0 ? r : pprof_string_at(d, f->at, name, f->value, ret);
}

/* --- first walk --- */

/* A guess is never more than this, and nobody claims more rows than there are bytes for: what a hostile file may have
 * reserved is in proportion to its size, and growing from there costs little. */
#define RESERVE_MAX 65536

static uint32_t guess(uint64_t n, uint64_t bytes, uint32_t least_row_size)
{
	if (n > bytes / least_row_size)
		n = bytes / least_row_size;
	return n < RESERVE_MAX ? (uint32_t)n : RESERVE_MAX;
}

/* Before the first string: nearly every producer writes them one behind the other. */
static void reserve_strings(struct pprof_decoder *d, const uint8_t *first)
{
	struct pb_reader r = pb_reader_of(slice_of(first, (size_t)(slice_end(d->bytes) - first)));
	struct slice s;
	uint64_t n = 0, n_bytes = 0;
	while (n < RESERVE_MAX && pb_next_row(&r, pb_key(PROFILE_STRING_TABLE, PB_BYTES), &s)) {
		n++;
		n_bytes += s.size;
	}
	struct dict_counts more = { .n_strings = guess(n, n_bytes + n, 4) };
	more.n_string_bytes = n_bytes < UINT32_MAX / 4 ? (uint32_t)n_bytes : 0;
	dict_reserve(&d->p->dict, &more);
	(void)!vec_reserve(d->p->budget, &d->strings, more.n_strings);
}

static int take_string(struct pprof_decoder *d, const uint8_t *at, struct slice s)
{
	if (d->strings.n >= d->limits->n_strings)
		return pprof_fail_limit(d, at, "strings", d->limits->n_strings);
	if (d->strings.n == 0 && s.size)
		return pprof_fail(d, at, -EBADMSG, "string 0 is not empty");
	if (d->strings.n == 0)
		reserve_strings(d, at);
	struct str_id id;
	int r = strtab_intern(&d->p->dict.strings, s, &id);
	if (r == 0)
		r = vec_reserve(d->p->budget, &d->strings, 1);
	if (r < 0)
		return pprof_fail_memory(d, at, r);
	d->strings.data[d->strings.n++] = id;
	return 0;
}

/* Those that follow one another. */
static int take_strings(struct pprof_decoder *d, struct pb_reader *r)
{
	for (;;) {
		const uint8_t *at = r->at;
		struct slice s;
		int k = pb_next_row(r, pb_key(PROFILE_STRING_TABLE, PB_BYTES), &s) ? take_string(d, at, s) : 1;
		if (k != 0)
			return k < 0 ? k : 0;
	}
}

/* Rows that follow one another: how many they are and where they end, up to the limit. */
static void note_rows(struct pprof_decoder *d, struct pb_reader *r, enum profile_field kind, uint32_t limit)
{
	struct pprof_section *s = &d->sections[kind];
	const uint8_t *first = r->at;
	uint32_t n = s->n;
	struct slice row;
	while (n < limit && pb_next_row(r, pb_key(kind, PB_BYTES), &row))
		n++;
	if (n == s->n)
		return;
	if (s->n == 0)
		s->first = (size_t)(first - d->bytes.data);
	s->end = (size_t)(r->at - d->bytes.data);
	s->n = n;
}

static int note_row(struct pprof_decoder *d, const struct pb_field *f, const struct pb_reader *r, uint32_t limit,
		    const char *plural)
{
	struct pprof_section *s = &d->sections[f->number];
	if (s->n == 0)
		s->first = (size_t)(f->at - d->bytes.data);
	s->end = (size_t)(r->at - d->bytes.data);
	if (s->n++ == limit)
		return pprof_fail_limit(d, f->at, plural, limit);
	return 0;
}

static const struct {
	const char *name;
	enum pb_wire wire;
} profile_fields[N_PROFILE_FIELDS] = {
	[PROFILE_SAMPLE_TYPE] = { "sample_type", PB_BYTES },
	[PROFILE_SAMPLE] = { "sample", PB_BYTES },
	[PROFILE_MAPPING] = { "mapping", PB_BYTES },
	[PROFILE_LOCATION] = { "location", PB_BYTES },
	[PROFILE_FUNCTION] = { "function", PB_BYTES },
	[PROFILE_STRING_TABLE] = { "string_table", PB_BYTES },
	[PROFILE_DROP_FRAMES] = { "drop_frames", PB_VARINT },
	[PROFILE_KEEP_FRAMES] = { "keep_frames", PB_VARINT },
	[PROFILE_TIME_NANOS] = { "time_nanos", PB_VARINT },
	[PROFILE_DURATION_NANOS] = { "duration_nanos", PB_VARINT },
	[PROFILE_PERIOD_TYPE] = { "period_type", PB_BYTES },
	[PROFILE_PERIOD] = { "period", PB_VARINT },
	[PROFILE_COMMENT] = { "comment", PB_VARINT },
	[PROFILE_DEFAULT_SAMPLE_TYPE] = { "default_sample_type", PB_VARINT },
	[PROFILE_DOC_URL] = { "doc_url", PB_VARINT },
};

static int survey_field(struct pprof_decoder *d, const struct pb_field *f, const struct pb_reader *r)
{
	if (f->number >= N_PROFILE_FIELDS)
		return 0;
	/* Repeated numbers may come packed. */
	if (f->number != PROFILE_COMMENT || f->wire != PB_BYTES) {
		int k = pprof_expect_wire(d, f, profile_fields[f->number].wire, profile_fields[f->number].name);
		if (k < 0)
			return k;
	}
	switch ((enum profile_field)f->number) {
	case PROFILE_STRING_TABLE:
		return take_string(d, f->at, f->bytes);
	case PROFILE_SAMPLE:
		return note_row(d, f, r, d->limits->n_samples, "samples");
	case PROFILE_SAMPLE_TYPE:
		return note_row(d, f, r, PROFILE_MAX_TYPES, "sample types");
	case PROFILE_MAPPING:
		return note_row(d, f, r, d->limits->n_locations, "mappings");
	case PROFILE_LOCATION:
		return note_row(d, f, r, d->limits->n_locations, "locations");
	case PROFILE_FUNCTION:
		return note_row(d, f, r, d->limits->n_locations, "functions");
	case PROFILE_COMMENT:
		return note_row(d, f, r, d->limits->n_comments, "comments");
	case PROFILE_DROP_FRAMES:
		d->drop_frames = f->value;
		return 0;
	case PROFILE_KEEP_FRAMES:
		d->keep_frames = f->value;
		return 0;
	case PROFILE_TIME_NANOS:
		d->p->time_ns = (int64_t)f->value;
		return 0;
	case PROFILE_DURATION_NANOS:
		d->p->duration_ns = (int64_t)f->value;
		return 0;
	case PROFILE_PERIOD_TYPE:
		d->period_type = f->bytes;
		return 0;
	case PROFILE_PERIOD:
		d->p->period = (int64_t)f->value;
		return 0;
	case PROFILE_DEFAULT_SAMPLE_TYPE:
		d->default_type = f->value;
		return 0;
	case PROFILE_DOC_URL:
		d->doc_url = f->value;
		return 0;
	case N_PROFILE_FIELDS:
		break;
	}
	return 0;
}

/* What follows the last field in runs, which is nearly all of a file. */
static int survey_run(struct pprof_decoder *d, struct pb_reader *r, uint32_t kind)
{
	if (kind == PROFILE_STRING_TABLE)
		return take_strings(d, r);
	if (kind == PROFILE_SAMPLE)
		note_rows(d, r, PROFILE_SAMPLE, d->limits->n_samples);
	else if (kind == PROFILE_LOCATION || kind == PROFILE_FUNCTION)
		note_rows(d, r, (enum profile_field)kind, d->limits->n_locations);
	return 0;
}

static int survey(struct pprof_decoder *d)
{
	struct pb_reader r = pb_reader_of(d->bytes);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		k = survey_field(d, &f, &r);
		if (k == 0)
			k = survey_run(d, &r, f.number);
		if (k < 0)
			return k;
	}
	if (k < 0 && !(k == -ENODATA && d->salvage))
		return pprof_fail_reader(d, &r, k);
	if (k < 0)
		pprof_note_cut(d, &r, &f);
	k = d->salvage ? pprof_check_salvage(d) : 0;
	if (k < 0)
		return k;
	if (d->strings.n == 0)
		return error_set(d->err, -EBADMSG, "not a pprof profile: it has no string table");
	return 0;
}

/* --- second walk --- */

/* Calls `row` for each row of one kind. */
static int each_row(struct pprof_decoder *d, enum profile_field kind, const char *name,
		    int (*row)(struct pprof_decoder *, const struct pb_field *))
{
	const struct pprof_section *s = &d->sections[kind];
	struct pb_reader r = pb_reader_of(slice_of(d->bytes.data + s->first, s->end - s->first));
	struct pb_field f;
	int k;
	d->row_name = name;
	d->row = 0;
	do {
		f = (struct pb_field){ .number = kind, .wire = PB_BYTES, .at = r.at };
		k = pb_next_row(&r, pb_key(kind, PB_BYTES), &f.bytes) ? 1 : pb_next(&r, &f);
		if (k <= 0 || f.number != (uint32_t)kind)
			continue;
		d->row++;
		k = row(d, &f);
		if (k < 0)
			return k;
		k = 1;
	} while (k > 0);
	d->row_name = NULL;
	return k < 0 ? pprof_fail_reader(d, &r, k) : 0;
}

static int read_value_type(struct pprof_decoder *d, struct slice message, struct value_type *ret)
{
	struct value_type t = { 0 };
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == VALUE_TYPE_TYPE)
			k = pprof_string(d, &f, "type", &t.type);
		else if (f.number == VALUE_TYPE_UNIT)
			k = pprof_string(d, &f, "unit", &t.unit);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return pprof_fail_reader(d, &r, k);
	*ret = t;
	return 0;
}

static int take_sample_type(struct pprof_decoder *d, const struct pb_field *message)
{
	struct value_type t;
	int r = read_value_type(d, message->bytes, &t);
	/* Numbers of nobody knows what. */
	if (r == 0 && d->lost.strings)
		r = pprof_fail_salvage(d, "sample types' names");
	if (r < 0)
		return r;
	d->p->types[d->p->n_types++] = t;
	return 0;
}

static int add_comment(struct pprof_decoder *d, const uint8_t *at, uint64_t index)
{
	struct str_id text;
	int r = pprof_string_at(d, at, "text", index, &text);
	if (r < 0)
		return r;
	if (d->p->comments.n >= d->limits->n_comments)
		return pprof_fail_limit(d, at, "comments", d->limits->n_comments);
	r = vec_reserve(d->p->budget, &d->p->comments, 1);
	if (r < 0)
		return pprof_fail_memory(d, at, r);
	d->p->comments.data[d->p->comments.n++] = text;
	return 0;
}

static int take_comment(struct pprof_decoder *d, const struct pb_field *f)
{
	if (f->wire == PB_VARINT)
		return add_comment(d, f->at, f->value);
	struct pb_reader r = pb_reader_nested(f->bytes);
	while (r.at < r.end) {
		const uint8_t *at = r.at;
		uint64_t index = 0;
		int k = pb_varint(&r, &index);
		if (k < 0)
			return pprof_fail_reader(d, &r, k);
		k = add_comment(d, at, index);
		if (k < 0)
			return k;
	}
	return 0;
}

static int resolve_header(struct pprof_decoder *d)
{
	const uint8_t *at = d->bytes.data;
	struct profile *p = d->p;
	int r = pprof_string_at(d, at, "drop_frames", d->drop_frames, &p->drop_frames);
	if (r == 0)
		r = pprof_string_at(d, at, "keep_frames", d->keep_frames, &p->keep_frames);
	if (r == 0)
		r = pprof_string_at(d, at, "default_sample_type", d->default_type, &p->default_type);
	if (r == 0)
		r = pprof_string_at(d, at, "doc_url", d->doc_url, &p->doc_url);
	if (r == 0 && d->period_type.data) {
		d->row_name = "period_type";
		d->row = 1;
		r = read_value_type(d, d->period_type, &p->period_type);
		d->row_name = NULL;
	}
	return r;
}

static uint32_t guess_rows(const struct pprof_decoder *d, enum profile_field kind, uint32_t least_row_size)
{
	const struct pprof_section *s = &d->sections[kind];
	return guess(s->n, s->end - s->first, least_row_size);
}

static void reserve_rows(struct pprof_decoder *d)
{
	const struct pprof_section *samples = &d->sections[PROFILE_SAMPLE];
	struct dict_counts more = {
		.n_functions = guess_rows(d, PROFILE_FUNCTION, 8),
		.n_frames = guess_rows(d, PROFILE_LOCATION, 8),
		.n_nodes = guess(UINT64_MAX, samples->end - samples->first, 4),
	};
	dict_reserve(&d->p->dict, &more);
}

static int decode(struct pprof_decoder *d)
{
	struct membudget *budget = d->p->budget;
	u64map_init(&d->long_chains, budget);
	int r = survey(d);
	if (r < 0)
		return r;
	r = idtable_init(&d->mappings, budget, d->sections[PROFILE_MAPPING].n);
	if (r == 0)
		r = idtable_init(&d->functions, budget, d->sections[PROFILE_FUNCTION].n);
	if (r == 0)
		r = idtable_init(&d->locations, budget, d->sections[PROFILE_LOCATION].n);
	if (r == 0)
		r = vec_reserve(budget, &d->frames, 1); /* stacks may all be empty */
	if (r < 0)
		return pprof_fail_memory(d, d->bytes.data, r);
	reserve_rows(d);
	r = each_row(d, PROFILE_SAMPLE_TYPE, "sample_type", take_sample_type);
	if (r == 0)
		r = resolve_header(d);
	if (r == 0)
		r = each_row(d, PROFILE_COMMENT, "comment", take_comment);
	if (r == 0)
		r = each_row(d, PROFILE_MAPPING, "mapping", pprof_take_mapping);
	if (r == 0)
		r = each_row(d, PROFILE_FUNCTION, "function", pprof_take_function);
	if (r == 0)
		r = each_row(d, PROFILE_LOCATION, "location", pprof_take_location);
	if (r == 0 && d->sections[PROFILE_SAMPLE].n >= MEMO_MIN)
		stackmemo_init(&d->memo, budget);
	if (r == 0)
		r = each_row(d, PROFILE_SAMPLE, "sample", pprof_take_sample);
	if (r == 0)
		r = pprof_end_stacks(d);
	return r == 0 && d->salvage ? pprof_end_salvage(d) : r;
}

int pprof_salvage(struct slice plain, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		  struct error *err)
{
	if (plain.size == 0)
		return error_set(err, -ENODATA, "not a profile: it is empty");
	_cleanup_(decoder_done)
	struct pprof_decoder d = { .bytes = plain, .limits = limits, .p = p, .err = err, .salvage = salvage };
	return decode(&d);
}

int pprof_decode(struct slice bytes, const struct format_limits *limits, struct profile *p, struct error *err)
{
	_cleanup_(buf_done)
	struct buf inflated = buf_of(0);
	struct slice plain;
	int r = inflate_bytes(bytes, limits, &inflated, &plain, err);
	if (r < 0)
		return r;
	r = pprof_salvage(plain, limits, NULL, p, err);
	if (r < 0 && codec_of(bytes) != CODEC_RAW)
		error_prefix(err, "decompressed");
	return r;
}
