/* SPDX-License-Identifier: Apache-2.0 */
/* treecut.h: which nodes of a call tree are worth a line of text.
 *
 * A subtree weighs the sum of |self| within it: in a profile its total, in a
 * difference of two, where growth and loss would cancel out, what moved. So a
 * node never weighs more than its parent, and what is kept hangs together. */
#pragma once

#include "model/calltree.h"

struct treecut {
	double min_percent; /* of `whole`: lighter nodes are left out; 0 = none */
	int64_t whole;
	uint32_t limit; /* nodes kept, the heaviest; 0 = any number */
};

struct treecut_rest {
	uint32_t n;   /* nodes left out */
	int64_t self; /* their own value; may be 0 by cancelling out */
};

/* shown[i] for the t->n nodes; the root is always shown and is not counted
 * into `limit`. O(n log n). -ENOMEM. */
int treecut_select(const struct calltree *t, const struct treecut *cut, bool *shown,
		   struct treecut_rest *ret) must_check;

/* Sum of |self| of all nodes, saturating. */
int64_t treecut_weight(const struct calltree *t);
