/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/detect.h"
#include "format/pprof.h"
#include "format/pprof_wire.h"
#include "format/protobuf.h"
#include "format/testprofile.h"

#include <errno.h>

#define MAX ((size_t)1 << 20)

static struct slice bytes_of(const struct buf *b)
{
	return slice_of(b->data, b->n);
}

static void put_pair(struct buf *out, uint32_t field, uint32_t a, uint64_t x, uint32_t b, uint64_t y)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 10);
	pb_put_uint(&m, a, x);
	pb_put_uint(&m, b, y);
	pb_put_bytes(out, field, bytes_of(&m));
}

/* Found in the way of its id's number. */
static void put_location(struct buf *out, uint64_t id, uint64_t function)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 10);
	pb_put_uint(&m, LOCATION_ID, id);
	pb_put_uint(&m, LOCATION_ADDRESS, 0x1000 * id);
	put_pair(&m, LOCATION_LINE, LINE_FUNCTION_ID, function, LINE_LINE, 7);
	pb_put_uint(&m, LOCATION_WICK_FOUND, id);
	pb_put_bytes(out, PROFILE_LOCATION, bytes_of(&m));
}

static void put_label(struct buf *out, uint64_t key, uint64_t str)
{
	put_pair(out, SAMPLE_LABEL, LABEL_KEY, key, LABEL_STR, str);
}

/* Value `value` at one location, with a label of strings 5 and 6. */
static void put_sample(struct buf *out, uint64_t location, uint64_t value)
{
	_cleanup_(buf_done)
	struct buf m = buf_of(1 << 10);
	pb_put_uint(&m, SAMPLE_LOCATION_ID, location);
	pb_put_uint(&m, SAMPLE_VALUE, value);
	put_label(&m, 5, 6);
	pb_put_bytes(out, PROFILE_SAMPLE, bytes_of(&m));
}

enum {
	BEHIND_SAMPLES,
	BEHIND_LOCATION,
	BEHIND_LOCATIONS,
	BEHIND_FUNCTIONS,
	BEHIND_TYPE,
	BEHIND_MAIN,
	BEHIND_ALL,
	N_PLACES
};

/* As most producers write it: samples, what they refer to, strings.
 * end[BEHIND_x]: where a part ends. */
static void make_profile(struct buf *out, size_t end[N_PLACES])
{
	static const char *const strings[] = { "", "samples", "count", "main", "inner", "key", "value" };
	put_pair(out, PROFILE_SAMPLE_TYPE, VALUE_TYPE_TYPE, 1, VALUE_TYPE_UNIT, 2);
	put_sample(out, 1, 10);
	put_sample(out, 2, 20);
	put_sample(out, 1, 30);
	end[BEHIND_SAMPLES] = out->n;
	put_location(out, 1, 1);
	end[BEHIND_LOCATION] = out->n;
	put_location(out, 2, 2);
	end[BEHIND_LOCATIONS] = out->n;
	put_pair(out, PROFILE_FUNCTION, FUNCTION_ID, 1, FUNCTION_NAME, 3);
	put_pair(out, PROFILE_FUNCTION, FUNCTION_ID, 2, FUNCTION_NAME, 4);
	end[BEHIND_FUNCTIONS] = out->n;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		pb_put_bytes(out, PROFILE_STRING_TABLE, slice_str(strings[i]));
		if (i == 2)
			end[BEHIND_TYPE] = out->n;
		if (i == 3)
			end[BEHIND_MAIN] = out->n;
	}
	end[BEHIND_ALL] = out->n;
}

/* Strings first: then names are there for what is read. */
static void make_strings_first(struct buf *out, size_t end[N_PLACES])
{
	_cleanup_(buf_done)
	struct buf b = buf_of(MAX);
	make_profile(&b, end);
	size_t from = end[BEHIND_FUNCTIONS], n = b.n - from;
	buf_add(out, b.data + from, n);
	buf_add(out, b.data, from);
	for (int i = 0; i < BEHIND_TYPE; i++)
		end[i] += n;
}

