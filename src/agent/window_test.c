/* SPDX-License-Identifier: Apache-2.0 */
/* From records as the kernel writes them to a profile: nothing is lost
 * without being counted, and names are those of the code. */
#include "agent/intake.h"
#include "agent/naming.h"
#include "agent/window_profile.h"
#include "base/clock.h"
#include "unit.h"

#include <string.h>

struct fixture {
	struct binary_table *binaries;
	struct process_table *processes;
	struct naming *naming;
	struct window w;
};

static int setup(void **state)
{
	static struct fixture f;
	f.binaries = binary_table_new(64, 8);
	f.processes = process_table_new(16, "under-test", f.binaries);
	f.naming = naming_new(256 << 10, NULL);
	*state = &f;
	return f.processes && f.naming ? window_init(&f.w, 1, 1000, 1 << 20) : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	window_done(&f->w);
	naming_free(&f->naming);
	process_table_free(&f->processes);
	binary_table_free(&f->binaries);
	return 0;
}

static __attribute__((noinline)) void known_leaf(void)
{
	__asm__ volatile("" ::: "memory");
}

static __attribute__((noinline)) void known_caller(void)
{
	known_leaf();
	__asm__ volatile("" ::: "memory");
}

static void add_ended_stack(struct fixture *f, uint64_t hash, const uint64_t *frames, uint32_t n, enum stack_end end)
{
	struct record_stack s = { .type = RECORD_STACK, .window = 1, .hash = hash, .n_frames = n, .end = end };
	memcpy(s.frames, frames, n * sizeof(frames[0]));
	assert_int_equal(window_add_stack(&f->w, &s), 0);
}

static void add_stack(struct fixture *f, uint64_t hash, const uint64_t *frames, uint32_t n)
{
	add_ended_stack(f, hash, frames, n, STACK_GOES_ON);
}

static struct record_sample own_sample(uint64_t user, uint64_t kernel)
{
	return (struct record_sample){
		.type = RECORD_SAMPLE,
		.window = 1,
		.tgid = (uint32_t)getpid(),
		.tid = (uint32_t)getpid(),
		.image = 3,
		.user = user,
		.kernel = kernel,
		.weight = 10000000,
		.comm = "main-thread",
	};
}

static void take(struct fixture *f, const struct record_sample *s)
{
	int64_t now = clock_mono_ns();
	struct process *p = process_get(f->processes, s, now);
	assert_non_null(p);
	intake_sample(&f->w, f->processes, p, s, NULL, now);
}

static uint64_t address(void (*function)(void))
{
	return (uint64_t)(uintptr_t)function;
}

static void profile_of(struct fixture *f, struct profile *p)
{
	f->w.end_ns = 5000;
	f->w.info.rate_hz = 100;
	assert_int_equal(naming_window(f->naming, &f->w, clock_mono_ns()), 0);
	struct window_profile_options o = { .scale = 1, .kernel_build_id = "abcd" };
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(window_profile(&f->w, 0, &o, p), 0);
}

static const char *frame_name(const struct profile *p, struct node_id node)
{
	static char buf[FRAME_NAME_SIZE];
	struct slice name = dict_frame_name(&p->dict, p->dict.node_frame.data[node.v], buf);
	static char text[FRAME_NAME_SIZE + 1];
	(void)snprintf(text, sizeof(text), "%.*s", SLICE_FMT(name));
	return text;
}

