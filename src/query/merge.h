/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h: the merged call tree of a question.
 *
 *   of each part: chunks --sum per node id--> self[node] --calltree_add once--> tree
 *
 * The cost follows the rows touched and the distinct nodes, never profiles
 * times names. Grouped by a label, sums are kept per (group, node); which groups
 * are the largest is found first, in a walk of its own over all parts. */
#pragma once

#include "model/calltree.h"
#include "query/summing.h"

/* Groups beyond the largest ones share one named "(other)". */
#define MERGE_MAX_GROUPS 100

struct merge;

/* `by`: empty, or a label whose values become the first level; a sample
 * without it stands under "(none)". `lines`: a function's lines stand apart.
 * NULL: no memory. */
struct merge *merge_new(struct slice by, bool lines, struct membudget *budget);
void merge_free(struct merge **m); /* for _cleanup_ */

/* All parts go through here before the first merge_add(), if merge_is_ranked(). */
bool merge_is_ranked(const struct merge *m);
int merge_rank(struct merge *m, const struct selection *s) must_check;

/* Adds a part. -ENOBUFS when the budget is spent, -ENOMEM. */
int merge_add(struct merge *m, const struct selection *s) must_check;

/* `ret` needs calltree_done(). */
int merge_finish(struct merge *m, struct calltree *ret, struct merge_sums *ret_sums) must_check;