/* Of a copy of that size, so that one byte too far is seen. */
static int decode(struct slice bytes, struct salvage *salvage, struct profile *p, struct error *err)
{
	_cleanup_(free_ptr)
	uint8_t *copy = malloc(bytes.size ? bytes.size : 1);
	assert_non_null(copy);
	memcpy(copy, bytes.data, bytes.size);
	assert_int_equal(profile_init(p, NULL), 0);
	return format_salvage(slice_of(copy, bytes.size), &format_limits_default, salvage, p, NULL, err);
}

static int64_t sum(const struct profile *p)
{
	int64_t total = 0;
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		total += p->value[0].data[i];
	return total;
}

/* Every beginning of `whole`: no more than the whole has, no less than a
 * shorter one had, and never less than the whole without a word. */
static void cut_everywhere(struct slice whole, int64_t want)
{
	int64_t before = 0;
	for (size_t n = 0; n < whole.size; n++) {
		struct salvage salvage = { .is_wanted = true };
		struct error err = { "" };
		struct profile p, strict;
		bool is_whole = decode(slice_of(whole.data, n), NULL, &strict, &err) == 0;
		int r = decode(slice_of(whole.data, n), &salvage, &p, &err);
		assert_true(r == 0 || r == -ENODATA || r == -EBADMSG);
		assert_true(r == 0 ? is_whole == !salvage_is_half(&salvage) : err.text[0] != 0);
		if (r == 0) {
			assert_in_range(sum(&p), before, want);
			before = sum(&p);
		}
		profile_done(&strict);
		profile_done(&p);
	}
	assert_int_equal(before, want);
}

static void every_beginning_says_what_it_lacks(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(MAX), gz = buf_of(MAX);
		size_t end[N_PLACES];
		struct profile p;
		assert_int_equal(profile_init(&p, NULL), 0);
		testprofile_fill(&p);
		if (i == 0)
			make_profile(&b, end);
		else if (i == 1)
			make_strings_first(&b, end);
		else
			assert_int_equal(pprof_encode(&p, &b), 0);
		profile_done(&p);
		cut_everywhere(bytes_of(&b), i < 2 ? 60 : 4);
		assert_int_equal(gzip_compress(bytes_of(&b), 6, &gz), 0);
		cut_everywhere(bytes_of(&gz), i < 2 ? 60 : 4);
	}
}

