/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/detect.h"
#include "format/inflate.h"
#include "format/pprof.h"
#include "format/testprofile.h"

#include <errno.h>

static int decode(struct slice bytes, enum format *ret, struct error *err)
{
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	int r = format_decode(bytes, &format_limits_default, &p, ret, err);
	profile_done(&p);
	return r;
}

static void content_decides(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf pb = buf_of(1 << 20), gz = buf_of(1 << 20), text = buf_of(1 << 20);
	enum format f = FORMAT_UNKNOWN;
	struct profile p;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(pprof_encode(&p, &pb), 0);
	assert_int_equal(decode(slice_of(pb.data, pb.n), &f, NULL), 0); /* an empty profile is one */
	assert_int_equal(f, FORMAT_PPROF);
	testprofile_fill(&p);
	assert_int_equal(pprof_encode_gz(&p, &gz), 0);
	profile_done(&p);
	assert_int_equal(decode(slice_of(gz.data, gz.n), &f, NULL), 0);
	assert_int_equal(f, FORMAT_PPROF);
	assert_int_equal(decode(slice_str("\n main;a b 12\n"), &f, NULL), 0);
	assert_int_equal(f, FORMAT_FOLDED);
	assert_int_equal(gzip_compress(slice_str("main;a b 12\n"), 6, &text), 0);
	assert_int_equal(decode(slice_of(text.data, text.n), &f, NULL), 0);
	assert_int_equal(f, FORMAT_FOLDED);
	assert_string_equal(format_name(FORMAT_PPROF), "pprof");
	assert_string_equal(format_name(FORMAT_FOLDED), "folded");
}

static void json_is_told_by_its_keys(void **state)
{
	(void)state;
	static const struct {
		const char *text, *name;
		enum format format;
	} cases[] = {
		{ "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"x\":1}", "speedscope",
		  FORMAT_SPEEDSCOPE },
		{ "\xef\xbb\xbf {\"version\":[[]],\"profiles\":[]}", "speedscope", FORMAT_SPEEDSCOPE },
		{ "{\"version\":1,\"flamebearer\":{}}", "flamebearer", FORMAT_FLAMEBEARER },
		{ "{\"startTime\":1,\"nodes\":[]}", "cpuprofile", FORMAT_V8_CPU },
		{ "{\"nodes\":[],\"x\":{},\"startTime\":1}", "cpuprofile", FORMAT_V8_CPU },
		{ "{\"nodes\": [ {\"id\":1,\"callFrame\":{", "cpuprofile", FORMAT_V8_CPU },
		{ "{\"head\":{\"callFrame\":{", "heapprofile", FORMAT_V8_HEAP },
		{ "{\"head\":{\"selfSize\":1}}", "unknown", FORMAT_UNKNOWN },
		{ "{\"head\":", "unknown", FORMAT_UNKNOWN },
		{ "{\"nodes\":", "unknown", FORMAT_UNKNOWN },
		/* wick report --tree --json, wick diff --json */
		{ "{\"view\":\"tree\",\"nodes_left_out\":0,\"nodes\":[{\"depth\":0,\"name\":\"all\"}]}", "unknown",
		  FORMAT_UNKNOWN },
		{ "{\"functions\":[],\"nodes\":[{\"parent\":0,\"function\":0}]}", "unknown", FORMAT_UNKNOWN },
		{ "{\"nested\":{\"nodes\":[]}}", "unknown", FORMAT_UNKNOWN },
		{ "[{\"nodes\":[]}]", "unknown", FORMAT_UNKNOWN },
		{ "{;main 12\n", "folded", FORMAT_FOLDED },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum format f = format_detect(slice_str(cases[i].text));
		assert_string_equal(format_name(f), cases[i].name);
		assert_int_equal(f, cases[i].format);
	}
}

/* Forms that begin like others: a count that ends in a number is not folded. */
static void older_forms_are_told_by_their_first_line(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum format format;
	} cases[] = {
		{ "goroutine profile: total 7\n", FORMAT_GPERF },
		{ "# comment\n\nthreadcreate profile: total 1\n", FORMAT_GPERF },
		{ "goroutine profile: total;f 7\n", FORMAT_FOLDED },
		{ "heap profile: 1: 8 [1: 8] @ growthz\n", FORMAT_GPERF },
		{ "--- contentionz 1 ---\n", FORMAT_GPERF },
		{ "--- Memory map: ---\n", FORMAT_UNKNOWN },
		{ "# callgrind format\nversion: 1\nevents: Ir\n", FORMAT_CALLGRIND },
		{ "desc: I1 cache\ncmd: true\nevents: Ir Dr\n", FORMAT_CALLGRIND },
		{ "std::events: f;g 12\n", FORMAT_FOLDED },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(format_detect(slice_str(cases[i].text)), cases[i].format);
}

