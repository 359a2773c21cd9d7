/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "model/toptable.h"
#include "query/listing.h"
#include "query/merge.h"
#include "query/quality.h"
#include "query/timeline.h"

#include <errno.h>
#include <string.h>

/* Every query is compared with the same question put to a plain list of
 * samples. A stack is three functions of five or fewer, as a number in base
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
};

struct fixture {
	struct head head;
	struct sample samples[N_PROFILES * 8];
	unsigned n;
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
				    (int64_t)(next(seed) % 1000) * 10000000 };
		assert_int_equal(
			profile_add_sample(p, node_of(&p->dict, s.stack), labels_of(p, s.thread, s.end), &s.value), 0);
		f->samples[f->n++] = s;
	}
	struct staged staged;
	struct error err = { "" };
	if (head_prepare(&f->head, &in, &ip, &staged, &err) < 0)
		fail_msg("%s", err.text);
	/* One in ten meets a disk error: it must leave no trace. */
	if (i % 10 == 9) {
		head_abandon(&f->head, &staged);
		f->n -= n;
	} else {
		head_publish(&f->head, &staged);
	}
	intake_profile_done(&ip);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint32_t seed = 7;
	assert_int_equal(head_init(&f->head, 8 << 20), 0);
	for (int i = 0; i < N_PROFILES; i++)
		store_profile(f, i, &seed);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	head_done(&f->head);
	assert_int_equal(f->head.budget.used, 0);
	free(f);
	return 0;
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
	*ret = (struct selector){ .type = slice_str("cpu"), .from_ms = q->from_ms, .to_ms = q->to_ms };
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
	int64_t from = START_MS + (int64_t)(next(seed) % 400) * 1000;
	int thread = (int)(next(seed) % N_THREADS);
	return (struct question){
		.service = (int)(next(seed) % (N_SERVICES + 1)) - 1,
		.host = (int)(next(seed) % (N_HOSTS + 1)) - 1,
		.thread = thread ? thread : -1,
		.from_ms = from,
		.to_ms = from + 1 + (int64_t)(next(seed) % 300) * 1000,
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
		struct selection s;
		assert_int_equal(selection_init(&s, &f->head, &selector, &budget, NULL), 0);
		struct calltree t;
		struct merge_sums sums;
		assert_int_equal(merge_tree(&s, slice_of(NULL, 0), false, &budget, &t, &sums), 0);
		assert_ends(f, &q, &sums, t.total[0]);
		for (uint32_t i = 0; i < t.n; i++) {
			int stack = stack_of(&t, i, 0);
			assert_int_equal(t.self[i], expected[stack]);
			expected[stack] = 0;
		}
		for (int i = 0; i < N_STACKS; i++)
			assert_int_equal(expected[i], 0);
		calltree_done(&t);
		selection_done(&s);
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
		struct selection s;
		assert_int_equal(selection_init(&s, &f->head, &selector, &budget, NULL), 0);
		struct calltree t;
		struct merge_sums sums;
		assert_int_equal(merge_tree(&s, slice_str(by[kind]), false, &budget, &t, &sums), 0);
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
		selection_done(&s);
		assert_int_equal(budget.used, 0);
	}
}

static void series_equal_a_plain_sum(void **state)
{
	struct fixture *f = *state;
	uint32_t seed = 11;
	for (int round = 0; round < 100; round++) {
		struct question q = any_question(&seed);
		int64_t step = 1 + (int64_t)(next(&seed) % 30000);
		uint32_t n = (uint32_t)((q.to_ms - q.from_ms + step - 1) / step);
		if (n > 500)
			continue;
		struct selector selector;
		ask(&q, &selector);
		struct selection s;
		struct timeline_step steps[500];
		assert_int_equal(selection_init(&s, &f->head, &selector, NULL, NULL), 0);
		assert_int_equal(timeline_compute(&s, step, n, NULL, steps), 0);
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
		selection_done(&s);
	}
}

