/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/map_history.h"
#include "tests/unit.h"

static struct map_event mapped(pid_t pid, int64_t time_ns, uint64_t start, uint64_t end)
{
	return (struct map_event){
		.kind = MAP_EVENT_MAPPED, .pid = pid, .time_ns = time_ns, .start = start, .end = end
	};
}

static void add(struct map_history *h, struct map_event e)
{
	map_history_add(h, &e, 0);
}

static void the_latest_change_of_a_place_counts(void **state)
{
	struct map_history h = { 0 };
	add(&h, mapped(7, 100, 0x1000, 0x3000));
	add(&h, mapped(7, 300, 0x2000, 0x4000));
	add(&h, mapped(7, 200, 0x2000, 0x3000)); /* another CPU was told later */
	add(&h, mapped(8, 900, 0x1000, 0x9000));
	assert_int_equal(map_history_since(&h, 7, 0x1000, 0x2000), 100);
	assert_int_equal(map_history_since(&h, 7, 0x1fff, 0x2001), 300);
	assert_int_equal(map_history_since(&h, 7, 0x2fff, 0x3000), 300);
	assert_int_equal(map_history_since(&h, 7, 0x4000, 0x5000), 0);
	assert_int_equal(map_history_since(&h, 9, 0x1000, 0x5000), 0);
}

static void programs_are_no_mappings(void **state)
{
	struct map_history h = { 0 };
	add(&h, (struct map_event){ .kind = MAP_EVENT_EXEC, .pid = 7, .time_ns = 400 });
	add(&h, (struct map_event){ .kind = MAP_EVENT_EXEC, .pid = 7, .time_ns = 200 });
	assert_int_equal(map_history_last_exec(&h, 7), 400);
	assert_int_equal(map_history_last_exec(&h, 8), 0);
	assert_int_equal(map_history_since(&h, 7, 0, UINT64_MAX), 0);
}

static void what_is_forgotten_may_have_been_everywhere(void **state)
{
	struct map_history h = { 0 };
	for (int64_t i = 0; i < MAP_HISTORY_SIZE; i++)
		add(&h, mapped(7, 1000 + i, 0x1000, 0x2000));
	assert_int_equal(map_history_since(&h, 9, 0x1000, 0x2000), 0);
	add(&h, mapped(7, 5000, 0x1000, 0x2000));
	add(&h, mapped(7, 5001, 0x1000, 0x2000));
	assert_int_equal(map_history_since(&h, 9, 0x1000, 0x2000), 1001);
	const struct map_event lost = { .kind = MAP_EVENT_LOST };
	map_history_add(&h, &lost, 7000);
	assert_int_equal(map_history_since(&h, 9, 0x1000, 0x2000), 7000);
	assert_int_equal(map_history_since(&h, 7, 0x1000, 0x2000), 7000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_latest_change_of_a_place_counts),
		cmocka_unit_test(programs_are_no_mappings),
		cmocka_unit_test(what_is_forgotten_may_have_been_everywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
