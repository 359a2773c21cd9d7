/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/calltree.h"
#include "model/flame.h"
#include "model/toptable.h"
#include "model/treeprune.h"

#include <errno.h>

/* Adds "a;b;c" (root first) with a value to self[]. */
static void stack(struct dict *d, int64_t *self, const char *folded, int64_t value)
{
	struct node_id node = { 0 };
	for (const char *s = folded; *s;) {
		size_t n = strcspn(s, ";");
		struct frame_id frame;
		assert_int_equal(dict_named_frame(d, slice_of(s, n), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(d, node, frame, &node), 0);
		s += n + (s[n] == ';');
	}
	self[node.v] += value;
}

static uint32_t find(const struct calltree *t, const char *name)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (slice_eq(calltree_name(t, i), slice_str(name)))
			return i;
	fail_msg("no node %s", name);
	return 0;
}

/* Every invariant calltree.h promises, for any tree. */
static void check(const struct calltree *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		assert_true(t->end[i] > i && t->end[i] <= t->n);
		int64_t sum = t->self[i];
		uint32_t last = 0;
		for (uint32_t c = i + 1; c < t->end[i]; c = t->end[c]) {
			assert_int_equal(t->parent[c], i);
			assert_int_equal(t->depth[c], t->depth[i] + 1);
			if (last && t->func[c] != TREE_FUNC_PRUNED)
				assert_true(t->total[last] >= t->total[c]);
			sum += t->total[c];
			last = c;
		}
		assert_int_equal(sum, t->total[i]);
	}
}

static void totals_and_order(void **state)
{
	(void)state;
	struct dict d;
	int64_t self[64] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	stack(&d, self, "thread", 5);
	stack(&d, self, "main;a", 10);
	stack(&d, self, "main;b", 10);
	stack(&d, self, "main;b;a", 7);
	stack(&d, self, "main", 1);
	stack(&d, self, "never;here", 0);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(calltree_finish(b, &t), 0);
	check(&t);
	assert_int_equal(t.n, 6);
	assert_int_equal(t.total[0], 33);
	assert_int_equal(find(&t, "main"), 1);
	assert_int_equal(find(&t, "b"), 2);
	assert_int_equal(t.total[2], 17);
	dict_done(&d);
}

/* A function that calls itself must not count twice in its own total. */
static void recursion_counts_once(void **state)
{
	(void)state;
	struct dict d;
	int64_t self[64] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	stack(&d, self, "main;f;g;f", 3);
	stack(&d, self, "main;f;f;f", 4);
	stack(&d, self, "main;g", 2);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(calltree_finish(b, &t), 0);
	check(&t);
	_cleanup_(free_ptr)
	struct top_row *rows = NULL;
	uint32_t n;
	assert_int_equal(top_compute(&t, TOP_BY_TOTAL, &rows, &n), 0);
	assert_int_equal(n, 3);
	assert_string_equal(strtab_cstr(&t.names, t.funcs[rows[0].func].name), "main");
	assert_int_equal(rows[0].total, 9);
	assert_string_equal(strtab_cstr(&t.names, t.funcs[rows[1].func].name), "f");
	assert_int_equal(rows[1].total, 7);
	assert_int_equal(rows[1].self, 7);
	assert_int_equal(rows[2].total, 5);
	assert_int_equal(rows[2].self, 2);
	dict_done(&d);
}

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Folding may hide detail, never value. */
static void pruning_keeps_the_value(void **state)
{
	(void)state;
	struct dict d;
	uint32_t seed = 42;
	_cleanup_(free_ptr)
	int64_t *self = calloc(200000, sizeof(int64_t));
	assert_int_equal(dict_init(&d, NULL), 0);
	for (int i = 0; i < 5000; i++) {
		char folded[256] = "";
		size_t n = 0;
		uint32_t depth = 1 + next_random(&seed) % 20;
		for (uint32_t k = 0; k < depth; k++)
			n += (size_t)snprintf(folded + n, sizeof(folded) - n, "f%u;", next_random(&seed) % 5);
		stack(&d, self, folded, 1 + next_random(&seed) % 100);
	}
	for (uint32_t max = 1; max < 20000; max = max * 3 + 1) {
		_cleanup_(calltree_builder_free)
		struct calltree_builder *b = calltree_builder_new(NULL);
		assert_int_equal(calltree_add(b, &d, self, slice_str("one"), NULL), 0);
		assert_int_equal(calltree_add(b, &d, self, slice_str("two"), NULL), 0);
		_cleanup_(calltree_done)
		struct calltree t;
		assert_int_equal(calltree_finish(b, &t), 0);
		check(&t);
		int64_t total = t.total[0];
		uint32_t n = t.n;
		assert_int_equal(calltree_prune(&t, max), 0);
		check(&t);
		assert_true(t.n <= (max < 2 ? 2 : max));
		assert_int_equal(t.total[0], total);
		uint32_t whole = 0;
		for (uint32_t i = 0; i < t.n; i++)
			whole += t.pruned[i] ? t.pruned[i] : 1;
		assert_int_equal(whole, n);
		/* Twice is the same as once with the smaller limit. */
		assert_int_equal(calltree_prune(&t, 2), 0);
		check(&t);
		assert_int_equal(t.total[0], total);
		assert_int_equal(t.n_pruned, n - 1);
	}
	dict_done(&d);
}

