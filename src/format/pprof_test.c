/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/inflate.h"
#include "format/pprof.h"
#include "format/pprof_wire.h"
#include "format/protobuf.h"
#include "format/testprofile.h"

#include "base/file.h"

#include <errno.h>
#include <glob.h>

#define BUDGET ((size_t)256 << 20)

static struct slice bytes_of(const struct buf *b)
{
	return slice_of(b->data, b->n);
}

/* Decodes into a fresh profile and throws it away; nothing may leak. */
static int try_decode(struct slice bytes, const struct format_limits *limits, struct error *err)
{
	struct membudget budget = membudget_of(BUDGET);
	struct profile p;
	assert_int_equal(profile_init(&p, &budget), 0);
	int r = pprof_decode(bytes, limits, &p, err);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
	return r;
}

static void assert_refused(const struct buf *b, int code, const char *message)
{
	struct error err = { "" };
	assert_int_equal(try_decode(bytes_of(b), &format_limits_default, &err), code);
	assert_string_equal(err.text, message);
}

static void encode_test_profile(struct buf *out)
{
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_int_equal(pprof_encode(&p, out), 0);
	profile_done(&p);
}

/* What is written is what is read back, and writing it again gives the same
 * bytes: deduplication and idempotency keys rest on that. */
static void assert_round_trip(const struct profile *p)
{
	_cleanup_(buf_done)
	struct buf once = buf_of(BUDGET), twice = buf_of(BUDGET), gz = buf_of(BUDGET);
	struct error err = { "" };
	struct profile q, z;
	assert_int_equal(pprof_encode(p, &once), 0);
	assert_int_equal(profile_init(&q, NULL), 0);
	if (pprof_decode(bytes_of(&once), &format_limits_default, &q, &err) < 0)
		fail_msg("%s", err.text);
	testprofile_assert_same(p, &q);
	assert_int_equal(pprof_encode(&q, &twice), 0);
	assert_int_equal(once.n, twice.n);
	assert_memory_equal(once.data, twice.data, once.n);
	assert_int_equal(pprof_encode_gz(p, &gz), 0);
	assert_int_equal(codec_of(bytes_of(&gz)), CODEC_GZIP);
	assert_int_equal(profile_init(&z, NULL), 0);
	assert_int_equal(pprof_decode(bytes_of(&gz), &format_limits_default, &z, &err), 0);
	testprofile_assert_same(p, &z);
	profile_done(&q);
	profile_done(&z);
}

static void everything_survives(void **state)
{
	(void)state;
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	testprofile_fill(&p);
	assert_round_trip(&p);
	profile_done(&p);
}

/* Addresses and lines whose numbers have one to ten bytes. */
static void fill_wide(struct profile *p)
{
	uint32_t node = 0;
	int64_t value = 1;
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	for (uint32_t i = 0; i < 128; i++) {
		struct frame frame = { .address = (UINT64_C(1) << i / 2) - i % 2 };
		struct function fn = { .start_line = i < 64 ? (uint32_t)frame.address : UINT32_MAX };
		struct frame_id id;
		char name[16];
		(void)snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(strtab_intern_str(&p->dict.strings, name, &fn.name), 0);
		assert_int_equal(dict_function(&p->dict, &fn, &frame.function), 0);
		frame.line = i < 64 ? (uint32_t)frame.address : UINT32_MAX - i;
		frame.column = i;
		frame.kind = FRAME_USER;
		frame.found = (uint8_t)(i % N_FRAME_FOUNDS);
		assert_int_equal(dict_frame(&p->dict, &frame, &id), 0);
		assert_int_equal(dict_step(&p->dict, &node, id.v), 0);
	}
	assert_int_equal(profile_add_sample(p, (struct node_id){ node }, (struct labels_id){ 0 }, &value), 0);
}

/* Copies a message with a field that nobody knows at the end of each row, or of each line of one. */
static void add_unknown(struct slice message, bool in_lines, struct buf *out)
{
	struct pb_reader r = pb_reader_of(message);
	struct pb_field f;
	while (pb_next(&r, &f) > 0) {
		struct buf row = buf_of(BUDGET);
		bool is_row = f.wire == PB_BYTES && f.number != PROFILE_STRING_TABLE;
		if (is_row && in_lines && f.number == PROFILE_LOCATION)
			add_unknown(f.bytes, false, &row);
		else
			buf_add(&row, f.bytes.data, f.wire == PB_BYTES ? f.bytes.size : 0);
		if (is_row && !in_lines)
			pb_put_uint(&row, 100, 1);
		if (f.wire == PB_BYTES)
			pb_put_bytes(out, f.number, slice_of(row.data, row.n));
		else
			buf_add(out, f.at, (size_t)(r.at - f.at));
		buf_done(&row);
	}
}

