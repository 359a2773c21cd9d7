/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/stackwalk.h"

#include <errno.h>

#define N_FRAMES 40
#define N_STACKS 3000

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void init(struct dict *d, struct membudget *budget)
{
	assert_int_equal(dict_init(d, budget), 0);
	for (uint32_t i = 1; i <= N_FRAMES; i++) {
		char name[16];
		struct frame_id frame;
		(void)snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(dict_named_frame(d, slice_str(name), FRAME_USER, &frame), 0);
		assert_int_equal(frame.v, i);
	}
}

/* Stacks that fork early and late, repeat, are empty; both directions. */
static void make_stacks(uint32_t *frames, struct stack_frames *stacks)
{
	uint32_t seed = 7, used = 0;
	for (uint32_t i = 0; i < N_STACKS; i++) {
		uint32_t *f = frames + used, n = next_random(&seed) % 30;
		for (uint32_t k = 0; k < n; k++)
			f[k] = 1 + (next_random(&seed) % 4 ? k % N_FRAMES : next_random(&seed) % N_FRAMES);
		stacks[i] = i % 2 ? stack_root_first(f, 0, n) : stack_leaf_first(f, 0, n);
		used += n;
	}
}

static struct node_id one_by_one(struct dict *d, const struct stack_frames *s)
{
	struct node_id node = { 0 };
	for (uint32_t k = 0; k < s->n; k++)
		assert_int_equal(dict_node(d, node, (struct frame_id){ s->root[(int64_t)s->step * k] }, &node), 0);
	return node;
}

/* A profile must not depend on how many stacks were read at a time. */
static void many_at_a_time_is_one_by_one(void **state)
{
	(void)state;
	static struct stack_frames stacks[N_STACKS];
	static struct node_id nodes[N_STACKS];
	static uint32_t frames[N_STACKS * 30];
	make_stacks(frames, stacks);
	struct dict a, b;
	init(&a, NULL);
	init(&b, NULL);
	uint32_t from = 0;
	for (uint32_t n = 0; from + n <= N_STACKS; from += n++)
		assert_int_equal(stackwalk(&a, stacks + from, n, nodes + from), 0);
	assert_true(from > 2000);
	for (uint32_t i = 0; i < from; i++)
		assert_int_equal(one_by_one(&b, &stacks[i]).v, nodes[i].v);
	assert_int_equal(dict_n_nodes(&a), dict_n_nodes(&b));
	for (uint32_t i = 0; i < dict_n_nodes(&a); i++) {
		assert_int_equal(a.node_parent.data[i].v, b.node_parent.data[i].v);
		assert_int_equal(a.node_frame.data[i].v, b.node_frame.data[i].v);
	}
	dict_done(&a);
	dict_done(&b);
}

static void budget_ends_in_an_error(void **state)
{
	(void)state;
	static struct stack_frames stacks[N_STACKS];
	static struct node_id nodes[N_STACKS];
	static uint32_t frames[N_STACKS * 30];
	make_stacks(frames, stacks);
	struct membudget budget = membudget_of(64 << 10);
	struct dict d;
	init(&d, &budget);
	assert_int_equal(stackwalk(&d, stacks, N_STACKS, nodes), -ENOBUFS);
	dict_done(&d);
	assert_int_equal(budget.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_at_a_time_is_one_by_one),
		cmocka_unit_test(budget_ends_in_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
