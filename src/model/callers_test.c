/* SPDX-License-Identifier: Apache-2.0 */
#include "model/testtree.h"

#include "model/callers.h"

static const struct teststack stacks[] = {
	{ "main;f;g;f;h", 3 },
	{ "main;f;f", 4 },
	{ "thread;g;f", 2 },
	{ "thread;h", 5 },
};

/* "f 9 main 7 thread 0" of a tree, in its order. */
static void assert_tree(const struct calltree *t, const char *expected)
{
	char text[1024] = "";
	size_t n = 0;
	for (uint32_t i = 1; i < t->n; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u:%s=%lld ", t->depth[i],
				      (const char *)calltree_name(t, i).data, (long long)t->total[i]);
	assert_string_equal(text, expected);
}

static void match(const struct calltree *t, const char *text, bool **ret, uint32_t n_expected)
{
	struct error err;
	struct pattern *p;
	uint32_t n;
	assert_int_equal(pattern_new(slice_str(text), &p, &err), 0);
	assert_int_equal(callers_match(t, p, ret, &n, &err), 0);
	assert_int_equal(n, n_expected);
	pattern_free(&p);
}

/* Else a function that calls itself is said to cost more than it does. */
static void a_stack_counts_once_from_its_outermost_match(void **state)
{
	(void)state;
	_cleanup_(calltree_done)
	struct calltree t;
	_cleanup_(calltree_done)
	struct calltree above;
	_cleanup_(calltree_done)
	struct calltree below;
	_cleanup_(free_ptr)
	bool *f = NULL;
	struct callers_cut cut;
	testtree_make(stacks, ARRAY_SIZE(stacks), &t);
	match(&t, "^f$", &f, 1);
	assert_int_equal(callers_above(&t, f, &above, &cut), 0);
	assert_tree(&above, "1:f=9 2:main=7 2:g=2 3:thread=2 ");
	assert_int_equal(above.total[0], 9);
	assert_int_equal(cut.n, 0);
	assert_int_equal(callers_below(&t, f, &below), 0);
	assert_tree(&below, "1:f=9 2:f=4 2:g=3 3:f=3 4:h=3 ");
}

static void several_functions_stand_side_by_side(void **state)
{
	(void)state;
	_cleanup_(calltree_done)
	struct calltree t;
	_cleanup_(calltree_done)
	struct calltree above;
	_cleanup_(free_ptr)
	bool *found = NULL;
	struct callers_cut cut;
	testtree_make(stacks, ARRAY_SIZE(stacks), &t);
	match(&t, "^(g|h)$", &found, 2);
	assert_int_equal(callers_above(&t, found, &above, &cut), 0);
	/* h below g counts as g's. */
	assert_tree(&above, "1:g=5 2:f=3 3:main=3 2:thread=2 1:h=5 2:thread=5 ");
	_cleanup_(free_ptr)
	bool *none = NULL;
	_cleanup_(calltree_done)
	struct calltree empty;
	match(&t, "nothing", &none, 0);
	assert_int_equal(callers_below(&t, none, &empty), 0);
	assert_int_equal(empty.n, 1);
}

/* A comb: a spine of 2000 frames, each of which calls the leaf. Turned round
 * it would have two million nodes. */
static void turning_round_is_bounded_and_loses_no_value(void **state)
{
	(void)state;
	enum { N = 2000 };
	struct dict d;
	static int64_t self[2 * N + 1];
	assert_int_equal(dict_init(&d, NULL), 0);
	struct frame_id leaf;
	struct node_id spine = { 0 }, node;
	assert_int_equal(dict_named_frame(&d, slice_str("leaf"), FRAME_USER, &leaf), 0);
	for (int i = 0; i < N; i++) {
		char name[16];
		struct frame_id frame;
		(void)snprintf(name, sizeof(name), "s%d", i);
		assert_int_equal(dict_named_frame(&d, slice_str(name), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(&d, spine, frame, &spine), 0);
		assert_int_equal(dict_node(&d, spine, leaf, &node), 0);
		self[node.v] = i == N - 1 ? 100 : 1;
	}
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(calltree_done)
	struct calltree t;
	_cleanup_(calltree_done)
	struct calltree above;
	_cleanup_(free_ptr)
	bool *found = NULL;
	struct callers_cut cut;
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	match(&t, "leaf", &found, 1);
	assert_int_equal(callers_above(&t, found, &above, &cut), 0);
	assert_true(above.n <= CALLERS_STEPS_PER_NODE * t.n + 2);
	assert_int_equal(above.total[0], t.total[0]);
	assert_int_equal(above.total[1], t.total[0]);
	assert_true(cut.n > 0 && cut.n < N);
	assert_int_equal(above.self[1], cut.total);
	/* The heaviest is whole. */
	assert_true(above.total[testtree_node(&above, "s0")] >= 100);
	dict_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stack_counts_once_from_its_outermost_match),
		cmocka_unit_test(several_functions_stand_side_by_side),
		cmocka_unit_test(turning_round_is_bounded_and_loses_no_value),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