/* Whether a row is one of those read in one go or not, it says the same. */
static void unknown_fields_change_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		_cleanup_(buf_done)
		struct buf plain = buf_of(BUDGET), more = buf_of(BUDGET), again = buf_of(BUDGET);
		struct profile p, q;
		if (i < 2) {
			fill_wide(&p);
		} else {
			assert_int_equal(profile_init(&p, NULL), 0);
			testprofile_fill(&p);
		}
		assert_round_trip(&p);
		assert_int_equal(pprof_encode(&p, &plain), 0);
		add_unknown(bytes_of(&plain), i % 2, &more);
		assert_true(more.n > plain.n);
		assert_int_equal(profile_init(&q, NULL), 0);
		assert_int_equal(pprof_decode(bytes_of(&more), &format_limits_default, &q, NULL), 0);
		testprofile_assert_same(&p, &q);
		assert_int_equal(pprof_encode(&q, &again), 0);
		assert_int_equal(plain.n, again.n);
		assert_memory_equal(plain.data, again.data, plain.n);
		profile_done(&p);
		profile_done(&q);
	}
}

static void real_files_survive(void **state)
{
	(void)state;
	const char *data = shared_data();
	if (!data)
		skip_because("no ../shared/data");
	static const char *const patterns[] = { "pprof/*.pb.gz", "pprof/series/*.pb.gz", "pprof/large.cpu" };
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		char pattern[5000];
		(void)snprintf(pattern, sizeof(pattern), "%s/%s", data, patterns[i]);
		glob_t found;
		assert_int_equal(glob(pattern, 0, NULL, &found), 0);
		for (size_t k = 0; k < found.gl_pathc; k++, n++) {
			_cleanup_(buf_done)
			struct buf file = buf_of(BUDGET);
			struct error err = { "" };
			struct profile p;
			assert_int_equal(file_read(found.gl_pathv[k], &file, &err), 0);
			assert_int_equal(profile_init(&p, NULL), 0);
			if (pprof_decode(bytes_of(&file), &format_limits_default, &p, &err) < 0)
				fail_msg("%s: %s", found.gl_pathv[k], err.text);
			assert_true(profile_n_samples(&p) > 0);
			assert_round_trip(&p);
			profile_done(&p);
		}
		globfree(&found);
	}
	assert_true(n >= 16);
}

/* --- messages made by hand --- */

static void put_pair(struct buf *out, uint32_t field, uint32_t a, uint64_t x, uint32_t b, uint64_t y)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 10);
	pb_put_uint(&m, a, x);
	pb_put_uint(&m, b, y);
	pb_put_bytes(out, field, bytes_of(&m));
}

static void put_strings(struct buf *out)
{
	static const char *const strings[] = { "", "samples", "count", "main", "inner", "key" };
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		pb_put_bytes(out, PROFILE_STRING_TABLE, slice_str(strings[i]));
}

static void put_packed(struct buf *out, uint32_t field, const uint64_t *v, size_t n)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 20);
	for (size_t i = 0; i < n; i++)
		pb_put_varint(&m, v[i]);
	pb_put_bytes(out, field, bytes_of(&m));
}

/* One sample of `n` locations and value 1, packed or one by one. */
static void put_sample(struct buf *out, const uint64_t *ids, size_t n, bool packed)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 20);
	const uint64_t one = 1;
	if (packed) {
		put_packed(&m, SAMPLE_LOCATION_ID, ids, n);
		put_packed(&m, SAMPLE_VALUE, &one, 1);
	} else {
		for (size_t i = 0; i < n; i++)
			pb_put_uint(&m, SAMPLE_LOCATION_ID, ids[i]);
		pb_put_uint(&m, SAMPLE_VALUE, 1);
	}
	pb_put_bytes(out, PROFILE_SAMPLE, bytes_of(&m));
}

