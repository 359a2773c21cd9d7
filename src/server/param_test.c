/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "server/options.h"
#include "server/param.h"
#include "server/workmem.h"

#include <errno.h>
#include <string.h>

static void numbers_are_taken_whole_or_not_at_all(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{ "0", 0 }, { "007", 7 }, { "9223372036854775807", INT64_MAX }, { "-9223372036854775808", INT64_MIN }
	};
	static const char *const bad[] = {
		"", "-", "+1", "1 ", " 1", "1.0", "1e3", "0x10", "9223372036854775808", "-9223372036854775809", "--1",
	};
	int64_t v;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(param_parse_int(good[i].text, INT64_MIN, INT64_MAX, &v), 0);
		assert_true(v == good[i].value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(param_parse_int(bad[i], INT64_MIN, INT64_MAX, &v), -EINVAL);
	assert_int_equal(param_parse_int("5", 6, 7, &v), -EINVAL);
	assert_int_equal(param_parse_int("8", 6, 7, &v), -EINVAL);
}

static void times_may_be_relative(void **state)
{
	(void)state;
	const int64_t now = 1700000000000;
	static const struct {
		const char *text;
		int64_t value;
	} good[] = {
		{ "now", now },
		{ "now-15m", now - 900000 },
		{ "now-1s", now - 1000 },
		{ "now-2h", now - 7200000 },
		{ "now-30d", now - 2592000000 },
		{ "now-0s", now },
		{ "1699999999999", now - 1 },
		{ "now-99999999d", 0 },
	};
	static const char *const bad[] = { "",
					   "yesterday",
					   "now-",
					   "now-5",
					   "now-m",
					   "now+5m",
					   "NOW",
					   "now-5M",
					   "now--5m",
					   "now-5m5m",
					   "now-1.5h",
					   "-5",
					   "now ",
					   "now-5w",
					   "5m",
					   "9999999999999999",
					   "now-9999999999999999999s" };
	int64_t v;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(param_parse_time(good[i].text, now, &v), 0);
		assert_true(v == good[i].value);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(param_parse_time(bad[i], now, &v), -EINVAL);
}

static void texts_are_utf8_without_control_characters(void **state)
{
	(void)state;
	assert_true(param_is_text("caf\xc3\xa9 \xe2\x82\xac"));
	assert_true(param_is_text(""));
	assert_false(param_is_text("a\nb"));
	assert_false(param_is_text("\x7f"));
	assert_false(param_is_text("\xff"));
	assert_false(param_is_text("\xc3"));
	assert_false(param_is_text("\xed\xa0\x80")); /* a surrogate */
}

static void sizes_have_units(void **state)
{
	(void)state;
	uint64_t v;
	assert_int_equal(options_size("512M", &v), 0);
	assert_true(v == 512 << 20);
	assert_int_equal(options_size("10g", &v), 0);
	assert_true(v == (uint64_t)10 << 30);
	assert_int_equal(options_size("4096", &v), 0);
	assert_int_equal(v, 4096);
	static const char *const bad[] = {
		"", "M", "10MB", "1.5G", "-1", "10 M", "99999999999999T", "18446744073709551616"
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(options_size(bad[i], &v), -EINVAL);
}

static void times_have_units(void **state)
{
	(void)state;
	int64_t v;
	assert_int_equal(options_duration("90s", &v), 0);
	assert_int_equal(v, 90000);
	assert_int_equal(options_duration("2h", &v), 0);
	assert_int_equal(v, 7200000);
	assert_int_equal(options_duration("999999999d", &v), 0);
	assert_true(v == 999999999 * INT64_C(86400000));
	static const char *const bad[] = { "", "s", "0s", "10", "1.5h", "-1s", "1 h", "1hh", "1M", "9999999999s" };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(options_duration(bad[i], &v), -EINVAL);
}

static int parse(struct options *o, const char *a, const char *b, struct error *err)
{
	char *argv[] = { (char *)(uintptr_t) "wick-server", (char *)(uintptr_t)a, (char *)(uintptr_t)b, NULL };
	return options_parse(o, b ? 3 : a ? 2 : 1, argv, err);
}

/* An argument wins over the environment, the environment over the default. */
static void settings_come_from_arguments_and_environment(void **state)
{
	(void)state;
	struct options o;
	struct error err = { "" };
	assert_int_equal(setenv("WICK_LISTEN", "127.0.0.2:5000", 1), 0);
	assert_int_equal(setenv("WICK_DATA", "/tmp/from-environment", 1), 0);
	assert_int_equal(parse(&o, NULL, NULL, &err), 0);
	assert_string_equal(o.address, "127.0.0.2");
	assert_int_equal(o.port, 5000);
	assert_string_equal(o.data, "/tmp/from-environment");
	assert_int_equal(parse(&o, "--listen", "[::1]:0", &err), 0);
	assert_string_equal(o.address, "[::1]");
	assert_int_equal(parse(&o, "--listen=localhost:1", NULL, &err), 0);
	assert_string_equal(o.address, "127.0.0.1");
	/* Nothing but loopback without a clear word. */
	assert_int_equal(parse(&o, "--listen", "0.0.0.0:4040", &err), -EINVAL);
	assert_non_null(strstr(err.text, "--insecure"));
	assert_int_equal(parse(&o, "--listen", "127.0.0.1.example:4040", &err), -EINVAL);
	assert_int_equal(setenv("WICK_INSECURE", "1", 1), 0);
	assert_int_equal(parse(&o, "--listen", "0.0.0.0:4040", &err), 0);
	assert_int_equal(unsetenv("WICK_INSECURE"), 0);
	assert_int_equal(setenv("WICK_LISTEN", "rubbish", 1), 0);
	assert_int_equal(parse(&o, NULL, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "WICK_LISTEN"));
	assert_int_equal(unsetenv("WICK_LISTEN"), 0);
	assert_int_equal(parse(&o, "--memory-limit", "1M", &err), -EINVAL);
	assert_int_equal(parse(&o, "--data", NULL, &err), -EINVAL);
	assert_int_equal(parse(&o, "--version=1", NULL, &err), -EINVAL);
	assert_int_equal(unsetenv("WICK_DATA"), 0);
}

static void work_memory_never_goes_beyond_its_size(void **state)
{
	(void)state;
	struct workmem w;
	size_t a, b, c;
	assert_int_equal(workmem_init(&w, 100), 0);
	assert_true(workmem_take(&w, 60, 0, &a));
	assert_false(workmem_take(&w, 60, 1, &b));
	assert_true(workmem_take(&w, 40, 0, &b));
	workmem_give(&w, a);
	assert_false(workmem_take(&w, 1000, 1, &c));
	workmem_give(&w, b);
	assert_true(workmem_take(&w, 1000, 0, &c));
	assert_int_equal(c, 100);
	workmem_give(&w, c);
	assert_int_equal(w.used, 0);
	workmem_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_taken_whole_or_not_at_all),
		cmocka_unit_test(times_may_be_relative),
		cmocka_unit_test(texts_are_utf8_without_control_characters),
		cmocka_unit_test(sizes_have_units),
		cmocka_unit_test(times_have_units),
		cmocka_unit_test(settings_come_from_arguments_and_environment),
		cmocka_unit_test(work_memory_never_goes_beyond_its_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
