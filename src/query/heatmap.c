/* SPDX-License-Identifier: Apache-2.0 */
#include "query/heatmap.h"

#include <errno.h>

int heatmap_init(struct heatmap *h, int64_t from_ms, int64_t cell_ms, uint32_t n, struct membudget *budget)
{
	*h = (struct heatmap){ .from_ms = from_ms, .cell_ms = cell_ms, .n = n, .budget = budget };
	if (!membudget_charge(budget, ((size_t)n + 1) * sizeof(*h->cells)))
		return -ENOBUFS;
	h->cells = calloc((size_t)n + 1, sizeof(*h->cells));
	if (!h->cells)
		membudget_release(budget, ((size_t)n + 1) * sizeof(*h->cells));
	return h->cells ? 0 : -ENOMEM;
}

void heatmap_done(struct heatmap *h)
{
	if (h->cells)
		membudget_release(h->budget, ((size_t)h->n + 1) * sizeof(*h->cells));
	free(h->cells);
	h->cells = NULL;
}

static int64_t end_of(const struct heatmap *h)
{
	return h->from_ms + h->cell_ms * h->n;
}

/* `value` over [from, to). */
static void spread(struct heatmap *h, int64_t from, int64_t to, double value)
{
	int64_t a = from > h->from_ms ? from : h->from_ms, b = to < end_of(h) ? to : end_of(h);
	double per_ms = value / (double)(to - from);
	while (a < b) {
		int64_t cell = (a - h->from_ms) / h->cell_ms, end = h->from_ms + (cell + 1) * h->cell_ms;
		double part = per_ms * (double)((end < b ? end : b) - a);
		h->cells[cell] += part;
		h->spread += part;
		a = end;
	}
}

/* Samples with a time; value[row] loses what they stand for. */
static void add_observations(struct heatmap *h, const struct selection *s, const struct rows *rows,
			     const struct observation *o, uint32_t n, double *rest)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!selection_has_row(s, rows, o[i].row))
			continue;
		*rest -= (double)o[i].value;
		if (o[i].time_ms < h->from_ms || o[i].time_ms >= end_of(h))
			continue;
		h->cells[(o[i].time_ms - h->from_ms) / h->cell_ms] += (double)o[i].value;
		h->timed += (double)o[i].value;
	}
}

static int add_chunk(struct heatmap *h, const struct selection *s, struct scan *scan)
{
	struct rows rows;
	const struct observation *o = NULL;
	uint32_t n = 0;
	int r = scan_rows(scan, &rows);
	if (r == 1)
		r = scan_times(scan, &rows, &o, &n);
	if (r <= 0)
		return r;
	double rest = 0;
	for (uint32_t i = 0; i < rows.n; i++)
		if (selection_has_row(s, &rows, i))
			rest += (double)rows.value[i];
	add_observations(h, s, &rows, o, n, &rest);
	if (rest > 0)
		spread(h, scan->chunk.from_ms, chunk_end(&scan->chunk), rest);
	return 1;
}

int heatmap_add(struct heatmap *h, const struct selection *s)
{
	const struct scan_options options = {
		.from_ms = s->selector->from_ms,
		.to_ms = s->selector->to_ms,
		.finest = RES_RAW,
		.cancel = s->cancel,
		.coarsest = RES_DAY,
		.grid_ms = h->cell_ms,
	};
	struct scan scan;
	int r = scan_init(&scan, s->part, &options, s->budget);
	for (uint32_t i = 0; r >= 0 && i < s->part->series.n; i++) {
		if (!s->series[i])
			continue;
		r = scan_series(&scan, i);
		while (r >= 0 && (r = scan_next(&scan)) == 1)
			r = add_chunk(h, s, &scan);
	}
	selection_scan_done(s, &scan);
	return r;
}
