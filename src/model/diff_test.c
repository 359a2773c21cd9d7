/* SPDX-License-Identifier: Apache-2.0 */
/* Two sides as one tree: what is compared with what, and how much it counts. */
#include "unit.h"

#include "base/buf.h"
#include "model/diff.h"

#include <errno.h>
#include <string.h>

static void make_profile(struct profile *p, const char *const *types, uint32_t n_types, struct membudget *budget)
{
	assert_int_equal(profile_init(p, budget), 0);
	for (uint32_t t = 0; t < n_types; t++) {
		const char *colon = strchr(types[t], ':');
		assert_int_equal(
			profile_add_type(p, slice_of(types[t], (size_t)(colon - types[t])), slice_str(colon + 1)), 0);
	}
}

/* "main;f" with the values of each type. */
static void add(struct profile *p, const char *stack, const int64_t *values)
{
	struct node_id node = { 0 };
	for (const char *s = stack; *s;) {
		size_t k = strcspn(s, ";");
		struct frame_id frame;
		assert_int_equal(dict_named_frame(&p->dict, slice_of(s, k), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(&p->dict, node, frame, &node), 0);
		s += k + (s[k] == ';');
	}
	assert_int_equal(profile_add_sample(p, node, (struct labels_id){ 0 }, values), 0);
}

static void add_window(struct diff *d, enum diff_side side, const struct profile *p, uint32_t type)
{
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&p->dict), sizeof(*self));
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	struct diff_window w = { .seconds = 10 };
	enum diff_source source;
	profile_node_values(p, type, self);
	assert_int_equal(calltree_add(b, &p->dict, self, slice_str(""), NULL), 0);
	assert_int_equal(calltree_finish(b, &t), 0);
	assert_int_equal(diff_count_samples(p, type, &source, &w.samples), 0);
	w.whole = t.total[0];
	assert_int_equal(diff_add(d, side, &t, &w), 0);
}

/* Windows of `counts` samples each on "main;f" and 1000 - counts on "main;g". */
static void add_counts(struct diff *d, enum diff_side side, const int64_t *counts, uint32_t n)
{
	static const char *const types[] = { "samples:count" };
	for (uint32_t i = 0; i < n; i++) {
		struct profile p;
		make_profile(&p, types, 1, NULL);
		if (counts[i])
			add(&p, "main;f", (int64_t[]){ counts[i] });
		add(&p, "main;g", (int64_t[]){ 1000 - counts[i] });
		add_window(d, side, &p, 0);
		profile_done(&p);
	}
}

static uint32_t func(const struct diff *d, const char *name)
{
	for (uint32_t f = 1; f < d->tree.n_funcs; f++)
		if (slice_eq(strtab_get(&d->tree.names, d->tree.funcs[f].name), slice_str(name)))
			return f;
	fail_msg("no function %s", name);
	return 0;
}

static void near(double have, double want, double tolerance)
{
	if (!(fabs(have - want) <= tolerance))
		fail_msg("%.12g, not %.12g", have, want);
}

/* 10 ms a sample: a million nanoseconds are no million observations. */
static void samples_count_not_nanoseconds(void **state)
{
	(void)state;
	static const char *const go[] = { "samples:count", "cpu:nanoseconds" };
	static const char *const period[] = { "cpu:nanoseconds", "wall:nanoseconds" };
	static const char *const heap[] = { "alloc_objects:count", "alloc_space:bytes" };
	enum diff_source source;
	double n;
	struct profile p;
	make_profile(&p, go, 2, NULL);
	add(&p, "f", (int64_t[]){ 3, 30000000 });
	add(&p, "g", (int64_t[]){ 1, 10000000 });
	add(&p, "other event", (int64_t[]){ 50, 0 });
	assert_int_equal(diff_count_samples(&p, 1, &source, &n), 0);
	assert_int_equal(source, DIFF_SAMPLES_TYPE);
	near(n, 4, 1e-9);
	/* One sample with half of the weight: they are worth fewer than they are. */
	add(&p, "heavy", (int64_t[]){ 1, 40000000 });
	assert_int_equal(diff_count_samples(&p, 1, &source, &n), 0);
	near(n, 8.0 * 8 / (4 + 16), 1e-9);
	profile_done(&p);

	make_profile(&p, period, 2, NULL);
	add(&p, "f", (int64_t[]){ 30000000, 5 });
	p.period = 10000000;
	p.period_type = p.types[0];
	assert_int_equal(diff_count_samples(&p, 0, &source, &n), 0);
	assert_int_equal(source, DIFF_SAMPLES_PERIOD);
	near(n, 3, 1e-9);
	assert_int_equal(diff_count_samples(&p, 1, &source, &n), 0);
	assert_int_equal(source, DIFF_SAMPLES_UNKNOWN);
	near(n, 0, 0);
	add(&p, "g", (int64_t[]){ -1, 0 });
	assert_int_equal(diff_count_samples(&p, 0, &source, &n), -EDOM);
	profile_done(&p);

	make_profile(&p, heap, 2, NULL);
	add(&p, "f", (int64_t[]){ 7, 4096 });
	assert_int_equal(diff_count_samples(&p, 0, &source, &n), 0);
	assert_int_equal(source, DIFF_SAMPLES_UNKNOWN);
	profile_done(&p);
}

