/* SPDX-License-Identifier: Apache-2.0 */
/* The planner alone: its blocks hold nothing but numbers, and a plan is carried
 * out by adding those up. */
#include "unit.h"

#include "store/compaction.h"

#include <string.h>

#define MIN  INT64_C(60000)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define T0   (20000 * DAY)

struct world {
	struct block *blocks[4096];
	uint32_t n;
	uint32_t next_id;
	struct compaction_limits limits;
	uint64_t n_profiles, n_gone; /* that came, that went with a whole block */
	uint64_t n_rounds;
	uint64_t rewritten; /* nodes */
};

static void world_init(struct world *w)
{
	*w = (struct world){ .limits = { .now_ms = T0,
					 .n_nodes = 100000,
					 .raw_age_ms = 30 * DAY,
					 .sums_age_ms = 400 * DAY,
					 .bytes = UINT64_MAX } };
}

static void world_done(struct world *w)
{
	while (w->n > 0)
		free(w->blocks[--w->n]);
}

static struct block *put(struct world *w, const struct block *like)
{
	assert_true(w->n < ARRAY_SIZE(w->blocks));
	struct block *b = malloc(sizeof(*b));
	assert_non_null(b);
	*b = *like;
	w->next_id++;
	memcpy(b->id.byte, &w->next_id, sizeof(w->next_id));
	w->blocks[w->n++] = b;
	return b;
}

/* What a flush writes: one block of a day. */
static struct block *flushed(struct world *w, int64_t day_ms, uint64_t n_nodes)
{
	int64_t from = day_ms / DAY * DAY;
	w->n_profiles += 10;
	return put(w, &(struct block){ .size = n_nodes * 10,
				       .starts_from_ms = from,
				       .starts_to_ms = from + DAY,
				       .arrived_from_ms = w->limits.now_ms,
				       .arrived_to_ms = w->limits.now_ms,
				       .n_profiles = 10,
				       .n_nodes = n_nodes,
				       .resolutions = 1u << RES_RAW });
}

static void drop(struct world *w, const struct block *gone)
{
	uint32_t i = 0;
	while (i < w->n && w->blocks[i] != gone)
		i++;
	assert_true(i < w->n); /* a plan of a block that is there, and once */
	free(w->blocks[i]);
	w->blocks[i] = w->blocks[--w->n];
}

static void carry_out(struct world *w, const struct compaction *c)
{
	struct block sum = *c->block[0];
	assert_true(c->n >= 1 && c->n <= COMPACTION_MAX);
	if (c->why == COMPACT_EXPIRE || c->why == COMPACT_EVICT) {
		assert_int_equal(c->n, 1);
		w->n_gone += sum.n_profiles;
		drop(w, c->block[0]);
		return;
	}
	sum.level = sum.size = sum.n_profiles = sum.n_nodes = 0;
	for (uint32_t i = 0; i < c->n; i++) {
		struct block *b = c->block[i];
		assert_false(b->is_bad);
		assert_true(b->starts_from_ms == sum.starts_from_ms && b->starts_to_ms == sum.starts_to_ms);
		/* Sums of what has its raw profiles, or what has only sums: never both at once. */
		assert_int_equal(b->resolutions & 1u << RES_RAW, c->block[0]->resolutions & 1u << RES_RAW);
		assert_true(c->why == COMPACT_MERGE || b->resolutions & 1u << RES_5MIN);
		sum.level = b->level + 1 > sum.level ? b->level + 1 : sum.level;
		sum.size += b->size;
		sum.n_profiles += b->n_profiles;
		/* Names that they share. */
		sum.n_nodes += c->n == 1 ? b->n_nodes : b->n_nodes / 2 + 1;
		if (b->arrived_from_ms < sum.arrived_from_ms)
			sum.arrived_from_ms = b->arrived_from_ms;
		if (b->arrived_to_ms > sum.arrived_to_ms)
			sum.arrived_to_ms = b->arrived_to_ms;
		w->rewritten += b->n_nodes;
	}
	assert_true(c->n == 1 || c->n_nodes <= w->limits.n_nodes);
	sum.resolutions = 0;
	for (unsigned r = c->finest; r < N_RESOLUTIONS; r++)
		sum.resolutions |= 1u << r;
	if (c->finest > RES_RAW)
		sum.size /= 4;
	for (uint32_t i = 0; i < c->n; i++)
		drop(w, c->block[i]);
	(void)put(w, &sum);
}

