/* SPDX-License-Identifier: Apache-2.0 */
/* treeprune.h: a call tree of at most so many nodes, for those who show it. */
#pragma once

#include "model/calltree.h"

/* Folds the smallest subtrees until at most `max_nodes` remain: below each
 * parent one TREE_FUNC_PRUNED node (last child, self = the folded total)
 * stands for them. Never drops value: totals are unchanged. */
int calltree_prune(struct calltree *t, uint32_t max_nodes) must_check;