static void shares_and_intervals_are_of_the_sides(void **state)
{
	(void)state;
	struct membudget budget = membudget_of(1 << 20);
	struct diff d;
	assert_int_equal(diff_init(&d, &budget), 0);
	add_counts(&d, DIFF_A, (int64_t[]){ 100 }, 1);
	add_counts(&d, DIFF_B, (int64_t[]){ 160 }, 1);
	assert_int_equal(diff_finish(&d), 0);
	assert_true(d.has_samples);
	assert_true(d.df == 0);
	struct diff_result r = diff_result(&d, DIFF_FUNC_SELF, func(&d, "f"), 0.05);
	near(r.share[0], 0.1, 1e-12);
	near(r.share[1], 0.16, 1e-12);
	struct diffstat_interval want =
		diffstat_newcombe((struct diffstat_count){ 100, 1000 }, (struct diffstat_count){ 160, 1000 },
				  (struct diffstat_spread){ 1, INFINITY });
	near(r.interval.low, want.low, 1e-12);
	near(r.interval.high, want.high, 1e-12);
	assert_true(r.is_significant);
	near(r.needed, diffstat_samples_needed(0.13, 0.05, 1), 1e-6);
	/* main is everywhere: nothing to be found there. */
	r = diff_result(&d, DIFF_FUNC_TOTAL, func(&d, "main"), 0.05);
	near(r.delta, 0, 1e-12);
	assert_false(r.is_significant);
	assert_int_equal(d.n_tested[DIFF_FUNC_SELF], 2);
	assert_int_equal(d.n_tested[DIFF_FUNC_TOTAL], 3);
	diff_done(&d);
	assert_int_equal(budget.used, 0);
}

/* The same sums, once in even and once in wild windows. */
static void wild_windows_are_believed_less(void **state)
{
	(void)state;
	struct diff even, wild;
	assert_int_equal(diff_init(&even, NULL), 0);
	assert_int_equal(diff_init(&wild, NULL), 0);
	add_counts(&even, DIFF_A, (int64_t[]){ 95, 105, 90, 110 }, 4);
	add_counts(&even, DIFF_B, (int64_t[]){ 155, 165, 150, 170 }, 4);
	add_counts(&wild, DIFF_A, (int64_t[]){ 0, 200, 20, 180 }, 4);
	add_counts(&wild, DIFF_B, (int64_t[]){ 20, 300, 40, 280 }, 4);
	assert_int_equal(diff_finish(&even), 0);
	assert_int_equal(diff_finish(&wild), 0);
	struct diff_result e = diff_result(&even, DIFF_FUNC_SELF, func(&even, "f"), 0.05);
	struct diff_result w = diff_result(&wild, DIFF_FUNC_SELF, func(&wild, "f"), 0.05);
	near(e.delta, w.delta, 1e-12);
	near(e.phi, 1, 0);
	assert_true(e.is_significant);
	/* X^2 = sum (k - 100)^2 / 90 + sum (k - 160)^2 / 134.4 over 6 degrees. */
	near(w.phi, (32800 / 90.0 + 68000 / 134.4) / 6, 0.01);
	assert_false(w.is_significant);
	assert_true(w.interval.low < 0 && w.interval.high > 0);
	near(w.needed / e.needed, w.phi, 1e-6);
	diff_done(&even);
	diff_done(&wild);
}