/* Until there is nothing to do, which must come. */
static void tidy(struct world *w)
{
	struct compaction plan;
	for (int rounds = 0;; rounds++) {
		struct block *list[ARRAY_SIZE(w->blocks)];
		memcpy(list, w->blocks, w->n * sizeof(list[0]));
		if (!compaction_plan(list, w->n, &w->limits, &plan))
			return;
		assert_true(rounds < 2000);
		carry_out(w, &plan);
		w->n_rounds++;
	}
}

static uint64_t count(const struct world *w)
{
	uint64_t n = w->n_gone;
	for (uint32_t i = 0; i < w->n; i++)
		n += w->blocks[i]->n_profiles;
	return n;
}

static void check(const struct world *w)
{
	assert_int_equal(count(w), w->n_profiles);
}

static void four_of_a_level_become_one_while_the_day_goes_on(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	for (int i = 1; i <= 40; i++) {
		w.limits.now_ms += MIN;
		(void)flushed(&w, T0, 100);
		tidy(&w);
		check(&w);
		/* As the digits of i to the base 4. */
		uint32_t digits = 0;
		for (int v = i; v; v /= 4)
			digits += (uint32_t)(v % 4);
		assert_int_equal(w.n, digits);
	}
	world_done(&w);
}

static void a_day_that_is_over_becomes_one_block_with_sums(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	for (int i = 0; i < 24; i++) {
		w.limits.now_ms = T0 + i * HOUR;
		(void)flushed(&w, T0, 100);
		tidy(&w);
	}
	w.limits.now_ms = T0 + DAY + HOUR;
	tidy(&w);
	assert_true(w.n > 1);
	w.limits.now_ms++;
	tidy(&w);
	assert_int_equal(w.n, 1);
	assert_int_equal(w.blocks[0]->resolutions, (1u << N_RESOLUTIONS) - 1);
	check(&w);
	/* A late one waits until nothing came for a while. */
	(void)flushed(&w, T0, 100);
	tidy(&w);
	assert_int_equal(w.n, 2);
	w.limits.now_ms += 15 * MIN;
	tidy(&w);
	assert_int_equal(w.n, 2);
	w.limits.now_ms++;
	tidy(&w);
	assert_int_equal(w.n, 1);
	check(&w);
	world_done(&w);
}

static void a_single_block_of_a_day_gets_its_sums_once(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	(void)flushed(&w, T0 - 10 * DAY, 1000000); /* more nodes than may be merged */
	w.limits.now_ms += HOUR;
	tidy(&w);
	assert_int_equal(w.n_rounds, 1);
	assert_true(w.blocks[0]->resolutions & 1u << RES_DAY);
	world_done(&w);
}

/* Late profiles of a day whose large block has no room for them. */
static void late_ones_do_not_pile_up_beside_a_full_block(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	(void)flushed(&w, T0 - 2 * DAY, 99000);
	for (int i = 0; i < 500; i++) {
		w.limits.now_ms += HOUR;
		(void)flushed(&w, T0 - 2 * DAY, 1500);
		tidy(&w);
		check(&w);
		assert_true(w.n <= 32);
		w.limits.now_ms += HOUR;
		tidy(&w);
		check(&w);
		assert_int_equal(w.n, 2);
	}
	world_done(&w);
}

