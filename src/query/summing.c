/* SPDX-License-Identifier: Apache-2.0 */
#include "query/summing.h"

#include "base/crew.h"
#include "base/saturate.h"

#include <stdatomic.h>

#define SCAN_SIZE  ((size_t)8 << 20) /* of a worker beside its sums, at least */
#define MIN_SERIES 4		     /* for which others are called */

void merge_sums_add(struct merge_sums *dst, const struct merge_sums *src)
{
	dst->n_profiles += src->n_profiles;
	for (int i = 0; i < N_STACK_ENDED; i++)
		dst->ended[i] = i64_add_saturating(dst->ended[i], src->ended[i]);
}

int summing_init(struct summing *t, const struct selection *s)
{
	*t = (struct summing){ .s = *s };
	int r = selection_scan(s, 0, &t->scan);
	if (r == 0)
		r = stack_ends_init(&t->ends, s->part, s->budget);
	if (r == 0)
		r = charged_init(&t->self, s->budget, dict_n_nodes(&s->part->names.dict), sizeof(int64_t));
	return r;
}

void summing_done(struct summing *t)
{
	selection_scan_done(&t->s, &t->scan);
	stack_ends_done(&t->ends);
	charged_done(&t->self);
}

void summing_count(struct summing *t, const struct rows *rows)
{
	t->sums.n_profiles += t->scan.chunk.n_profiles;
	/* Without labels all rows end alike. */
	if (!rows->labels && !selection_looks_at_rows(&t->s)) {
		int64_t *sum = &t->sums.ended[stack_ends_of(&t->ends, 0)];
		*sum = i64_add_saturating(*sum, t->scan.chunk.total);
		return;
	}
	for (uint32_t i = 0; i < rows->n; i++) {
		if (!selection_has_row(&t->s, rows, i))
			continue;
		int64_t *sum = &t->sums.ended[stack_ends_of(&t->ends, rows->labels ? rows->labels[i] : 0)];
		*sum = i64_add_saturating(*sum, rows->value[i]);
	}
}

static void sum_rows(struct summing *t, const struct rows *rows)
{
	int64_t *self = t->self.data;
	if (!selection_looks_at_rows(&t->s)) {
		for (uint32_t i = 0; i < rows->n; i++)
			self[rows->node[i]] = i64_add_saturating(self[rows->node[i]], rows->value[i]);
		return;
	}
	for (uint32_t i = 0; i < rows->n; i++)
		if (selection_has_row(&t->s, rows, i))
			self[rows->node[i]] = i64_add_saturating(self[rows->node[i]], rows->value[i]);
}

static int sum_series(struct summing *t, uint32_t series)
{
	int r = scan_series(&t->scan, series);
	while (r >= 0 && (r = scan_next(&t->scan)) == 1) {
		struct rows rows;
		r = scan_rows(&t->scan, &rows);
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		sum_rows(t, &rows);
		summing_count(t, &rows);
	}
	return r;
}

/* ---- by several ---- */

struct sharing {
	const uint8_t *wanted;
	_Atomic uint32_t next; /* series */
	_Atomic int failure;   /* of any worker; 0 = none */
	struct worker {
		struct membudget budget;
		struct summing own;
		struct summing *sums; /* `own`, but for the first; NULL: it has not come */
	} worker[CREW_MAX];
};

static void take_series(struct sharing *j, struct summing *t)
{
	uint32_t n = t->s.part->series.n;
	for (uint32_t i; j->failure == 0 && (i = j->next++) < n;) {
		int r = j->wanted[i] ? sum_series(t, i) : 0;
		if (r < 0)
			j->failure = r;
	}
}

/* One that finds no room for its sums leaves the series to the others. */
static void share(void *arg, unsigned worker)
{
	struct sharing *j = arg;
	struct worker *w = &j->worker[worker];
	if (worker) {
		struct selection s = j->worker[0].sums->s;
		s.budget = &w->budget;
		s.stats = NULL; /* of one thread */
		int r = summing_init(&w->own, &s);
		w->sums = &w->own;
		if (r < 0)
			return;
	}
	take_series(j, w->sums);
}

static void add_up(struct summing *t, struct summing *own)
{
	int64_t *self = t->self.data;
	const int64_t *more = own->self.data;
	for (uint32_t i = 0; more && i < dict_n_nodes(&t->s.part->names.dict); i++)
		self[i] = i64_add_saturating(self[i], more[i]);
	merge_sums_add(&t->sums, &own->sums);
	scan_stats_add(&t->scan.stats, &own->scan.stats);
	summing_done(own);
}

/* Half of what is free, for all workers but the first. 0: too little. */
static size_t worker_size(const struct summing *t, unsigned n_workers)
{
	const struct membudget *budget = t->s.budget;
	size_t free_size = budget ? budget->max - budget->used : SIZE_MAX / 2;
	size_t size = free_size / 2 / (n_workers - 1);
	return size >= SCAN_SIZE + t->self.size * 2 ? size : 0;
}

static unsigned count_workers(const struct summing *t, const uint8_t *wanted)
{
	unsigned n = 0, max = crew_size();
	for (uint32_t i = 0; n < MIN_SERIES && i < t->s.part->series.n; i++)
		n += wanted[i];
	return n < MIN_SERIES ? 1 : max;
}

int summing_add(struct summing *t, const uint8_t *wanted)
{
	unsigned n = count_workers(t, wanted);
	size_t size = n > 1 ? worker_size(t, n) : 0;
	size_t charged = size * (n - 1);
	if (size == 0 || !membudget_charge(t->s.budget, charged))
		n = 1, charged = 0;
	struct sharing j = { .wanted = wanted };
	j.worker[0].sums = t;
	for (unsigned i = 1; i < n; i++)
		j.worker[i].budget = membudget_of(size);
	crew_run(n, share, &j);
	for (unsigned i = 1; i < n; i++)
		if (j.worker[i].sums)
			add_up(t, j.worker[i].sums);
	membudget_release(t->s.budget, charged);
	return j.failure;
}
