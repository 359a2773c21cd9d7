/* SPDX-License-Identifier: Apache-2.0 */
#include "query/timeline.h"

#include <errno.h>

struct interval {
	int64_t from, to;
};

struct timeline {
	int64_t from_ms, step_ms;
	uint32_t n;
	struct timeline_step *steps;
	VEC(struct interval) intervals; /* in which some host was measured */
	struct strtab hosts;
	VEC(uint32_t) cpus; /* most CPUs of host h in step i: [h * n + i] */
	struct membudget *budget;
};

static size_t steps_size(const struct timeline *t)
{
	return ((size_t)t->n + 1) * sizeof(*t->steps);
}

struct timeline *timeline_new(int64_t from_ms, int64_t step_ms, uint32_t n, struct membudget *budget)
{
	_cleanup_(timeline_free)
	struct timeline *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	*t = (struct timeline){ .from_ms = from_ms, .step_ms = step_ms, .n = n, .budget = budget };
	if (!membudget_charge(budget, steps_size(t)))
		return NULL;
	t->steps = calloc((size_t)n + 1, sizeof(*t->steps));
	if (!t->steps)
		membudget_release(budget, steps_size(t));
	return t->steps && strtab_init(&t->hosts, budget) == 0 ? take_ptr(t) : NULL;
}

void timeline_free(struct timeline **timeline)
{
	struct timeline *t = *timeline;
	if (!t)
		return;
	if (t->steps)
		membudget_release(t->budget, steps_size(t));
	free(t->steps);
	vec_done(t->budget, &t->intervals);
	vec_done(t->budget, &t->cpus);
	strtab_done(&t->hosts);
	free(t);
	*timeline = NULL;
}

/* First step at or after which [from, to) lies, and one past the last; empty
 * outside the grid. */
static uint32_t step_range(const struct timeline *t, int64_t from, int64_t to, uint32_t *ret_first)
{
	int64_t end = t->from_ms + t->step_ms * t->n;
	*ret_first = 0;
	if (to <= t->from_ms || from >= end)
		return 0;
	if (from > t->from_ms)
		*ret_first = (uint32_t)((from - t->from_ms) / t->step_ms);
	return to >= end ? t->n : (uint32_t)((to - 1 - t->from_ms) / t->step_ms) + 1;
}

static double overlap(const struct timeline *t, uint32_t i, int64_t from, int64_t to)
{
	int64_t a = t->from_ms + t->step_ms * i, b = a + t->step_ms;
	if (from > a)
		a = from;
	if (to < b)
		b = to;
	return b > a ? (double)(b - a) : 0;
}

static void spread(struct timeline *t, const struct chunk *c, int64_t total)
{
	int64_t to = chunk_end(c);
	uint32_t first, end = step_range(t, c->from_ms, to, &first);
	for (uint32_t i = first; i < end; i++)
		t->steps[i].value += (double)total * overlap(t, i, c->from_ms, to) / (double)(to - c->from_ms);
}

static int add_chunks(struct timeline *t, const struct selection *s)
{
	struct scan scan;
	int r = selection_scan(s, t->step_ms, &scan);
	for (uint32_t i = 0; r >= 0 && i < s->part->series.n; i++) {
		if (!s->series[i])
			continue;
		r = scan_series(&scan, i);
		while (r >= 0 && (r = scan_next(&scan)) == 1) {
			int64_t total;
			r = selection_chunk_total(s, &scan, &total);
			if (r == 1)
				spread(t, &scan.chunk, total);
		}
	}
	selection_scan_done(s, &scan);
	return r;
}

/* ---- what was measured at all ---- */

static int host_cpus(struct timeline *t, struct slice name, uint32_t **ret)
{
	struct str_id id;
	int r = strtab_intern(&t->hosts, name, &id);
	uint64_t need = ((uint64_t)id.v + 1) * t->n;
	if (r == 0 && need > VEC_MAX)
		r = -ENOBUFS;
	if (r == 0 && need > t->cpus.n)
		r = vec_reserve(t->budget, &t->cpus, (uint32_t)need - t->cpus.n);
	if (r < 0)
		return r;
	if (need > t->cpus.n) {
		memset(t->cpus.data + t->cpus.n, 0, ((size_t)need - t->cpus.n) * sizeof(*t->cpus.data));
		t->cpus.n = (uint32_t)need;
	}
	*ret = t->cpus.data + (size_t)id.v * t->n;
	return 0;
}

static int add_windows(struct timeline *t, const struct host *host, uint32_t *cpus)
{
	for (uint32_t w = 0; w < host->windows.n; w++) {
		const struct window *window = &host->windows.data[w];
		int64_t to = window->from_ms + window->duration_ms;
		uint32_t first, end = step_range(t, window->from_ms, window->duration_ms ? to : to + 1, &first);
		for (uint32_t i = first; i < end; i++) {
			t->steps[i].measured = true;
			if (window->n_cpus > cpus[i])
				cpus[i] = window->n_cpus;
		}
		if (end <= first || !window->duration_ms)
			continue;
		/* Windows follow each other: mostly the last interval grows. */
		struct interval *last = t->intervals.n ? &t->intervals.data[t->intervals.n - 1] : NULL;
		if (last && window->from_ms >= last->from && window->from_ms <= last->to) {
			last->to = to > last->to ? to : last->to;
			continue;
		}
		int r = vec_reserve(t->budget, &t->intervals, 1);
		if (r < 0)
			return r;
		t->intervals.data[t->intervals.n++] = (struct interval){ window->from_ms, to };
	}
	return 0;
}

int timeline_add(struct timeline *t, const struct selection *s)
{
	int r = add_chunks(t, s);
	for (uint32_t i = 0; r == 0 && i < s->part->hosts.n; i++) {
		uint32_t *cpus = NULL;
		if (!s->hosts[i])
			continue;
		r = host_cpus(t, part_string(s->part, s->part->hosts.data[i].name), &cpus);
		if (r == 0)
			r = add_windows(t, &s->part->hosts.data[i], cpus);
	}
	return r;
}

static int compare_interval(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;
	return x->from < y->from ? -1 : x->from > y->from;
}

static void cover(struct timeline *t)
{
	const struct interval *intervals = t->intervals.data;
	uint32_t n = t->intervals.n;
	if (n)
		qsort(t->intervals.data, n, sizeof(*intervals), compare_interval);
	for (uint32_t i = 0; i < n;) {
		struct interval whole = intervals[i];
		for (i++; i < n && intervals[i].from <= whole.to; i++)
			if (intervals[i].to > whole.to)
				whole.to = intervals[i].to;
		uint32_t first, end = step_range(t, whole.from, whole.to, &first);
		for (uint32_t k = first; k < end; k++)
			t->steps[k].covered_ms += overlap(t, k, whole.from, whole.to);
	}
}

const struct timeline_step *timeline_finish(struct timeline *t)
{
	cover(t);
	for (uint32_t i = 0; i < t->cpus.n; i++)
		t->steps[i % t->n].n_cpus += t->cpus.data[i];
	return t->steps;
}
