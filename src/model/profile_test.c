/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/profile.h"
#include "model/profile_pick.h"
#include "model/quantity.h"
#include "model/window_info.h"

#include <errno.h>

static struct node_id stack(struct profile *p, const char *leaf)
{
	struct frame_id main_frame, frame;
	struct node_id node = { 0 };
	assert_int_equal(dict_named_frame(&p->dict, slice_str("main"), FRAME_USER, &main_frame), 0);
	assert_int_equal(dict_named_frame(&p->dict, slice_str(leaf), FRAME_USER, &frame), 0);
	assert_int_equal(dict_node(&p->dict, node, main_frame, &node), 0);
	assert_int_equal(dict_node(&p->dict, node, frame, &node), 0);
	return node;
}

static struct labels_id thread(struct profile *p, int64_t tid)
{
	struct label l[2] = { { .is_num = 1, .num = tid } };
	struct labels_id id;
	assert_int_equal(strtab_intern_str(&p->dict.strings, "thread_id", &l[0].key), 0);
	assert_int_equal(strtab_intern_str(&p->dict.strings, "thread_name", &l[1].key), 0);
	assert_int_equal(strtab_intern_str(&p->dict.strings, "worker", &l[1].str), 0);
	assert_int_equal(profile_labels(p, l, 2, &id), 0);
	return id;
}

