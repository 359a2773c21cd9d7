/* SPDX-License-Identifier: Apache-2.0 */
#include "model/testtree.h"

#include "model/treecut.h"

static const struct teststack mixed[] = {
	{ "main;grew;x", 50 },
	{ "main;shrank;y", -50 },
	{ "main;small", 1 },
	{ "other;z", 9 },
};

static bool is_shown(const struct calltree *t, const bool *shown, const char *name)
{
	return shown[testtree_node(t, name)];
}

/* Growth and loss below one function cancel out in its total; a report that
 * went by totals would leave out exactly what moved. */
static void what_moved_is_kept(void **state)
{
	(void)state;
	_cleanup_(calltree_done)
	struct calltree t;
	bool shown[16];
	struct treecut_rest rest;
	testtree_make(mixed, ARRAY_SIZE(mixed), &t);
	assert_int_equal(treecut_weight(&t), 110);
	struct treecut cut = { .min_percent = 10, .whole = 110 };
	assert_int_equal(treecut_select(&t, &cut, shown, &rest), 0);
	assert_true(is_shown(&t, shown, "main") && is_shown(&t, shown, "x") && is_shown(&t, shown, "y"));
	assert_true(!is_shown(&t, shown, "small") && !is_shown(&t, shown, "z"));
	assert_int_equal(rest.n, 3);
	assert_int_equal(rest.self, 10);
}

/* A line without its parent's line is a lie about who called. */
static void what_is_kept_hangs_together(void **state)
{
	(void)state;
	_cleanup_(calltree_done)
	struct calltree t;
	bool shown[16];
	struct treecut_rest rest;
	testtree_make(mixed, ARRAY_SIZE(mixed), &t);
	for (uint32_t limit = 1; limit < t.n + 2; limit++) {
		struct treecut cut = { .whole = 110, .limit = limit };
		assert_int_equal(treecut_select(&t, &cut, shown, &rest), 0);
		uint32_t n = 0;
		int64_t self = 0;
		for (uint32_t i = 1; i < t.n; i++) {
			n += shown[i];
			self += shown[i] ? 0 : t.self[i];
			assert_true(!shown[i] || shown[t.parent[i]]);
		}
		assert_int_equal(n, limit < t.n - 1 ? limit : t.n - 1);
		assert_int_equal(rest.n, t.n - 1 - n);
		assert_int_equal(rest.self, self);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_moved_is_kept),
		cmocka_unit_test(what_is_kept_hangs_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
