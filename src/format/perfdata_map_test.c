/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/perfdata_map.h"

#include <string.h>

#define SPACE 512

/* Two spaces against two arrays, through forks. */
static void maps_say_what_a_plain_array_says(void **state)
{
	(void)state;
	static uint32_t want[2][SPACE];
	struct map_pool pool;
	struct map_space spaces[2];
	uint32_t random = 1;
	assert_int_equal(map_pool_init(&pool, 7, 1 << 20, NULL), 0);
	map_space_init(&pool, &spaces[0]);
	map_space_init(&pool, &spaces[1]);
	for (uint32_t i = 1; i < 5000; i++) {
		random = random * 1664525 + 1013904223;
		uint32_t which = random >> 31, start = random >> 8 & (SPACE - 1), size = (random >> 20 & 63) + 1;
		uint32_t stop = start + size < SPACE ? start + size : SPACE;
		if (i % 50 == 0) {
			map_space_fork(&pool, &spaces[which], &spaces[!which]);
			memcpy(want[!which], want[which], sizeof(want[0]));
		}
		uint32_t area = i % 7 ? i : 0;
		if (area)
			map_space_put(&pool, &spaces[which], start, stop, area);
		else
			map_space_drop(&pool, &spaces[which], start, stop);
		for (uint32_t k = start; k < stop; k++)
			want[which][k] = area;
		for (uint32_t k = 0; k < 2 * SPACE; k++)
			assert_int_equal(map_space_find(&pool, &spaces[k & 1], k / 2), want[k & 1][k / 2]);
	}
	assert_int_equal(pool.error, 0);
	map_pool_done(&pool);
}

/* Maps in falling order and a fork after each: no copies of whole spaces. */
static void many_maps_and_forks_stay_cheap(void **state)
{
	(void)state;
	const uint32_t n = 100000;
	struct map_pool pool;
	struct map_space space, child;
	assert_int_equal(map_pool_init(&pool, 7, 16 << 20, NULL), 0);
	map_space_init(&pool, &space);
	map_space_init(&pool, &child);
	for (uint32_t i = n; i > 0; i--) {
		map_space_put(&pool, &space, (uint64_t)i << 12, ((uint64_t)i << 12) + 4096, i);
		map_space_fork(&pool, &space, &child);
	}
	assert_int_equal(pool.error, 0);
	assert_true(pool.nodes.n < 40 * n);
	assert_int_equal(map_space_find(&pool, &child, (uint64_t)n << 12), n);
	map_pool_done(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_say_what_a_plain_array_says),
		cmocka_unit_test(many_maps_and_forks_stay_cheap),
	};
	return cmocka_run_group_tests_name("perfdata_map", tests, NULL, NULL);
}