/* A random dict whose frames are several lines of few functions. */
static void fill_random(struct dict *d, int64_t *self, uint8_t *flags, uint32_t n)
{
	uint32_t seed = 5;
	assert_int_equal(dict_init(d, NULL), 0);
	struct node_id nodes[64] = { { 0 } };
	for (uint32_t i = 1; i < n; i++) {
		char name[16];
		struct frame_id named, id;
		(void)snprintf(name, sizeof(name), "f%u", next_random(&seed) % 9);
		assert_int_equal(dict_named_frame(d, slice_str(name), FRAME_USER, &named), 0);
		struct frame frame = d->frames.data[named.v];
		frame.line = next_random(&seed) % 4;
		assert_int_equal(dict_frame(d, &frame, &id), 0);
		assert_int_equal(dict_node(d, nodes[next_random(&seed) % 64], id, &nodes[i % 64]), 0);
		self[nodes[i % 64].v] += (int64_t)(next_random(&seed) % 20) - 2;
	}
	for (uint32_t i = 1; i < dict_n_nodes(d); i++)
		flags[i] = (uint8_t)(next_random(&seed) % 5 == 0 ? 1 + next_random(&seed) % 3 : 0);
}

static uint32_t top_of(const struct dict *d, const int64_t *self, const struct calltree_view *view,
		       struct calltree *ret_tree, struct top_row **ret)
{
	uint32_t n;
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, d, self, slice_str("one"), view), 0);
	assert_int_equal(calltree_add(b, d, self, slice_str("two"), view), 0);
	assert_int_equal(calltree_finish(b, ret_tree), 0);
	assert_int_equal(top_compute(ret_tree, TOP_BY_SELF, ret, &n), 0);
	return n;
}

/* The quick way to a top table must lead to the same table. */
static void loose_trees_have_the_same_top(void **state)
{
	(void)state;
	enum { N = 5000 };
	static int64_t self[N];
	static uint8_t flags[N];
	struct dict d;
	fill_random(&d, self, flags, N);
	for (int i = 0; i < 4; i++) {
		struct calltree_view view = { .node = i & 1 ? flags : NULL, .lines = i & 2 };
		struct calltree_view loose = { .node = view.node, .lines = view.lines, .loose = true };
		_cleanup_(calltree_done)
		struct calltree t1 = { 0 };
		_cleanup_(calltree_done)
		struct calltree t2 = { 0 };
		_cleanup_(free_ptr)
		struct top_row *a = NULL;
		_cleanup_(free_ptr)
		struct top_row *b = NULL;
		uint32_t n = top_of(&d, self, &view, &t1, &a);
		assert_int_equal(top_of(&d, self, &loose, &t2, &b), n);
		assert_true(n >= 9 && t2.n >= t1.n + (i == 0) && t1.total[0] == t2.total[0]);
		for (uint32_t k = 0; k < n; k++) {
			assert_int_equal(a[k].self, b[k].self);
			assert_int_equal(a[k].total, b[k].total);
			assert_string_equal(strtab_cstr(&t1.names, t1.funcs[a[k].func].name),
					    strtab_cstr(&t2.names, t2.funcs[b[k].func].name));
			assert_int_equal(t1.funcs[a[k].func].line, t2.funcs[b[k].func].line);
		}
	}
	dict_done(&d);
}

