/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "query/matcher.h"

#include <errno.h>

static struct matchers *parse(struct slice text)
{
	struct matchers *m = NULL;
	struct error err = { "" };
	if (matchers_parse(text, &m, &err) < 0)
		fail_msg("%.*s: %s", SLICE_FMT(text), err.text);
	return m;
}

static void assert_formats(const struct matchers *m, const char *expected)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 16);
	matchers_format(m, &out);
	buf_add_byte(&out, 0);
	assert_false(out.failed);
	assert_string_equal((const char *)out.data, expected);
}

/* What users know from PromQL means what they know; the canonical text, which
 * logs and keys hold, means the same again. */
static void selectors_have_one_canonical_text(void **state)
{
	(void)state;
	static const struct {
		const char *text, *canonical;
	} rows[] = {
		{ "{}", "{}" },
		{ " \t\r\n{ \n} ", "{}" },
		{ "cpu", "cpu" },
		{ "cpu:nanoseconds", "cpu:nanoseconds" },
		{ "cpu{}", "cpu" },
		{ "  cpu { } ", "cpu" },
		{ "process_cpu:cpu:nanoseconds", "process_cpu:cpu:nanoseconds" },
		{ "cache-misses:count{a=\"\"}", "cache-misses:count{a=\"\"}" },
		{ "{service=\"api\", host=~\"web-.*\", zone!=\"b\", thread!~\"GC.*\"}",
		  "{service=\"api\",host=~\"web-.*\",zone!=\"b\",thread!~\"GC.*\"}" },
		{ "cpu{ a = 'b' , }", "cpu{a=\"b\"}" },
		{ "{a=\"1\",a=\"2\",a!=\"1\"}", "{a=\"1\",a=\"2\",a!=\"1\"}" },
		{ "{_k8s.pod.name_0=\"x\"}", "{_k8s.pod.name_0=\"x\"}" },
		{ "{a=`\\d{1,2}\"\n`}", "{a=\"\\\\d{1,2}\\\"\\x0a\"}" },
		{ "{a=\"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\"}", "{a=\"\\x07\\x08\\x0c\\x0a\\x0d\\x09\\x0b\\\\\\\"\"}" },
		{ "{a='it\\'s'}", "{a=\"it's\"}" },
		{ "{a=\"\\x41\\101\\u0041\\U00000041\"}", "{a=\"AAAA\"}" },
		{ "{a=\"\\u00e4\\U0001F600\"}", "{a=\"\xc3\xa4\xf0\x9f\x98\x80\"}" },
		{ "{a=\"\xc3\xa4\"}", "{a=\"\xc3\xa4\"}" },
		{ "{a=\"\\xff\\377\\x00\\x7f\"}", "{a=\"\\xff\\xff\\x00\\x7f\"}" },
		{ "{a=\"},{\"}", "{a=\"},{\"}" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct matchers *m = parse(slice_str(rows[i].text));
		assert_formats(m, rows[i].canonical);
		matchers_free(&m);
		m = parse(slice_str(rows[i].canonical));
		assert_formats(m, rows[i].canonical);
		matchers_free(&m);
	}
}

/* What queries are made of, also when the text they came from is gone. */
static void parts_are_as_meant(void **state)
{
	(void)state;
	char text[] = "cpu:nanoseconds{host!=\"a\\x00b\", zone=~\"\"}";
	struct matchers *m = parse(slice_str(text));
	memset(text, 'x', sizeof(text));
	assert_true(slice_eq(m->type, slice_str("cpu:nanoseconds")));
	assert_int_equal(m->n, 2);
	assert_true(slice_eq(m->matcher[0].name, slice_str("host")));
	assert_true(slice_eq(m->matcher[0].value, slice_of("a\0b", 3)));
	assert_int_equal(m->matcher[0].op, MATCHER_NOT_EQUAL);
	assert_null(m->matcher[0].pattern);
	assert_int_equal(m->matcher[1].value.size, 0);
	assert_int_equal(m->matcher[1].op, MATCHER_LIKE);
	assert_non_null(m->matcher[1].pattern);
	matchers_free(&m);
	m = parse(slice_str("{}"));
	assert_int_equal(m->type.size, 0);
	assert_int_equal(m->n, 0);
	matchers_free(&m);
}

/* A value too many or too few would be shown, or deleted. */
static void values_are_chosen_as_in_promql(void **state)
{
	(void)state;
	static const struct {
		const char *matcher;
		const char *yes[4], *no[4];
	} rows[] = {
		{ "a=\"api\"", { "api" }, { "", "API", "api2", "xapi" } },
		{ "a!=\"api\"", { "", "API", "api2" }, { "api" } },
		{ "a=\"\"", { "" }, { "api", " " } },
		{ "a!=\"\"", { "api", " " }, { "" } },
		{ "a=~\"web-.*\"", { "web-", "web-1", "web-1\n2" }, { "", "web", "xweb-1" } },
		{ "a!~\"web-.*\"", { "", "web", "xweb-1" }, { "web-", "web-1" } },
		{ "a=~\"a|bc\"", { "a", "bc" }, { "", "ab", "abc", "ac" } },
		{ "a=~\"\"", { "" }, { "a" } },
		{ "a=~\".*\"", { "", "a" }, { "\xff" } },
		{ "a=~\".+\"", { "a", "\xc3\xa4" }, { "" } },
		{ "a!~\".+\"", { "", "\xff" }, { "a" } },
		{ "a=~\"(?i)Api\"", { "api", "API" }, { "apis" } },
		{ "a=~\"^api$\"", { "api" }, { "apis" } },
		{ "a=~`\\d+`", { "12" }, { "1a", "" } },
		{ "a=\"\\xff\"", { "\xff" }, { "" } },
	};
	struct pattern_work work;
	assert_int_equal(pattern_work_init(&work), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[64];
		(void)snprintf(text, sizeof(text), "{%s}", rows[i].matcher);
		struct matchers *m = parse(slice_str(text));
		for (int k = 0; k < 4; k++) {
			const char *yes = rows[i].yes[k], *no = rows[i].no[k];
			if (yes && matcher_test(m->matcher, slice_str(yes), &work, NULL) != 1)
				fail_msg("%s does not choose \"%s\"", text, yes);
			if (no && matcher_test(m->matcher, slice_str(no), &work, NULL) != 0)
				fail_msg("%s chooses \"%s\"", text, no);
		}
		/* An absent label has no bytes at all. */
		assert_int_equal(matcher_test(m->matcher, (struct slice){ 0 }, &work, NULL),
				 matcher_test(m->matcher, slice_str(""), &work, NULL));
		matchers_free(&m);
	}
	pattern_work_done(&work);
}

/* A pattern without end is an error, also where "no" would choose. */
static void hostile_patterns_end_in_an_error(void **state)
{
	(void)state;
	static const char *const texts[] = { "{a=~\"(x|xx)+\"}", "{a!~\"(x|xx)+\"}" };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct pattern_work work;
		struct error err = { "" };
		struct matchers *m = parse(slice_str(texts[i]));
		assert_int_equal(pattern_work_init(&work), 0);
		assert_int_equal(
			matcher_test(m->matcher, slice_str("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx!"), &work, &err),
			-E2BIG);
		assert_string_equal(err.text, "the pattern needs too much work on "
					      "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx!\"");
		pattern_work_done(&work);
		matchers_free(&m);
	}
}