static void months_of_flushes_leave_a_bounded_number_of_blocks(void **state)
{
	(void)state;
	struct world w;
	uint32_t most = 0, seed = 1;
	uint64_t written = 0;
	world_init(&w);
	w.limits.raw_age_ms = 20 * DAY;
	w.limits.sums_age_ms = 60 * DAY;
	for (int i = 0; i < 24 * 150; i++) {
		w.limits.now_ms += HOUR;
		seed = seed * 1664525 + 1013904223;
		uint64_t nodes = 200 + (seed >> 8) % 2000;
		(void)flushed(&w, w.limits.now_ms - HOUR, nodes);
		written += nodes;
		/* Agents that were away, clocks that are wrong. */
		if (seed >> 28 == 0)
			(void)flushed(&w, w.limits.now_ms - 40 * DAY, 50);
		if (seed >> 28 == 1)
			(void)flushed(&w, w.limits.now_ms + 3 * DAY, 50);
		tidy(&w);
		check(&w);
		most = w.n > most ? w.n : most;
	}
	/* A block a day, a few more for the days under way and those that were hit late. */
	assert_true(most < 60 * 2 + 60);
	assert_true(w.rewritten < written * 8);
	assert_true(w.n_gone > 0);
	world_done(&w);
}

static void raw_profiles_go_by_age_and_sums_later(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	(void)flushed(&w, T0, 100);
	w.limits.now_ms = T0 + 2 * DAY;
	tidy(&w);
	w.limits.now_ms = T0 + 30 * DAY;
	tidy(&w);
	assert_true(w.blocks[0]->resolutions & 1u << RES_RAW);
	w.limits.now_ms++;
	tidy(&w);
	assert_int_equal(w.blocks[0]->resolutions, (1u << N_RESOLUTIONS) - 2);
	check(&w);
	/* What comes for this day now has its raw profiles for as long as any. */
	(void)flushed(&w, T0, 100);
	w.limits.now_ms += DAY;
	tidy(&w);
	assert_int_equal(w.n, 2);
	w.limits.now_ms += 30 * DAY;
	tidy(&w);
	assert_int_equal(w.n, 1);
	check(&w);
	w.limits.now_ms += 400 * DAY;
	tidy(&w);
	assert_int_equal(w.n, 0);
	check(&w);
	world_done(&w);
}

static void for_space_raw_goes_first_and_the_oldest_first(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	for (int day = 0; day < 10; day++) {
		w.limits.now_ms = T0 + day * DAY + 23 * HOUR;
		(void)flushed(&w, T0 + day * DAY, 100); /* 1000 bytes */
	}
	w.limits.now_ms = T0 + 12 * DAY;
	tidy(&w);
	assert_int_equal(w.n, 10);
	w.limits.bytes = 9000;
	tidy(&w);
	assert_int_equal(w.n, 10);
	unsigned thin = 0;
	for (uint32_t i = 0; i < w.n; i++)
		if (!(w.blocks[i]->resolutions & 1u << RES_RAW)) {
			thin++;
			assert_true(w.blocks[i]->starts_from_ms <= T0 + DAY);
		}
	assert_int_equal(thin, 2);
	/* Less than all sums take: whole blocks go, those that came first. */
	w.limits.bytes = 1000;
	tidy(&w);
	assert_int_equal(w.n, 4);
	for (uint32_t i = 0; i < w.n; i++)
		assert_true(w.blocks[i]->starts_from_ms >= T0 + 6 * DAY);
	check(&w);
	w.limits.bytes = 0;
	tidy(&w);
	assert_int_equal(w.n, 0);
	check(&w);
	world_done(&w);
}

static void blocks_that_cannot_be_read_are_left_alone_until_their_time(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	for (int i = 0; i < 8; i++)
		flushed(&w, T0, 100)->is_bad = i % 2;
	w.limits.now_ms = T0 + 5 * DAY;
	tidy(&w);
	assert_int_equal(w.n, 5);
	check(&w);
	w.limits.now_ms = T0 + 50 * DAY;
	tidy(&w);
	assert_int_equal(w.n, 5);
	w.limits.now_ms = T0 + 401 * DAY;
	tidy(&w);
	assert_int_equal(w.n, 0);
	check(&w);
	world_done(&w);
}

