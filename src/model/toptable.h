/* SPDX-License-Identifier: Apache-2.0 */
/* toptable.h: self and total per function of a call tree. A function that
 * calls itself counts once per stack in total. */
#pragma once

#include "model/calltree.h"

struct top_row {
	uint32_t func; /* index into tree->funcs */
	int64_t self, total;
};

enum top_order { TOP_BY_SELF, TOP_BY_TOTAL };

/* One row per function in falling order (name breaks ties); root and pruned
 * nodes have none. *ret is malloc()ed. */
int top_compute(const struct calltree *t, enum top_order order, struct top_row **ret, uint32_t *ret_n) must_check;

/* The same for the stacks below one node, without the node itself. */
int top_compute_below(const struct calltree *t, uint32_t node, enum top_order order, struct top_row **ret,
		      uint32_t *ret_n) must_check;
