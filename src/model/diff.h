/* SPDX-License-Identifier: Apache-2.0 */
/* diff.h: two sets of windows, A and B, as one tree with two values.
 *
 *   window (call tree, samples) --diff_add()--> sums per node and function
 *        ... any number, each side ...              |
 *                              diff_finish() --> tree of both, B's values in
 *                                                self and total; A's beside
 *
 * A share is value / whole of the side. What it is worth depends on samples,
 * not on nanoseconds: a window of value V made of rows (v_i, c_i samples)
 * counts as n = V^2 / sum(v_i^2 / c_i) samples (L. Kish, Survey Sampling,
 * 1965: the effective number), which is sum c_i where all weigh the same; a
 * function has k = share * n of them. diffstat.h says what follows from k, n.
 *
 * Functions are matched by name at the end (diffmatch.h), and what then is one
 * node becomes one.
 *
 * One pass over each window, whose tree may be freed then: memory is linear
 * in the nodes of all, whatever the number of windows. */
#pragma once

#include "base/error.h"
#include "model/calltree.h"
#include "model/diffmatch.h"
#include "model/diffstat.h"
#include "model/profile.h"

enum diff_side { DIFF_A, DIFF_B };

enum diff_source {
	DIFF_SAMPLES_UNKNOWN,
	DIFF_SAMPLES_TYPE,   /* a type samples:count stands beside */
	DIFF_SAMPLES_PERIOD, /* value / period, the period being of this type */
	DIFF_SAMPLES_VALUE,  /* the only type, a count */
};

/* Effective number of samples of one type. -EDOM: a negative value (a
 * difference already). UNKNOWN: *ret is 0. */
int diff_count_samples(const struct profile *p, uint32_t type, enum diff_source *ret_source, double *ret) must_check;

/* Self or total of one function or node. */
struct diff_item {
	int64_t value[2];  /* by side */
	double k[2];	   /* effective samples, of all windows */
	double squares[2]; /* sum k_w^2 / n_w */
};

/* What is asked of a function or node; each is a family of tests of its own. */
enum diff_family { DIFF_FUNC_SELF, DIFF_FUNC_TOTAL, DIFF_NODE_SELF, DIFF_NODE_TOTAL, DIFF_N_FAMILIES };

struct diff_side_sum {
	uint32_t n_windows;
	int64_t whole;
	double samples; /* 0 = unknown */
	double seconds; /* 0 = unknown */
};

struct diff {
	struct diff_side_sum side[2];
	bool has_samples;  /* of every window: there are intervals and tests */
	double df;	   /* windows - 1 of each side, summed; 0: phi is assumed to be 1 */
	double pooled_phi; /* mean over functions with 5 and more expected samples a window; 1 without any */

	struct calltree tree; /* both sides' nodes; values are B's */
	uint32_t n[DIFF_N_FAMILIES];
	struct diff_item *item[DIFF_N_FAMILIES]; /* by index into tree.funcs, by node */
	bool *significant[DIFF_N_FAMILIES];	 /* Benjamini-Hochberg at 5 % within the family */
	uint32_t n_tested[DIFF_N_FAMILIES], n_significant[DIFF_N_FAMILIES];
	bool is_unknown; /* a window came without its samples */

	struct calltree_builder *builder; /* these two until diff_finish() */
	struct diffmatch *match;
	uint32_t cap[DIFF_N_FAMILIES];
	struct membudget *budget;
};

int diff_init(struct diff *d, struct membudget *budget) must_check;
void diff_done(struct diff *d);

struct diff_window {
	int64_t whole;	/* 100 %: sum of all values, filtered out or not */
	double samples; /* of the whole; 0 = unknown */
	double seconds; /* 0 = unknown */
};

/* Adds one window of a side: what its tree holds of the whole. -ENOBUFS,
 * -ENOMEM. */
int diff_add(struct diff *d, enum diff_side side, const struct calltree *t, const struct diff_window *w) must_check;

/* Sorts, tests. Nodes stand by falling B, those that only A has last. */
int diff_finish(struct diff *d) must_check;

struct diff_result {
	double share[2]; /* 0 where a side has no value at all */
	double delta;	 /* share B - share A */
	bool has_interval;
	struct diffstat_interval interval; /* of delta, 95 % */
	double p, phi;
	bool is_significant;
	bool is_new, is_gone; /* the other side has none */
	double zero_bound;    /* of the share on the side that has none */
	double needed;	      /* samples per side that show `detect`; 0 = cannot be said */
};

/* All about one item. `detect`: relative change of the share, for `needed`. */
struct diff_result diff_result(const struct diff *d, enum diff_family family, uint32_t i, double detect);

/* Nodes that only A has, with A's values, on the paths to them.
 * (*ret_from)[node] = node of d->tree, malloc()ed. */
int diff_gone_tree(const struct diff *d, struct calltree *ret, uint32_t **ret_from) must_check;