static void test_stack_becomes_named_frames(void **state)
{
	struct fixture *f = *state;
	const uint64_t user[] = { address(known_leaf), address(known_caller) + 1 };
	add_stack(f, 11, user, 2);
	struct record_sample s = own_sample(11, 0);
	take(f, &s);
	take(f, &s);
	struct profile p;
	profile_of(f, &p);
	assert_int_equal(profile_n_samples(&p), 1);
	assert_int_equal(p.value[0].data[0], 20000000);
	assert_int_equal(p.time_ns, 1000);
	assert_int_equal(p.duration_ns, 4000);
	assert_int_equal(p.period, 10000000);
	struct node_id leaf = p.node.data[0], root = p.dict.node_parent.data[leaf.v];
	assert_string_equal(frame_name(&p, leaf), "known_leaf");
	assert_string_equal(frame_name(&p, root), "known_caller");
	assert_int_equal(p.dict.node_parent.data[root.v].v, 0);
	/* The address is the file's own: it does not depend on where it was loaded. */
	const struct frame *frame = &p.dict.frames.data[p.dict.node_frame.data[leaf.v].v];
	const struct mapping *mapping = &p.dict.mappings.data[frame->mapping.v];
	assert_int_equal(mapping->start, 0);
	assert_true(frame->address < mapping->limit);
	assert_non_null(strstr(strtab_cstr(&p.dict.strings, mapping->path), "window_test"));
	uint32_t n;
	const struct label *set = profile_label_set(&p, p.labels.data[0], &n);
	assert_int_equal(n, 3);
	assert_string_equal(strtab_cstr(&p.dict.strings, set[0].key), "pid");
	assert_int_equal(set[0].num, getpid());
	assert_string_equal(strtab_cstr(&p.dict.strings, set[2].str), "main-thread");
	profile_done(&p);
}

static void test_kernel_frames_stand_above_user_frames(void **state)
{
	struct fixture *f = *state;
	const uint64_t user[] = { address(known_leaf) }, kernel[] = { 0xffffffff81000010, 0xffffffff81000020 };
	add_stack(f, 1, user, 1);
	add_stack(f, 2, kernel, 2);
	struct record_sample s = own_sample(1, 2);
	take(f, &s);
	struct profile p;
	profile_of(f, &p);
	struct node_id at = p.node.data[0];
	static const enum frame_kind kinds[] = { FRAME_KERNEL, FRAME_KERNEL, FRAME_USER };
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct frame *frame = &p.dict.frames.data[p.dict.node_frame.data[at.v].v];
		assert_int_equal(frame->kind, kinds[i]);
		at = p.dict.node_parent.data[at.v];
	}
	assert_int_equal(at.v, 0);
	profile_done(&p);
}

/* The label that says why the stack of sample i is not whole. */
static void assert_stack_end(const struct profile *p, uint32_t i, const char *end)
{
	uint32_t n;
	const struct label *set = profile_label_set(p, p->labels.data[i], &n);
	for (uint32_t k = 0; k < n; k++) {
		if (strcmp(strtab_cstr(&p->dict.strings, set[k].key), "stack_end") != 0)
			continue;
		assert_string_equal(strtab_cstr(&p->dict.strings, set[k].str), end);
		return;
	}
	assert_null(end);
}

static uint8_t found_of(const struct profile *p, struct node_id node)
{
	return p->dict.frames.data[p->dict.node_frame.data[node.v].v].found;
}

/* One function, met in three ways: three frames, none of which claims more
 * than is known. */
static void test_frames_say_how_they_were_found(void **state)
{
	struct fixture *f = *state;
	const uint64_t caller = address(known_caller) + 1;
	const uint64_t user[] = { address(known_leaf) | (uint64_t)HOW_REGISTER << FRAME_HOW_SHIFT,
				  caller | (uint64_t)HOW_TABLE << FRAME_HOW_SHIFT,
				  caller | (uint64_t)HOW_FP << FRAME_HOW_SHIFT,
				  (caller - 1) | (uint64_t)HOW_SIGNAL << FRAME_HOW_SHIFT };
	add_ended_stack(f, 1, user, 4, STACK_END_ROOT);
	struct record_sample s = own_sample(1, 0);
	take(f, &s);
	struct profile p;
	profile_of(f, &p);
	struct node_id at = p.node.data[0];
	static const uint8_t found[] = { FRAME_FOUND_REGISTER, FRAME_FOUND_TABLE, FRAME_FOUND_FP, FRAME_FOUND_SIGNAL };
	for (size_t i = 0; i < ARRAY_SIZE(found); i++) {
		assert_int_equal(found_of(&p, at), found[i]);
		assert_string_equal(frame_name(&p, at), i ? "known_caller" : "known_leaf");
		at = p.dict.node_parent.data[at.v];
	}
	assert_int_equal(at.v, 0);
	assert_stack_end(&p, 0, NULL);
	assert_int_equal(f->w.info.lost[LOSS_incomplete], 0);
	profile_done(&p);
}