static void groups_are_a_first_level(void **state)
{
	(void)state;
	struct dict d, other;
	int64_t self[16] = { 0 }, self2[16] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	assert_int_equal(dict_init(&other, NULL), 0);
	stack(&d, self, "main;a", 1);
	stack(&other, self2, "x;main", 4);
	struct membudget budget = membudget_of(1 << 20);
	{
		_cleanup_(calltree_builder_free)
		struct calltree_builder *b = calltree_builder_new(&budget);
		assert_int_equal(calltree_add(b, &d, self, slice_str("api"), NULL), 0);
		assert_int_equal(calltree_add(b, &other, self2, slice_str("db"), NULL), 0);
		_cleanup_(calltree_done)
		struct calltree t;
		assert_int_equal(calltree_finish(b, &t), 0);
		check(&t);
		assert_int_equal(find(&t, "db"), 1);
		assert_int_equal(t.total[find(&t, "api")], 1);
		assert_int_equal(t.funcs[t.func[1]].kind, FRAME_SYNTHETIC);
	}
	assert_int_equal(budget.used, 0);
	dict_done(&d);
	dict_done(&other);
}

static void layout_fills_the_width(void **state)
{
	(void)state;
	struct dict d;
	int64_t self[16] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	stack(&d, self, "a", 60);
	stack(&d, self, "b;c", 30);
	stack(&d, self, "b;d", 9);
	stack(&d, self, "e;f;g", 1);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(calltree_finish(b, &t), 0);
	_cleanup_(flame_done)
	struct flame f;
	assert_int_equal(flame_layout(&t, 0, 1000, 20, &f), 0);
	assert_int_equal(f.n, 5);
	assert_int_equal(f.n_left_out, 3);
	for (uint32_t i = 0; i < f.n; i++) {
		struct slice name = calltree_name(&t, f.boxes[i].node);
		if (slice_eq(name, slice_str("c"))) {
			assert_true(f.boxes[i].x == 600 && f.boxes[i].width == 300);
			assert_int_equal(f.boxes[i].depth, 2);
		}
		if (slice_eq(name, slice_str("d")))
			assert_true(f.boxes[i].x == 900 && f.boxes[i].width == 90);
	}
	_cleanup_(flame_done)
	struct flame zoomed;
	assert_int_equal(flame_layout(&t, find(&t, "b"), 390, 0, &zoomed), 0);
	assert_int_equal(zoomed.n, 3);
	assert_true(zoomed.boxes[0].width == 390 && zoomed.boxes[1].width == 300 && zoomed.boxes[2].x == 300);
	dict_done(&d);
}

/* A million deep is legal input; the stack of this thread is not. */
static void deep_trees_need_no_stack(void **state)
{
	(void)state;
	struct dict d;
	uint32_t depth = 300000;
	assert_int_equal(dict_init(&d, NULL), 0);
	struct frame_id frame;
	struct node_id node = { 0 };
	assert_int_equal(dict_named_frame(&d, slice_str("f"), FRAME_USER, &frame), 0);
	for (uint32_t i = 0; i < depth; i++)
		assert_int_equal(dict_node(&d, node, frame, &node), 0);
	_cleanup_(free_ptr)
	int64_t *self = calloc(depth + 1, sizeof(*self));
	self[node.v] = 1;
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(calltree_finish(b, &t), 0);
	assert_int_equal(t.n, depth + 1);
	_cleanup_(flame_done)
	struct flame f;
	assert_int_equal(flame_layout(&t, 0, 100, 1, &f), 0);
	assert_int_equal(f.max_depth, depth);
	_cleanup_(free_ptr)
	struct top_row *rows = NULL;
	uint32_t n;
	assert_int_equal(top_compute(&t, TOP_BY_TOTAL, &rows, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].total, 1);
	dict_done(&d);
}

/* What a filter hides stays in the sums of what it leaves; what it drops does not. */
static void a_view_hides_and_drops(void **state)
{
	(void)state;
	struct dict d;
	int64_t self[8] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	stack(&d, self, "main;a;b", 3);
	stack(&d, self, "main;a", 4);
	stack(&d, self, "main;a;c", 50);
	stack(&d, self, "main;b", 600);
	/* main a b c main;b */
	uint8_t flags[8] = { [2] = CALLTREE_HIDDEN, [4] = CALLTREE_DROPPED };
	struct calltree_view view = { .node = flags };
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), &view), 0);
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(calltree_finish(b, &t), 0);
	check(&t);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.total[0], 607);
	assert_int_equal(t.self[find(&t, "main")], 4);
	assert_int_equal(t.self[find(&t, "b")], 603);
	dict_done(&d);
}