/* What a name holds does not hide what the lines are. */
static void a_few_control_characters_are_text(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum format format;
	} cases[] = {
		{ "main;a\x01"
		  "b 12\nmain;c 3\n",
		  FORMAT_FOLDED },
		{ "java\x01 12 1.5: 3 cycles:\n\t7f1 f\x02 (/x)\n\n", FORMAT_PERFSCRIPT },
		{ "desc: a\x01\ncmd: true\nevents: Ir Dr\n", FORMAT_CALLGRIND },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(format_detect(slice_str(cases[i].text)), cases[i].format);
	assert_int_equal(format_detect(slice_of("main;a\0 1\n", 10)), FORMAT_UNKNOWN);
}

/* Lines of prose, tables and settings end in numbers, too. */
static void text_is_not_folded_for_a_number(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum format format;
	} cases[] = {
		{ "Debian GNU/Linux 12\n", FORMAT_UNKNOWN },
		{ "*os_mint.txt*  For Vim version 9.0.  Last change: 2005 Mar 29\nthe end 3\n", FORMAT_UNKNOWN },
		{ "PASS_MAX_DAYS 99999\nUID_MIN 1000\nENCRYPT_METHOD SHA512\n", FORMAT_UNKNOWN },
		{ "#!/bin/sh\nexit 101\n", FORMAT_UNKNOWN },
		{ "a = 1; b = 2\nint main(void)\n{\n}\n", FORMAT_UNKNOWN },
		{ "version 2.23.\n", FORMAT_UNKNOWN },
		/* All that wick writes, and what is nearly right: its reader says what is not. */
		{ "main 3\n", FORMAT_FOLDED },
		{ "main 3\noperator new(unsigned long) 4\n", FORMAT_FOLDED },
		{ "operator new(unsigned long) 4\n", FORMAT_UNKNOWN },
		{ "# folded stacks\noperator new(unsigned long) 4\n", FORMAT_FOLDED },
		{ "a b;c d 0.5\n", FORMAT_FOLDED },
		{ "a;b 1\nc;d x\n", FORMAT_FOLDED },
		{ "\xef\xbb\xbf# by a tool\n\na;b 1\n", FORMAT_FOLDED },
		{ "# folded stacks\nheap profile: 1: 8 [1: 8] @ growthz;f 3\n", FORMAT_FOLDED },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (format_detect(slice_str(cases[i].text)) != cases[i].format)
			fail_msg("%s", cases[i].text);
}

/* Bytes that read as a few fields of a profile by chance. */
static void fields_alone_are_no_profile(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
#define CASE(bytes) { bytes, sizeof(bytes) - 1 }
		CASE("P4\n16 16\n\xff\xfe"), /* a bitmap: field 10 and half of field 1 */
		CASE("\" Vim filetype plugin, of 32 bytes.\nif exists(\"b:did_ftplugin\")\n"),
		CASE("\x1a\x01\x1a\x01\0\0\0\0"), /* terminfo */
		CASE("2023-01-01 00:00:00 something that is longer than 48 bytes, h"),
		CASE("\x0a\x04\x08\x01\x10\x02\x12\x02\x21\x00"),
#undef CASE
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (format_detect(slice_of(cases[i].bytes, cases[i].size)) != FORMAT_UNKNOWN)
			fail_msg("case %zu", i);
}

/* A profile of nothing but small numbers has hardly a control character. */
static void profiles_that_look_like_text_are_found(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf pb = buf_of(1 << 20);
	buf_add_str(&pb, "\x0a\x04\x08\x01\x10\x02");
	for (int i = 0; i < 100; i++)
		buf_add_str(&pb, "\x12\x64\x0a\x5e"
				 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "abcdefghijklmnopqrstuvwxyz012345"
				 "\x12\x02"
				 "77");
	assert_int_equal(format_detect(slice_of(pb.data, pb.n)), FORMAT_PPROF);
}

static void strangers_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t size;
		int code;
		const char *message;
	} cases[] = {
#define CASE(bytes, code, message) { bytes, sizeof(bytes) - 1, code, message }
		CASE("", -ENODATA, "not a profile wick knows; looks like nothing: it is empty"),
		CASE("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", -EBADMSG, "not a profile wick knows; looks like PNG"),
		CASE("\x7f"
		     "ELF\x02\x01\x01",
		     -EBADMSG, "not a profile wick knows; looks like an ELF binary"),
		CASE("PK\x03\x04....", -EBADMSG, "not a profile wick knows; looks like a zip archive"),
		CASE("{\"$schema\": 1}", -EBADMSG, "not a profile wick knows; looks like JSON"),
		CASE("{\"profiles\": 1}", -EBADMSG, "speedscope: at byte 13: expected an array, found a number"),
		CASE("<!DOCTYPE html><html>", -EBADMSG, "not a profile wick knows; looks like HTML"),
		CASE("hello, world\nthis is a letter\n", -EBADMSG, "not a profile wick knows; looks like text"),
		CASE("\x00\x01\x02\x03", -EBADMSG,
		     "not a profile wick knows; looks like binary data of no kind wick has heard of"),
		CASE("a;b 1\nc;d x\n", -EBADMSG, "folded: line 2: weight \"x\" is not a number >= 0"),
		CASE("a;b 1\na;b 1.5.\n", -EBADMSG, "folded: line 2: weight \"1.5.\" is not a number >= 0"),
		CASE("\x32\x00\x12\x00", -EBADMSG, "pprof: at byte 2: sample 1: 0 values for 0 sample types"),
#undef CASE
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { "" };
		int r = decode(slice_of(cases[i].bytes, cases[i].size), NULL, &err);
		assert_string_equal(err.text, cases[i].message);
		assert_int_equal(r, cases[i].code);
	}
}