static void more_blocks_than_fit_into_one_plan_are_merged_in_turns(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	for (int i = 0; i < 1000; i++)
		(void)flushed(&w, T0 - 3 * DAY, 10);
	/* A day that is over, and not quiet: too many all the same. */
	tidy(&w);
	check(&w);
	assert_true(w.n < 32);
	w.limits.now_ms += HOUR;
	tidy(&w);
	assert_int_equal(w.n, 1);
	check(&w);
	world_done(&w);
}

static void any_state_comes_to_rest(void **state)
{
	(void)state;
	uint32_t seed = 5;
	for (int run = 0; run < 300; run++) {
		struct world w;
		world_init(&w);
		for (int i = 0; i < 60; i++) {
			uint32_t v = (seed = seed * 1664525 + 1013904223) >> 4;
			struct block *b = flushed(&w, T0 + (int64_t)(v % 5) * DAY - 2 * DAY, v / 5 % 60000);
			b->level = v / 7 % 20;
			b->resolutions = v / 11 % 3 == 0 ? 1 : v / 11 % 3 == 1 ? 15 : 14;
			b->is_bad = v / 13 % 10 == 0;
			b->arrived_to_ms -= (int64_t)(v / 17 % 500) * DAY;
		}
		w.limits.bytes = run % 3 ? UINT64_MAX : 1000000;
		tidy(&w);
		check(&w);
		w.limits.now_ms += 10 * DAY;
		tidy(&w);
		check(&w);
		world_done(&w);
	}
}

/* Else an old key would have to be kept for as long as sums are. */
static void what_rests_is_sealed_with_the_key_of_now_once(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	for (int i = 0; i < 3; i++)
		(void)flushed(&w, w.limits.now_ms - i * DAY, 1000);
	w.blocks[0]->resolutions = 15;
	w.blocks[1]->resolutions = 14; /* only sums */
	w.blocks[2]->resolutions = 15;
	(void)snprintf(w.blocks[2]->key_id, sizeof(w.blocks[2]->key_id), "new");
	w.limits.now_ms += 10 * DAY;
	struct compaction plan;
	struct block *list[3];
	memcpy(list, w.blocks, sizeof(list));
	assert_false(compaction_plan(list, 3, &w.limits, &plan));
	w.limits.key_id = "new";
	for (int i = 0; i < 2; i++) {
		memcpy(list, w.blocks, sizeof(list));
		assert_true(compaction_plan(list, 3, &w.limits, &plan));
		assert_int_equal(plan.why, COMPACT_RESEAL);
		assert_int_equal(plan.n, 1);
		assert_string_equal(plan.block[0]->key_id, "");
		assert_int_equal(plan.finest, plan.block[0]->resolutions == 15 ? RES_RAW : RES_5MIN);
		(void)snprintf(plan.block[0]->key_id, sizeof(plan.block[0]->key_id), "new");
	}
	memcpy(list, w.blocks, sizeof(list));
	assert_false(compaction_plan(list, 3, &w.limits, &plan));
	/* One that memory cannot hold stays as it is. */
	w.limits.key_id = "newer";
	w.limits.n_nodes = 999;
	assert_false(compaction_plan(list, 3, &w.limits, &plan));
	world_done(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(four_of_a_level_become_one_while_the_day_goes_on),
		cmocka_unit_test(a_day_that_is_over_becomes_one_block_with_sums),
		cmocka_unit_test(a_single_block_of_a_day_gets_its_sums_once),
		cmocka_unit_test(late_ones_do_not_pile_up_beside_a_full_block),
		cmocka_unit_test(months_of_flushes_leave_a_bounded_number_of_blocks),
		cmocka_unit_test(raw_profiles_go_by_age_and_sums_later),
		cmocka_unit_test(for_space_raw_goes_first_and_the_oldest_first),
		cmocka_unit_test(blocks_that_cannot_be_read_are_left_alone_until_their_time),
		cmocka_unit_test(more_blocks_than_fit_into_one_plan_are_merged_in_turns),
		cmocka_unit_test(what_rests_is_sealed_with_the_key_of_now_once),
		cmocka_unit_test(any_state_comes_to_rest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
