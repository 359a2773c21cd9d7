/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "store/known_stacks.h"

#include <errno.h>
#include <stdio.h>

/* A profile with `n` stacks root -> a<i> -> b<i % 3>, whose first is numbered `from`. */
static void make(struct profile *p, uint32_t from, uint32_t n)
{
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	for (uint32_t i = 0; i < n; i++) {
		char name[3][32] = { "root" };
		uint32_t node = 0;
		int64_t value = 1;
		(void)snprintf(name[1], 32, "a%u", from + n - 1 - i);
		(void)snprintf(name[2], 32, "b%u", (from + n - 1 - i) % 3);
		for (int k = 0; k < 3; k++) {
			struct frame_id frame;
			assert_int_equal(dict_named_frame(&p->dict, slice_str(name[k]), FRAME_USER, &frame), 0);
			assert_int_equal(dict_step(&p->dict, &node, frame.v), 0);
		}
		assert_int_equal(profile_add_sample(p, (struct node_id){ node }, (struct labels_id){ 0 }, &value), 0);
	}
}

static void check_name(const struct dict *d, struct node_id node, const struct dict *of, struct node_id same)
{
	char a[FRAME_NAME_SIZE], b[FRAME_NAME_SIZE];
	assert_true(slice_eq(dict_frame_name(d, d->node_frame.data[node.v], a),
			     dict_frame_name(of, of->node_frame.data[same.v], b)));
}

/* Takes the profile in; each of its samples has the same stack there. */
static void take(struct known_stacks *k, struct dict *dst, const struct profile *p)
{
	struct node_id map[256];
	assert_true(dict_n_nodes(&p->dict) <= 256);
	assert_int_equal(known_stacks_import(k, dst, p, map), 0);
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		struct node_id from = p->node.data[i], to = map[from.v];
		for (; from.v; from = p->dict.node_parent.data[from.v], to = dst->node_parent.data[to.v])
			check_name(&p->dict, from, dst, to);
		assert_int_equal(to.v, 0);
	}
}

/* Stacks that came before get the nodes they have, new ones nodes of their own. */
static void test_finds_and_adds(void **state)
{
	(void)state;
	struct known_stacks k;
	struct dict dst;
	struct profile first, second;
	assert_int_equal(known_stacks_init(&k, NULL), 0);
	assert_int_equal(dict_init(&dst, NULL), 0);
	make(&first, 0, 20);
	make(&second, 10, 20);
	take(&k, &dst, &first);
	assert_int_equal(dict_n_nodes(&dst), 1 + 1 + 2 * 20);
	take(&k, &dst, &first);
	assert_int_equal(dict_n_nodes(&dst), 1 + 1 + 2 * 20);
	take(&k, &dst, &second);
	assert_int_equal(dict_n_nodes(&dst), 1 + 1 + 2 * 30);
	profile_done(&first);
	profile_done(&second);
	dict_done(&dst);
	known_stacks_done(&k);
}

/* What differs in a line, an address or a mapping is another stack. */
static void test_tells_apart(void **state)
{
	(void)state;
	struct known_stacks k;
	struct dict dst;
	struct frame rows[4] = { { .address = 1 }, { .address = 2 }, { .address = 1, .line = 1 }, { .address = 1 } };
	assert_int_equal(known_stacks_init(&k, NULL), 0);
	assert_int_equal(dict_init(&dst, NULL), 0);
	for (uint32_t i = 0; i < 4; i++) {
		struct profile p;
		struct mapping mapping = { 0 };
		struct frame_id frame;
		uint32_t node = 0;
		int64_t value = 1;
		assert_int_equal(profile_init(&p, NULL), 0);
		assert_int_equal(profile_add_type(&p, slice_str("cpu"), slice_str("nanoseconds")), 0);
		assert_int_equal(strtab_intern_str(&p.dict.strings, i == 3 ? "/b" : "/a", &mapping.path), 0);
		assert_int_equal(dict_mapping(&p.dict, &mapping, &rows[i].mapping), 0);
		assert_int_equal(dict_frame(&p.dict, &rows[i], &frame), 0);
		assert_int_equal(dict_step(&p.dict, &node, frame.v), 0);
		assert_int_equal(profile_add_sample(&p, (struct node_id){ node }, (struct labels_id){ 0 }, &value), 0);
		take(&k, &dst, &p);
		assert_int_equal(dict_n_nodes(&dst), 2 + i);
		profile_done(&p);
	}
	dict_done(&dst);
	known_stacks_done(&k);
}

/* Out of memory half way: what it knows stays true, and more memory finishes the rest. */
static void test_survives_failure(void **state)
{
	(void)state;
	struct membudget budget = membudget_of(0);
	struct known_stacks k;
	struct dict dst;
	struct profile p;
	struct node_id map[256];
	budget.max = 1200;
	assert_int_equal(known_stacks_init(&k, &budget), 0);
	assert_int_equal(dict_init(&dst, &budget), 0);
	make(&p, 0, 40);
	int r;
	uint32_t n_failures = 0;
	while ((r = known_stacks_import(&k, &dst, &p, map)) == -ENOBUFS) {
		budget.max += 64;
		n_failures++;
	}
	assert_int_equal(r, 0);
	assert_true(n_failures > 10);
	take(&k, &dst, &p);
	assert_int_equal(dict_n_nodes(&dst), 1 + 1 + 2 * 40);
	profile_done(&p);
	dict_done(&dst);
	known_stacks_done(&k);
	assert_int_equal(budget.used, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_and_adds),
		cmocka_unit_test(test_tells_apart),
		cmocka_unit_test(test_survives_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
