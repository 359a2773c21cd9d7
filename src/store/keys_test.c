/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "store/keys.h"

#include <errno.h>

#define HOUR INT64_C(3600000)
#define NOW  (480000 * HOUR)

static struct slice key_of(unsigned n)
{
	static char text[32];
	(void)snprintf(text, sizeof(text), "key-%u", n);
	return slice_str(text);
}

static struct key_ref stage(struct keys *k, unsigned n, int64_t now_ms)
{
	struct key_ref ref;
	assert_int_equal(keys_stage(k, key_of(n), now_ms, &ref), 0);
	return ref;
}

static void store(struct keys *k, unsigned n, int64_t now_ms)
{
	struct key_ref ref = stage(k, n, now_ms);
	keys_settle(k, &ref, true);
}

static void a_key_is_known_once_it_is_stored(void **state)
{
	(void)state;
	struct keys k;
	keys_init(&k, 7, 1 << 20);
	assert_int_equal(keys_state(&k, key_of(1)), KEY_UNKNOWN);
	struct key_ref a = stage(&k, 1, NOW), b = stage(&k, 2, NOW);
	assert_int_equal(keys_state(&k, key_of(1)), KEY_PENDING);
	keys_settle(&k, &a, true);
	keys_settle(&k, &b, false);
	assert_int_equal(keys_state(&k, key_of(1)), KEY_STORED);
	/* One whose profile was not stored may come again. */
	assert_int_equal(keys_state(&k, key_of(2)), KEY_UNKNOWN);
	store(&k, 2, NOW + 5 * HOUR);
	assert_int_equal(keys_state(&k, key_of(2)), KEY_STORED);
	/* No key is not a key. */
	struct key_ref none;
	assert_int_equal(keys_stage(&k, slice_of(NULL, 0), NOW, &none), 0);
	assert_false(none.is_set);
	keys_settle(&k, &none, true);
	assert_int_equal(keys_state(&k, slice_of(NULL, 0)), KEY_UNKNOWN);
	keys_done(&k);
	assert_int_equal(k.budget.used, 0);
}

static void keys_are_known_for_a_day(void **state)
{
	(void)state;
	struct keys k;
	keys_init(&k, 7, 1 << 20);
	for (unsigned h = 0; h < 100; h++) {
		store(&k, h, NOW + h * HOUR);
		for (unsigned old = 0; old <= h; old++) {
			bool in_a_day = (h - old) * HOUR <= KEYS_MAX_AGE_MS;
			if (in_a_day)
				assert_int_equal(keys_state(&k, key_of(old)), KEY_STORED);
			else if ((h - old - 2) * HOUR > KEYS_MAX_AGE_MS)
				assert_int_equal(keys_state(&k, key_of(old)), KEY_UNKNOWN);
		}
		assert_true(k.n <= KEYS_GENERATIONS && keys_count(&k) <= KEYS_GENERATIONS);
	}
	assert_int_equal(k.n_forgotten, 0);
	keys_done(&k);
}

static void when_memory_is_spent_the_oldest_go_and_are_counted(void **state)
{
	(void)state;
	struct keys k;
	unsigned n = 0;
	keys_init(&k, 7, 256 << 10);
	for (unsigned h = 0; h < 20; h++)
		for (unsigned i = 0; i < 2000; i++)
			store(&k, n++, NOW + h * HOUR);
	assert_true(k.n_forgotten > 0 && k.budget.used <= k.budget.max);
	assert_int_equal(keys_count(&k) + k.n_forgotten, n);
	assert_int_equal(keys_state(&k, key_of(0)), KEY_UNKNOWN);
	keys_done(&k);
	/* All memory is this hour's: profiles are taken without. */
	keys_init(&k, 7, 64 << 10);
	for (n = 0; n < 20000; n++)
		store(&k, n, NOW);
	assert_int_equal(keys_count(&k) + k.n_forgotten, n);
	assert_int_equal(keys_state(&k, key_of(0)), KEY_STORED);
	assert_int_equal(keys_state(&k, key_of(19999)), KEY_UNKNOWN);
	keys_done(&k);
}

/* Keys of one batch: the first may be forgotten, and its hour be there again, before it is settled. */
static void a_clock_that_jumps_spoils_nothing(void **state)
{
	(void)state;
	struct keys k;
	struct key_ref early[9];
	keys_init(&k, 7, 1 << 20);
	for (unsigned i = 0; i < ARRAY_SIZE(early); i++)
		early[i] = stage(&k, i, NOW);
	struct key_ref late = stage(&k, 100, NOW + 72 * HOUR);
	struct key_ref again = stage(&k, 101, NOW);
	for (unsigned i = 0; i < ARRAY_SIZE(early); i++)
		keys_settle(&k, &early[i], true);
	/* It is under way itself. */
	assert_int_equal(keys_state(&k, key_of(101)), KEY_PENDING);
	keys_settle(&k, &again, false);
	keys_settle(&k, &late, true);
	assert_int_equal(keys_state(&k, key_of(101)), KEY_UNKNOWN);
	assert_int_equal(keys_state(&k, key_of(100)), KEY_STORED);
	/* More hours than there are places, back and forth. */
	for (unsigned i = 0; i < 500; i++)
		store(&k, 1000 + i, NOW + (int64_t)(i * 7919 % 211) * HOUR);
	assert_true(k.n <= KEYS_GENERATIONS);
	keys_done(&k);
	assert_int_equal(k.budget.used, 0);
}

static void keys_of_blocks_are_known_again(void **state)
{
	(void)state;
	struct keys k, again;
	struct key_row rows[3];
	keys_init(&k, 7, 1 << 20);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = stage(&k, i, NOW + i * HOUR).row;
	rows[0].arrived_ms = NOW - 26 * HOUR;
	keys_done(&k);
	keys_init(&again, 7, 1 << 20);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(keys_add(&again, &rows[i], NOW + 2 * HOUR), 0);
		assert_int_equal(keys_add(&again, &rows[i], NOW + 2 * HOUR), 0);
	}
	/* One is older than a day, each is there once. */
	assert_int_equal(keys_count(&again), 2);
	assert_int_equal(keys_state(&again, key_of(0)), KEY_UNKNOWN);
	assert_int_equal(keys_state(&again, key_of(1)), KEY_STORED);
	keys_done(&again);
	/* With another seed they are other keys. */
	keys_init(&again, 8, 1 << 20);
	assert_int_equal(keys_add(&again, &rows[1], NOW), 0);
	assert_int_equal(keys_state(&again, key_of(1)), KEY_UNKNOWN);
	keys_done(&again);
}

/* Two whose low halves are the same: the place of the one is the other's next. */
static void keys_that_share_half_a_hash_are_two(void **state)
{
	(void)state;
	struct keys k;
	keys_init(&k, 7, 1 << 20);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(keys_add(&k, &(struct key_row){ { 5 + i / 50, i }, NOW }, NOW), 0);
	assert_int_equal(keys_count(&k), 100);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(keys_add(&k, &(struct key_row){ { 5 + i / 50, i }, NOW }, NOW), 0);
	assert_int_equal(keys_count(&k), 100);
	keys_done(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_known_once_it_is_stored),
		cmocka_unit_test(keys_are_known_for_a_day),
		cmocka_unit_test(when_memory_is_spent_the_oldest_go_and_are_counted),
		cmocka_unit_test(a_clock_that_jumps_spoils_nothing),
		cmocka_unit_test(keys_of_blocks_are_known_again),
		cmocka_unit_test(keys_that_share_half_a_hash_are_two),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
