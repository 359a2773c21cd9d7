/* SPDX-License-Identifier: Apache-2.0 */
#include "format/otlp_group.h"

#include <errno.h>

int otlp_groups_init(struct otlp_groups *g, const struct profile *p)
{
	uint32_t n = profile_n_samples(p);
	*g = (struct otlp_groups){ 0 };
	if (!profile_has_times(p))
		return 0;
	g->next = calloc(n, sizeof(*g->next));
	g->follows = calloc(n, 1);
	struct u64map last; /* node << 32 | labels -> its last row + 1 */
	u64map_init(&last, NULL);
	int r = g->next && g->follows ? 0 : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		if (profile_sample_time(p, i) == 0)
			continue;
		uint32_t *slot = u64map_put(&last, (uint64_t)p->node.data[i].v << 32 | p->labels.data[i].v);
		if (!slot) {
			r = -ENOMEM;
			break;
		}
		if (*slot) {
			g->next[*slot - 1] = i + 1;
			g->follows[i] = 1;
		}
		*slot = i + 1;
	}
	u64map_done(&last);
	if (r < 0)
		otlp_groups_done(g);
	return r;
}

void otlp_groups_done(struct otlp_groups *g)
{
	free(g->next);
	free(g->follows);
	*g = (struct otlp_groups){ 0 };
}
