/* SPDX-License-Identifier: Apache-2.0 */
/* callers.h: the trees above and below the functions that match a pattern.
 *
 *   tree    main -> f -> g -> f -> h      callers of f      f <- main
 *                                         callees of f      f -> g -> f -> h
 *
 * A stack counts once, from its outermost match (the one nearest the root), so
 * a function that calls itself does not count twice and the root's total is
 * what all matching stacks sum up to.
 *
 * Turning stacks round undoes the sharing of their roots: n nodes may become
 * n x depth. The work is bounded by CALLERS_STEPS_PER_NODE; the heaviest stacks
 * go first, and those that come too late end at the function itself. */
#pragma once

#include "model/calltree.h"
#include "model/pattern.h"

#define CALLERS_STEPS_PER_NODE 8

/* (*ret)[func] says whether its name matches; *ret_n functions do. *ret is
 * malloc()ed. -E2BIG: the pattern needs too much work (`err` says on what);
 * -ENOMEM. */
int callers_match(const struct calltree *t, const struct pattern *p, bool **ret, uint32_t *ret_n,
		  struct error *err) must_check;

struct callers_cut {
	uint32_t n;    /* nodes whose callers were left out */
	int64_t total; /* what they sum up to */
};

/* First level: the functions, below each its callers up to the root. -ENOBUFS
 * (the tree's budget) or -ENOMEM. */
int callers_above(const struct calltree *t, const bool *match, struct calltree *ret,
		  struct callers_cut *ret_cut) must_check;

/* First level: the functions, below each what it calls. */
int callers_below(const struct calltree *t, const bool *match, struct calltree *ret) must_check;
