/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h: the merged call tree of a selection.
 *
 *   chunks --sum per node id--> self[node] --calltree_add once--> tree
 *
 * The cost follows the rows touched and the distinct nodes, never profiles
 * times names. Grouped by a label, sums are kept per (group, node). */
#pragma once

#include "model/calltree.h"
#include "query/select.h"
#include "query/stack_end.h"

/* Groups beyond the largest ones share one named "(other)". */
#define MERGE_MAX_GROUPS 100

/* What is summed on the way. */
struct merge_sums {
	uint64_t n_profiles;
	int64_t ended[N_STACK_ENDED]; /* value of the samples whose stacks end so; all of them are the tree's total */
};

/* `by`: empty, or a label whose values become the first level; a sample
 * without it stands under "(none)". `lines`: a function's lines stand apart.
 * -ENOBUFS when the budget is spent. `ret` needs calltree_done(). */
int merge_tree(const struct selection *s, struct slice by, bool lines, struct membudget *budget, struct calltree *ret,
	       struct merge_sums *ret_sums) must_check;
