/* SPDX-License-Identifier: Apache-2.0 */
#include "query/quality.h"

#include "base/saturate.h"

static void add_losses(struct quality *q, const struct losses *l)
{
	for (int i = 0; i < N_LOSSES; i++) {
		q->lost[i] = u64_add_saturating(q->lost[i], l->n[i]);
		uint64_t *sum = loss_is_missing((enum loss)i) ? &q->lost_total : &q->truncated;
		*sum = u64_add_saturating(*sum, l->n[i]);
	}
}

static void add_source(struct quality *q, const struct source *source)
{
	for (uint32_t i = 0; i < q->n_sources; i++)
		if (strcmp(q->sources[i].name, source->name) == 0 && strcmp(q->sources[i].unwind, source->unwind) == 0)
			return;
	if (q->n_sources < PART_MAX_SOURCES)
		q->sources[q->n_sources++] = *source;
}

/* One past the window's last ms; an instant counts as 1 ms. */
static int64_t window_end(const struct window *w)
{
	return w->from_ms + (w->duration_ms ? w->duration_ms : 1);
}

void quality_add(struct quality *q, const struct selection *s)
{
	const struct part *p = s->part;
	uint64_t sources = 0;
	for (uint32_t i = 0; i < p->hosts.n; i++) {
		const struct host *host = &p->hosts.data[i];
		for (uint32_t k = 0; s->hosts[i] && k < host->windows.n; k++) {
			const struct window *w = &host->windows.data[k];
			if (w->from_ms >= s->selector->to_ms || window_end(w) <= s->selector->from_ms)
				continue;
			q->n_samples = u64_add_saturating(q->n_samples, w->n_samples);
			sources |= (uint64_t)1 << w->source;
			add_losses(q, &p->losses.data[w->losses]);
		}
	}
	for (uint32_t i = 1; i < p->sources.n; i++)
		if (sources >> i & 1)
			add_source(q, &p->sources.data[i]);
}

_Static_assert(PART_MAX_SOURCES <= 64, "a bit for each source");

void quality_of_names(const struct calltree *t, struct quality *q)
{
	double unnamed = 0;
	for (uint32_t i = 0; i < t->n; i++)
		if (t->func[i] != TREE_FUNC_PRUNED && !t->funcs[t->func[i]].named)
			unnamed += (double)t->self[i];
	q->unnamed_share = t->n && t->total[0] > 0 ? unnamed / (double)t->total[0] : 0;
	/* Their made-up names hold their addresses: a function is a frame. */
	for (uint32_t i = 0; i < t->n_funcs; i++)
		q->n_unnamed_frames += !t->funcs[i].named;
}
