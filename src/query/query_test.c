/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include "model/toptable.h"
#include "query/exemplars.h"
#include "query/heatmap.h"
#include "query/listing.h"
#include "query/merge.h"
#include "query/observed.h"
#include "query/quality.h"
#include "query/timeline.h"
#include "store/block_build.h"
#include "store/block_part.h"
#include "store/head.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Every query is compared with the same question put to a plain list of
 * samples, wherever the samples are: in memory, in a block and in memory, or in
 * one block that was made of two and has sums. A stack is three functions of five or fewer, as a number in base
 * 6: 0 = none. */
#define N_FUNCS	   5
#define N_STACKS   216
#define N_SERVICES 3
#define N_HOSTS	   2
#define N_THREADS  4
#define N_PROFILES 200
#define START_MS   1700000000000
#define WINDOW_MS  10000

struct sample {
	int service, host, thread, end; /* thread, end 0 = no label */
	int64_t from_ms, duration_ms;
	int stack;
	int64_t value;
	int64_t time_ms; /* when it was taken; 0 = not known */
};

enum layout { IN_MEMORY, HALF_IN_A_BLOCK, IN_A_BLOCK_WITH_SUMS };

struct fixture {
	struct head head[2]; /* profiles go here and there */
	struct block_part block[3];
	unsigned n_blocks;
	struct membudget block_budget;
	const struct part *parts[2];
	unsigned n_parts;
	struct sample samples[N_PROFILES * 8];
	unsigned n;
	unsigned resolutions; /* that answers came from */
};

static const char *const services[] = { "api", "db", "web" };
static const char *const hosts[] = { "h0", "h1" };
static const char *const threads[] = { "", "main", "worker", "gc" };

