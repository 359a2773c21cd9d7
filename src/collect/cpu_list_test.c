/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/cpu_list.h"
#include "unit.h"

#include <errno.h>

static void test_lists(void **state)
{
	uint32_t cpus[CPUS_MAX], n = 0;
	assert_int_equal(cpu_list_parse(slice_str("0-3,8,10-11\n"), cpus, &n), 0);
	const uint32_t expected[] = { 0, 1, 2, 3, 8, 10, 11 };
	assert_int_equal(n, ARRAY_SIZE(expected));
	assert_memory_equal(cpus, expected, sizeof(expected));
	assert_int_equal(cpu_list_parse(slice_str("0"), cpus, &n), 0);
	assert_int_equal(n, 1);
}

static void test_bad_lists(void **state)
{
	uint32_t cpus[CPUS_MAX], n;
	static const char *const bad[] = {
		"", "\n", "a", "3-1", "0-", "-1", "0;1", "0-3-5", "99999999999999999999", "18446744073709551615"
	};
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(cpu_list_parse(slice_str(bad[i]), cpus, &n), -EBADMSG);
	assert_int_equal(cpu_list_parse(slice_str("0-1024"), cpus, &n), -E2BIG);
	assert_int_equal(cpu_list_parse(slice_str("0-18446744073709551615"), cpus, &n), -E2BIG);
	assert_int_equal(cpu_list_parse(slice_str("0-1023,5"), cpus, &n), -E2BIG);
	assert_int_equal(cpu_list_parse(slice_str("0-1023"), cpus, &n), 0);
}

/* Cycles become time through this: 2 CPUs for 100 s, of which 150 s idle. */
static void test_busy_time(void **state)
{
	int64_t ns = 0, tick = 1000000000 / sysconf(_SC_CLK_TCK);
	char text[256];
	(void)snprintf(text, sizeof(text), "cpu  1 2 3 %lld %lld 6 7 %lld 0 0\ncpu0 1 2 3\n",
		       (long long)(100000000000 / tick), (long long)(40000000000 / tick),
		       (long long)(10000000000 / tick));
	assert_true(busy_time_parse(slice_str(text), 100000000000, 2, &ns));
	assert_int_equal(ns, 50000000000);
	assert_false(busy_time_parse(slice_str(""), 1, 1, &ns));
	assert_false(busy_time_parse(slice_str("cpu  1 2 3"), 1, 1, &ns));
	assert_false(busy_time_parse(slice_str("intr 1 2 3 4 5 6 7 8"), 1, 1, &ns));
}

static void test_this_machine(void **state)
{
	uint32_t cpus[CPUS_MAX], n;
	int64_t ns;
	struct error err;
	assert_int_equal(cpu_list_online(cpus, &n, &err), 0);
	assert_int_equal(n, sysconf(_SC_NPROCESSORS_ONLN));
	assert_true(busy_time_read(n, &ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_bad_lists),
		cmocka_unit_test(test_busy_time),
		cmocka_unit_test(test_this_machine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
