/* SPDX-License-Identifier: Apache-2.0 */
#include "query/exemplars.h"

#include <errno.h>

int exemplars_init(struct exemplars *e, uint32_t max, struct membudget *budget)
{
	*e = (struct exemplars){ .max = max < EXEMPLARS_MAX ? max : EXEMPLARS_MAX };
	return strtab_init(&e->strings, budget);
}

void exemplars_done(struct exemplars *e)
{
	strtab_done(&e->strings);
}

static int copy_labels(struct exemplars *e, const struct part *p, const struct series *from, struct exemplar *to)
{
	int r = strtab_intern(&e->strings, part_string(p, from->type), &to->type);
	for (int k = 0; r == 0 && k < N_SERIES_LABELS; k++)
		r = strtab_intern(&e->strings, part_string(p, from->label[k]), &to->label[k]);
	return r;
}

/* Before those that are smaller, or of the same value and later. */
static uint32_t place_of(const struct exemplars *e, const struct exemplar *x)
{
	uint32_t at = e->n;
	while (at > 0 && (e->row[at - 1].value < x->value ||
			  (e->row[at - 1].value == x->value && e->row[at - 1].from_ms > x->from_ms)))
		at--;
	return at;
}

static int add_chunk(struct exemplars *e, const struct part *p, const struct series *series, const struct chunk *c,
		     int64_t value)
{
	struct exemplar x = { .from_ms = c->from_ms, .duration_ms = c->duration_ms, .value = value };
	e->n_profiles++;
	uint32_t at = place_of(e, &x);
	if (at == e->max || value <= 0)
		return 0;
	int r = copy_labels(e, p, series, &x);
	if (r < 0)
		return r;
	if (e->n < e->max)
		e->n++;
	memmove(&e->row[at + 1], &e->row[at], (e->n - 1 - at) * sizeof(x));
	e->row[at] = x;
	return 0;
}

int exemplars_add(struct exemplars *e, const struct selection *s)
{
	const struct scan_options options = {
		.from_ms = s->selector->from_ms,
		.to_ms = s->selector->to_ms,
		.finest = RES_RAW,
		.cancel = s->cancel,
		.coarsest = RES_RAW,
	};
	struct scan scan;
	int r = scan_init(&scan, s->part, &options, s->budget);
	for (uint32_t i = 0; r >= 0 && i < s->part->series.n; i++) {
		if (!s->series[i])
			continue;
		r = scan_series(&scan, i);
		while (r >= 0 && (r = scan_next(&scan)) == 1) {
			int64_t value;
			r = selection_chunk_total(s, &scan, &value);
			if (r == 1)
				r = add_chunk(e, s->part, &s->part->series.data[i], &scan.chunk, value);
		}
	}
	selection_scan_done(s, &scan);
	return r;
}