static void fill(struct profile *p, struct membudget *budget)
{
	assert_int_equal(profile_init(p, budget), 0);
	assert_int_equal(profile_add_type(p, slice_str("samples"), slice_str("count")), 0);
	assert_int_equal(profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds")), 0);
}

static int64_t sum(const struct profile *p, uint32_t type)
{
	int64_t s = 0;
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		s += p->value[type].data[i];
	return s;
}

static void equal_rows_are_one(void **state)
{
	(void)state;
	struct membudget budget = membudget_of(1 << 20);
	struct profile p;
	fill(&p, &budget);
	struct node_id a = stack(&p, "a"), b = stack(&p, "b");
	assert_int_equal(stack(&p, "a").v, a.v);
	struct labels_id one = thread(&p, 1), two = thread(&p, 2);
	assert_int_equal(thread(&p, 1).v, one.v);
	assert_int_not_equal(one.v, two.v);
	assert_int_equal(profile_add_sample(&p, b, two, (int64_t[]){ 1, 10 }), 0);
	assert_int_equal(profile_add_sample(&p, a, one, (int64_t[]){ 1, 10 }), 0);
	assert_int_equal(profile_add_sample(&p, b, two, (int64_t[]){ 2, 20 }), 0);
	assert_int_equal(profile_add_sample(&p, b, one, (int64_t[]){ 0, 0 }), 0);
	assert_int_equal(profile_add_sample(&p, a, one, (int64_t[]){ INT64_MAX, 5 }), 0);
	assert_int_equal(profile_compact(&p), 0);
	assert_int_equal(profile_n_samples(&p), 2);
	assert_int_equal(p.value[0].data[0], INT64_MAX);
	assert_int_equal(p.value[1].data[0], 15);
	assert_int_equal(p.value[1].data[1], 30);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
}

/* Merging is how hours become one flame graph: nothing may get lost in it. */
static void merge_adds_up(void **state)
{
	(void)state;
	struct profile a, b, both;
	fill(&a, NULL);
	fill(&b, NULL);
	assert_int_equal(profile_init(&both, NULL), 0);
	/* Ids differ between the two on purpose. */
	(void)stack(&b, "zzz");
	assert_int_equal(profile_add_sample(&a, stack(&a, "f"), thread(&a, 1), (int64_t[]){ 1, 10 }), 0);
	assert_int_equal(profile_add_sample(&b, stack(&b, "f"), thread(&b, 1), (int64_t[]){ 2, 20 }), 0);
	assert_int_equal(profile_add_sample(&b, stack(&b, "g"), thread(&b, 9), (int64_t[]){ 4, 40 }), 0);
	a.time_ns = 1000;
	a.duration_ns = 100;
	b.time_ns = 500;
	b.duration_ns = 100;
	struct error err = { "" };
	assert_int_equal(profile_merge(&both, &a, &err), 0);
	assert_int_equal(profile_merge(&both, &b, &err), 0);
	assert_int_equal(profile_compact(&both), 0);
	assert_int_equal(profile_n_samples(&both), 2);
	assert_int_equal(sum(&both, 0), 7);
	assert_int_equal(sum(&both, 1), 70);
	assert_int_equal(both.time_ns, 500);
	assert_int_equal(both.duration_ns, 600);
	_cleanup_(free_ptr)
	int64_t *self = calloc(dict_n_nodes(&both.dict), sizeof(*self));
	profile_node_values(&both, 1, self);
	assert_int_equal(self[stack(&both, "f").v], 30);

	/* Another tool wrote the same types in another order. */
	struct profile swapped;
	assert_int_equal(profile_init(&swapped, NULL), 0);
	assert_int_equal(profile_add_type(&swapped, slice_str("cpu"), slice_str("nanoseconds")), 0);
	assert_int_equal(profile_add_type(&swapped, slice_str("samples"), slice_str("count")), 0);
	assert_int_equal(
		profile_add_sample(&swapped, stack(&swapped, "f"), (struct labels_id){ 0 }, (int64_t[]){ 7, 1 }), 0);
	assert_int_equal(profile_merge(&both, &swapped, &err), 0);
	assert_int_equal(sum(&both, 0), 8);
	assert_int_equal(sum(&both, 1), 77);
	profile_done(&swapped);

	struct profile heap;
	assert_int_equal(profile_init(&heap, NULL), 0);
	assert_int_equal(profile_add_type(&heap, slice_str("inuse_space"), slice_str("bytes")), 0);
	assert_int_equal(profile_merge(&both, &heap, &err), -EINVAL);
	assert_string_equal(err.text, "cannot merge profiles of different types: (samples:count, cpu:nanoseconds) and "
				      "(inuse_space:bytes)");
	profile_done(&heap);
	profile_done(&a);
	profile_done(&b);
	profile_done(&both);
}

/* Without times nothing is paid for them; with one, each row has its own. */
static void times_stay_with_their_samples(void **state)
{
	(void)state;
	struct membudget budget = membudget_of(1 << 20);
	struct profile p, both;
	struct error err;
	fill(&p, &budget);
	struct node_id a = stack(&p, "a");
	struct labels_id one = thread(&p, 1);
	assert_int_equal(profile_add_sample_at(&p, a, one, (int64_t[]){ 1, 10 }, 0), 0);
	assert_false(profile_has_times(&p));
	assert_int_equal(profile_add_sample_at(&p, a, one, (int64_t[]){ 1, 10 }, 700), 0);
	assert_int_equal(profile_add_sample(&p, a, one, (int64_t[]){ 1, 10 }), 0);
	assert_int_equal(p.sample_time_ns.n, profile_n_samples(&p));
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(profile_sample_time(&p, i), i == 1 ? 700 : 0);

	/* A sum of one with and one without. */
	fill(&both, &budget);
	assert_int_equal(profile_add_sample(&both, stack(&both, "c"), (struct labels_id){ 0 }, (int64_t[]){ 1, 1 }), 0);
	assert_int_equal(profile_merge(&both, &p, &err), 0);
	assert_int_equal(both.sample_time_ns.n, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(profile_sample_time(&both, i), i == 2 ? 700 : 0);

	assert_int_equal(profile_compact(&both), 0);
	assert_int_equal(profile_n_samples(&both), 2);
	assert_false(profile_has_times(&both));
	assert_int_equal(sum(&both, 0), 4);
	profile_done(&p);
	profile_done(&both);
	assert_int_equal(budget.used, 0);
}

/* Three rows of two stacks and two sets of labels, and things that no row needs. */
static void fill_for_picking(struct profile *p, struct membudget *budget)
{
	fill(p, budget);
	(void)stack(p, "unused");
	struct node_id a = stack(p, "a"), b = stack(p, "b");
	struct labels_id one = thread(p, 1), two = thread(p, 2);
	p->period = 9;
	assert_int_equal(profile_add_sample_at(p, a, one, (int64_t[]){ 1, 10 }, 500), 0);
	assert_int_equal(profile_add_sample_at(p, b, two, (int64_t[]){ 2, 20 }, 600), 0);
	assert_int_equal(profile_add_sample_at(p, a, two, (int64_t[]){ 3, 30 }, 700), 0);
}

/* Of a request of many services each gets its own rows, and nobody's names else. */
static void picked_rows_bring_only_what_they_need(void **state)
{
	(void)state;
	struct membudget budget = membudget_of(1 << 20);
	struct profile p, part;
	bool found;
	fill_for_picking(&p, &budget);
	assert_int_equal(profile_init(&part, &budget), 0);
	assert_int_equal(profile_pick(&part, &p, (uint32_t[]){ 2, 0 }, 2, 1 << 1), 0);
	assert_int_equal(part.n_types, 1);
	assert_string_equal(strtab_cstr(&part.dict.strings, part.types[0].type), "cpu");
	assert_int_equal(part.period, 9);
	assert_int_equal(profile_n_samples(&part), 2);
	assert_int_equal(part.value[0].data[0], 30);
	assert_int_equal(part.value[0].data[1], 10);
	assert_int_equal(profile_sample_time(&part, 0), 700);
	assert_int_equal(part.node.data[0].v, part.node.data[1].v);
	assert_int_equal(dict_n_nodes(&part.dict), 3);
	struct frame_id leaf = part.dict.node_frame.data[part.node.data[0].v];
	char name[FRAME_NAME_SIZE];
	assert_true(slice_eq(dict_frame_name(&part.dict, leaf, name), slice_str("a")));
	(void)strtab_find(&part.dict.strings, slice_str("b"), &found);
	assert_false(found);
	uint32_t n;
	const struct label *set = profile_label_set(&part, part.labels.data[0], &n);
	assert_int_equal(n, 2);
	assert_int_equal(set[0].is_num ? set[0].num : set[1].num, 2);
	profile_done(&part);
	profile_done(&p);
	assert_int_equal(budget.used, 0);
}

/* What a series says, its samples need not repeat. */
static void dropped_labels_leave_the_rest(void **state)
{
	(void)state;
	for (size_t max = 0;; max += 64) {
		struct membudget budget = membudget_of(1 << 20);
		struct profile p;
		fill_for_picking(&p, &budget);
		bool drop[16] = { false };
		for (uint32_t i = 0; i < p.label.n; i++)
			drop[i] = p.label.data[i].is_num;
		struct labels_id before = p.labels.data[1];
		budget.max = budget.used + max;
		int r = profile_drop_labels(&p, drop);
		uint32_t n;
		const struct label *set = profile_label_set(&p, p.labels.data[0], &n);
		if (r < 0) {
			/* As it was. */
			assert_int_equal(r, -ENOBUFS);
			assert_int_equal(n, 2);
			assert_int_equal(p.labels.data[1].v, before.v);
		} else {
			assert_int_equal(n, 1);
			assert_string_equal(strtab_cstr(&p.dict.strings, set->str), "worker");
			assert_int_equal(p.labels.data[0].v, p.labels.data[1].v);
			assert_int_equal(p.labels_off.n, 3);
		}
		profile_done(&p);
		assert_int_equal(budget.used, 0);
		if (r == 0)
			break;
	}
}

static void types_are_found_by_name(void **state)
{
	(void)state;
	struct profile p;
	fill(&p, NULL);
	struct error err;
	uint32_t t;
	assert_int_equal(profile_default_type(&p), 1);
	assert_int_equal(profile_find_type(&p, "samples", &t, &err), 0);
	assert_int_equal(t, 0);
	assert_int_equal(profile_find_type(&p, "cpu:nanoseconds", &t, &err), 0);
	assert_int_equal(t, 1);
	assert_int_equal(profile_find_type(&p, "heap", &t, &err), -ENOENT);
	assert_string_equal(err.text, "no sample type \"heap\"; the profile has samples:count, cpu:nanoseconds");
	assert_int_equal(strtab_intern_str(&p.dict.strings, "samples", &p.default_type), 0);
	assert_int_equal(profile_default_type(&p), 0);
	profile_done(&p);
}

/* A frame without a name must stay addressable: it is named later. */
static void nameless_frames_say_where(void **state)
{
	(void)state;
	struct dict d;
	assert_int_equal(dict_init(&d, NULL), 0);
	struct mapping m = { 0 };
	assert_int_equal(strtab_intern_str(&d.strings, "/usr/lib/libc.so.6", &m.path), 0);
	struct frame f = { .address = 0x1234 };
	assert_int_equal(dict_mapping(&d, &m, &f.mapping), 0);
	struct frame_id id;
	char buf[FRAME_NAME_SIZE];
	assert_int_equal(dict_frame(&d, &f, &id), 0);
	assert_true(slice_eq(dict_frame_name(&d, id, buf), slice_str("libc.so.6+0x1234")));
	f.mapping.v = 0;
	assert_int_equal(dict_frame(&d, &f, &id), 0);
	assert_true(slice_eq(dict_frame_name(&d, id, buf), slice_str("0x1234")));
	assert_true(slice_eq(dict_frame_name(&d, (struct frame_id){ 0 }, buf), slice_str("[unknown]")));
	dict_done(&d);
}

static void window_lines_survive(void **state)
{
	(void)state;
	struct window_info w = { .source = "bpf:cpu-clock", .n_cpus = 2, .rate_hz = 100, .n_samples = 1999 };
	w.lost[LOSS_ring_full] = 3;
	_cleanup_(buf_done)
	struct buf b = buf_of(4096);
	window_info_format(&w, &b);
	struct window_info back;
	assert_true(window_info_parse(slice_of(b.data, b.n), &back));
	assert_memory_equal(&w, &back, sizeof(w));
	assert_false(window_info_parse(slice_str("just a comment"), &back));
	assert_true(window_info_parse(slice_str("wick.window cpus=99999999999999999999 x= =y ring_full=-1 later=7"),
				      &back));
	assert_int_equal(back.n_cpus, 0);
	assert_int_equal(back.lost[LOSS_ring_full], 0);
	window_info_add(&back, &w);
	assert_int_equal(back.lost[LOSS_ring_full], 3);
}

/* The n-th allocation fails: an error, no leak, nothing half-built. */
static void every_budget_fails_cleanly(void **state)
{
	(void)state;
	for (size_t max = 0; max < 20000; max += 97) {
		struct membudget budget = membudget_of(max);
		struct profile p;
		int r = profile_init(&p, &budget);
		if (r == 0)
			r = profile_add_type(&p, slice_str("cpu"), slice_str("nanoseconds"));
		for (uint32_t i = 0; r == 0 && i < 200; i++) {
			char name[16];
			(void)snprintf(name, sizeof(name), "f%u", i);
			struct frame_id frame;
			struct node_id node = { 0 };
			r = dict_named_frame(&p.dict, slice_str(name), FRAME_USER, &frame);
			if (r == 0)
				r = dict_node(&p.dict, node, frame, &node);
			if (r == 0)
				r = profile_add_sample_at(&p, node, (struct labels_id){ 0 }, (int64_t[]){ 1 },
							  i > 50 ? i : 0);
		}
		assert_true(r == 0 || r == -ENOBUFS);
		profile_done(&p);
		assert_int_equal(budget.used, 0);
	}
}

static void values_read_well(void **state)
{
	(void)state;
	static const struct {
		int64_t value;
		const char *unit, *text;
	} cases[] = {
		{ 1234567890, "nanoseconds", "1.23 s" },
		{ 999, "nanoseconds", "999 ns" },
		{ 90000, "milliseconds", "1.50 min" },
		{ 0, "nanoseconds", "0 ns" },
		{ 1536, "bytes", "1.50 KiB" },
		{ 1234567, "count", "1,234,567" },
		{ -1234, "count", "-1,234" },
		{ 12, "", "12" },
		{ INT64_MIN, "frobs", "-9,223,372,036,854,775,808 frob" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[QUANTITY_SIZE];
		quantity_format(cases[i].value, cases[i].unit, text);
		assert_string_equal(text, cases[i].text);
	}
}

/* What one side calls it, the other one understands. */
static void ways_of_finding_frames_have_names_of_their_own(void **state)
{
	(void)state;
	for (int f = 0; f < N_FRAME_FOUNDS; f++)
		assert_int_equal(frame_found_of_name(slice_str(frame_found_name((enum frame_found)f))), f);
	assert_string_equal(frame_found_name(FRAME_FOUND_FP), "fp");
	assert_int_equal(frame_found_of_name(slice_str("by magic")), FRAME_FOUND_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_rows_are_one),
		cmocka_unit_test(merge_adds_up),
		cmocka_unit_test(times_stay_with_their_samples),
		cmocka_unit_test(picked_rows_bring_only_what_they_need),
		cmocka_unit_test(dropped_labels_leave_the_rest),
		cmocka_unit_test(types_are_found_by_name),
		cmocka_unit_test(nameless_frames_say_where),
		cmocka_unit_test(window_lines_survive),
		cmocka_unit_test(every_budget_fails_cleanly),
		cmocka_unit_test(values_read_well),
		cmocka_unit_test(ways_of_finding_frames_have_names_of_their_own),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
