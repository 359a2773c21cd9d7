/* SPDX-License-Identifier: Apache-2.0 */
/* Larger profiles than a person writes: stacks that share their beginnings,
 * as deep as takes several pieces, with indices of one to three bytes. */
#include "unit.h"

#include "format/otlp.h"
#include "format/testprofile.h"

#include <errno.h>

#define N_SAMPLES 3000
#define N_CODES	  40000
#define MAX_DEPTH 400

static uint32_t state;

static uint32_t any(uint32_t below)
{
	state = state * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(state >> 4) * below >> 28);
}

static uint32_t push(struct profile *p, uint32_t parent, uint32_t code, uint32_t inlined)
{
	char name[32];
	(void)snprintf(name, sizeof(name), "f%u_%u", code, inlined);
	struct function fn = { 0 };
	struct frame frame = { .address = 0x1000 + code, .kind = FRAME_USER, .flags = inlined ? FRAME_INLINED : 0 };
	struct frame_id id;
	struct node_id node;
	assert_int_equal(strtab_intern_str(&p->dict.strings, name, &fn.name), 0);
	assert_int_equal(dict_function(&p->dict, &fn, &frame.function), 0);
	assert_int_equal(dict_frame(&p->dict, &frame, &id), 0);
	assert_int_equal(dict_node(&p->dict, (struct node_id){ parent }, id, &node), 0);
	return node.v;
}

/* An earlier stack, some frames of it replaced. One place in a hundred has
 * frames inlined into it, one in a thousand more than are walked at once. */
static uint32_t next_leaf(struct profile *p, uint32_t leaf)
{
	const struct dict *d = &p->dict;
	for (uint32_t up = any(3) ? any(4) : any(MAX_DEPTH); leaf && up; up--)
		leaf = d->node_parent.data[leaf].v;
	/* Not from within a location. */
	while (leaf && d->frames.data[d->node_frame.data[leaf].v].flags & FRAME_INLINED)
		leaf = d->node_parent.data[leaf].v;
	leaf = leaf ? d->node_parent.data[leaf].v : 0;
	while (leaf && d->frames.data[d->node_frame.data[leaf].v].flags & FRAME_INLINED)
		leaf = d->node_parent.data[leaf].v;
	for (uint32_t n = 1 + (any(3) ? any(5) : any(40)); n > 0; n--) {
		uint32_t code = any(2) ? any(100) : any(N_CODES);
		uint32_t inlined = code % 1000 == 7 ? 20 : code % 100 == 7 ? 2 : 0;
		for (uint32_t i = 0; i <= inlined; i++)
			leaf = push(p, leaf, code, i);
	}
	return leaf;
}

static void add_sample(struct profile *p, uint32_t leaf, int64_t thread)
{
	struct label label = { .is_num = 1, .num = thread };
	struct labels_id labels;
	int64_t values[] = { 1 + any(100), any(3) };
	assert_int_equal(strtab_intern_str(&p->dict.strings, "thread_id", &label.key), 0);
	assert_int_equal(profile_labels(p, &label, 1, &labels), 0);
	assert_int_equal(profile_add_sample(p, (struct node_id){ leaf }, labels, values), 0);
}

static void fill(struct profile *p, uint32_t seed)
{
	static uint32_t leaves[N_SAMPLES];
	state = seed;
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(profile_add_type(p, slice_str("samples"), slice_str("count")), 0);
	assert_int_equal(profile_add_type(p, slice_str("wait"), slice_str("nanoseconds")), 0);
	for (uint32_t i = 0; i < N_SAMPLES; i++) {
		leaves[i] = next_leaf(p, i ? leaves[any(i)] : 0);
		add_sample(p, leaves[i], 1000000 + (int64_t)i);
	}
}

static void assert_survives(const struct profile *p)
{
	_cleanup_(buf_done)
	struct buf b = buf_of((size_t)64 << 20);
	struct error err = { "" };
	struct profile q;
	assert_int_equal(otlp_encode(p, &b), 0);
	assert_int_equal(profile_init(&q, NULL), 0);
	if (otlp_decode(slice_of(b.data, b.n), &format_limits_default, &q, &err) < 0)
		fail_msg("%s", err.text);
	testprofile_assert_same(p, &q);
	profile_done(&q);
}

static void many_stacks_survive(void **state_)
{
	(void)state_;
	for (uint32_t seed = 1; seed <= 4; seed++) {
		struct profile p;
		fill(&p, seed);
		assert_survives(&p);
		profile_done(&p);
	}
}

/* A stack that hundreds of threads were seen in keeps the values of each, of
 * both types, on one row per thread. */
static void threads_of_one_stack_stay_apart(void **state_)
{
	(void)state_;
	struct profile p;
	fill(&p, 9);
	uint32_t leaf = p.node.data[N_SAMPLES / 2].v;
	for (int64_t i = 0; i < 500; i++)
		add_sample(&p, leaf, i);
	assert_survives(&p);
	profile_done(&p);
}

static uint32_t depth_of(const struct profile *p, uint32_t node)
{
	uint32_t n = 0;
	for (; node; node = p->dict.node_parent.data[node].v)
		n++;
	return n;
}

/* The limit counts all frames of a stack, those known from other stacks, too. */
static void depth_limit_holds_for_shared_beginnings(void **state_)
{
	(void)state_;
	_cleanup_(buf_done)
	struct buf b = buf_of((size_t)64 << 20);
	struct format_limits limits = format_limits_default;
	struct profile p, q;
	uint32_t deepest = 0;
	fill(&p, 5);
	for (uint32_t i = 0; i < N_SAMPLES; i++) {
		uint32_t n = depth_of(&p, p.node.data[i].v);
		deepest = n > deepest ? n : deepest;
	}
	assert_int_equal(otlp_encode(&p, &b), 0);
	for (uint32_t short_by = 0; short_by < 2; short_by++) {
		struct error err = { "" };
		limits.depth = deepest - short_by;
		assert_int_equal(profile_init(&q, NULL), 0);
		assert_int_equal(otlp_decode(slice_of(b.data, b.n), &limits, &q, &err), short_by ? -E2BIG : 0);
		assert_true(!short_by || strstr(err.text, "frames"));
		profile_done(&q);
	}
	profile_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_stacks_survive),
		cmocka_unit_test(threads_of_one_stack_stay_apart),
		cmocka_unit_test(depth_limit_holds_for_shared_beginnings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
