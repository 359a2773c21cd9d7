/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/pattern.h"

#include <errno.h>

static int match(const char *pattern, struct slice text, struct error *err)
{
	_cleanup_(pattern_free)
	struct pattern *p = NULL;
	struct pattern_work work;
	assert_int_equal(pattern_new(slice_str(pattern), &p, err), 0);
	assert_int_equal(pattern_work_init(&work), 0);
	int r = pattern_match(p, text, &work, err);
	pattern_work_done(&work);
	return r;
}

/* A pattern that pprof's users know must not mean something else here. */
static void means_what_it_means_in_re2(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		int matches;
	} rows[] = {
		{ "alloc", "runtime.mallocgc", 1 },
		{ "Alloc", "runtime.mallocgc", 0 },
		{ "(?i)Alloc", "runtime.mallocgc", 1 },
		{ "^malloc$", "malloc", 1 },
		{ "^malloc$", "malloc\n", 0 },
		{ "a.c", "a\nc", 0 },
		{ "(?s)a.c", "a\nc", 1 },
		{ "^a.c$",
		  "a\xc3\xa4"
		  "c",
		  1 },
		{ "\\Qfoo()\\E$", "foo()", 1 },
		{ "(?P<name>f+)(o|a)", "fo", 1 },
		{ "[[:alpha:]]{3}\\d\\z", "abc1", 1 },
		{ "^\\w$", "\xc3\xa4", 0 },
		{ "\\p{Greek}", "\xce\xb1", 1 },
		{ "", "anything", 1 },
		{ "", "", 1 },
		{ "x", "", 0 },
	};
	struct error err;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (match(rows[i].pattern, slice_str(rows[i].text), &err) != rows[i].matches)
			fail_msg("%s on %s: not %d", rows[i].pattern, rows[i].text, rows[i].matches);
}

/* Names come from files: broken UTF-8 neither hides the rest of a name nor
 * counts as a character. */
static void broken_names_match_by_what_is_whole(void **state)
{
	(void)state;
	struct error err;
	assert_int_equal(match("main$", slice_str("\xff\xfemain"), &err), 1);
	assert_int_equal(match("^..main", slice_str("\xff\xfemain"), &err), 0);
	assert_int_equal(match("b", slice_of("a\0b", 3), &err), 1);
}

static void bad_patterns_are_explained(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
	} rows[] = {
		{ "(foo", "at character 5: missing closing parenthesis" },
		{ "[a", "at character 3: missing terminating ] for character class" },
		{ "*a", "at character 1: quantifier does not follow a repeatable item" },
		{ "\xc3\xa4(", "at character 3: missing closing parenthesis" },
		{ "(a)\\1", "at character 5: reference to non-existent subpattern" },
		{ "\xff", "at character 1: UTF-8 error: illegal byte (0xfe or 0xff)" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pattern *p = NULL;
		struct error err = { "" };
		int r = pattern_new(slice_str(rows[i].pattern), &p, &err);
		assert_int_equal(r, -EINVAL);
		assert_string_equal(err.text, rows[i].text);
		pattern_free(&p);
	}
	/* What would cut characters, and what would compile to megabytes. */
	static const char *const refused[] = { "a\\C", "((a{1000}){1000}){1000}" };
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct pattern *none = NULL;
		assert_int_equal(pattern_new(slice_str(refused[i]), &none, NULL), -EINVAL);
		assert_null(none);
	}
	char longer[PATTERN_SIZE_MAX + 1];
	memset(longer, 'a', sizeof(longer));
	struct pattern *p = NULL;
	struct error err;
	assert_int_equal(pattern_new(slice_of(longer, sizeof(longer) - 1), &p, &err), 0);
	pattern_free(&p);
	assert_int_equal(pattern_new(slice_of(longer, sizeof(longer)), &p, &err), -E2BIG);
	assert_string_equal(err.text, "the pattern has 1025 bytes: the limit is 1024");
}

/* A selector for one value must not choose others that merely hold it. */
static void whole_patterns_match_all_of_a_text(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		int matches;
	} rows[] = {
		{ "a|ab", "ab", 1 },
		{ "a|b", "ab", 0 },
		{ "web-.*", "web-1", 1 },
		{ "web", "web-1", 0 },
		{ "1", "web-1", 0 },
		{ "", "", 1 },
		{ "", "a", 0 },
		{ "\\Qa.b", "a.b", 1 },
		{ "(?x) a # )", "a", 1 },
		{ "(?m)a$", "a\nb", 0 },
		{ "a.b", "a\nb", 1 },
		{ "a\\Kb", "ab", 1 },
		{ "abc", "abc\xff", 0 },
		{ "abc",
		  "\xff\xfe"
		  "abc",
		  0 },
		{ ".*", "\xff", 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pattern *p = NULL;
		struct pattern_work work;
		assert_int_equal(pattern_new_whole(slice_str(rows[i].pattern), &p, NULL), 0);
		assert_int_equal(pattern_work_init(&work), 0);
		if (pattern_match(p, slice_str(rows[i].text), &work, NULL) != rows[i].matches)
			fail_msg("%s on %s: not %d", rows[i].pattern, rows[i].text, rows[i].matches);
		pattern_work_done(&work);
		pattern_free(&p);
	}
	struct pattern *none = NULL;
	struct error err;
	assert_int_equal(pattern_new_whole(slice_str("a)|(b"), &none, &err), -EINVAL);
	assert_string_equal(err.text, "at character 2: unmatched closing parenthesis");
}

/* Patterns that backtrack without end are refused, never taken for "no". */
static void hostile_patterns_end_in_an_error(void **state)
{
	(void)state;
	static const char *const patterns[] = { "(a+)+$", "^(a|aa)+$", "(a*)*b$|c", "(?:a?){60}a{60}z|(a|b|ab)*d$" };
	char name[4000];
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\x01';
	for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
		struct error err = { "" };
		assert_int_equal(match(patterns[i], slice_of(name, sizeof(name)), &err), -E2BIG);
		assert_memory_equal(err.text, "the pattern needs too much work on \"aaaa", 40);
		assert_null(strchr(err.text, '\x01'));
	}
}

/* Many names that each stay within their limit still have one together. */
static void work_adds_up(void **state)
{
	(void)state;
	_cleanup_(pattern_free)
	struct pattern *p = NULL;
	_cleanup_(pattern_work_done)
	struct pattern_work work = { 0 };
	struct error err;
	assert_int_equal(pattern_new(slice_str("(a+)+b$"), &p, &err), 0);
	assert_int_equal(pattern_work_init(&work), 0);
	static const char name[] = "aaaaaaaaaaaaaab ";
	assert_int_equal(pattern_match(p, slice_str(name), &work, &err), 0);
	assert_true(work.n_steps > PATTERN_FIRST_STEPS);
	work.n_steps = PATTERN_ALL_STEPS;
	assert_int_equal(pattern_match(p, slice_str(name), &work, &err), -E2BIG);
	assert_int_equal(pattern_match(p, slice_str("cheap"), &work, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(means_what_it_means_in_re2),
		cmocka_unit_test(broken_names_match_by_what_is_whole),
		cmocka_unit_test(bad_patterns_are_explained),
		cmocka_unit_test(whole_patterns_match_all_of_a_text),
		cmocka_unit_test(hostile_patterns_end_in_an_error),
		cmocka_unit_test(work_adds_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
