/* SPDX-License-Identifier: Apache-2.0 */
/* diffstat.h: is a share of samples in B another one than in A?
 *
 * k of n samples fall on a function, on each side. Counts are doubles: where
 * samples weigh differently, n is the effective number and k = share * n
 * (diff.h). Samples of one window are no independent draws (a burst comes as
 * a whole), so their variance is phi times the binomial one; n / phi samples
 * are what they are worth. phi is an estimate from few windows: with `df`
 * degrees of freedom, Student's t takes the place of the normal distribution.
 *
 * Sources
 *   interval of one share: E. B. Wilson, JASA 22 (1927) 209
 *   interval of a difference: R. G. Newcombe, Stat. Med. 17 (1998) 873, method 10
 *   test, small counts: J. Przyborowski, H. Wilenski, Biometrika 31 (1940) 313
 *   incomplete beta function: DLMF 8.17.22 (continued fraction)
 *   normal quantile: M. J. Wichura, AS 241, Appl. Stat. 37 (1988) 477
 *   many tests: Y. Benjamini, Y. Hochberg, JRSS B 57 (1995) 289
 *   phi: P. McCullagh, J. A. Nelder, Generalized Linear Models, 4.5.2 */
#pragma once

#include "base/cleanup.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

/* k of n samples of one side; 0 <= k <= n, n > 0. */
struct diffstat_count {
	double k, n;
};

struct diffstat_spread {
	double phi; /* >= 1 */
	double df;  /* of the estimate; INFINITY: phi is known or assumed */
};

struct diffstat_interval {
	double low, high;
};

/* The share of one side, at 95 %: always within [0, 1]. */
struct diffstat_interval diffstat_wilson(struct diffstat_count c, struct diffstat_spread s);

/* Share of b - share of a, at 95 %: always within [-1, 1]. */
struct diffstat_interval diffstat_newcombe(struct diffstat_count a, struct diffstat_count b, struct diffstat_spread s);

/* Two-sided p-value of "both shares are equal".
 *
 * Under it, k_b of k_a + k_b is binomial with n_b / (n_a + n_b) as long as the
 * shares are small; both k divided by 1 - (pooled share) gives the right
 * variance for any share (the rarer of function and rest is looked at). Half
 * of the probability of what was seen counts (mid-p). From 1000 expected
 * samples on each side on, the score test with pooled variance. */
double diffstat_p_value(struct diffstat_count a, struct diffstat_count b, struct diffstat_spread s);

/* Largest share that no sample out of n is compatible with, at 95 %: the rule
 * of three, 3 phi / n, at most 1. */
double diffstat_zero_bound(double n, double phi);

/* Samples a side needs to see a share p change to p (1 + change), at alpha .05
 * two-sided and power .8: 2 (1.960 + 0.842)^2 (1 - p) / (p change^2) phi.
 * 0 < p <= 1, change > 0. */
double diffstat_samples_needed(double p, double change, double phi);

/* Windows of one side: sums from which chi-square follows in one pass.
 *   X^2 = sum (k_w - n_w p)^2 / (n_w p (1 - p)),  p = sum k / sum n
 *       = (sum k_w^2 / n_w - (sum k)^2 / sum n) / (p (1 - p)) */
struct diffstat_windows {
	double k, n;	/* sums */
	double squares; /* sum k_w^2 / n_w */
};

/* Pearson's X^2; 0 when p is 0 or 1. */
double diffstat_chi_square(struct diffstat_windows w);

/* Weight of the pooled phi against a function's own, in degrees of freedom. */
#define DIFFSTAT_PRIOR_DF 4.0

/* The function's own estimate X^2 / df, drawn towards that of all functions:
 * (X^2 + 4 pooled) / (df + 4), with df + 4 degrees of freedom (moderated
 * variance, G. K. Smyth, SAGMB 3 (2004) 3); at least 1, which is what drawing
 * alone gives. df = 0: 1, assumed. */
struct diffstat_spread diffstat_spread_of(double chi_square, double df, double pooled);

/* Marks which of n p-values are significant at a false discovery rate `q`;
 * `order` is work space of n. Returns how many. NAN was not tested. */
uint32_t diffstat_benjamini_hochberg(const double *p, uint32_t n, double q, uint32_t *order, bool *ret);

/* The parts, for the tests. */
double diffstat_incomplete_beta(double a, double b, double x); /* I_x(a, b) */
double diffstat_normal_quantile(double p);
double diffstat_t_quantile(double p, double df); /* .5 <= p < 1 */