/* A location with one line for each of the functions, innermost first. */
static void put_found_location(struct buf *out, uint64_t id, const uint64_t *functions, size_t n, uint64_t found)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 20);
	pb_put_uint(&m, LOCATION_ID, id);
	for (size_t i = 0; i < n; i++)
		put_pair(&m, LOCATION_LINE, LINE_FUNCTION_ID, functions[i], LINE_LINE, 7);
	pb_put_uint(&m, LOCATION_WICK_FOUND, found);
	pb_put_bytes(out, PROFILE_LOCATION, bytes_of(&m));
}

static void put_location(struct buf *out, uint64_t id, const uint64_t *functions, size_t n)
{
	put_found_location(out, id, functions, n, 0);
}

static void put_tables(struct buf *out, uint64_t id)
{
	put_pair(out, PROFILE_SAMPLE_TYPE, VALUE_TYPE_TYPE, 1, VALUE_TYPE_UNIT, 2);
	put_pair(out, PROFILE_FUNCTION, FUNCTION_ID, id, FUNCTION_NAME, 3);
	put_pair(out, PROFILE_FUNCTION, FUNCTION_ID, id - 1, FUNCTION_NAME, 4);
	put_location(out, id, (uint64_t[]){ id - 1, id }, 2);
}

/* Producers differ in order, packing and ids; the profile is the same. */
static void form_does_not_matter(void **state)
{
	(void)state;
	for (int variant = 0; variant < 8; variant++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(1 << 20);
		uint64_t id = variant & 1 ? UINT64_C(0xfffffffffffffff0) : 2;
		bool strings_first = variant & 2, packed = variant & 4;
		if (strings_first)
			put_strings(&b);
		put_sample(&b, &id, 1, packed);
		put_tables(&b, id);
		pb_put_uint(&b, 99, 12345); /* fields of the future */
		pb_put_bytes(&b, 100, slice_str("whatever it holds"));
		if (!strings_first)
			put_strings(&b);
		struct profile p;
		struct error err = { "" };
		assert_int_equal(profile_init(&p, NULL), 0);
		if (pprof_decode(bytes_of(&b), &format_limits_default, &p, &err) < 0)
			fail_msg("variant %d: %s", variant, err.text);
		assert_int_equal(profile_n_samples(&p), 1);
		char unused[FRAME_NAME_SIZE];
		struct node_id inner = p.node.data[0], outer = p.dict.node_parent.data[inner.v];
		struct frame_id f = p.dict.node_frame.data[inner.v], g = p.dict.node_frame.data[outer.v];
		assert_true(slice_eq(dict_frame_name(&p.dict, f, unused), slice_str("inner")));
		assert_true(slice_eq(dict_frame_name(&p.dict, g, unused), slice_str("main")));
		assert_int_equal(p.dict.frames.data[f.v].flags, FRAME_INLINED);
		assert_int_equal(p.dict.frames.data[g.v].flags, 0);
		assert_int_equal(p.dict.node_parent.data[outer.v].v, 0);
		profile_done(&p);
	}
}

