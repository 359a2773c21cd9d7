/* SPDX-License-Identifier: Apache-2.0 */
/* summing.h: values of a part's call-tree nodes, summed over chunks of a selection.
 *
 *   series 0 1 2 ... n   --taken by whoever is free-->   a scan and sums of its own for each CPU   --added up--> self[]
 */
#pragma once

#include "query/charged.h"
#include "query/select.h"
#include "query/stack_end.h"

/* What is summed beside the nodes. */
struct merge_sums {
	uint64_t n_profiles;
	int64_t ended[N_STACK_ENDED]; /* value of the samples whose stacks end so; all of them are the tree's total */
};

void merge_sums_add(struct merge_sums *dst, const struct merge_sums *src);

struct summing {
	struct selection s; /* borrowed but for its budget */
	struct stack_ends ends;
	struct scan scan;
	struct charged self; /* int64_t by node */
	struct merge_sums sums;
};

/* Needs summing_done() in any case. -ENOBUFS, -ENOMEM. */
int summing_init(struct summing *t, const struct selection *s) must_check;
/* What the scan read is counted in the selection's stats. */
void summing_done(struct summing *t);

/* All chunks of the series that have a 1 in `wanted`, which is as long as the part's series.
 * -ECANCELED, -ENOBUFS, -ENOMEM. */
int summing_add(struct summing *t, const uint8_t *wanted) must_check;

/* Counts rows that somebody else has summed. */
void summing_count(struct summing *t, const struct rows *rows);
