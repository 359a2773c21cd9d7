/* SPDX-License-Identifier: Apache-2.0 */
#include "query/observed.h"

#define MIN_TIMED  0.9
#define GIVE_UP_AT 1000 /* profiles; if too few of so many have times, the others are not read either */

static int add_chunk(struct observed *to, const struct selection *s, struct scan *scan)
{
	struct rows rows;
	const struct observation *o = NULL;
	uint32_t n = 0;
	to->n_profiles += scan->chunk.n_profiles;
	if (!scan->chunk.has_times) {
		int64_t total;
		int r = selection_chunk_total(s, scan, &total);
		to->looked_at += r == 1 ? (double)total : 0;
		return r;
	}
	int r = scan_rows(scan, &rows);
	if (r == 1)
		r = scan_times(scan, &rows, &o, &n);
	if (r <= 0)
		return r;
	for (uint32_t i = 0; i < rows.n; i++)
		if (selection_has_row(s, &rows, i))
			to->looked_at += (double)rows.value[i];
	for (uint32_t i = 0; i < n; i++) {
		double v = (double)o[i].value;
		if (!selection_has_row(s, &rows, o[i].row))
			continue;
		to->n++;
		to->sum += v;
		to->squares += v * v;
	}
	return 1;
}

static bool is_enough(const struct observed *o)
{
	return o->n >= OBSERVED_MAX || (o->n_profiles >= GIVE_UP_AT && o->sum < MIN_TIMED * o->looked_at);
}

int observed_add(struct observed *o, const struct selection *s)
{
	const struct scan_options options = {
		.from_ms = s->selector->from_ms,
		.to_ms = s->selector->to_ms,
		.finest = RES_RAW,
		.coarsest = RES_RAW,
		.cancel = s->cancel,
	};
	struct scan scan;
	int r = scan_init(&scan, s->part, &options, s->budget);
	for (uint32_t i = 0; r >= 0 && i < s->part->series.n && !is_enough(o); i++) {
		if (!s->series[i])
			continue;
		r = scan_series(&scan, i);
		while (r >= 0 && !is_enough(o) && (r = scan_next(&scan)) == 1)
			r = add_chunk(o, s, &scan);
	}
	selection_scan_done(s, &scan);
	return r < 0 ? r : 0;
}

double observed_samples(const struct observed *o)
{
	return o->squares > 0 && o->sum >= MIN_TIMED * o->looked_at ? o->sum * o->sum / o->squares : 0;
}
