/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/callgraph.h"

#include <errno.h>

/* "main;f;g 3" lines, root first, become a tree. */
static void make_tree(const char *const *stacks, const int64_t *values, uint32_t n, struct membudget *budget,
		      struct calltree *ret)
{
	struct dict d;
	int64_t self[256] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct node_id node = { 0 };
		for (const char *s = stacks[i]; *s;) {
			size_t k = strcspn(s, ";");
			struct frame_id frame;
			assert_int_equal(dict_named_frame(&d, slice_of(s, k), FRAME_USER, &frame), 0);
			assert_int_equal(dict_node(&d, node, frame, &node), 0);
			s += k + (s[k] == ';');
		}
		self[node.v] += values[i];
	}
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(budget);
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	assert_int_equal(calltree_finish(b, ret), 0);
	dict_done(&d);
}

static uint32_t func(const struct calltree *t, const char *name)
{
	for (uint32_t f = 1; f < t->n_funcs; f++)
		if (slice_eq(strtab_get(&t->names, t->funcs[f].name), slice_str(name)))
			return f;
	fail_msg("no function %s", name);
	return 0;
}

static const struct call_edge *edge(const struct calltree *t, const struct callgraph *g, const char *caller,
				    const char *callee)
{
	uint32_t from = func(t, caller), to = func(t, callee);
	const struct call_edge *found = NULL;
	for (uint32_t i = g->first_out[from]; i < g->first_out[from + 1]; i++) {
		assert_int_equal(g->edge[i].caller, from);
		if (g->edge[i].callee == to)
			found = &g->edge[i];
	}
	bool is_in = false;
	for (uint32_t i = g->first_in[to]; i < g->first_in[to + 1]; i++) {
		assert_int_equal(g->edge[g->in[i]].callee, to);
		is_in = is_in || &g->edge[g->in[i]] == found;
	}
	assert_true(is_in == (found != NULL));
	return found;
}

/* Else a call graph says a function costs more through its callers than it does. */
static void recursion_counts_once(void **state)
{
	(void)state;
	static const char *const stacks[] = { "main;f;g;f;g", "main;f;f;f", "main;g" };
	static const int64_t values[] = { 3, 4, 2 };
	_cleanup_(calltree_done)
	struct calltree t;
	make_tree(stacks, values, 3, NULL, &t);
	_cleanup_(callgraph_done)
	struct callgraph g;
	assert_int_equal(callgraph_compute(&t, NULL, &g), 0);
	assert_int_equal(edge(&t, &g, "main", "f")->weight, 7);
	assert_int_equal(edge(&t, &g, "main", "g")->weight, 2);
	assert_int_equal(edge(&t, &g, "f", "g")->weight, 3);
	assert_int_equal(edge(&t, &g, "g", "f")->weight, 3);
	assert_int_equal(edge(&t, &g, "f", "f")->weight, 4);
	assert_int_equal(g.n_edges, 5);
	assert_int_equal(g.total[func(&t, "main")], 9);
	assert_int_equal(g.total[func(&t, "f")], 7);
	assert_int_equal(g.total[func(&t, "g")], 5);
	assert_int_equal(g.self[func(&t, "f")], 4);
	assert_int_equal(g.self[func(&t, "main")], 0);
}