static const struct {
	const char *label;
	enum stack_ended end;
} ends[] = {
	{ "", STACK_NOT_ENDED },
	{ "jit", STACK_ENDED_JIT },
	{ "gone", STACK_ENDED_GONE },
	{ "of the future", STACK_ENDED_OTHERWISE },
};

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static struct node_id node_of(struct dict *d, int stack)
{
	struct node_id node = { 0 };
	for (; stack; stack /= 6) {
		char name[4] = { 'f', (char)('0' + stack % 6), 0 };
		struct frame_id frame;
		assert_int_equal(dict_named_frame(d, slice_str(name), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(d, node, frame, &node), 0);
	}
	return node;
}

/* 1 to 3 functions, root first in the lowest digit. */
static int any_stack(uint32_t *seed)
{
	int stack = 0, n = 1 + (int)(next(seed) % 3);
	for (int i = 0; i < n; i++)
		stack = stack * 6 + 1 + (int)(next(seed) % N_FUNCS);
	return stack;
}

static struct label text_label(struct profile *p, const char *key, const char *value)
{
	struct label l = { .is_num = 0 };
	assert_int_equal(strtab_intern_str(&p->dict.strings, key, &l.key), 0);
	assert_int_equal(strtab_intern_str(&p->dict.strings, value, &l.str), 0);
	return l;
}

static struct labels_id labels_of(struct profile *p, int thread, int end)
{
	struct labels_id id;
	struct label set[3];
	uint32_t n = 0;
	if (thread) {
		set[n++] = text_label(p, "thread_name", threads[thread]);
		set[n] = (struct label){ .is_num = 1, .num = 100 + thread };
		assert_int_equal(strtab_intern_str(&p->dict.strings, "pid", &set[n++].key), 0);
	}
	if (end)
		set[n++] = text_label(p, "stack_end", ends[end].label);
	assert_int_equal(profile_labels(p, set, n, &id), 0);
	return id;
}

static void store_profile(struct fixture *f, int i, uint32_t *seed)
{
	struct intake in = { .received_ms = START_MS };
	struct intake_profile ip = { .keep = 1 };
	struct profile *p = &ip.profile;
	int service = (int)(next(seed) % N_SERVICES), host = (int)(next(seed) % N_HOSTS);
	in.label[SERIES_SERVICE] = slice_str(services[service]);
	in.label[SERIES_HOST] = slice_str(hosts[host]);
	ip.from_ms = START_MS + i / 4 * WINDOW_MS;
	ip.to_ms = ip.from_ms + WINDOW_MS;
	assert_int_equal(profile_init(p, NULL), 0);
	assert_int_equal(profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	assert_int_equal(profile_add_comment(p, slice_str("wick.window source=test cpus=2 samples=10 ring_full=1")), 0);
	unsigned n = next(seed) % 8;
	for (unsigned k = 0; k < n; k++) {
		struct sample s = { service,
				    host,
				    (int)(next(seed) % N_THREADS),
				    (int)(next(seed) % ARRAY_SIZE(ends)),
				    ip.from_ms,
				    WINDOW_MS,
				    any_stack(seed),
				    (int64_t)(next(seed) % 1000) * 10000000,
				    0 };
		if (i % 3 && next(seed) % 4)
			s.time_ms = ip.from_ms + (int64_t)(next(seed) % WINDOW_MS);
		assert_int_equal(profile_add_sample_at(p, node_of(&p->dict, s.stack), labels_of(p, s.thread, s.end),
						       &s.value, s.time_ms * 1000000),
				 0);
		f->samples[f->n++] = s;
	}
	struct staged staged;
	struct error err = { "" };
	struct head *head = &f->head[next(seed) % 2];
	if (head_prepare(head, &in, &ip, &staged, &err) < 0)
		fail_msg("%s", err.text);
	/* One in ten meets a disk error: it must leave no trace. */
	if (i % 10 == 9) {
		head_abandon(head, &staged);
		f->n -= n;
	} else {
		head_publish(head, &staged);
	}
	intake_profile_done(&ip);
}

/* Writes a block of the parts and opens it. */
static const struct part *build(struct fixture *f, const struct part *const *parts, uint32_t n,
				enum resolution coarsest)
{
	struct membudget budget = membudget_of(16 << 20);
	struct build_options o = {
		.from_ms = 0,
		.to_ms = INTAKE_TIME_MAX_MS,
		.is_all = true,
		.coarsest = coarsest,
		.zstd_level = 1,
		.budget = &budget,
	};
	struct block_meta meta = { .level = 1 };
	struct error err = { "" };
	struct build_report report;
	char name[] = "0";
	name[0] = (char)('0' + f->n_blocks);
	int fd = open(in_scratch(name), O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && block_id_random(&meta.id) == 0);
	if (block_build(parts, n, &o, fd, &meta, &report, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(report.n_damaged, 0);
	assert_int_equal(budget.used, 0);
	(void)close(fd);
	struct block_part *block = &f->block[f->n_blocks++];
	if (block_part_load(block, AT_FDCWD, in_scratch(name), NULL, &f->block_budget, &err) < 0)
		fail_msg("%s", err.text);
	return &block->part;
}

static int set_up(void **state, enum layout layout)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint32_t seed = 7;
	f->block_budget = membudget_of(16 << 20);
	assert_int_equal(head_init(&f->head[0], 8 << 20, 1000), 0);
	assert_int_equal(head_init(&f->head[1], 8 << 20, 1000), 0);
	for (int i = 0; i < N_PROFILES; i++)
		store_profile(f, i, &seed);
	f->parts[0] = &f->head[0].part;
	f->parts[1] = &f->head[1].part;
	f->n_parts = 2;
	if (layout != IN_MEMORY)
		f->parts[1] = build(f, &f->parts[1], 1, RES_RAW);
	if (layout == IN_A_BLOCK_WITH_SUMS) {
		f->parts[0] = build(f, &f->parts[0], 1, RES_RAW);
		f->parts[0] = build(f, f->parts, 2, RES_DAY);
		f->n_parts = 1;
	}
	*state = f;
	return 0;
}

static int in_memory(void **state)
{
	return set_up(state, IN_MEMORY);
}

static int half_in_a_block(void **state)
{
	return set_up(state, HALF_IN_A_BLOCK);
}

static int in_a_block_with_sums(void **state)
{
	return set_up(state, IN_A_BLOCK_WITH_SUMS);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < f->n_blocks; i++)
		block_part_done(&f->block[i]);
	assert_int_equal(f->block_budget.used, 0);
	for (int i = 0; i < 2; i++) {
		head_done(&f->head[i]);
		assert_int_equal(f->head[i].budget.used, 0);
	}
	free(f);
	return 0;
}

/* ---- a question put to all parts ---- */

struct walk {
	struct fixture *f;
	const struct selector *selector;
	const struct filter *filter;
	const struct framelines *lines; /* of parts[0] */
	struct membudget *budget;
	struct cancel *cancel;
	struct scan_stats stats;
};

/* Puts each part's selection to `add`; the first failure ends it. */
static int each_part(struct walk *w, int (*add)(void *arg, const struct selection *s), void *arg)
{
	int r = 0;
	for (unsigned i = 0; r == 0 && i < w->f->n_parts; i++) {
		struct selection s;
		struct filter_failure failure;
		r = selection_init(&s, w->f->parts[i], w->selector, w->budget, NULL);
		if (r < 0)
			break;
		s.stats = &w->stats;
		s.framelines = w->lines;
		s.cancel = w->cancel;
		r = selection_filter(&s, w->filter, &failure);
		if (r == 0)
			r = add(arg, &s);
		selection_done(&s);
	}
	assert_int_equal(w->stats.n_damaged, 0);
	assert_false(w->stats.is_inexact);
	w->f->resolutions |= w->stats.resolutions;
	return r;
}

static int rank(void *arg, const struct selection *s)
{
	return merge_rank(arg, s);
}

static int add_tree(void *arg, const struct selection *s)
{
	return merge_add(arg, s);
}

static int merge_all(struct walk *w, struct slice by, bool lines, struct calltree *ret, struct merge_sums *ret_sums)
{
	_cleanup_(merge_free)
	struct merge *m = merge_new(by, lines, w->budget);
	int r = m ? 0 : -ENOBUFS;
	if (r == 0 && merge_is_ranked(m))
		r = each_part(w, rank, m);
	if (r == 0)
		r = each_part(w, add_tree, m);
	return r == 0 ? merge_finish(m, ret, ret_sums) : r;
}

static int add_steps(void *arg, const struct selection *s)
{
	return timeline_add(arg, s);
}

/* The n steps, copied. */
static void series_of_all(struct walk *w, int64_t step, uint32_t n, struct timeline_step *ret)
{
	struct timeline *t = timeline_new(w->selector->from_ms, step, n, w->budget);
	assert_non_null(t);
	assert_int_equal(each_part(w, add_steps, t), 0);
	memcpy(ret, timeline_finish(t), n * sizeof(*ret));
	timeline_free(&t);
}

/* -1 = any */
struct question {
	int service, host, thread;
	int64_t from_ms, to_ms;
};

static bool wanted(const struct question *q, const struct sample *s)
{
	return (q->service < 0 || q->service == s->service) && (q->host < 0 || q->host == s->host) &&
	       (q->thread < 0 || q->thread == s->thread) && s->from_ms < q->to_ms &&
	       s->from_ms + s->duration_ms > q->from_ms;
}

static void ask(const struct question *q, struct selector *ret)
{
	*ret = (struct selector){ .type = slice_str("cpu:nanoseconds"), .from_ms = q->from_ms, .to_ms = q->to_ms };
	if (q->service >= 0)
		ret->service = slice_str(services[q->service]);
	if (q->host >= 0) {
		ret->label[ret->n_labels].name = slice_str("host");
		ret->label[ret->n_labels++].value = slice_str(hosts[q->host]);
	}
	if (q->thread > 0) {
		static char pid[16];
		(void)snprintf(pid, sizeof(pid), "%d", 100 + q->thread);
		ret->label[ret->n_labels].name = slice_str("pid");
		ret->label[ret->n_labels++].value = slice_str(pid);
	}
}

static struct question any_question(uint32_t *seed)
{
	int64_t from = START_MS + ((int64_t)(next(seed) % 500) - 100) * 1000;
	int64_t length = (int64_t)(next(seed) % 300) * 1000 * (next(seed) % 2 ? 10 : 1);
	int thread = (int)(next(seed) % N_THREADS);
	return (struct question){
		.service = (int)(next(seed) % (N_SERVICES + 1)) - 1,
		.host = (int)(next(seed) % (N_HOSTS + 1)) - 1,
		.thread = thread ? thread : -1,
		.from_ms = from,
		.to_ms = from + 1 + length,
	};
}

/* Digits of a node's stack below `top` levels, root in the lowest. */
static int stack_of(const struct calltree *t, uint32_t node, uint32_t top)
{
	int stack = 0;
	for (; t->depth[node] > top; node = t->parent[node])
		stack = stack * 6 + (calltree_name(t, node).data[1] - '0');
	return stack;
}

/* How stacks end adds up to the whole, reason by reason. */
static void assert_ends(const struct fixture *f, const struct question *q, const struct merge_sums *sums, int64_t total)
{
	int64_t expected[N_STACK_ENDED] = { 0 }, sum = 0;
	for (unsigned i = 0; i < f->n; i++)
		if (wanted(q, &f->samples[i]))
			expected[ends[f->samples[i].end].end] += f->samples[i].value;
	for (int e = 0; e < N_STACK_ENDED; e++) {
		assert_int_equal(sums->ended[e], expected[e]);
		sum += sums->ended[e];
	}
	assert_int_equal(sum, total);
}

static void trees_equal_a_plain_sum(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 3;
	for (int round = 0; round < 200; round++) {
		struct question q = any_question(&seed);
		struct selector selector;
		struct membudget budget = membudget_of(4 << 20);
		ask(&q, &selector);
		int64_t expected[N_STACKS] = { 0 };
		for (unsigned i = 0; i < f->n; i++)
			if (wanted(&q, &f->samples[i]))
				expected[f->samples[i].stack] += f->samples[i].value;
		struct walk w = { .f = f, .selector = &selector, .budget = &budget };
		struct calltree t;
		struct merge_sums sums;
		assert_int_equal(merge_all(&w, slice_of(NULL, 0), false, &t, &sums), 0);
		assert_ends(f, &q, &sums, t.total[0]);
		for (uint32_t i = 0; i < t.n; i++) {
			int stack = stack_of(&t, i, 0);
			assert_int_equal(t.self[i], expected[stack]);
			expected[stack] = 0;
		}
		for (int i = 0; i < N_STACKS; i++)
			assert_int_equal(expected[i], 0);
		calltree_done(&t);
		assert_int_equal(budget.used, 0);
	}
}

static void groups_equal_a_plain_sum(void **state)
{
	struct fixture *f = *state;
	static const char *const by[] = { "service", "thread_name", "pid", "absent" };
	uint32_t seed = 5;
	for (unsigned round = 0; round < 80; round++) {
		struct question q = any_question(&seed);
		struct selector selector;
		struct membudget budget = membudget_of(4 << 20);
		ask(&q, &selector);
		int64_t expected[4][N_STACKS] = { 0 };
		unsigned kind = round % 4;
		for (unsigned i = 0; i < f->n; i++) {
			const struct sample *x = &f->samples[i];
			int group = kind == 0 ? x->service : kind < 3 ? x->thread : 0;
			if (wanted(&q, x))
				expected[group][x->stack] += x->value;
		}
		struct walk w = { .f = f, .selector = &selector, .budget = &budget };
		struct calltree t;
		struct merge_sums sums;
		assert_int_equal(merge_all(&w, slice_str(by[kind]), false, &t, &sums), 0);
		assert_ends(f, &q, &sums, t.total[0]);
		for (uint32_t i = 1; i < t.n; i++) {
			uint32_t top = i;
			while (t.depth[top] > 1)
				top = t.parent[top];
			struct slice name = calltree_name(&t, top);
			int group = -1;
			for (int g = 0; g < 4; g++) {
				char number[8];
				(void)snprintf(number, sizeof(number), "%d", 100 + g);
				const char *want = kind == 0		 ? services[g < 3 ? g : 0]
						   : g == 0 || kind == 3 ? "(none)"
						   : kind == 1		 ? threads[g]
									 : number;
				if (group < 0 && slice_eq(name, slice_str(want)))
					group = g;
			}
			assert_true(group >= 0);
			assert_int_equal(t.self[i], expected[group][stack_of(&t, i, 1)]);
			expected[group][stack_of(&t, i, 1)] = 0;
		}
		for (int i = 0; i < 4 * N_STACKS; i++)
			assert_int_equal(expected[i / N_STACKS][i % N_STACKS], 0);
		calltree_done(&t);
		assert_int_equal(budget.used, 0);
	}
}

static void series_equal_a_plain_sum(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 11;
	for (int round = 0; round < 100; round++) {
		struct question q = any_question(&seed);
		int64_t step = 1 + (int64_t)(next(&seed) % (round % 2 ? 30000 : 900000));
		uint32_t n = (uint32_t)((q.to_ms - q.from_ms + step - 1) / step);
		if (n > 500)
			continue;
		struct selector selector;
		ask(&q, &selector);
		struct walk w = { .f = f, .selector = &selector };
		struct timeline_step steps[500];
		series_of_all(&w, step, n, steps);
		for (uint32_t k = 0; k < n; k++) {
			int64_t a = q.from_ms + step * k, b = a + step;
			double value = 0;
			for (unsigned i = 0; i < f->n; i++) {
				const struct sample *x = &f->samples[i];
				int64_t from = x->from_ms > a ? x->from_ms : a;
				int64_t to = x->from_ms + WINDOW_MS < b ? x->from_ms + WINDOW_MS : b;
				if (to > from && wanted(&q, x))
					value += (double)x->value * (double)(to - from) / WINDOW_MS;
			}
			double error = steps[k].value - value;
			assert_true(error < 1 && error > -1);
			assert_true(steps[k].measured || value == 0);
			assert_true(steps[k].covered_ms <= (double)step);
			/* Within the run, windows follow each other without a gap. */
			if (steps[k].measured)
				assert_true(steps[k].n_cpus == 2 || (q.host < 0 && steps[k].n_cpus == 4));
		}
	}
}

static int add_cells(void *arg, const struct selection *s)
{
	return heatmap_add(arg, s);
}

/* Samples fall into the cells in which they were taken; the others are spread over their profile. */
static void heat_maps_equal_a_plain_sum(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 17;
	double timed = 0;
	for (int round = 0; round < 60; round++) {
		struct question q = any_question(&seed);
		int64_t cell = 20 + (int64_t)(next(&seed) % 500);
		uint32_t n = (uint32_t)((q.to_ms - q.from_ms + cell - 1) / cell);
		if (n > 5000)
			continue;
		q.to_ms = q.from_ms + n * cell;
		struct selector selector;
		ask(&q, &selector);
		struct walk w = { .f = f, .selector = &selector };
		struct heatmap h;
		static double expected[5000];
		memset(expected, 0, sizeof(expected));
		for (unsigned i = 0; i < f->n; i++) {
			const struct sample *x = &f->samples[i];
			for (uint32_t k = 0; wanted(&q, x) && k < n; k++) {
				int64_t a = q.from_ms + cell * k, b = a + cell;
				int64_t from = x->from_ms > a ? x->from_ms : a;
				int64_t to = x->from_ms + WINDOW_MS < b ? x->from_ms + WINDOW_MS : b;
				if (x->time_ms ? x->time_ms >= a && x->time_ms < b : to > from)
					expected[k] +=
						(double)x->value * (x->time_ms ? 1 : (double)(to - from) / WINDOW_MS);
			}
		}
		assert_int_equal(heatmap_init(&h, q.from_ms, cell, n, NULL), 0);
		assert_int_equal(each_part(&w, add_cells, &h), 0);
		for (uint32_t k = 0; k < n; k++) {
			double error = h.cells[k] - expected[k];
			assert_true(error < 1 && error > -1);
		}
		timed += h.timed;
		heatmap_done(&h);
	}
	assert_true(timed > 0);
}

static int add_observed(void *arg, const struct selection *s)
{
	return observed_add(arg, s);
}

/* Samples count where they have times; where many have none, nobody knows how many there are. */
static void samples_are_counted_where_they_have_times(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 23;
	unsigned n_known = 0, n_unknown = 0;
	for (int round = 0; round < 80; round++) {
		struct question q = any_question(&seed);
		struct selector selector;
		double n = 0, sum = 0, squares = 0, all = 0;
		ask(&q, &selector);
		for (unsigned i = 0; i < f->n; i++) {
			const struct sample *x = &f->samples[i];
			double v = (double)x->value;
			if (!wanted(&q, x) || v == 0)
				continue;
			all += v;
			n += x->time_ms ? 1 : 0;
			sum += x->time_ms ? v : 0;
			squares += x->time_ms ? v * v : 0;
		}
		struct walk w = { .f = f, .selector = &selector };
		struct observed o = { 0 };
		assert_int_equal(each_part(&w, add_observed, &o), 0);
		assert_true((double)o.n == n && o.sum == sum && o.looked_at == all);
		assert_true(o.squares >= squares * (1 - 1e-12) && o.squares <= squares * (1 + 1e-12));
		bool is_known = n > 0 && sum >= 0.9 * all;
		n_known += is_known;
		n_unknown += n > 0 && !is_known;
		double known = observed_samples(&o), expected = is_known ? sum * sum / squares : 0;
		assert_true(known >= expected * (1 - 1e-12) && known <= expected * (1 + 1e-12));
	}
	assert_true(n_known > 0 && n_unknown > 0);
}

static int add_exemplars(void *arg, const struct selection *s)
{
	return exemplars_add(arg, s);
}

/* The slowest profiles are those that a look at all of them finds. */
static void exemplars_are_the_largest(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 23;
	for (int round = 0; round < 40; round++) {
		struct question q = any_question(&seed);
		struct selector selector;
		struct exemplars e;
		int64_t last = INT64_MAX, left = 0;
		ask(&q, &selector);
		struct walk w = { .f = f, .selector = &selector };
		assert_int_equal(exemplars_init(&e, 5, NULL), 0);
		assert_int_equal(each_part(&w, add_exemplars, &e), 0);
		for (unsigned i = 0; i < f->n; i++)
			left += wanted(&q, &f->samples[i]) ? f->samples[i].value : 0;
		for (uint32_t i = 0; i < e.n; i++) {
			assert_true(e.row[i].value <= last && e.row[i].from_ms < q.to_ms);
			last = e.row[i].value;
			left -= last;
		}
		/* Nothing that was left out is larger: all the rest fits into that many profiles of at most `last`. */
		assert_true(left >= 0 && left <= (int64_t)(e.n_profiles - e.n) * last);
		assert_true(e.n == 5 || left == 0);
		exemplars_done(&e);
	}
}

static int add_quality(void *arg, const struct selection *s)
{
	quality_add(arg, s);
	return 0;
}

static void gaps_are_not_zeros(void **state)
{
	struct fixture *f = *state;
	int64_t end = START_MS + N_PROFILES / 4 * WINDOW_MS;
	struct selector selector = { .type = slice_str("cpu:nanoseconds"),
				     .from_ms = end - 20000,
				     .to_ms = end + 20000 };
	struct walk w = { .f = f, .selector = &selector };
	struct timeline_step steps[4];
	series_of_all(&w, 10000, 4, steps);
	assert_true(steps[0].measured && steps[1].measured);
	assert_false(steps[2].measured || steps[3].measured);
	assert_int_equal((int)steps[1].covered_ms, 10000);
	assert_int_equal((int)steps[2].covered_ms, 0);
	struct quality q = { 0 };
	assert_int_equal(each_part(&w, add_quality, &q), 0);
	/* Seven profiles were stored then; each window of a host lost one sample, and a
	 * window may lie in two parts. */
	assert_int_equal(q.n_samples, 7 * 10);
	assert_true(q.lost_total >= 2 && q.lost_total <= 4 * f->n_parts);
	assert_int_equal(q.n_sources, 1);
	assert_string_equal(q.sources[0].name, "test");
}

static int add_services(void *arg, const struct selection *s)
{
	return service_list_add(arg, s);
}

static int add_labels(void *arg, const struct selection *s)
{
	return label_list_add(arg, s);
}

static void listings_cover_everything(void **state)
{
	struct fixture *f = *state;
	struct selector selector = { .type = slice_str("cpu:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
	struct walk w = { .f = f, .selector = &selector };
	int64_t total = 0, by_service[N_SERVICES] = { 0 }, by_thread[N_THREADS] = { 0 }, by_host[N_HOSTS] = { 0 };
	for (unsigned i = 0; i < f->n; i++) {
		total += f->samples[i].value;
		by_service[f->samples[i].service] += f->samples[i].value;
		by_thread[f->samples[i].thread] += f->samples[i].value;
		by_host[f->samples[i].host] += f->samples[i].value;
	}
	struct service_list sl;
	assert_int_equal(service_list_init(&sl, NULL), 0);
	assert_int_equal(each_part(&w, add_services, &sl), 0);
	service_list_finish(&sl);
	assert_int_equal(sl.rows.n, N_SERVICES);
	for (uint32_t i = 0; i < sl.rows.n; i++) {
		const struct service_row *row = &sl.rows.data[i];
		for (int k = 0; k < N_SERVICES; k++)
			if (slice_eq(strtab_get(&sl.strings, row->service), slice_str(services[k])))
				assert_int_equal(row->total, by_service[k]);
		total -= row->total;
		assert_true(i == 0 || row->service_cpu <= row[-1].service_cpu);
	}
	assert_int_equal(total, 0);
	service_list_done(&sl);
	struct label_list l;
	assert_int_equal(label_list_init(&l, NULL), 0);
	assert_int_equal(each_part(&w, add_labels, &l), 0);
	label_list_finish(&l);
	assert_int_equal(l.rows.n, N_HOSTS + 2 * (N_THREADS - 1) + (uint32_t)ARRAY_SIZE(ends) - 1);
	for (uint32_t i = 0; i < l.rows.n; i++) {
		struct slice value = strtab_get(&l.strings, l.rows.data[i].value);
		for (int k = 0; k < N_HOSTS; k++)
			if (slice_eq(value, slice_str(hosts[k])))
				assert_int_equal(l.rows.data[i].total, by_host[k]);
		for (int k = 1; k < N_THREADS; k++) {
			char pid[16];
			(void)snprintf(pid, sizeof(pid), "%d", 100 + k);
			if (slice_eq(value, slice_str(threads[k])) || slice_eq(value, slice_str(pid)))
				assert_int_equal(l.rows.data[i].total, by_thread[k]);
		}
	}
	label_list_done(&l);
}

static void an_ambiguous_type_is_an_error_and_an_unknown_one_selects_nothing(void **state)
{
	struct error err;
	struct type_match m = { .asked = slice_str("cpu") };
	assert_int_equal(type_match_add(&m, slice_str("cpu:nanoseconds"), &err), 0);
	assert_int_equal(type_match_add(&m, slice_str("wall:nanoseconds"), &err), 0);
	assert_int_equal(type_match_add(&m, slice_str("cpu:nanoseconds"), &err), 0);
	assert_true(slice_eq(type_match_get(&m), slice_str("cpu:nanoseconds")));
	assert_int_equal(type_match_add(&m, slice_str("cpu:samples"), &err), -EINVAL);
	assert_non_null(strstr(err.text, "cpu:samples"));
	m = (struct type_match){ .asked = slice_str("cpu:samples") };
	assert_int_equal(type_match_add(&m, slice_str("cpu:nanoseconds"), &err), 0);
	assert_int_equal(type_match_add(&m, slice_str("cpu:samples"), &err), 0);
	assert_true(slice_eq(type_unit(type_match_get(&m)), slice_str("samples")));
	struct selector selector = { .type = slice_str("wall:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
	struct walk w = { .f = *state, .selector = &selector };
	struct calltree t;
	struct merge_sums sums;
	assert_int_equal(merge_all(&w, slice_of(NULL, 0), false, &t, &sums), 0);
	assert_int_equal(t.total[0], 0);
	assert_int_equal(sums.n_profiles, 0);
	calltree_done(&t);
}

struct answer {
	int64_t total, of_f1, of_g1; /* totals of these functions */
	double series;
};

/* Everything, filtered by `focus`. */
static struct answer focus_on(struct fixture *f, const struct framelines *lines, const char *focus)
{
	struct selector selector = { .type = slice_str("cpu:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
	struct membudget budget = membudget_of(16 << 20);
	struct calltree t;
	struct merge_sums sums;
	struct answer a = { 0 };
	_cleanup_(filter_free)
	struct filter *filter = filter_new();
	assert_int_equal(filter_add(filter, FILTER_FOCUS, slice_str(focus), NULL), 0);
	struct walk w = { .f = f, .selector = &selector, .filter = filter, .lines = lines, .budget = &budget };
	assert_int_equal(merge_all(&w, slice_of(NULL, 0), true, &t, &sums), 0);
	a.total = t.total[0];
	for (uint32_t i = 1; i < t.n; i++) {
		a.of_f1 += slice_eq(calltree_name(&t, i), slice_str("f1")) ? t.total[i] : 0;
		if (slice_eq(calltree_name(&t, i), slice_str("g1"))) {
			const struct tree_func *g1 = &t.funcs[t.func[i]];
			assert_string_equal(strtab_cstr(&t.names, g1->file), "late.c");
			assert_int_equal(g1->line, 7);
			a.of_g1 += t.total[i];
		}
	}
	struct timeline_step step;
	selector.from_ms = START_MS - 1;
	series_of_all(&w, INTAKE_TIME_MAX_MS, 1, &step);
	a.series = step.value;
	calltree_done(&t);
	assert_int_equal(budget.used, 0);
	return a;
}

static struct frame_id frame_named(const struct dict *d, const char *name)
{
	for (uint32_t i = 1; i < d->frames.n; i++) {
		char made_up[FRAME_NAME_SIZE];
		if (slice_eq(dict_frame_name(d, (struct frame_id){ i }, made_up), slice_str(name)))
			return (struct frame_id){ i };
	}
	fail_msg("no frame %s", name);
	return (struct frame_id){ 0 };
}

/* Every way to say it in PromQL's words, against the plain list. */
static void matchers_choose_what_they_say(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *text;
		int service, not_service, host, thread, not_thread; /* -1 = any */
	} cases[] = {
		{ "{service=\"db\"}", 1, -1, -1, -1, -1 },
		{ "{service!=\"db\"}", -1, 1, -1, -1, -1 },
		{ "{service=~\"d.\",host=~\".*1\"}", 1, -1, 1, -1, -1 },
		{ "{service=~\"d\"}", -2, -1, -1, -1, -1 },
		{ "{thread_name=\"gc\"}", -1, -1, -1, 3, -1 },
		{ "{thread_name!~\"g.\"}", -1, -1, -1, -1, 3 },
		{ "{thread_name=\"\"}", -1, -1, -1, 0, -1 },
		{ "{pid=\"102\",host!=\"h0\"}", -1, -1, 1, 2, -1 },
		{ "{region=\"\"}", -1, -1, -1, -1, -1 },
		{ "{region!=\"\"}", -2, -1, -1, -1, -1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct selector selector = { .type = slice_str("cpu:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
		assert_int_equal(matchers_parse(slice_str(cases[i].text), &selector.matchers, NULL), 0);
		int64_t expected = 0;
		for (unsigned k = 0; k < f->n; k++) {
			const struct sample *x = &f->samples[k];
			bool is_wanted = (cases[i].service == -1 || cases[i].service == x->service) &&
					 cases[i].not_service != x->service &&
					 (cases[i].host < 0 || cases[i].host == x->host) &&
					 (cases[i].thread < 0 || cases[i].thread == x->thread) &&
					 cases[i].not_thread != x->thread;
			expected += is_wanted ? x->value : 0;
		}
		struct walk w = { .f = f, .selector = &selector };
		struct calltree t;
		struct merge_sums sums;
		assert_int_equal(merge_all(&w, slice_of(NULL, 0), false, &t, &sums), 0);
		assert_int_equal(t.total[0], expected);
		calltree_done(&t);
		selector_done(&selector);
	}
}

/* What a function inlined into f1 was called is known only now. */
static void late_names_count_in_trees_filters_and_series(void **state)
{
	struct fixture *f = *state;
	struct framelines lines;
	struct frame_id f1;
	const struct source_line late[] = { { .name = slice_str("other"), .file = slice_str("late.c"), .line = 3 },
					    { .name = slice_str("g1"), .file = slice_str("late.c"), .line = 7 } };
	f1 = frame_named(&f->parts[0]->names.dict, "f1");
	/* Of one part only: lines go by its frames. */
	f->n_parts = 1;
	assert_int_equal(framelines_init(&lines, NULL), 0);
	assert_int_equal(framelines_put(&lines, f1, late, 2), 0);
	struct answer before = focus_on(f, NULL, "^f1$");
	assert_true(before.total > 0 && before.of_g1 == 0);
	static const char *const same[] = { "^f1$", "^g1$", "late" };
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		struct answer after = focus_on(f, &lines, same[i]);
		assert_int_equal(after.total, before.total);
		assert_int_equal(after.of_f1, before.of_f1);
		assert_int_equal(after.of_g1, before.of_f1);
		assert_true(after.series == before.series);
	}
	assert_int_equal(focus_on(f, &lines, "^other$").total, 0);
	framelines_done(&lines);
}

/* Whatever a query may use, it ends in an answer or in -ENOBUFS, and gives
 * everything back. */
static void small_budgets_end_in_an_error(void **state)
{
	struct fixture *f = *state;
	struct selector selector = { .type = slice_str("cpu:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
	unsigned n_ok = 0;
	for (size_t max = 0; max < 300000; max += max / 8 + 64) {
		struct membudget budget = membudget_of(max);
		struct walk w = { .f = f, .selector = &selector, .budget = &budget };
		struct calltree t;
		struct merge_sums sums;
		int r = merge_all(&w, slice_str("thread_name"), false, &t, &sums);
		n_ok += r == 0;
		if (r == 0)
			calltree_done(&t);
		assert_true(r == 0 || r == -ENOBUFS);
		assert_int_equal(budget.used, 0);
	}
	assert_true(n_ok > 0);
}

/* Without this the other tests could pass without a sum being read. */
static void sums_are_taken_where_they_answer(void **state)
{
	struct fixture *f = *state;
	struct selector selector = { .type = slice_str("cpu:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
	struct walk w = { .f = f, .selector = &selector };
	struct calltree t;
	struct merge_sums sums;
	assert_int_equal(merge_all(&w, slice_of(NULL, 0), false, &t, &sums), 0);
	calltree_done(&t);
	assert_int_equal(w.stats.resolutions, 1 << RES_DAY);
	/* From within one step of 5 minutes to within the next but one. */
	selector.from_ms = START_MS - START_MS % 300000 - 1;
	selector.to_ms = START_MS - START_MS % 300000 + 301000;
	w.stats.resolutions = 0;
	assert_int_equal(merge_all(&w, slice_of(NULL, 0), false, &t, &sums), 0);
	calltree_done(&t);
	assert_int_equal(w.stats.resolutions, 1 << RES_5MIN | 1 << RES_RAW);
}

static bool count_asked(void *arg)
{
	unsigned *n_asked = arg;
	++*n_asked;
	return true;
}

static void what_nobody_wants_any_more_ends(void **state)
{
	struct fixture *f = *state;
	unsigned n_asked = 0;
	struct selector selector = { .type = slice_str("cpu:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
	for (int by = 0; by < 2; by++) {
		struct membudget budget = membudget_of(SIZE_MAX);
		struct cancel cancel = { .ask = count_asked, .arg = &n_asked };
		struct walk w = { .f = f, .selector = &selector, .budget = &budget, .cancel = &cancel };
		struct calltree t;
		struct merge_sums sums;
		struct slice label = by ? slice_str("thread_name") : slice_of(NULL, 0);
		assert_int_equal(merge_all(&w, label, false, &t, &sums), -ECANCELED);
		assert_int_equal(budget.used, 0);
	}
	assert_true(n_asked >= 2);
}

int main(void)
{
#define CASE(f, where) cmocka_unit_test_setup_teardown(f, where, tear_down)
#define CASES(f)       CASE(f, in_memory), CASE(f, half_in_a_block), CASE(f, in_a_block_with_sums)
	const struct CMUnitTest tests[] = {
		CASES(trees_equal_a_plain_sum),
		CASES(groups_equal_a_plain_sum),
		CASES(series_equal_a_plain_sum),
		CASES(heat_maps_equal_a_plain_sum),
		CASES(samples_are_counted_where_they_have_times),
		CASES(exemplars_are_the_largest),
		CASES(gaps_are_not_zeros),
		CASES(listings_cover_everything),
		CASES(an_ambiguous_type_is_an_error_and_an_unknown_one_selects_nothing),
		CASES(matchers_choose_what_they_say),
		CASES(late_names_count_in_trees_filters_and_series),
		CASES(small_budgets_end_in_an_error),
		CASE(what_nobody_wants_any_more_ends, in_memory),
		CASE(what_nobody_wants_any_more_ends, half_in_a_block),
		CASE(sums_are_taken_where_they_answer, in_a_block_with_sums),
	};
	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