static void new_and_gone_frames_have_bounds(void **state)
{
	(void)state;
	struct diff d;
	assert_int_equal(diff_init(&d, NULL), 0);
	add_counts(&d, DIFF_A, (int64_t[]){ 40 }, 1);
	add_counts(&d, DIFF_B, (int64_t[]){ 0, 0 }, 2);
	assert_int_equal(diff_finish(&d), 0);
	struct diff_result r = diff_result(&d, DIFF_FUNC_SELF, func(&d, "f"), 0);
	assert_true(r.is_gone && !r.is_new && r.is_significant);
	near(r.zero_bound, 3.0 / 2000, 1e-12);
	/* Gone frames stand last, with width 0, and have a picture of their own. */
	assert_int_equal(d.tree.n, 4);
	assert_int_equal(d.tree.func[3], func(&d, "f"));
	assert_int_equal(d.tree.total[3], 0);
	assert_int_equal(d.item[DIFF_NODE_TOTAL][3].value[DIFF_A], 40);
	struct calltree gone;
	uint32_t *from;
	assert_int_equal(diff_gone_tree(&d, &gone, &from), 0);
	assert_int_equal(gone.n, 3);
	assert_int_equal(gone.total[0], 40);
	assert_true(slice_eq(calltree_name(&gone, 2), slice_str("f")));
	assert_int_equal(from[1], 1);
	assert_int_equal(from[2], 3);
	free(from);
	calltree_done(&gone);
	diff_done(&d);
}

/* No count, no interval: none may be made up. */
static void without_samples_nothing_is_tested(void **state)
{
	(void)state;
	static const char *const heap[] = { "inuse_space:bytes", "x:y" };
	struct diff d;
	assert_int_equal(diff_init(&d, NULL), 0);
	for (int side = 0; side < 2; side++) {
		struct profile p;
		make_profile(&p, heap, 2, NULL);
		add(&p, "f", (int64_t[]){ side ? 10 : 1000000, 0 });
		add(&p, "g", (int64_t[]){ 1000000, 0 });
		add_window(&d, side ? DIFF_B : DIFF_A, &p, 0);
		profile_done(&p);
	}
	assert_int_equal(diff_finish(&d), 0);
	assert_false(d.has_samples);
	struct diff_result r = diff_result(&d, DIFF_FUNC_SELF, func(&d, "f"), 0.05);
	assert_true(!r.has_interval && !r.is_significant && r.needed == 0);
	assert_int_equal(d.n_tested[DIFF_FUNC_SELF], 0);
	diff_done(&d);
}

/* Nothing at all on a side must not end in a division. */
static void empty_sides_are_finite(void **state)
{
	(void)state;
	static const char *const types[] = { "samples:count" };
	struct diff d;
	struct profile p;
	assert_int_equal(diff_init(&d, NULL), 0);
	make_profile(&p, types, 1, NULL);
	add_window(&d, DIFF_A, &p, 0);
	profile_done(&p);
	add_counts(&d, DIFF_B, (int64_t[]){ 40 }, 1);
	assert_int_equal(diff_finish(&d), 0);
	assert_false(d.has_samples);
	struct diff_result r = diff_result(&d, DIFF_FUNC_SELF, func(&d, "f"), 0.05);
	assert_true(isfinite(r.delta) && r.is_new);
	near(r.share[DIFF_A], 0, 0);
	diff_done(&d);
}

static void the_budget_holds(void **state)
{
	(void)state;
	for (size_t max = 0; max < 20000; max += 500) {
		struct membudget budget = membudget_of(max);
		static const char *const types[] = { "samples:count" };
		struct diff d;
		struct profile p;
		make_profile(&p, types, 1, NULL);
		add(&p, "main;f", (int64_t[]){ 1 });
		_cleanup_(free_ptr)
		int64_t *self = calloc(dict_n_nodes(&p.dict), sizeof(*self));
		_cleanup_(calltree_builder_free)
		struct calltree_builder *b = calltree_builder_new(NULL);
		_cleanup_(calltree_done)
		struct calltree t = { 0 };
		profile_node_values(&p, 0, self);
		assert_int_equal(calltree_add(b, &p.dict, self, slice_str(""), NULL), 0);
		assert_int_equal(calltree_finish(b, &t), 0);
		int r = diff_init(&d, &budget);
		if (r == 0)
			r = diff_add(&d, DIFF_A, &t, &(struct diff_window){ 1, 1, 1 });
		if (r == 0)
			r = diff_finish(&d);
		assert_true(r == 0 || r == -ENOBUFS || r == -ENOMEM);
		diff_done(&d);
		assert_int_equal(budget.used, 0);
		profile_done(&p);
	}
}

/* --- which functions are one --- */

