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

void quality_of_windows(const struct selection *s, struct quality *ret)
{
	const struct head *h = s->head;
	const struct selector *q = s->selector;
	*ret = (struct quality){ 0 };
	for (uint32_t i = 0; i < h->hosts.n; i++) {
		const struct host *host = &h->hosts.data[i];
		for (uint32_t k = 0; s->hosts[i] && k < host->windows.n; k++) {
			const struct window *w = &host->windows.data[k];
			if (w->from_ms >= q->to_ms || w->from_ms + (w->duration_ms ? w->duration_ms : 1) <= q->from_ms)
				continue;
			ret->n_samples = u64_add_saturating(ret->n_samples, w->n_samples);
			if (w->source)
				ret->sources |= (uint64_t)1 << w->source;
			add_losses(ret, &h->losses.data[w->losses]);
		}
	}
}

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