/* The found[i] of location i + 1 and the functions inlined into it, as read. */
static void read_found(const struct buf *b, uint8_t *found, size_t n)
{
	struct profile p;
	struct error err = { "" };
	assert_int_equal(profile_init(&p, NULL), 0);
	if (pprof_decode(bytes_of(b), &format_limits_default, &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(profile_n_samples(&p), n);
	for (size_t i = 0; i < n; i++) {
		struct node_id inner = p.node.data[i], outer = p.dict.node_parent.data[inner.v];
		const struct frame *f = &p.dict.frames.data[p.dict.node_frame.data[inner.v].v];
		const struct frame *g = &p.dict.frames.data[p.dict.node_frame.data[outer.v].v];
		assert_true(f->flags & FRAME_INLINED);
		assert_int_equal(f->found, g->found);
		found[i] = f->found;
	}
	assert_round_trip(&p);
	profile_done(&p);
}

/* What is lost without it: which frames of a file are guesses. A number that
 * means nothing to us must mean nothing, whoever wrote it. */
static void how_frames_were_found_is_kept_by_location(void **state)
{
	(void)state;
	enum { N = 7 };
	static const uint64_t written[N] = { 1,	      FRAME_FOUND_FP, 0, N_FRAME_FOUNDS - 1, N_FRAME_FOUNDS,
					     256 + 2, UINT64_MAX };
	static const uint8_t want[N] = { 1, FRAME_FOUND_FP, 0, N_FRAME_FOUNDS - 1, 0, 0, 0 };
	uint8_t found[N];
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	put_pair(&b, PROFILE_SAMPLE_TYPE, VALUE_TYPE_TYPE, 1, VALUE_TYPE_UNIT, 2);
	put_pair(&b, PROFILE_FUNCTION, FUNCTION_ID, 1, FUNCTION_NAME, 3);
	put_pair(&b, PROFILE_FUNCTION, FUNCTION_ID, 2, FUNCTION_NAME, 4);
	for (size_t i = 0; i < N; i++) {
		put_found_location(&b, i + 1, (uint64_t[]){ 2, 1 }, 2, written[i]);
		put_sample(&b, (uint64_t[]){ i + 1 }, 1, true);
	}
	put_strings(&b);
	read_found(&b, found, N);
	assert_memory_equal(found, want, N);
}

static void a_field_of_that_number_by_others_is_skipped(void **state)
{
	(void)state;
	uint8_t found;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20), m = buf_of(1 << 20);
	put_pair(&b, PROFILE_SAMPLE_TYPE, VALUE_TYPE_TYPE, 1, VALUE_TYPE_UNIT, 2);
	put_pair(&b, PROFILE_FUNCTION, FUNCTION_ID, 1, FUNCTION_NAME, 3);
	pb_put_uint(&m, LOCATION_ID, 1);
	pb_put_bytes(&m, LOCATION_WICK_FOUND, slice_str("\x02"));
	put_pair(&m, LOCATION_LINE, LINE_FUNCTION_ID, 1, LINE_LINE, 7);
	put_pair(&m, LOCATION_LINE, LINE_FUNCTION_ID, 1, LINE_LINE, 8);
	pb_put_bytes(&b, PROFILE_LOCATION, bytes_of(&m));
	put_sample(&b, (uint64_t[]){ 1 }, 1, true);
	put_strings(&b);
	read_found(&b, &found, 1);
	assert_int_equal(found, FRAME_FOUND_UNKNOWN);
}

/* The same function inlined at two places of one function stays two stacks,
 * and a function with and without something inlined stays two locations. */
static void inlined_locations_stay_apart(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	put_pair(&b, PROFILE_SAMPLE_TYPE, VALUE_TYPE_TYPE, 1, VALUE_TYPE_UNIT, 2);
	put_pair(&b, PROFILE_FUNCTION, FUNCTION_ID, 1, FUNCTION_NAME, 3);
	put_pair(&b, PROFILE_FUNCTION, FUNCTION_ID, 2, FUNCTION_NAME, 4);
	put_location(&b, 1, (uint64_t[]){ 2, 1 }, 2);
	put_location(&b, 2, (uint64_t[]){ 1 }, 1);
	put_location(&b, 3, (uint64_t[]){ 2, 2, 1 }, 3);
	put_sample(&b, (uint64_t[]){ 1, 2 }, 2, true);
	put_sample(&b, (uint64_t[]){ 2, 1, 3 }, 3, true);
	put_sample(&b, (uint64_t[]){ 3, 3 }, 2, true);
	put_strings(&b);
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(pprof_decode(bytes_of(&b), &format_limits_default, &p, NULL), 0);
	assert_round_trip(&p);
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	assert_int_equal(pprof_encode(&p, &out), 0);
	struct pb_reader r = pb_reader_of(bytes_of(&out));
	struct pb_field f;
	uint32_t n_locations = 0;
	while (pb_next(&r, &f) > 0)
		n_locations += f.number == PROFILE_LOCATION;
	assert_int_equal(n_locations, 3);
	profile_done(&p);
}

enum form { FORM_PACKED, FORM_SINGLE, FORM_BOTH, N_FORMS };

/* A packed run and the last ids behind it, one by one. */
static void put_sample_of_both(struct buf *out, const uint64_t *ids, size_t n)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 20);
	put_packed(&m, SAMPLE_LOCATION_ID, ids, n - 3);
	for (size_t i = n - 3; i < n; i++)
		pb_put_uint(&m, SAMPLE_LOCATION_ID, ids[i]);
	pb_put_uint(&m, SAMPLE_VALUE, 1);
	pb_put_bytes(out, PROFILE_SAMPLE, bytes_of(&m));
}

/* Samples of few stacks whose first frames vary; every other one packed for
 * FORM_BOTH. */