static void edges_stand_by_weight(void **state)
{
	(void)state;
	static const char *const stacks[] = { "m;a;x", "m;b;x", "m;c;x", "m;d" };
	static const int64_t values[] = { 1, 5, 5, 3 };
	_cleanup_(calltree_done)
	struct calltree t;
	make_tree(stacks, values, 4, NULL, &t);
	_cleanup_(callgraph_done)
	struct callgraph g;
	assert_int_equal(callgraph_compute(&t, NULL, &g), 0);
	static const char *const callees[] = { "b", "c", "d", "a" }, *const callers[] = { "b", "c", "a" };
	uint32_t m = func(&t, "m"), x = func(&t, "x");
	assert_int_equal(g.first_out[m + 1] - g.first_out[m], 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(g.edge[g.first_out[m] + i].callee, func(&t, callees[i]));
	assert_int_equal(g.first_in[x + 1] - g.first_in[x], 3);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(g.edge[g.in[g.first_in[x] + i]].caller, func(&t, callers[i]));
}

/* What is left out must not cut the graph in two. */
static void left_out_functions_are_bridged(void **state)
{
	(void)state;
	static const char *const stacks[] = { "main;mid;low;leaf", "main;low", "mid;leaf" };
	static const int64_t values[] = { 3, 4, 8 };
	_cleanup_(calltree_done)
	struct calltree t;
	make_tree(stacks, values, 3, NULL, &t);
	bool keep[8] = { false };
	keep[func(&t, "main")] = keep[func(&t, "low")] = keep[func(&t, "leaf")] = true;
	_cleanup_(callgraph_done)
	struct callgraph g;
	assert_int_equal(callgraph_compute(&t, keep, &g), 0);
	assert_int_equal(g.n_edges, 2);
	assert_int_equal(edge(&t, &g, "main", "low")->weight, 7);
	assert_true(edge(&t, &g, "main", "low")->residual);
	assert_int_equal(edge(&t, &g, "low", "leaf")->weight, 3);
	assert_false(edge(&t, &g, "low", "leaf")->residual);
	assert_false(g.present[func(&t, "mid")]);
	assert_true(g.present[func(&t, "leaf")]);
	assert_int_equal(g.total[func(&t, "leaf")], 11);
}

static void values_of_a_difference(void **state)
{
	(void)state;
	static const char *const stacks[] = { "main;a", "main;b" };
	static const int64_t values[] = { -5, 3 };
	_cleanup_(calltree_done)
	struct calltree t;
	make_tree(stacks, values, 2, NULL, &t);
	_cleanup_(callgraph_done)
	struct callgraph g;
	assert_int_equal(callgraph_compute(&t, NULL, &g), 0);
	assert_int_equal(edge(&t, &g, "main", "a")->weight, -5);
	assert_int_equal(edge(&t, &g, "main", "b")->weight, 3);
	assert_int_equal(g.total[func(&t, "main")], -2);
}

static void budget_ends_in_an_error(void **state)
{
	(void)state;
	static const char *const stacks[] = { "a;b;c;d;e;f", "b;c;a", "c;a;e" };
	static const int64_t values[] = { 1, 2, 3 };
	bool done = false, refused = false;
	struct membudget budget = membudget_of(SIZE_MAX);
	{
		_cleanup_(calltree_done)
		struct calltree t;
		make_tree(stacks, values, 3, &budget, &t);
		size_t used = budget.used;
		for (size_t more = 0; !done; more += 64) {
			_cleanup_(callgraph_done)
			struct callgraph g = { 0 };
			budget.max = used + more;
			int r = callgraph_compute(&t, NULL, &g);
			assert_true(r == 0 || r == -ENOBUFS);
			refused = refused || r < 0;
			done = r == 0;
			assert_int_equal(budget.used, used);
		}
		assert_true(refused);
	}
	assert_int_equal(budget.used, 0);
}

static void nothing_has_no_edges(void **state)
{
	(void)state;
	_cleanup_(calltree_done)
	struct calltree t;
	make_tree(NULL, NULL, 0, NULL, &t);
	_cleanup_(callgraph_done)
	struct callgraph g;
	assert_int_equal(callgraph_compute(&t, NULL, &g), 0);
	assert_int_equal(g.n_edges, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recursion_counts_once),	  cmocka_unit_test(edges_stand_by_weight),
		cmocka_unit_test(left_out_functions_are_bridged), cmocka_unit_test(values_of_a_difference),
		cmocka_unit_test(budget_ends_in_an_error),	  cmocka_unit_test(nothing_has_no_edges),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