static void gaps_are_not_zeros(void **state)
{
	struct fixture *f = *state;
	int64_t end = START_MS + N_PROFILES / 4 * WINDOW_MS;
	struct selector selector = { .type = slice_str("cpu:nanoseconds"),
				     .from_ms = end - 20000,
				     .to_ms = end + 20000 };
	struct selection s;
	struct timeline_step steps[4];
	assert_int_equal(selection_init(&s, &f->head, &selector, NULL, NULL), 0);
	assert_int_equal(timeline_compute(&s, 10000, 4, NULL, steps), 0);
	assert_true(steps[0].measured && steps[1].measured);
	assert_false(steps[2].measured || steps[3].measured);
	assert_int_equal((int)steps[1].covered_ms, 10000);
	assert_int_equal((int)steps[2].covered_ms, 0);
	struct quality q;
	quality_of_windows(&s, &q);
	/* Seven profiles were stored then; each window of a host lost one sample. */
	assert_int_equal(q.n_samples, 7 * 10);
	assert_true(q.lost_total >= 2 && q.lost_total <= 4);
	selection_done(&s);
}

static void listings_cover_everything(void **state)
{
	struct fixture *f = *state;
	struct selector selector = { .type = slice_str("cpu:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
	struct selection s;
	assert_int_equal(selection_init(&s, &f->head, &selector, NULL, NULL), 0);
	int64_t total = 0, by_service[N_SERVICES] = { 0 }, by_thread[N_THREADS] = { 0 }, by_host[N_HOSTS] = { 0 };
	for (unsigned i = 0; i < f->n; i++) {
		total += f->samples[i].value;
		by_service[f->samples[i].service] += f->samples[i].value;
		by_thread[f->samples[i].thread] += f->samples[i].value;
		by_host[f->samples[i].host] += f->samples[i].value;
	}
	struct service_row *rows;
	uint32_t n;
	assert_int_equal(list_services(&s, NULL, &rows, &n), 0);
	assert_int_equal(n, N_SERVICES);
	for (uint32_t i = 0; i < n; i++) {
		for (int k = 0; k < N_SERVICES; k++)
			if (slice_eq(head_string(&f->head, rows[i].service), slice_str(services[k])))
				assert_int_equal(rows[i].total, by_service[k]);
		total -= rows[i].total;
		assert_true(i == 0 || rows[i].service_cpu <= rows[i - 1].service_cpu);
	}
	assert_int_equal(total, 0);
	free(rows);
	struct label_row *labels;
	assert_int_equal(list_labels(&s, NULL, &labels, &n), 0);
	assert_int_equal(n, N_HOSTS + 2 * (N_THREADS - 1) + (uint32_t)ARRAY_SIZE(ends) - 1);
	for (uint32_t i = 0; i < n; i++) {
		char number[24];
		struct slice value = label_text(&f->head, &labels[i].label, number);
		for (int k = 0; k < N_HOSTS; k++)
			if (slice_eq(value, slice_str(hosts[k])))
				assert_int_equal(labels[i].total, by_host[k]);
		for (int k = 1; k < N_THREADS; k++) {
			char pid[16];
			(void)snprintf(pid, sizeof(pid), "%d", 100 + k);
			if (slice_eq(value, slice_str(threads[k])) || slice_eq(value, slice_str(pid)))
				assert_int_equal(labels[i].total, by_thread[k]);
		}
	}
	free(labels);
	selection_done(&s);
}

static void an_ambiguous_type_is_an_error_and_an_unknown_one_selects_nothing(void **state)
{
	struct fixture *f = *state;
	struct intake in = { .received_ms = START_MS };
	in.label[SERIES_SERVICE] = slice_str("api");
	struct intake_profile ip = { .keep = 1, .from_ms = START_MS, .to_ms = START_MS };
	assert_int_equal(profile_init(&ip.profile, NULL), 0);
	assert_int_equal(profile_add_type(&ip.profile, slice_str("cpu"), slice_str("samples")), 0);
	struct staged staged;
	assert_int_equal(head_prepare(&f->head, &in, &ip, &staged, NULL), 0);
	head_publish(&f->head, &staged);
	intake_profile_done(&ip);
	struct selector selector = { .type = slice_str("cpu"), .to_ms = INTAKE_TIME_MAX_MS };
	struct selection s;
	struct error err;
	assert_int_equal(selection_init(&s, &f->head, &selector, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "cpu:samples"));
	selector.type = slice_str("wall:nanoseconds");
	assert_int_equal(selection_init(&s, &f->head, &selector, NULL, &err), 0);
	struct calltree t;
	struct merge_sums sums;
	assert_int_equal(merge_tree(&s, slice_of(NULL, 0), false, NULL, &t, &sums), 0);
	assert_int_equal(t.total[0], 0);
	assert_int_equal(sums.n_profiles, 0);
	calltree_done(&t);
	selection_done(&s);
}

struct answer {
	int64_t total, of_f1, of_g1; /* totals of these functions */
	double series;
};

/* Everything, filtered by `focus`. */
static struct answer focus_on(const struct fixture *f, const struct framelines *lines, const char *focus)
{
	struct selector selector = { .type = slice_str("cpu:nanoseconds"), .to_ms = INTAKE_TIME_MAX_MS };
	struct membudget budget = membudget_of(16 << 20);
	struct filter_failure failure;
	struct selection s;
	struct calltree t;
	struct merge_sums sums;
	struct answer a = { 0 };
	_cleanup_(filter_free)
	struct filter *filter = filter_new();
	assert_int_equal(filter_add(filter, FILTER_FOCUS, slice_str(focus), NULL), 0);
	assert_int_equal(selection_init(&s, &f->head, &selector, &budget, NULL), 0);
	s.framelines = lines;
	assert_int_equal(selection_filter(&s, filter, &failure), 0);
	assert_int_equal(merge_tree(&s, slice_of(NULL, 0), true, &budget, &t, &sums), 0);
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
	assert_int_equal(timeline_compute(&s, INTAKE_TIME_MAX_MS, 1, &budget, &step), 0);
	a.series = step.value;
	calltree_done(&t);
	selection_done(&s);
	assert_int_equal(budget.used, 0);
	return a;
}

/* What a function inlined into f1 was called is known only now. */
static void late_names_count_in_trees_filters_and_series(void **state)
{
	struct fixture *f = *state;
	struct framelines lines;
	struct frame_id f1;
	const struct source_line late[] = { { .name = slice_str("other"), .file = slice_str("late.c"), .line = 3 },
					    { .name = slice_str("g1"), .file = slice_str("late.c"), .line = 7 } };
	assert_int_equal(dict_named_frame(&f->head.names.dict, slice_str("f1"), FRAME_USER, &f1), 0);
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
		struct selection s;
		int r = selection_init(&s, &f->head, &selector, &budget, NULL);
		if (r == 0) {
			struct calltree t;
			struct merge_sums sums;
			r = merge_tree(&s, slice_str("thread_name"), false, &budget, &t, &sums);
			n_ok += r == 0;
			if (r == 0)
				calltree_done(&t);
			selection_done(&s);
		}
		assert_true(r == 0 || r == -ENOBUFS);
		assert_int_equal(budget.used, 0);
	}
	assert_true(n_ok > 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(trees_equal_a_plain_sum),
		CASE(groups_equal_a_plain_sum),
		CASE(series_equal_a_plain_sum),
		CASE(gaps_are_not_zeros),
		CASE(listings_cover_everything),
		CASE(an_ambiguous_type_is_an_error_and_an_unknown_one_selects_nothing),
		CASE(late_names_count_in_trees_filters_and_series),
		CASE(small_budgets_end_in_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
