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
		{ "{\"head\":{", "heapprofile", FORMAT_V8_HEAP },
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
		CASE("a;b 1.5.\n", -EBADMSG, "folded: line 1: weight \"1.5.\" is not a number >= 0"),
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(content_decides),
		cmocka_unit_test(json_is_told_by_its_keys),
		cmocka_unit_test(older_forms_are_told_by_their_first_line),
		cmocka_unit_test(strangers_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