static void mistakes_are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *text, *error;
	} rows[] = {
		{ "", "at character 1: expected a type's name or {" },
		{ "  ", "at character 3: expected a type's name or {" },
		{ "1cpu", "at character 1: expected a type's name or {" },
		{ "cpu}", "at character 4: expected { or the end after \"cpu\"" },
		{ "cpu mem", "at character 5: expected { or the end after \"cpu\"" },
		{ "cpu{", "at character 5: expected a label's name or }" },
		{ "{,}", "at character 2: expected a label's name or }" },
		{ "{a=\"b\",,}", "at character 8: expected a label's name or }" },
		{ "{1=\"b\"}", "at character 2: expected a label's name or }" },
		{ "{host \"a\"}", "at character 7: expected = != =~ or !~ after \"host\"" },
		{ "{host", "at character 6: expected = != =~ or !~ after \"host\"" },
		{ "{host!\"a\"}", "at character 6: expected = != =~ or !~ after \"host\"" },
		{ "{host==\"a\"}", "at character 7: expected a text in \"\", '' or `` after \"host=\"" },
		{ "{host=~}", "at character 8: expected a text in \"\", '' or `` after \"host=~\"" },
		{ "{host=a}", "at character 7: expected a text in \"\", '' or `` after \"host=\"" },
		{ "{a=\"b}", "at character 4: the text that begins here has no end" },
		{ "{a=\"b\n\"}", "at character 4: the text that begins here has no end" },
		{ "{a='b\"}", "at character 4: the text that begins here has no end" },
		{ "{a=`b\"}", "at character 4: the text that begins here has no end" },
		{ "{a=\"\\\"}", "at character 4: the text that begins here has no end" },
		{ "{a=\"b\" c=\"d\"}", "at character 8: expected , or } after the value of \"a\"" },
		{ "{a=\"b\"", "at character 7: expected , or } after the value of \"a\"" },
		{ "{a=\"b\"}x", "at character 8: expected the end after }" },
		{ "{a=\"b\"}{}", "at character 8: expected the end after }" },
		{ "{a=\"\xc3\xa4\\q\"}",
		  "at character 6: expected one of abfnrtv\\\", x, u, U or three octal digits after \\" },
		{ "{a='\\\"'}", "at character 5: expected one of abfnrtv\\', x, u, U or three octal digits after \\" },
		{ "{a=\"\\x4\"}", "at character 8: expected 2 hexadecimal digits in the escape" },
		{ "{a=\"\\18\"}", "at character 7: expected 3 octal digits in the escape" },
		{ "{a=\"\\u00g0\"}", "at character 9: expected 4 hexadecimal digits in the escape" },
		{ "{a=\"\\400\"}", "at character 5: the escape is no byte" },
		{ "{a=\"\\ud800\"}", "at character 5: the escape is no character" },
		{ "{a=\"\\U00110000\"}", "at character 5: the escape is no character" },
		{ "{a=\"\xff\"}", "at character 5: not UTF-8" },
		{ "{\xc3\xa4=\"b\"}", "at character 2: expected a label's name or }" },
		{ "{host=~\"(a\"}", "at character 8: in the pattern: at character 3: missing closing parenthesis" },
		{ "{a!~\"b)|(c\"}", "at character 5: in the pattern: at character 2: unmatched closing parenthesis" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct matchers *none = NULL;
		struct error err = { "" };
		assert_int_equal(matchers_parse(slice_str(rows[i].text), &none, &err), -EINVAL);
		assert_string_equal(err.text, rows[i].error);
		assert_null(none);
	}
	struct matchers *none = NULL;
	struct error err = { "" };
	assert_int_equal(matchers_parse(slice_of("a\0b", 3), &none, &err), -EINVAL);
	assert_string_equal(err.text, "at character 2: expected { or the end after \"a\"");
}