static void put_varied_samples(struct buf *b, enum form form)
{
	uint32_t seed = 11;
	put_pair(b, PROFILE_SAMPLE_TYPE, VALUE_TYPE_TYPE, 1, VALUE_TYPE_UNIT, 2);
	put_pair(b, PROFILE_FUNCTION, FUNCTION_ID, 1, FUNCTION_NAME, 3);
	put_pair(b, PROFILE_FUNCTION, FUNCTION_ID, 2, FUNCTION_NAME, 4);
	for (uint32_t i = 1; i <= 3000; i++)
		put_pair(b, PROFILE_LOCATION, LOCATION_ID, i, LOCATION_ADDRESS, 0x1000 + i);
	for (uint32_t i = 3001; i <= 3100; i++)
		put_location(b, i, (uint64_t[]){ 1 + i % 2, 2 - i % 2 }, 2);
	for (uint32_t i = 0; i < 12000; i++) {
		uint64_t ids[60];
		uint32_t base = i % 97, n = 20 + base % 41;
		for (uint32_t k = 0; k < n; k++) {
			seed = seed * 1664525 + 1013904223;
			ids[k] = 1 + (k < 4 ? (seed >> 16) % 3100 : (base * 60 + k * k * 7) % 3100);
		}
		if (form == FORM_BOTH && i % 2)
			put_sample_of_both(b, ids, n);
		else
			put_sample(b, ids, n, form != FORM_SINGLE);
	}
	put_strings(b);
}

/* What was read before is taken up again only where it is the same. */
static void known_callers_lead_to_the_same_nodes(void **state)
{
	(void)state;
	struct profile p[N_FORMS];
	for (int i = 0; i < N_FORMS; i++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(8 << 20);
		put_varied_samples(&b, (enum form)i);
		assert_int_equal(profile_init(&p[i], NULL), 0);
		assert_int_equal(pprof_decode(bytes_of(&b), &format_limits_default, &p[i], NULL), 0);
	}
	for (int i = 1; i < N_FORMS; i++) {
		const struct dict *x = &p[0].dict, *y = &p[i].dict;
		assert_int_equal(profile_n_samples(&p[i]), 12000);
		assert_int_equal(dict_n_nodes(x), dict_n_nodes(y));
		size_t size = dict_n_nodes(x) * sizeof(uint32_t);
		assert_memory_equal(x->node_parent.data, y->node_parent.data, size);
		assert_memory_equal(x->node_frame.data, y->node_frame.data, size);
		assert_memory_equal(p[0].node.data, p[i].node.data, 12000 * sizeof(uint32_t));
	}
	for (int i = 0; i < N_FORMS; i++)
		profile_done(&p[i]);
}