static void test_a_broken_stack_says_so(void **state)
{
	struct fixture *f = *state;
	const uint64_t user[] = { address(known_leaf), 4096, address(known_caller) };
	add_stack(f, 1, user, 3);
	struct record_sample s = own_sample(1, 0);
	take(f, &s);
	struct profile p;
	profile_of(f, &p);
	struct node_id leaf = p.node.data[0];
	assert_string_equal(frame_name(&p, leaf), "known_leaf");
	assert_string_equal(frame_name(&p, p.dict.node_parent.data[leaf.v]), "[incomplete: astray]");
	assert_stack_end(&p, 0, "astray");
	assert_int_equal(f->w.info.lost[LOSS_incomplete], 1);
	profile_done(&p);
}

static void test_a_cut_stack_says_so(void **state)
{
	struct fixture *f = *state;
	uint64_t user[SAMPLER_DEPTH];
	for (uint32_t i = 0; i < SAMPLER_DEPTH; i++)
		user[i] = address(known_leaf) + 1;
	add_ended_stack(f, 1, user, SAMPLER_DEPTH, STACK_END_DEPTH);
	struct record_sample s = own_sample(1, 0);
	take(f, &s);
	assert_int_equal(f->w.info.lost[LOSS_truncated], 1);
	struct profile p;
	profile_of(f, &p);
	struct node_id at = p.node.data[0];
	while (p.dict.node_parent.data[at.v].v)
		at = p.dict.node_parent.data[at.v];
	assert_string_equal(frame_name(&p, at), "[incomplete: depth_limit]");
	assert_stack_end(&p, 0, "depth_limit");
	profile_done(&p);
}

static void test_a_gone_process_keeps_its_time(void **state)
{
	struct fixture *f = *state;
	const uint64_t user[] = { 0x401000 };
	add_stack(f, 1, user, 1);
	struct record_sample s = own_sample(1, 0);
	s.tgid = INT32_MAX;
	take(f, &s);
	struct profile p;
	profile_of(f, &p);
	assert_int_equal(p.value[0].data[0], 10000000);
	assert_string_equal(frame_name(&p, p.node.data[0]), "[incomplete: gone]");
	profile_done(&p);
}

static void test_missing_stacks_are_counted(void **state)
{
	struct fixture *f = *state;
	struct record_sample s = own_sample(77, 0);
	take(f, &s);
	s = own_sample(0, 78);
	take(f, &s);
	assert_int_equal(f->w.info.lost[LOSS_stack_missing], 2);
	assert_int_equal(f->w.info.n_samples, 0);
}

static void test_a_full_window_counts_and_stays_whole(void **state)
{
	struct fixture *f = *state;
	const uint32_t total = 100000;
	const uint64_t user[] = { address(known_leaf) };
	add_stack(f, 1, user, 1);
	for (uint32_t i = 0; i < total; i++) {
		struct record_sample s = own_sample(1, 0);
		s.tid = i + 1;
		take(f, &s);
	}
	const struct window_info *info = &f->w.info;
	assert_true(info->lost[LOSS_window_full] > 0);
	assert_int_equal(info->n_samples + info->lost[LOSS_window_full], total);
	assert_true(f->w.budget.peak <= 1 << 20);
	uint64_t weight = 0;
	for (uint32_t i = 0; i < f->w.samples.n; i++)
		weight += f->w.samples.data[i].weight;
	assert_int_equal(weight, info->n_samples * 10000000);
}