static void assert_too_big(const struct buf *text, const char *error)
{
	struct matchers *none = NULL;
	struct error err = { "" };
	assert_int_equal(matchers_parse(slice_of(text->data, text->n), &none, &err), -E2BIG);
	assert_string_equal(err.text, error);
	assert_null(none);
}

static void limits_are_named(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf many = buf_of(1 << 20), longest = buf_of(1 << 20), pattern = buf_of(1 << 20);
	buf_add_byte(&many, '{');
	for (int i = 0; i < MATCHERS_MAX; i++)
		buf_add_str(&many, "a=\"b\",");
	buf_add_byte(&many, '}');
	struct matchers *m = parse(slice_of(many.data, many.n));
	assert_int_equal(m->n, MATCHERS_MAX);
	matchers_free(&m);
	many.n--;
	buf_add_str(&many, "c=\"d\"}");
	assert_too_big(&many, "at character 98: more than 16 matchers");

	while (longest.n < MATCHERS_SIZE_MAX)
		buf_add_byte(&longest, 'a');
	m = parse(slice_of(longest.data, longest.n));
	assert_int_equal(m->type.size, MATCHERS_SIZE_MAX);
	matchers_free(&m);
	buf_add_byte(&longest, 'a');
	assert_too_big(&longest, "the selector has 16385 bytes: the limit is 16384");

	buf_add_str(&pattern, "{a=~\"");
	while (pattern.n < 5 + PATTERN_SIZE_MAX + 1)
		buf_add_byte(&pattern, 'a');
	buf_add_str(&pattern, "\"}");
	assert_too_big(&pattern, "at character 5: the pattern has 1025 bytes: the limit is 1024");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selectors_have_one_canonical_text),
		cmocka_unit_test(parts_are_as_meant),
		cmocka_unit_test(values_are_chosen_as_in_promql),
		cmocka_unit_test(hostile_patterns_end_in_an_error),
		cmocka_unit_test(mistakes_are_explained),
		cmocka_unit_test(limits_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
