/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/jsonr.h"

#include <errno.h>
#include <math.h>

#define DEPTH 8

/* Reads everything and writes what was understood, in one fixed form. */
static int retell(struct jsonr *r, struct buf *out)
{
	struct slice s;
	double v;
	int k = jsonr_peek(r), n = 0;
	if (k < 0)
		return k;
	switch (k) {
	case JSONR_OBJECT:
		k = jsonr_object(r);
		buf_add_byte(out, '{');
		while (k == 0 && (k = jsonr_key(r, &s)) == 1) {
			buf_printf(out, "%s%.*s=", n++ ? " " : "", SLICE_FMT(s));
			k = retell(r, out);
		}
		buf_add_byte(out, '}');
		return k;
	case JSONR_ARRAY:
		k = jsonr_array(r);
		buf_add_byte(out, '[');
		while (k == 0 && (k = jsonr_next(r)) == 1) {
			buf_printf(out, "%s", n++ ? " " : "");
			k = retell(r, out);
		}
		buf_add_byte(out, ']');
		return k;
	case JSONR_STRING:
		k = jsonr_str(r, &s);
		if (k == 0)
			buf_printf(out, "<%.*s>", SLICE_FMT(s));
		return k;
	case JSONR_NUMBER:
		k = jsonr_f64(r, &v);
		if (k == 0)
			buf_printf(out, "%.17g", v);
		return k;
	default:
		buf_printf(out, "%s", k == JSONR_NULL ? "null" : "bool");
		return jsonr_skip(r);
	}
}

static int read_all(struct slice in, struct buf *out, struct error *err)
{
	struct jsonr r;
	jsonr_init(&r, in, DEPTH, err);
	int k = retell(&r, out);
	if (k == 0)
		k = jsonr_finish(&r);
	jsonr_done(&r);
	buf_add_byte(out, 0);
	return k;
}

static void assert_reads(const char *in, const char *want)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 16);
	struct error err = { "" };
	if (read_all(slice_str(in), &out, &err) < 0)
		fail_msg("%s: %s", in, err.text);
	assert_string_equal((const char *)out.data, want);
}

static void assert_refused(const char *in, int code, const char *message)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 16);
	struct error err = { "" };
	int k = read_all(slice_str(in), &out, &err);
	assert_string_equal(err.text, message);
	assert_int_equal(k, code);
}

static void values_are_understood(void **state)
{
	(void)state;
	assert_reads(" {\"a\" : [1, -2.5,\n\ttrue ,null,false], \"b\":{}, \"\":[]} \r\n",
		     "{a=[1 -2.5 bool null bool] b={} =[]}");
	assert_reads("\xef\xbb\xbf[]", "[]");
	assert_reads("[[],[[1]],[]]", "[[] [[1]] []]");
	assert_reads("\"\"", "<>");
	assert_reads("\"a\\\"\\\\\\/\\b\\f\\n\\r\\tz\"", "<a\"\\/\b\f\n\r\tz>");
	assert_reads("\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00\"", "<A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80>");
	assert_reads("\"\xc3\xa4 and more than eight bytes \xf0\x9f\x98\x80\"",
		     "<\xc3\xa4 and more than eight bytes \xf0\x9f\x98\x80>");
	assert_reads("\"\\ud83d|\\ude00|\\ud83d\\u0041\"", "<\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd"
							   "A>");
	assert_reads("{\"k\\u0065y\":\"v\\n\"}", "{key=<v\n>}");
}