/* What stands behind the cut is lost, and nothing else. */
static void the_loss_is_counted(void **state)
{
	(void)state;
	static const struct {
		bool strings_first;
		int place;
		uint32_t behind; /* that, in bytes */
		uint32_t n_samples;
		const char *said;
	} cases[] = {
		{ false, BEHIND_ALL, 0, 3, "" },
		{ false, BEHIND_MAIN, 3, 3,
		  "ends in the middle of string 4, at byte 113, after 3 samples; lost: 1 frame names, 3 labels" },
		{ false, BEHIND_TYPE, 0, 3,
		  "ends at byte 104, before what it refers to, after 3 samples; lost: 2 frame names, 3 labels" },
		{ false, BEHIND_TYPE, 1, 3,
		  "ends in the middle of string 3, at byte 105, after 3 samples; lost: 2 frame names, 3 labels" },
		{ false, BEHIND_FUNCTIONS, 4, 0,
		  "pprof: ends in the middle of string 1, at byte 90; nothing can be kept: its sample types' names "
		  "are missing" },
		{ false, BEHIND_LOCATIONS, 3, 0,
		  "pprof: ends in the middle of function 1, at byte 77; nothing can be kept: its strings are missing" },
		{ true, BEHIND_LOCATIONS, 0, 3,
		  "ends at byte 117, before what it refers to, after 3 samples; lost: 2 frame names" },
		{ true, BEHIND_LOCATION, 5, 2,
		  "ends in the middle of location 2, at byte 106, after 2 samples; lost: 1 samples, whose stacks are "
		  "not there, 1 frame names" },
		{ true, BEHIND_SAMPLES, 5, 0,
		  "pprof: ends in the middle of location 1, at byte 90; nothing can be kept: its locations are "
		  "missing" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(MAX);
		struct salvage salvage = { .is_wanted = true };
		struct error err = { "" };
		struct profile p;
		size_t end[N_PLACES];
		(cases[i].strings_first ? make_strings_first : make_profile)(&b, end);
		int r = decode(slice_of(b.data, end[cases[i].place] + cases[i].behind), &salvage, &p, &err);
		assert_int_equal(r, cases[i].n_samples ? 0 : -ENODATA);
		error_append(&salvage.end, "%s%s", salvage.lost.text[0] ? "; lost: " : "", salvage.lost.text);
		assert_string_equal(r < 0 ? err.text : salvage.end.text, cases[i].said);
		if (r == 0)
			assert_int_equal(profile_n_samples(&p), cases[i].n_samples);
		for (uint32_t k = 0; k < profile_n_samples(&p); k++) {
			const struct frame *leaf = &p.dict.frames.data[p.dict.node_frame.data[p.node.data[k].v].v];
			assert_int_equal(leaf->found, leaf->address / 0x1000);
		}
		profile_done(&p);
	}
}

/* What --salvage would make of it, or why it would make nothing. */
static void half_a_file_is_refused_with_advice(void **state)
{
	(void)state;
	static const struct {
		int place;
		uint32_t behind;
		int code;
		const char *said;
	} cases[] = {
		{ BEHIND_MAIN, 3, -ENODATA,
		  "pprof: ends in the middle of string 4, at byte 113, after 3 samples; --salvage keeps them" },
		{ BEHIND_LOCATIONS, 3, -ENODATA,
		  "pprof: ends in the middle of function 1, at byte 77; nothing can be kept: its strings are missing" },
		{ BEHIND_TYPE, 0, -EBADMSG,
		  "pprof: at byte 78: function 1: name: string 3 does not exist; --salvage keeps what is whole: 3 "
		  "samples" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(MAX);
		struct salvage salvage = { 0 };
		struct error err = { "" };
		struct profile p;
		size_t end[N_PLACES];
		make_profile(&b, end);
		struct slice half = slice_of(b.data, end[cases[i].place] + cases[i].behind);
		assert_int_equal(decode(half, &salvage, &p, &err), cases[i].code);
		assert_string_equal(err.text, cases[i].said);
		profile_done(&p);
	}
}

/* Of a compressed file two ends are to be told. */
static void half_a_compressed_file_says_both_ends(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(MAX), gz = buf_of(MAX);
	size_t end[N_PLACES];
	make_profile(&b, end);
	/* Stored, not packed: what is there is known. */
	assert_int_equal(gzip_compress(slice_of(b.data, b.n), 0, &gz), 0);
	for (int wanted = 0; wanted < 2; wanted++) {
		struct salvage salvage = { .is_wanted = wanted };
		struct error err = { "" };
		struct profile p;
		size_t behind = gz.n - 8 - (b.n - end[BEHIND_MAIN]) + 3;
		assert_int_equal(decode(slice_of(gz.data, behind), &salvage, &p, &err), wanted ? 0 : -ENODATA);
		assert_string_equal(
			wanted ? salvage.end.text : err.text,
			wanted ? "ends at byte 128 (113 decompressed), in the middle of string 4, after 3 samples"
			       : "pprof: ends at byte 128 (113 decompressed), in the middle of string 4, after "
				 "3 samples; --salvage keeps them");
		profile_done(&p);
	}
}

/* A file that is wrong rather than short stays refused. */
static void malformed_is_not_salvaged(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(MAX);
	struct salvage salvage = { .is_wanted = true };
	struct error err = { "" };
	struct profile p;
	size_t end[N_PLACES];
	make_profile(&b, end);
	put_location(&b, 2, 1);
	assert_int_equal(decode(bytes_of(&b), &salvage, &p, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "location 3: id 2 is defined twice"));
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_beginning_says_what_it_lacks),
		cmocka_unit_test(the_loss_is_counted),
		cmocka_unit_test(half_a_file_is_refused_with_advice),
		cmocka_unit_test(half_a_compressed_file_says_both_ends),
		cmocka_unit_test(malformed_is_not_salvaged),
	};
	return cmocka_run_group_tests_name("pprof_salvage", tests, NULL, NULL);
}
