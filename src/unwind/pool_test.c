/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/pool.h"
#include "unit.h"

#include <errno.h>

#define SEGMENTS 3

static int setup(void **state)
{
	struct pool *p = NULL;
	int r = pool_new(NULL, SEGMENTS, &p);
	*state = p;
	return r;
}

static int teardown(void **state)
{
	struct pool *p = *state;
	pool_free_all(&p);
	return 0;
}

static void words_do_not_overlap_and_come_back(void **state)
{
	struct pool *p = *state;
	enum { N = 500 };
	uint32_t word[N], size[N], n = 0;
	for (uint32_t i = 0; i < N; i++) {
		size[i] = 1 + i * 37 % 3000;
		int r = pool_alloc(p, size[i], &word[i]);
		if (r == -ENOBUFS)
			break;
		assert_int_equal(r, 0);
		assert_true(word[i] != 0);
		/* Within one segment. */
		assert_int_equal(word[i] >> POOL_SEGMENT_BITS, (word[i] + size[i] - 1) >> POOL_SEGMENT_BITS);
		uint32_t *words = pool_words(p, word[i], size[i]);
		assert_non_null(words);
		for (uint32_t k = 0; k < size[i]; k++)
			words[k] = i;
		n++;
	}
	assert_true(n > 100);
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < size[i]; k++)
			assert_int_equal(pool_words(p, word[i], size[i])[k], i);
	assert_true(pool_stats(p).n_segments > 1);
	for (uint32_t i = 0; i < n; i++)
		pool_free(p, word[i], size[i]);
	assert_true(pool_has_withdrawn(p));
	pool_reclaim(p);
	assert_int_equal(pool_stats(p).n_segments, 0);
	assert_int_equal(pool_stats(p).n_used_words, 0);
}

/* A program that runs may still read what was taken back. */
static void withdrawn_words_are_not_given_out_before_reclaim(void **state)
{
	struct pool *p = *state;
	uint32_t most = POOL_SEGMENT_WORDS - 2 * POOL_UNIT_WORDS, word[SEGMENTS], again;
	for (uint32_t i = 0; i < SEGMENTS; i++)
		assert_int_equal(pool_alloc(p, most, &word[i]), 0);
	pool_free(p, word[1], most);
	assert_int_equal(pool_alloc(p, most, &again), -ENOBUFS);
	pool_reclaim(p);
	assert_int_equal(pool_alloc(p, most, &again), 0);
	assert_int_equal(again, word[1]);
	assert_int_equal(pool_alloc(p, POOL_SEGMENT_WORDS, &again), -E2BIG);
}

static void slots_are_reused_after_reclaim_only(void **state)
{
	struct pool *p = *state;
	uint32_t slot, first = pool_new_slot(p), n = 1;
	assert_true(first >= TABLE_FIRST);
	while ((slot = pool_new_slot(p)) != 0)
		n++;
	assert_int_equal(n, POOL_MAX_TABLES - TABLE_FIRST);
	pool_set_table(p, first, &(struct pool_table){ 7, 3 });
	assert_int_equal(pool_tables(p)[first].n_pages, 3);
	pool_drop_slot(p, first);
	assert_int_equal(pool_tables(p)[first].pages, 0);
	assert_int_equal(pool_new_slot(p), 0);
	pool_reclaim(p);
	assert_int_equal(pool_new_slot(p), first);
}

static void equal_rules_have_one_number(void **state)
{
	struct pool *p = *state;
	struct unwind_rule rule = { .cfa = RULE_SP, .ra_off = -8 };
	uint16_t id[3];
	for (int i = 0; i < 3; i++) {
		rule.cfa_off = i % 2 ? 16 : 8;
		id[i] = pool_rule(p, &rule);
		assert_memory_equal(&pool_rules(p)[id[i]], &rule, sizeof(rule));
	}
	assert_int_equal(id[0], id[2]);
	assert_int_not_equal(id[0], id[1]);
}

/* Never another rule: its frames would be wrong. */
static void a_rule_without_room_is_unsupported(void **state)
{
	struct pool *p = *state;
	struct unwind_rule rule = { .cfa = RULE_SP, .ra_off = -8 };
	for (int i = 0; i < POOL_MAX_RULES + 10; i++) {
		rule.cfa_off = 8 * i;
		uint16_t id = pool_rule(p, &rule);
		if (pool_stats(p).n_rules_full == 0)
			assert_memory_equal(&pool_rules(p)[id], &rule, sizeof(rule));
		else
			assert_int_equal(pool_rules(p)[id].cfa, RULE_UNSUPPORTED);
	}
	assert_int_equal(pool_stats(p).n_rules_full, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(words_do_not_overlap_and_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(withdrawn_words_are_not_given_out_before_reclaim, setup, teardown),
		cmocka_unit_test_setup_teardown(slots_are_reused_after_reclaim_only, setup, teardown),
		cmocka_unit_test_setup_teardown(equal_rules_have_one_number, setup, teardown),
		cmocka_unit_test_setup_teardown(a_rule_without_room_is_unsupported, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