static void empty_profile_is_valid(void **state)
{
	(void)state;
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_round_trip(&p);
	assert_int_equal(profile_add_type(&p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	assert_round_trip(&p);
	profile_done(&p);
}

/* Decoding at a time, into a budget, what a location of many lines makes of
 * a few bytes: work and memory stay in proportion. */
static void long_inlining_is_walked_once(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(8 << 20);
	uint64_t lines[10000];
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		lines[i] = 1 + i % 2;
	put_pair(&b, PROFILE_SAMPLE_TYPE, VALUE_TYPE_TYPE, 1, VALUE_TYPE_UNIT, 2);
	put_pair(&b, PROFILE_FUNCTION, FUNCTION_ID, 1, FUNCTION_NAME, 3);
	put_pair(&b, PROFILE_FUNCTION, FUNCTION_ID, 2, FUNCTION_NAME, 4);
	put_location(&b, 1, lines, ARRAY_SIZE(lines));
	for (int i = 0; i < 100000; i++)
		put_sample(&b, (uint64_t[]){ 1 }, 1, true);
	put_strings(&b);
	struct error err = { "" };
	alarm(20); /* walking 10^9 frames would take longer */
	assert_int_equal(try_decode(bytes_of(&b), &format_limits_default, &err), 0);
	alarm(0);
}

/* --- what is wrong, and where --- */

static void messages_name_place_and_field(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		int code;
		const char *message;
	} cases[] = {
#define CASE(bytes, code, message) { bytes, sizeof(bytes) - 1, code, message }
		CASE("", -ENODATA, "not a profile: it is empty"),
		CASE("\x08", -ENODATA, "at byte 1: ends inside a number"),
		CASE("\x0a\x04\x08\x01", -ENODATA, "at byte 1: ends inside a field"),
		CASE("\x0a\xff", -ENODATA, "at byte 1: ends inside a number"),
		CASE("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", -ENODATA, "at byte 1: ends inside a field"),
		CASE("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", -EBADMSG,
		     "at byte 1: a number longer than 64 bits"),
		CASE("\x0f", -EBADMSG, "at byte 0: an unknown wire type"),
		CASE("\x00", -EBADMSG, "at byte 0: a field number out of range"),
		CASE("\x10\x01", -EBADMSG, "at byte 0: field sample has wire type 0 instead of 2"),
		CASE("\x48\x01", -EBADMSG, "not a pprof profile: it has no string table"),
		CASE("\x32\x01x", -EBADMSG, "at byte 0: string 0 is not empty"),
		CASE("\x32\x00\x0a\x02\x08\x05", -EBADMSG, "at byte 4: sample_type 1: type: string 5 does not exist"),
		CASE("\x32\x00\x1a\x02\x08\x01\x1a\x02\x08\x01", -EBADMSG,
		     "at byte 6: mapping 2: id 1 is defined twice"),
		CASE("\x32\x00\x22\x04\x08\x01\x10\x09", -EBADMSG, "at byte 6: location 1: mapping 9 does not exist"),
		CASE("\x32\x00\x22\x06\x08\x01\x22\x02\x08\x09", -EBADMSG,
		     "at byte 8: location 1: function 9 does not exist"),
		CASE("\x32\x00\x22\x03\x08\x01\x22", -EBADMSG, "at byte 7: location 1: ends inside a number"),
		CASE("\x32\x00\x22\x04\x08\x01\x22\x09", -EBADMSG,
		     "at byte 7: location 1: a field longer than its message"),
		CASE("\x32\x00\x2a\x04\x08\x01\x10\x07", -EBADMSG,
		     "at byte 6: function 1: name: string 7 does not exist"),
		CASE("\x32\x00\x2a\x09\x08\x01\x28\x80\x80\x80\x80\x80\x01", -EBADMSG,
		     "at byte 6: function 1: start_line 34359738368 does not fit into 32 bits"),
		CASE("\x32\x00\x0a\x00\x12\x03\x0a\x01\x63\x12\x00", -EBADMSG,
		     "at byte 8: sample 1: location 99 does not exist"),
		CASE("\x32\x00\x0a\x00\x12\x02\x08\x63", -EBADMSG, "at byte 6: sample 1: location 99 does not exist"),
		CASE("\x32\x00\x0a\x00\x12\x03\x12\x01\x01\x12\x00", -EBADMSG,
		     "at byte 9: sample 2: 0 values for 1 sample types"),
		CASE("\x32\x00\x0a\x00\x12\x04\x12\x02\x01\x01", -EBADMSG,
		     "at byte 9: sample 1: more values than the 1 sample types"),
		CASE("\x32\x00\x12\x00", -EBADMSG, "at byte 2: sample 1: 0 values for 0 sample types"),
		CASE("\x32\x00\x0a\x00\x12\x07\x12\x01\x01\x1a\x02\x08\x09", -EBADMSG,
		     "at byte 11: sample 1: label key: string 9 does not exist"),
		CASE("\x32\x00\x6a\x02\x00\x03", -EBADMSG, "at byte 5: comment 1: text: string 3 does not exist"),
		CASE("\x32\x00\x38\x04", -EBADMSG, "at byte 0: drop_frames: string 4 does not exist"),
#undef CASE
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { "" };
		int r = try_decode(slice_of(cases[i].bytes, cases[i].size), &format_limits_default, &err);
		assert_string_equal(err.text, cases[i].message);
		assert_int_equal(r, cases[i].code);
	}
}

static void limits_are_named(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	encode_test_profile(&b);
	struct error err = { "" };
	struct format_limits l = format_limits_default;
#define REFUSED(field, value, message)                                                                                 \
	l = format_limits_default;                                                                                     \
	l.field = value;                                                                                               \
	assert_int_equal(try_decode(bytes_of(&b), &l, &err), -E2BIG);                                                  \
	assert_non_null(strstr(err.text, message))
	REFUSED(n_samples, 2, "more than 2 samples");
	REFUSED(n_locations, 2, "more than 2 mappings");
	REFUSED(n_strings, 5, "more than 5 strings");
	REFUSED(n_comments, 1, "more than 1 comments");
	REFUSED(n_labels, 4, "sample 1: more than 4 labels");
	REFUSED(depth, 3, "sample 1: more than 3 frames");
	REFUSED(input_size, 100, "the limit is 100");
#undef REFUSED
	l = format_limits_default;
	l.depth = 4;
	assert_int_equal(try_decode(bytes_of(&b), &l, &err), 0);
}

static void budget_ends_in_an_error(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	encode_test_profile(&b);
	bool done = false;
	for (size_t max = 1000; !done && max < 1 << 20; max += 61) {
		struct membudget budget = membudget_of(max);
		struct profile p;
		struct error err = { "" };
		int r = profile_init(&p, &budget);
		if (r == 0) {
			r = pprof_decode(bytes_of(&b), &format_limits_default, &p, &err);
			profile_done(&p);
		}
		assert_true(r == 0 || r == -ENOBUFS);
		assert_int_equal(budget.used, 0);
		done = r == 0;
	}
	assert_true(done);
}

static void cut_anywhere_is_refused(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20), gz = buf_of(1 << 20);
	encode_test_profile(&b);
	for (size_t n = 0; n < b.n; n++) {
		/* A copy of its own, so that one byte too far is seen. */
		_cleanup_(free_ptr)
		uint8_t *part = malloc(n + 1);
		assert_non_null(part);
		memcpy(part, b.data, n);
		part = realloc(part, n ? n : 1);
		struct error err = { "" };
		int r = try_decode(slice_of(part, n), &format_limits_default, &err);
		assert_true(r == -ENODATA || r == -EBADMSG || r == 0);
		assert_true(r == 0 || err.text[0]);
		/* Cut behind the last string used, it is complete: not earlier. */
		assert_true(r != 0 || n + 64 > b.n);
	}
	assert_int_equal(gzip_compress(bytes_of(&b), 6, &gz), 0);
	for (size_t n = 2; n < gz.n; n++) {
		struct error err = { "" };
		assert_int_equal(try_decode(slice_of(gz.data, n), &format_limits_default, &err), -ENODATA);
		assert_non_null(strstr(err.text, "ends early"));
	}
}