/* What was read, where it ends, what can be kept or why nothing can. */
static void half_a_file_says_where_it_ends(void **state)
{
	(void)state;
	static const struct {
		const char *text, *refused, *kept; /* kept: NULL = nothing */
		uint32_t n;
	} cases[] = {
		{ "a;b 1\nc;d 2\nc;",
		  "folded: ends in the middle of line 3, at byte 14, after 2 samples; --salvage keeps them",
		  "ends in the middle of line 3, at byte 14, after 2 samples", 2 },
		{ "a 7 1.5: 3 cycles:\n\t7f1 f (/x)\n\na 7 1.6: 4 cycles:\n\t7f1 f",
		  "perf script: ends in the middle of a sample, in line 5, at byte 57, after 1 sample; --salvage keeps "
		  "it",
		  "ends in the middle of a sample, in line 5, at byte 57, after 1 sample", 1 },
		{ "a 7 1.5: 3 cycles: 7f1 f (/x)\nb 7 1.6: 4 cycles: 7f1 f (/",
		  "perf script: ends in the middle of a sample, in line 2, at byte 57, after 1 sample; --salvage keeps "
		  "it",
		  "ends in the middle of a sample, in line 2, at byte 57, after 1 sample", 1 },
		{ "heap profile: 1: 8 [1: 8] @ growthz\n1: 8 [1: 8] @ 0x11\n1: 8 [1: 8] @ 0x1",
		  "gperftools: ends in the middle of line 3, at byte 72, after 1 sample; --salvage keeps it",
		  "ends in the middle of line 3, at byte 72, after 1 sample", 1 },
		{ "heap profile: 1: 8 [1: 8] @ gro",
		  "gperftools: ends in the middle of line 1, at byte 31; nothing can be kept: no line is whole", NULL,
		  0 },
		{ "{\"$schema\":\"speedscope\",\"profiles\":[{\"type\"",
		  "speedscope: ends in the middle of an object, at byte 43; nothing can be kept: weights stand behind "
		  "the samples they are of",
		  NULL, 0 },
		{ "{\"flamebearer\":{\"names\":[\"total\"],\"levels\":[[0,1",
		  "flamebearer: ends in the middle of a value, at byte 48; nothing can be kept: what its numbers count "
		  "stands at its end",
		  NULL, 0 },
		{ "{\"nodes\":[{\"id\":1,\"callFrame\":{\"url\":\"\"}}",
		  "cpuprofile: ends in the middle of an array, at byte 41; nothing can be kept: samples and times "
		  "stand at its end",
		  NULL, 0 },
		{ "{\"head\":{\"callFrame\":{\"url\":\"\"}",
		  "heapprofile: ends in the middle of an object, at byte 31; nothing can be kept: half of the tree has "
		  "other shares than the whole",
		  NULL, 0 },
	};
	for (size_t i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		__typeof__(cases[0]) *c = &cases[i / 2];
		struct salvage salvage = { .is_wanted = i % 2 };
		struct error err = { "" };
		struct profile p;
		assert_int_equal(profile_init(&p, NULL), 0);
		int r = format_salvage(slice_str(c->text), &format_limits_default, &salvage, &p, NULL, &err);
		bool is_kept = salvage.is_wanted && c->kept;
		assert_string_equal(is_kept ? salvage.end.text : err.text, is_kept ? c->kept : c->refused);
		assert_int_equal(r, is_kept ? 0 : -ENODATA);
		if (is_kept)
			assert_int_equal(profile_n_samples(&p), c->n);
		profile_done(&p);
	}
}

/* Memory is what --max-memory says, however often a file is read. */
static void advice_keeps_the_budget(void **state)
{
	(void)state;
	struct membudget budget = membudget_of(1 << 20);
	struct salvage salvage = { 0 };
	struct error err;
	struct profile p;
	assert_int_equal(profile_init(&p, &budget), 0);
	assert_int_equal(format_salvage(slice_str("a;b 1\nc;"), &format_limits_default, &salvage, &p, NULL, &err),
			 -ENODATA);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_decides),
		cmocka_unit_test(json_is_told_by_its_keys),
		cmocka_unit_test(older_forms_are_told_by_their_first_line),
		cmocka_unit_test(a_few_control_characters_are_text),
		cmocka_unit_test(text_is_not_folded_for_a_number),
		cmocka_unit_test(fields_alone_are_no_profile),
		cmocka_unit_test(profiles_that_look_like_text_are_found),
		cmocka_unit_test(strangers_are_named),
		cmocka_unit_test(half_a_file_says_where_it_ends),
		cmocka_unit_test(advice_keeps_the_budget),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
