/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "store/guard.h"

#include <string.h>

#define DAY_MS 86400000

static struct intake intake_of(const char *service, char *name, int n, int64_t at)
{
	struct intake in = { .received_ms = at };
	in.label[SERIES_SERVICE] = slice_str(service);
	(void)snprintf(name, 32, "host-%d", n);
	in.label[SERIES_HOST] = slice_str(name);
	return in;
}

static bool is_other(const struct intake *in, enum series_label l)
{
	return slice_eq(in->label[l], slice_str(GUARD_OTHER));
}

/* A label with a new value each time must not make a series each time; those that were there before go on. */
static void values_over_the_limit_are_one(void **state)
{
	struct guard g;
	char name[32];
	guard_init(&g, &(struct guard_limits){ .n_series = 1000, .n_values = 10 }, 1, 1 << 20);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 30; i++) {
			struct intake in = intake_of("api", name, i, DAY_MS + round);
			guard_fold(&g, &in);
			assert_int_equal(is_other(&in, SERIES_HOST), i >= 10);
			assert_true(slice_eq(in.label[SERIES_SERVICE], slice_str("api")));
		}
	}
	assert_int_equal(g.n_folded_values, 3 * 20);
	/* The next day starts anew. */
	struct intake in = intake_of("api", name, 25, 3 * (int64_t)DAY_MS);
	guard_fold(&g, &in);
	assert_false(is_other(&in, SERIES_HOST));
	guard_done(&g);
	assert_int_equal(g.budget.used, 0);
}

static void series_over_the_limit_lose_their_narrowest_labels(void **state)
{
	struct guard g;
	char name[32];
	unsigned n_other = 0;
	guard_init(&g, &(struct guard_limits){ .n_series = 20, .n_values = 1000 }, 1, 1 << 20);
	for (int i = 0; i < 100; i++) {
		struct intake in = intake_of(i % 2 ? "api" : "db", name, i, DAY_MS);
		guard_fold(&g, &in);
		n_other += is_other(&in, SERIES_HOST);
		assert_true(g.series.n <= 20);
	}
	/* Both services had their say before it was full, so all folded ones are theirs or everybody's. */
	assert_true(n_other >= 80);
	assert_int_equal(g.n_folded_series, n_other);
	guard_done(&g);
}

/* Without memory to know it, a value counts as over the limit. */
static void no_memory_folds_too(void **state)
{
	struct guard g;
	char name[32];
	unsigned n_other = 0;
	guard_init(&g, &(struct guard_limits){ .n_series = 1000000, .n_values = 1000000 }, 1, 4096);
	for (int i = 0; i < 1000; i++) {
		struct intake in = intake_of("api", name, i, DAY_MS);
		guard_fold(&g, &in);
		n_other += is_other(&in, SERIES_HOST);
	}
	assert_true(n_other > 500);
	assert_true(g.budget.used <= 4096);
	guard_done(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_over_the_limit_are_one),
		cmocka_unit_test(series_over_the_limit_lose_their_narrowest_labels),
		cmocka_unit_test(no_memory_folds_too),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