static void numbers_are_exact(void **state)
{
	(void)state;
	assert_reads("[0,-0,1e3,1E+2,25e-2,0.1,123456789.125]",
		     "[0 -0 1000 100 0.25 0.10000000000000001 123456789.125]");
	assert_reads("[1.7976931348623157e308,5e-324,9007199254740993,0.30000000000000004]",
		     "[1.7976931348623157e+308 4.9406564584124654e-324 9007199254740992 0.30000000000000004]");
	assert_reads("1e-99999", "0");
	assert_refused("1e400", -EBADMSG, "at byte 0: 1e400 does not fit into a double");
	static const struct {
		const char *in;
		int64_t want;
		const char *message;
	} whole[] = {
		{ "9223372036854775807", INT64_MAX, "" },
		{ "-9223372036854775808", INT64_MIN, "" },
		{ "4.0", 4, "" },
		{ "-1e3", -1000, "" },
		{ "9223372036854775808", 0, "at byte 0: 9223372036854775808 does not fit into 64 bits" },
		{ "-9223372036854775809", 0, "at byte 0: -9223372036854775809 does not fit into 64 bits" },
		{ "1.5", 0, "at byte 0: 1.5 is not a whole number" },
		{ "1e300", 0, "at byte 0: 1e300 does not fit into 64 bits" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++) {
		struct error err = { "" };
		struct jsonr r;
		int64_t v = 0;
		jsonr_init(&r, slice_str(whole[i].in), DEPTH, &err);
		int e = jsonr_i64(&r, &v);
		assert_string_equal(err.text, whole[i].message);
		assert_int_equal(e, *whole[i].message ? -EBADMSG : 0);
		assert_true(v == whole[i].want);
	}
}

static int read_u32(const char *in, uint32_t *ret, struct error *err)
{
	struct jsonr r;
	jsonr_init(&r, slice_str(in), DEPTH, err);
	int k = jsonr_array(&r);
	if (k == 0)
		k = jsonr_next(&r) == 1 ? jsonr_u32(&r, ret) : -ENOENT;
	return k;
}

/* With and without the bytes behind that the short way needs. */
static void small_numbers_have_a_short_way(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		uint32_t want;
		const char *message;
	} cases[] = {
		{ "[7,          1]", 7, "" },
		{ "[123456789,  1]", 123456789, "" },
		{ "[4294967295, 1]", UINT32_MAX, "" },
		{ "[0]", 0, "" },
		{ "[ 12 ,       1]", 12, "" },
		{ "[1e2,        1]", 100, "" },
		{ "[4294967296, 1]", 0, "at byte 1: 4294967296 does not fit into 32 bits" },
		{ "[-1,         1]", 0, "at byte 1: -1 is negative" },
		{ "[01,         1]", 0, "at byte 1: a number that begins with 0" },
		{ "[1.5,        1]", 0, "at byte 1: 1.5 is not a whole number" },
		{ "[],           ", 0, "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { "" };
		uint32_t v = 0;
		int k = read_u32(cases[i].in, &v, &err);
		assert_string_equal(err.text, cases[i].message);
		assert_true(k == 0 || k == -ENOENT || err.text[0]);
		assert_int_equal(v, cases[i].want);
	}
}

static void messages_name_the_byte(void **state)
{
	(void)state;
	assert_refused("", -ENODATA, "ends in the middle of a value, at byte 0");
	assert_refused("[1 2]", -EBADMSG, "at byte 3: expected ',' or ']'");
	assert_refused("[1,]", -EBADMSG, "at byte 3: not the beginning of a value");
	assert_refused("[,1]", -EBADMSG, "at byte 1: not the beginning of a value");
	assert_refused("{\"a\":1,}", -EBADMSG, "at byte 7: expected a key");
	assert_refused("{\"a\" 1}", -EBADMSG, "at byte 5: expected ':'");
	assert_refused("{\"a\":1]", -EBADMSG, "at byte 6: expected ',' or '}'");
	assert_refused("[1}", -EBADMSG, "at byte 2: expected ',' or ']'");
	assert_refused("[nul]", -EBADMSG, "at byte 1: expected null");
	assert_refused("[tru", -ENODATA, "ends in the middle of true, at byte 4");
	assert_refused("[-]", -EBADMSG, "at byte 2: expected a digit");
	assert_refused("[1.]", -EBADMSG, "at byte 3: expected a digit");
	assert_refused("[1e+]", -EBADMSG, "at byte 4: expected a digit");
	assert_refused("[012]", -EBADMSG, "at byte 1: a number that begins with 0");
	assert_refused("[\"a\nb\"]", -EBADMSG, "at byte 3: a control character within a string");
	assert_refused("[\"a\\qb\"]", -EBADMSG, "at byte 3: an escape that JSON does not have");
	assert_refused("[\"\\u12g4\"]", -EBADMSG, "at byte 2: \\u without four hexadecimal digits");
	assert_refused("[\"\xc0\x80\"]", -EBADMSG, "at byte 2: not UTF-8");
	assert_refused("[\"abc", -ENODATA, "ends in the middle of a string, at byte 5");
	assert_refused("[[[[[[[[[1]]]]]]]]]", -E2BIG, "at byte 8: nested deeper than 8");
	assert_refused("{} x", -EBADMSG, "at byte 3: expected nothing behind the outermost value");
	assert_refused("NaN", -EBADMSG, "at byte 0: not the beginning of a value");
}

static void what_is_found_is_named(void **state)
{
	(void)state;
	struct error err;
	struct jsonr r;
	struct slice s;
	int64_t v;
	jsonr_init(&r, slice_str("  [\"x\"]"), DEPTH, &err);
	assert_int_equal(jsonr_i64(&r, &v), -EBADMSG);
	assert_string_equal(err.text, "at byte 2: expected a number, found an array");
	assert_int_equal(jsonr_array(&r), 0);
	assert_int_equal(jsonr_next(&r), 1);
	assert_int_equal(jsonr_object(&r), -EBADMSG);
	assert_string_equal(err.text, "at byte 3: expected an object, found a string");
	assert_int_equal(jsonr_str(&r, &s), 0);
	assert_int_equal(jsonr_refuse(&r, -EBADMSG, "%d frames", 3), -EBADMSG);
	assert_string_equal(err.text, "at byte 3: 3 frames");
	jsonr_done(&r);
}

static void skipped_values_can_be_read_later(void **state)
{
	(void)state;
	static const char text[] = "{\"big\": [{\"a]\\\"\": \"}\"}, [[]], 3], \"n\": -1.5e3, \"end\": true}";
	struct error err = { "" };
	struct jsonr r;
	struct slice key;
	size_t off = 0;
	jsonr_init(&r, slice_str(text), DEPTH, &err);
	assert_int_equal(jsonr_object(&r), 0);
	assert_int_equal(jsonr_key(&r, &key), 1);
	assert_int_equal(jsonr_section(&r, &off), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(jsonr_key(&r, &key), 1);
		assert_int_equal(jsonr_skip(&r), 0);
	}
	assert_int_equal(jsonr_key(&r, &key), 0);
	assert_int_equal(jsonr_finish(&r), 0);
	assert_int_equal(off, 8);
	struct jsonr section = jsonr_at_section(&r, off);
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 10);
	assert_int_equal(retell(&section, &out), 0);
	buf_add_byte(&out, 0);
	assert_string_equal((const char *)out.data, "[{a]\"=<}>} [[]] 3]");
	jsonr_done(&section);
	jsonr_done(&r);
}

