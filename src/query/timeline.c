/* SPDX-License-Identifier: Apache-2.0 */
#include "query/timeline.h"

#include <errno.h>

struct grid {
	int64_t from_ms, step_ms;
	uint32_t n;
};

/* First step at or after which [from, to) lies, and one past the last; empty
 * outside the grid. */
static uint32_t grid_range(const struct grid *g, int64_t from, int64_t to, uint32_t *ret_first)
{
	int64_t end = g->from_ms + g->step_ms * g->n;
	*ret_first = 0;
	if (to <= g->from_ms || from >= end)
		return 0;
	if (from > g->from_ms)
		*ret_first = (uint32_t)((from - g->from_ms) / g->step_ms);
	return to >= end ? g->n : (uint32_t)((to - 1 - g->from_ms) / g->step_ms) + 1;
}

static double overlap(const struct grid *g, uint32_t i, int64_t from, int64_t to)
{
	int64_t a = g->from_ms + g->step_ms * i, b = a + g->step_ms;
	if (from > a)
		a = from;
	if (to < b)
		b = to;
	return b > a ? (double)(b - a) : 0;
}

static void spread(const struct grid *g, const struct chunk *c, int64_t total, struct timeline_step *steps)
{
	/* An instant falls into its step whole. */
	uint32_t duration = c->duration_ms ? c->duration_ms : 1;
	int64_t to = c->from_ms + duration;
	uint32_t first, end = grid_range(g, c->from_ms, to, &first);
	for (uint32_t i = first; i < end; i++)
		steps[i].value += (double)total * overlap(g, i, c->from_ms, to) / duration;
}

struct interval {
	int64_t from, to;
};

static int compare_interval(const void *a, const void *b)
{
	const struct interval *x = a, *y = b;
	return x->from < y->from ? -1 : x->from > y->from;
}

/* Adds one host's windows to `intervals` and its CPUs to the steps. `cpus` is
 * scratch of n. */
static uint32_t host_windows(const struct grid *g, const struct host *host, struct interval *intervals, uint32_t *cpus,
			     struct timeline_step *steps)
{
	uint32_t n = 0;
	memset(cpus, 0, g->n * sizeof(*cpus));
	for (uint32_t w = 0; w < host->windows.n; w++) {
		const struct window *window = &host->windows.data[w];
		int64_t to = window->from_ms + window->duration_ms;
		uint32_t first, end = grid_range(g, window->from_ms, window->duration_ms ? to : to + 1, &first);
		for (uint32_t i = first; i < end; i++) {
			steps[i].measured = true;
			if (window->n_cpus > cpus[i])
				cpus[i] = window->n_cpus;
		}
		if (end > first && window->duration_ms)
			intervals[n++] = (struct interval){ window->from_ms, to };
	}
	for (uint32_t i = 0; i < g->n; i++)
		steps[i].n_cpus += cpus[i];
	return n;
}

static void cover(const struct grid *g, struct interval *intervals, uint32_t n, struct timeline_step *steps)
{
	qsort(intervals, n, sizeof(*intervals), compare_interval);
	for (uint32_t i = 0; i < n;) {
		struct interval whole = intervals[i];
		for (i++; i < n && intervals[i].from <= whole.to; i++)
			if (intervals[i].to > whole.to)
				whole.to = intervals[i].to;
		uint32_t first, end = grid_range(g, whole.from, whole.to, &first);
		for (uint32_t k = first; k < end; k++)
			steps[k].covered_ms += overlap(g, k, whole.from, whole.to);
	}
}

static int measure(const struct selection *s, const struct grid *g, struct membudget *budget,
		   struct timeline_step *steps)
{
	const struct head *h = s->head;
	size_t n_windows = 1;
	for (uint32_t i = 0; i < h->hosts.n; i++)
		n_windows += s->hosts[i] ? h->hosts.data[i].windows.n : 0;
	size_t size = n_windows * sizeof(struct interval) + ((size_t)g->n + 1) * sizeof(uint32_t);
	if (!membudget_charge(budget, size))
		return -ENOBUFS;
	_cleanup_(free_ptr)
	struct interval *intervals = malloc(n_windows * sizeof(*intervals));
	_cleanup_(free_ptr)
	uint32_t *cpus = malloc(((size_t)g->n + 1) * sizeof(*cpus));
	if (intervals && cpus) {
		uint32_t n = 0;
		for (uint32_t i = 0; i < h->hosts.n; i++)
			if (s->hosts[i])
				n += host_windows(g, &h->hosts.data[i], intervals + n, cpus, steps);
		cover(g, intervals, n, steps);
	}
	membudget_release(budget, size);
	return intervals && cpus ? 0 : -ENOMEM;
}

int timeline_compute(const struct selection *s, int64_t step_ms, uint32_t n, struct membudget *budget,
		     struct timeline_step *steps)
{
	struct grid g = { .from_ms = s->selector->from_ms, .step_ms = step_ms, .n = n };
	const struct head *h = s->head;
	memset(steps, 0, n * sizeof(*steps));
	for (uint32_t i = 0; i < h->series.n; i++) {
		const struct series *series = &h->series.data[i];
		for (uint32_t c = 0; s->series[i] && c < series->chunks.n; c++) {
			const struct chunk *chunk = &series->chunks.data[c];
			if (selection_has_chunk(s, chunk))
				spread(&g, chunk, selection_chunk_total(s, chunk), steps);
		}
	}
	return measure(s, &g, budget, steps);
}