/* Adds "name@file@module;..." to `p`; file and module may be missing. */
static void add_described(struct profile *p, const char *stack, int64_t value)
{
	struct node_id node = { 0 };
	char copy[512];
	(void)snprintf(copy, sizeof(copy), "%s", stack);
	char *frames;
	for (char *s = strtok_r(copy, ";", &frames); s; s = strtok_r(NULL, ";", &frames)) {
		const char *parts[3] = { "", "", "" };
		for (int i = 0; i < 3 && s; i++)
			parts[i] = strsep(&s, "@");
		struct function function = { 0 };
		struct mapping mapping = { 0 };
		struct frame frame = { 0 };
		struct frame_id id;
		assert_int_equal(strtab_intern_str(&p->dict.strings, parts[0], &function.name), 0);
		assert_int_equal(strtab_intern_str(&p->dict.strings, parts[1], &function.file), 0);
		assert_int_equal(strtab_intern_str(&p->dict.strings, parts[2], &mapping.path), 0);
		assert_int_equal(dict_function(&p->dict, &function, &frame.function), 0);
		if (mapping.path.v)
			assert_int_equal(dict_mapping(&p->dict, &mapping, &frame.mapping), 0);
		frame.kind = (uint8_t)frame_kind_of_path(slice_str(parts[2]));
		assert_int_equal(dict_frame(&p->dict, &frame, &id), 0);
		assert_int_equal(dict_node(&p->dict, node, id, &node), 0);
	}
	assert_int_equal(profile_add_sample(p, node, (struct labels_id){ 0 }, &value), 0);
}

/* One window of "stack value" lines. */
static void add_lines(struct diff *d, enum diff_side side, const char *lines)
{
	static const char *const types[] = { "samples:count" };
	struct profile p;
	char line[512];
	int used;
	make_profile(&p, types, 1, NULL);
	for (long long value; sscanf(lines, "%511s %lld%n", line, &value, &used) == 2; lines += used)
		add_described(&p, line, value);
	add_window(d, side, &p, 0);
	profile_done(&p);
}

/* "name@file@module a b" of each function by self, then the number of nodes. */
static void assert_matched(const char *a, const char *b, const char *want, uint32_t n_nodes)
{
	struct membudget budget = membudget_of(1 << 20);
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 16);
	struct diff d;
	assert_int_equal(diff_init(&d, &budget), 0);
	add_lines(&d, DIFF_A, a);
	add_lines(&d, DIFF_B, b);
	assert_int_equal(diff_finish(&d), 0);
	for (uint32_t f = 1; f < d.tree.n_funcs; f++) {
		const struct tree_func *fn = &d.tree.funcs[f];
		const struct diff_item *item = &d.item[DIFF_FUNC_SELF][f];
		buf_printf(&text, "%s@%s@%s %lld %lld\n", strtab_cstr(&d.tree.names, fn->name),
			   strtab_cstr(&d.tree.names, fn->file), strtab_cstr(&d.tree.names, fn->module),
			   (long long)item->value[0], (long long)item->value[1]);
	}
	buf_add_byte(&text, 0);
	assert_string_equal((const char *)text.data, want);
	assert_int_equal(d.tree.n, n_nodes);
	diff_done(&d);
	assert_int_equal(budget.used, 0);
}

/* A program built again in another place, or a module of another version, is
 * not all new. */
static void the_same_names_are_matched(void **state)
{
	(void)state;
	assert_matched("main@x.c@/tmp/spin;hot@x.c@/tmp/spin 9", "main@x.c@/tmp/spin2;hot@x.c@/tmp/spin2 7",
		       "main@x.c@/tmp/spin2 0 0\nhot@x.c@/tmp/spin2 9 7\n", 3);
	assert_matched("x.F@mod@v1/x.go@/bin/a 9", "x.F@mod@v2/x.go@/bin/a 7", "x.F@mod@v2/x.go 9 7\n", 2);
	assert_matched("f@@/tmp/perf-1.map 3", "f@@/tmp/perf-2.map 4", "f@@/tmp/perf-2.map 3 4\n", 2);
	assert_matched("main 1", "main@x.c@/bin/x 1", "main@x.c@/bin/x 1 1\n", 2);
	/* read() and the kernel's read */
	assert_matched("read@@/lib/c.so 1", "read@@[kernel] 1", "read@@/lib/c.so 1 0\nread@@[kernel] 0 1\n", 3);
}