static void skipping_finds_what_is_broken(void **state)
{
	(void)state;
	static const struct {
		const char *in;
		int code;
		const char *message;
	} cases[] = {
		{ "[1,[2}", -EBADMSG, "at byte 5: expected ']', found '}'" },
		{ "{\"a\":[]]", -EBADMSG, "at byte 7: expected '}', found ']'" },
		{ "[\"a", -ENODATA, "ends in the middle of a string, at byte 3" },
		{ "[1,[2]", -ENODATA, "ends in the middle of a value, at byte 6" },
		{ "[\"\\", -ENODATA, "ends in the middle of a string, at byte 3" },
		{ "[[[[[[[[[", -E2BIG, "at byte 8: nested too deep" },
		{ "nxll", -EBADMSG, "at byte 0: expected null" },
		{ "\"\xff\"", -EBADMSG, "at byte 1: not UTF-8" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = { "" };
		struct jsonr r;
		jsonr_init(&r, slice_str(cases[i].in), DEPTH, &err);
		int e = jsonr_skip(&r);
		assert_string_equal(err.text, cases[i].message);
		assert_int_equal(e, cases[i].code);
	}
}

/* Every prefix, in memory of exactly its size: the sanitizer sees a byte too far. */
static void every_prefix_ends_well(void **state)
{
	(void)state;
	static const char text[] =
		"{\"a\\u00e4\\ud83d\\ude00\":[1.5e-3,12,true,null,\"\xc3\xa4\"],\"b\":{\"c\":false}}";
	for (size_t n = 0; n + 1 < sizeof(text); n++) {
		_cleanup_(free_ptr)
		uint8_t *copy = malloc(n + !n);
		_cleanup_(buf_done)
		struct buf out = buf_of(1 << 10);
		struct error err = { "" };
		assert_non_null(copy);
		memcpy(copy, text, n);
		int k = read_all(slice_of(copy, n), &out, &err);
		assert_true(k == -ENODATA || k == -EBADMSG); /* a cut character is not UTF-8 */
		assert_true(err.text[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_understood),	  cmocka_unit_test(numbers_are_exact),
		cmocka_unit_test(small_numbers_have_a_short_way), cmocka_unit_test(messages_name_the_byte),
		cmocka_unit_test(what_is_found_is_named),	  cmocka_unit_test(skipped_values_can_be_read_later),
		cmocka_unit_test(skipping_finds_what_is_broken),  cmocka_unit_test(every_prefix_ends_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