static void flipped_bits_do_no_harm(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20), gz = buf_of(1 << 20);
	encode_test_profile(&b);
	assert_int_equal(gzip_compress(bytes_of(&b), 6, &gz), 0);
	for (size_t bit = 0; bit < b.n * 8; bit++) {
		struct error err = { "" };
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int r = try_decode(bytes_of(&b), &format_limits_default, &err);
		assert_true(r <= 0 && (r == 0 || err.text[0]));
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	/* gzip has a checksum: what is not refused is the same content. */
	for (size_t bit = 80; bit < gz.n * 8; bit++) {
		_cleanup_(buf_done)
		struct buf scratch = buf_of(0);
		struct slice plain;
		gz.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (inflate_bytes(bytes_of(&gz), &format_limits_default, &scratch, &plain, NULL) == 0)
			assert_true(slice_eq(plain, bytes_of(&b)));
		gz.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void compressed_input_says_so(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf gz = buf_of(1 << 20);
	assert_int_equal(gzip_compress(slice_of("\x32\x00\x12\x00", 4), 6, &gz), 0);
	assert_refused(&gz, -EBADMSG, "decompressed: at byte 2: sample 1: 0 values for 0 sample types");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_survives),
		cmocka_unit_test(unknown_fields_change_nothing),
		cmocka_unit_test(real_files_survive),
		cmocka_unit_test(form_does_not_matter),
		cmocka_unit_test(how_frames_were_found_is_kept_by_location),
		cmocka_unit_test(a_field_of_that_number_by_others_is_skipped),
		cmocka_unit_test(inlined_locations_stay_apart),
		cmocka_unit_test(known_callers_lead_to_the_same_nodes),
		cmocka_unit_test(empty_profile_is_valid),
		cmocka_unit_test(long_inlining_is_walked_once),
		cmocka_unit_test(messages_name_place_and_field),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(budget_ends_in_an_error),
		cmocka_unit_test(cut_anywhere_is_refused),
		cmocka_unit_test(flipped_bits_do_no_harm),
		cmocka_unit_test(compressed_input_says_so),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