/* Two functions of one name stay two where both sides can tell which is which. */
static void namesakes_stay_apart(void **state)
{
	(void)state;
	assert_matched("init@a.c@/s 1 init@b.c@/s 2", "init@a.c@/s2 3 init@b.c@/s2 4",
		       "init@a.c@/s2 1 3\ninit@b.c@/s2 2 4\n", 3);
	assert_matched("init@v1/a.c@/s 1 init@v1/b.c@/s 2", "init@v2/b.c@/s 4 init@v2/a.c@/s 3",
		       "init@v2/a.c@/s 1 3\ninit@v2/b.c@/s 2 4\n", 3);
	assert_matched("f@@/x/liba.so 1 f@@/x/libb.so 2", "f@@/y/liba.so 3 f@@/y/libc.so 4",
		       "f@@/y/liba.so 1 3\nf@@/x/libb.so 2 0\nf@@/y/libc.so 0 4\n", 4);
	/* The one that is left is known by its file. */
	assert_matched("init@a.c@/s 1 init@b.c@/s 2", "init@b.c@/s2 4", "init@a.c@/s 1 0\ninit@b.c@/s2 2 4\n", 3);
	assert_matched("f@@/tmp/perf-1.map 1 f@@/bin/x 2", "f@@/bin/x2 3 f@@/tmp/perf-9.map 4",
		       "f@@/tmp/perf-9.map 1 4\nf@@/bin/x2 2 3\n", 3);
}

/* Where one side cannot tell them, they are compared together. */
static void namesakes_of_one_side_are_one(void **state)
{
	(void)state;
	assert_matched("init@a.c@/s 1 init@b.c@/s 2", "init 5", "init@@ 3 5\n", 2);
	struct diff d;
	assert_int_equal(diff_init(&d, NULL), 0);
	/* One calls the other: each stack counts once. */
	add_lines(&d, DIFF_A, "f@a.c;f@b.c 4 f@b.c;g 3 h 3");
	add_lines(&d, DIFF_A, "f@a.c 5 f@b.c 2 h 3");
	add_lines(&d, DIFF_B, "f 6 h 4");
	assert_int_equal(diff_finish(&d), 0);
	const struct diff_item *total = &d.item[DIFF_FUNC_TOTAL][func(&d, "f")];
	assert_int_equal(total->value[0], 14);
	assert_int_equal(total->value[1], 6);
	near(total->k[0], 14, 1e-9);
	/* Of both windows 7 of 10: that is what would be there were they one. */
	assert_true(total->squares[0] >= 2 * 49 / 10.0);
	diff_done(&d);
}

/* What windows are called does not change what they show. */
static void windows_of_other_builds_vary_as_much(void **state)
{
	(void)state;
	struct diff same, moved;
	char lines[128];
	assert_int_equal(diff_init(&same, NULL), 0);
	assert_int_equal(diff_init(&moved, NULL), 0);
	for (int i = 0; i < 4; i++) {
		(void)snprintf(lines, sizeof(lines), "main;f %d main;g %d", 100 + 40 * i, 900 - 40 * i);
		add_lines(&same, i % 2 ? DIFF_A : DIFF_B, lines);
		(void)snprintf(lines, sizeof(lines), "main@@/v%d;f@@/v%d %d main@@/v%d;g@@/v%d %d", i, i, 100 + 40 * i,
			       i, i, 900 - 40 * i);
		add_lines(&moved, i % 2 ? DIFF_A : DIFF_B, lines);
	}
	assert_int_equal(diff_finish(&same), 0);
	assert_int_equal(diff_finish(&moved), 0);
	for (int f = 0; f < DIFF_N_FAMILIES; f++) {
		assert_int_equal(moved.n[f], same.n[f]);
		for (uint32_t i = 1; i < same.n[f]; i++) {
			struct diff_result want = diff_result(&same, (enum diff_family)f, i, 0.05);
			struct diff_result have = diff_result(&moved, (enum diff_family)f, i, 0.05);
			near(have.delta, want.delta, 1e-12);
			near(have.phi, want.phi, 1e-9);
			near(have.p, want.p, 1e-9);
		}
	}
	diff_done(&same);
	diff_done(&moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_count_not_nanoseconds),
		cmocka_unit_test(shares_and_intervals_are_of_the_sides),
		cmocka_unit_test(wild_windows_are_believed_less),
		cmocka_unit_test(new_and_gone_frames_have_bounds),
		cmocka_unit_test(without_samples_nothing_is_tested),
		cmocka_unit_test(empty_sides_are_finite),
		cmocka_unit_test(the_same_names_are_matched),
		cmocka_unit_test(namesakes_stay_apart),
		cmocka_unit_test(namesakes_of_one_side_are_one),
		cmocka_unit_test(windows_of_other_builds_vary_as_much),
		cmocka_unit_test(the_budget_holds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