/* Adds a caller and its callee, each found in some way, with the value 1. */
static void found_stack(struct dict *d, int64_t *self, const char *caller, enum frame_found found, const char *callee,
			enum frame_found callee_found)
{
	const char *names[] = { caller, callee };
	enum frame_found ways[] = { found, callee_found };
	struct node_id node = { 0 };
	for (int i = 0; i < 2; i++) {
		struct frame_id named, id;
		assert_int_equal(dict_named_frame(d, slice_str(names[i]), FRAME_USER, &named), 0);
		struct frame frame = d->frames.data[named.v];
		frame.found = (uint8_t)ways[i];
		assert_int_equal(dict_frame(d, &frame, &id), 0);
		assert_int_equal(dict_node(d, node, id, &node), 0);
	}
	self[node.v]++;
}

#define FOUND(f) CALLTREE_FOUND(FRAME_FOUND_##f)

/* One box may stand for frames that were read off a table and for guesses:
 * neither may hide the other, through all that is done to a tree. */
static void nodes_have_the_ways_of_all_their_frames(void **state)
{
	(void)state;
	struct dict d;
	int64_t self[16] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	found_stack(&d, self, "main", FRAME_FOUND_TABLE, "f", FRAME_FOUND_REGISTER);
	found_stack(&d, self, "main", FRAME_FOUND_FP, "f", FRAME_FOUND_UNKNOWN);
	found_stack(&d, self, "main", FRAME_FOUND_FP, "g", FRAME_FOUND_HEURISTIC);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	struct calltree trees[3];
	for (int i = 0; i < 2; i++) {
		assert_int_equal(calltree_add(b, &d, self, slice_str("group"), NULL), 0);
		if (i == 1)
			assert_int_equal(calltree_add_tree(b, &trees[0], trees[0].self, NULL, NULL), 0);
		assert_int_equal(calltree_finish(b, &trees[i]), 0);
	}
	uint32_t *node = calloc(trees[0].n, sizeof(*node)), *func = calloc(trees[0].n_funcs, sizeof(*func));
	assert_int_equal(calltree_add_tree(b, &trees[0], NULL, node, func), 0);
	assert_int_equal(calltree_add(b, &d, self, slice_str("group"), NULL), 0);
	assert_int_equal(calltree_finish(b, &trees[2]), 0);
	free(node);
	free(func);
	for (int i = 0; i < 3; i++) {
		struct calltree *t = &trees[i];
		assert_true(calltree_has_found(t));
		assert_int_equal(t->found[0], 0);
		assert_int_equal(t->found[find(t, "group")], 0);
		assert_int_equal(t->found[find(t, "main")], FOUND(TABLE) | FOUND(FP));
		assert_int_equal(t->found[find(t, "f")], FOUND(REGISTER) | FOUND(UNKNOWN));
		assert_int_equal(t->found[find(t, "g")], FOUND(HEURISTIC));
		assert_int_equal(calltree_prune(t, 4), 0);
		assert_int_equal(t->found[find(t, "main")], FOUND(TABLE) | FOUND(FP));
		assert_int_equal(t->found[find(t, "(pruned)")], 0);
		calltree_done(t);
	}
	dict_done(&d);
}

/* A profile of another tool; a tree made for sums only. */
static void where_nothing_is_known_of_frames_nothing_is_said(void **state)
{
	(void)state;
	struct dict d;
	int64_t self[16] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	for (int loose = 0; loose < 2; loose++) {
		struct calltree_view view = { .loose = loose };
		_cleanup_(calltree_done)
		struct calltree t = { 0 };
		if (loose)
			found_stack(&d, self, "main", FRAME_FOUND_TABLE, "f", FRAME_FOUND_TABLE);
		else
			stack(&d, self, "main;f", 1);
		assert_int_equal(calltree_add(b, &d, self, slice_str(""), &view), 0);
		assert_int_equal(calltree_finish(b, &t), 0);
		assert_false(calltree_has_found(&t));
		assert_true(loose ? !t.found : t.found[1] == FOUND(UNKNOWN));
	}
	/* What was loose is not for ever. */
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	assert_true(calltree_has_found(&t));
	dict_done(&d);
}