static void test_series_are_apart(void **state)
{
	struct fixture *f = *state;
	const uint64_t user[] = { address(known_leaf) };
	add_stack(f, 1, user, 1);
	struct record_sample s = own_sample(1, 0);
	take(f, &s);
	s = own_sample(0, 0);
	s.tgid = 2;
	s.flags = SAMPLE_KTHREAD;
	s.image = 0;
	take(f, &s);
	assert_int_equal(f->w.series.n, 2);
	assert_string_equal(strtab_cstr(&f->w.strings, f->w.series.data[0].service), "under-test");
	assert_string_equal(strtab_cstr(&f->w.strings, f->w.series.data[1].service), "kernel");
	struct profile p;
	profile_of(f, &p);
	assert_int_equal(profile_n_samples(&p), 1);
	profile_done(&p);
}

static void test_cycles_become_time(void **state)
{
	struct fixture *f = *state;
	const uint64_t user[] = { address(known_leaf) };
	add_stack(f, 1, user, 1);
	struct record_sample s = own_sample(1, 0);
	s.weight = 30000000; /* at 3 GHz */
	take(f, &s);
	struct window_profile_options o = { .scale = 1.0 / 3, .kernel_build_id = "", .label_service = true };
	struct profile p;
	f->w.info.rate_hz = 100;
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(window_profile(&f->w, 0, &o, &p), 0);
	assert_int_equal(p.value[0].data[0], 10000000);
	uint32_t n;
	(void)profile_label_set(&p, p.labels.data[0], &n);
	assert_int_equal(n, 4);
	profile_done(&p);
}

/* Each sample keeps when it was, as far as there is room, and none its weight. */
static void test_moments(void **state)
{
	for (uint32_t room = 0; room <= 5; room++) {
		struct fixture *f = *state;
		if (room > 0) {
			assert_int_equal(teardown(state), 0);
			assert_int_equal(setup(state), 0);
			f = *state;
		}
		window_keep_moments(&f->w, room);
		f->w.start_ns = INT64_C(1700000000000000000);
		f->w.start_mono_ns = 5000000;
		const uint64_t leaf[] = { address(known_leaf) }, caller[] = { address(known_caller) };
		add_stack(f, 1, leaf, 1);
		add_stack(f, 2, caller, 1);
		static const int64_t us[] = { 1500, 2500, 3500, -7, 4500 };
		for (uint32_t i = 0; i < 5; i++) {
			struct record_sample s = own_sample(i == 1 ? 2 : 1, 0);
			s.weight = 100 + i;
			int64_t now = clock_mono_ns();
			struct process *p = process_get(f->processes, &s, now);
			assert_non_null(p);
			s.time_ns = (uint64_t)(f->w.start_mono_ns + us[i] * 1000);
			p->valid_from_ns = 0;
			intake_sample(&f->w, f->processes, p, &s, NULL, now);
		}
		window_sort_moments(&f->w);
		struct profile p;
		profile_of(f, &p);
		int64_t sum = 0;
		uint32_t n_timed = 0;
		for (uint32_t i = 0; i < profile_n_samples(&p); i++) {
			int64_t value = p.value[0].data[i], time = profile_sample_time(&p, i);
			sum += value;
			n_timed += time != 0;
			if (time)
				assert_int_equal(time - f->w.start_ns,
						 (us[value - 100] > 0 ? us[value - 100] : 0) * 1000);
		}
		assert_int_equal(sum, 510);
		static const uint32_t want[] = { 0, 1, 2, 3, 3, 5 };
		assert_int_equal(n_timed, want[room]);
		profile_done(&p);
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_stack_becomes_named_frames),
		CASE(test_kernel_frames_stand_above_user_frames),
		CASE(test_frames_say_how_they_were_found),
		CASE(test_a_broken_stack_says_so),
		CASE(test_a_cut_stack_says_so),
		CASE(test_a_gone_process_keeps_its_time),
		CASE(test_missing_stacks_are_counted),
		CASE(test_a_full_window_counts_and_stays_whole),
		CASE(test_series_are_apart),
		CASE(test_cycles_become_time),
		CASE(test_moments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
