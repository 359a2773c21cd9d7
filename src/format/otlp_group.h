/* SPDX-License-Identifier: Apache-2.0 */
/* otlp_group.h: which rows of a profile are one OTLP sample: those with a time
 * that have stack and labels in common, in their order.
 *
 *   first row of a sample -> next[row] -> ... -> 0       next: row + 1
 *
 * A row without a time is a sample of its own. Without any times there are no
 * tables at all. */
#pragma once

#include "model/profile.h"

struct otlp_groups {
	uint32_t *next;	  /* by row; NULL: each row stands for itself */
	uint8_t *follows; /* by row: it is not the first */
};

/* -ENOMEM. */
int otlp_groups_init(struct otlp_groups *g, const struct profile *p) must_check;
void otlp_groups_done(struct otlp_groups *g);

static inline bool otlp_group_starts(const struct otlp_groups *g, uint32_t row)
{
	return !g->follows || !g->follows[row];
}

/* False: `row` was the last. */
static inline bool otlp_group_next(const struct otlp_groups *g, uint32_t *row)
{
	if (!g->next || g->next[*row] == 0)
		return false;
	*row = g->next[*row] - 1;
	return true;
}