static void lines_stand_apart_when_asked(void **state)
{
	(void)state;
	struct dict d;
	int64_t self[3] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	struct function function = { 0 };
	struct frame frame = { .kind = FRAME_USER };
	assert_int_equal(strtab_intern_str(&d.strings, "f", &function.name), 0);
	assert_int_equal(dict_function(&d, &function, &frame.function), 0);
	for (uint32_t line = 10; line < 12; line++) {
		struct frame_id id;
		struct node_id node;
		frame.line = line;
		assert_int_equal(dict_frame(&d, &frame, &id), 0);
		assert_int_equal(dict_node(&d, (struct node_id){ 0 }, id, &node), 0);
		self[node.v] = line;
	}
	for (int lines = 0; lines < 2; lines++) {
		struct calltree_view view = { .lines = lines };
		_cleanup_(calltree_builder_free)
		struct calltree_builder *b = calltree_builder_new(NULL);
		assert_int_equal(calltree_add(b, &d, self, slice_str(""), &view), 0);
		_cleanup_(calltree_done)
		struct calltree t;
		assert_int_equal(calltree_finish(b, &t), 0);
		assert_int_equal(t.n, lines ? 3 : 2);
		assert_int_equal(t.funcs[t.func[1]].line, lines ? 11 : 0);
		assert_int_equal(t.total[1], lines ? 11 : 21);
	}
	dict_done(&d);
}

/* Functions that turn out to be one: their nodes become one, with the sum. */
static void joined_functions_are_one(void **state)
{
	(void)state;
	struct dict d;
	int64_t self[64] = { 0 };
	assert_int_equal(dict_init(&d, NULL), 0);
	stack(&d, self, "main;f;g", 1);
	stack(&d, self, "main;h;g", 2);
	stack(&d, self, "main;h;i", 4);
	stack(&d, self, "main;i", 8);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	assert_int_equal(calltree_add(b, &d, self, slice_str(""), NULL), 0);
	const struct strtab *names;
	uint32_t n_nodes, n_funcs, ret_node[8], parent, func;
	calltree_builder_count(b, &n_nodes, &n_funcs);
	assert_int_equal(n_nodes, 8);
	assert_int_equal(n_funcs, 6);
	const struct tree_func *funcs = calltree_builder_funcs(b, &names);
	assert_string_equal(strtab_cstr(names, funcs[2].name), "f");
	calltree_builder_node(b, 3, &parent, &func);
	assert_int_equal(parent, 2);
	assert_string_equal(strtab_cstr(names, funcs[func].name), "g");
	/* all main f g h i: f and h are one. */
	static const uint32_t into[] = { 0, 1, 2, 3, 2, 4 };
	assert_int_equal(calltree_builder_join(b, into, ret_node), 0);
	assert_int_equal(ret_node[4], ret_node[2]);
	assert_int_equal(ret_node[5], ret_node[3]);
	calltree_builder_count(b, &n_nodes, &n_funcs);
	assert_int_equal(n_nodes, 6);
	assert_int_equal(n_funcs, 5);
	_cleanup_(calltree_done)
	struct calltree t;
	assert_int_equal(calltree_finish(b, &t), 0);
	check(&t);
	assert_int_equal(t.total[0], 15);
	assert_int_equal(t.total[find(&t, "h")], 7);
	assert_int_equal(t.self[find(&t, "g")], 3);
	dict_done(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(totals_and_order),
		cmocka_unit_test(loose_trees_have_the_same_top),
		cmocka_unit_test(recursion_counts_once),
		cmocka_unit_test(pruning_keeps_the_value),
		cmocka_unit_test(joined_functions_are_one),
		cmocka_unit_test(groups_are_a_first_level),
		cmocka_unit_test(a_view_hides_and_drops),
		cmocka_unit_test(nodes_have_the_ways_of_all_their_frames),
		cmocka_unit_test(where_nothing_is_known_of_frames_nothing_is_said),
		cmocka_unit_test(lines_stand_apart_when_asked),
		cmocka_unit_test(layout_fills_the_width),
		cmocka_unit_test(deep_trees_need_no_stack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
