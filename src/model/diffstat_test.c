/* SPDX-License-Identifier: Apache-2.0 */
/* What a user would lose: the trust that "significant" means it. */
#include "unit.h"

#include "model/diffstat.h"

#include <string.h>

static const struct diffstat_spread plain = { 1, INFINITY };

static void near(double have, double want, double tolerance)
{
	if (!(fabs(have - want) <= tolerance))
		fail_msg("%.17g, not %.17g +- %g", have, want, tolerance);
}

/* Newcombe 1998, table II, method 10 (examples a to h). */
static void intervals_are_newcombes(void **state)
{
	(void)state;
	static const struct {
		double k1, n1, k2, n2, low, high;
	} cases[] = {
		{ 56, 70, 48, 80, 0.0524, 0.3339 }, { 9, 10, 3, 10, 0.1705, 0.8090 },
		{ 6, 7, 2, 7, 0.0582, 0.8062 },	    { 5, 56, 0, 29, -0.0381, 0.1926 },
		{ 0, 10, 0, 20, -0.1611, 0.2775 },  { 0, 10, 0, 10, -0.2775, 0.2775 },
		{ 10, 10, 0, 20, 0.6791, 1.0000 },  { 10, 10, 0, 10, 0.6075, 1.0000 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct diffstat_count first = { cases[i].k1, cases[i].n1 }, second = { cases[i].k2, cases[i].n2 };
		struct diffstat_interval d = diffstat_newcombe(second, first, plain);
		near(d.low, cases[i].low, 5e-5);
		near(d.high, cases[i].high, 5e-5);
		struct diffstat_interval swapped = diffstat_newcombe(first, second, plain);
		near(swapped.low, -d.high, 1e-12);
		near(swapped.high, -d.low, 1e-12);
	}
	/* statsmodels: confint_proportions_2indep(123, 4567, 100, 5000, method="newcomb"). */
	struct diffstat_interval d =
		diffstat_newcombe((struct diffstat_count){ 100, 5000 }, (struct diffstat_count){ 123, 4567 }, plain);
	near(d.low, 0.000867167334664451, 1e-12);
	near(d.high, 0.013139848282632628, 1e-12);
	/* R. G. Newcombe, Stat. Med. 17 (1998) 857, table I. */
	struct diffstat_interval w = diffstat_wilson((struct diffstat_count){ 81, 263 }, plain);
	near(w.low, 0.2553, 5e-5);
	near(w.high, 0.3662, 5e-5);
	w = diffstat_wilson((struct diffstat_count){ 0, 20 }, plain);
	near(w.low, 0, 0);
	near(w.high, 0.1611, 5e-5);
}

/* Computed with scipy: special.betainc, stats.norm.ppf, stats.t.ppf. */
static void functions_agree_with_scipy(void **state)
{
	(void)state;
	near(diffstat_incomplete_beta(2, 3, 0.4), 0.5248, 1e-13);
	near(diffstat_incomplete_beta(0.5, 0.5, 0.25), 1.0 / 3, 1e-13);
	near(diffstat_incomplete_beta(1, 10, 0.1), 0.6513215599, 1e-12);
	near(diffstat_incomplete_beta(37.5, 1200.25, 0.031), 0.5773370534932605, 1e-11);
	near(diffstat_incomplete_beta(250000, 2500000, 0.0908), 0.2646942242119889, 1e-8);
	near(diffstat_incomplete_beta(3, 2, 0), 0, 0);
	near(diffstat_incomplete_beta(3, 2, 1), 1, 0);
	near(diffstat_normal_quantile(0.975), 1.959963984540054, 1e-13);
	near(diffstat_normal_quantile(0.8), 0.8416212335729143, 1e-13);
	near(diffstat_normal_quantile(1e-20), -9.262340089798408, 1e-12);
	near(diffstat_t_quantile(0.975, 4), 2.7764451051977934, 1e-9);
	near(diffstat_t_quantile(0.975, 10), 2.2281388519862740, 1e-9);
	near(diffstat_t_quantile(0.975, 1e6), 1.9599663568, 1e-8);
}

/* Small counts must not look like news: 3 samples against 0 where B is a tenth of A. */
static void small_counts_are_tested_exactly(void **state)
{
	(void)state;
	struct diffstat_count a = { 0, 1e7 }, b = { 3, 1e6 };
	/* (1/11)^3, the smaller tail with half of what was seen, doubled. */
	near(diffstat_p_value(a, b, plain), 1.0 / 1331, 1e-8);
	/* 10 against 0 of equal n: 2^-10. */
	near(diffstat_p_value((struct diffstat_count){ 0, 1e7 }, (struct diffstat_count){ 10, 1e7 }, plain), 1.0 / 1024,
	     1e-8);
	near(diffstat_p_value((struct diffstat_count){ 10, 1e7 }, (struct diffstat_count){ 0, 1e7 }, plain), 1.0 / 1024,
	     1e-8);
	/* scipy: up = binom.sf(k, n, q) + binom.pmf(k, n, q) / 2; 2 min(up, 1 - up). */
	near(diffstat_p_value((struct diffstat_count){ 2, 3e8 }, (struct diffstat_count){ 7, 1e8 }, plain),
	     0.0014495849609375, 1e-8);
	near(diffstat_p_value((struct diffstat_count){ 200, 1e9 }, (struct diffstat_count){ 40, 1e8 }, plain),
	     0.00020720415272945582, 1e-8);
	/* Function and rest say the same. */
	double p = diffstat_p_value((struct diffstat_count){ 30, 100 }, (struct diffstat_count){ 45, 120 }, plain);
	near(diffstat_p_value((struct diffstat_count){ 70, 100 }, (struct diffstat_count){ 75, 120 }, plain), p, 1e-9);
	/* The way over to the score test has no step to speak of. */
	double below =
		diffstat_p_value((struct diffstat_count){ 998, 1e5 }, (struct diffstat_count){ 1100, 1.1e5 }, plain);
	double above =
		diffstat_p_value((struct diffstat_count){ 1002, 1e5 }, (struct diffstat_count){ 1104.4, 1.1e5 }, plain);
	near(below, above, 0.02);
	near(diffstat_p_value((struct diffstat_count){ 0, 9 }, (struct diffstat_count){ 0, 5 }, plain), 1, 0);
	near(diffstat_p_value((struct diffstat_count){ 9, 9 }, (struct diffstat_count){ 5, 5 }, plain), 1, 0);
	near(diffstat_p_value((struct diffstat_count){ 0, 1e12 }, (struct diffstat_count){ 5e11, 1e12 }, plain), 0, 0);
}

static void power_and_zero_bounds(void **state)
{
	(void)state;
	/* With 3.29 + .84 in place of 1.96 + .84 these are the 55 k, 259 k and 1.35 M of alpha .001. */
	near(diffstat_samples_needed(0.2, 0.05, 1), 25117, 5);
	near(diffstat_samples_needed(0.05, 0.05, 1), 119305, 5);
	near(diffstat_samples_needed(0.01, 0.05, 1), 621631, 5);
	near(diffstat_samples_needed(0.01, 0.05, 3), 3 * 621631, 15);
	near(diffstat_zero_bound(1000, 1), 0.003, 1e-15);
	near(diffstat_zero_bound(1000, 2), 0.006, 1e-15);
	near(diffstat_zero_bound(2, 1), 1, 0);
}

/* Benjamini and Hochberg 1995, section 3.1: four of fifteen. */
static void false_discoveries_are_bounded(void **state)
{
	(void)state;
	const double p[] = { 0.3240, 0.0001, 0.0004, NAN,    0.0019, 0.0095, 0.0201, 0.0278,
			     0.0298, 0.0344, 0.0459, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000 };
	uint32_t order[ARRAY_SIZE(p)];
	bool found[ARRAY_SIZE(p)];
	assert_int_equal(diffstat_benjamini_hochberg(p, ARRAY_SIZE(p), 0.05, order, found), 4);
	for (size_t i = 0; i < ARRAY_SIZE(p); i++)
		assert_int_equal(found[i], p[i] <= 0.0095);
}

/* xorshift64*: the same numbers everywhere. */
static double uniform(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (double)((*state * 0x2545f4914f6cdd1du) >> 11) * 0x1p-53;
}

static double draw_binomial(uint64_t *state, int n, double p)
{
	int k = 0;
	for (int i = 0; i < n; i++)
		k += uniform(state) < p;
	return k;
}

struct scenario {
	double p, change; /* share in A, relative change in B */
	int windows, n;	  /* per side; samples of a window */
	int burst;	  /* samples that come together: phi */
	double drift;	  /* a window's share is p (1 +- drift) */
};

static struct diffstat_windows draw_side(uint64_t *state, const struct scenario *s, double p)
{
	struct diffstat_windows w = { 0 };
	for (int i = 0; i < s->windows; i++) {
		double share = p * (1 + (uniform(state) < 0.5 ? -s->drift : s->drift));
		double k = s->burst * draw_binomial(state, s->n / s->burst, share);
		w.k += k;
		w.n += s->n;
		w.squares += k * k / s->n;
	}
	return w;
}

#define N_FUNCTIONS 20

struct outcome {
	double covered, false_alarms, false_families; /* rates */
};

/* Many profiles of independent functions, compared as diff.c does it. */
static struct outcome simulate(const struct scenario *s, int rounds)
{
	uint64_t random = 0x9e3779b97f4a7c15u;
	struct outcome out = { 0 };
	double df = 2.0 * (s->windows - 1);
	for (int round = 0; round < rounds; round++) {
		struct diffstat_windows a[N_FUNCTIONS], b[N_FUNCTIONS];
		double chi[N_FUNCTIONS], p[N_FUNCTIONS], pooled = 0;
		for (int f = 0; f < N_FUNCTIONS; f++) {
			a[f] = draw_side(&random, s, s->p);
			b[f] = draw_side(&random, s, s->p * (1 + s->change));
			chi[f] = diffstat_chi_square(a[f]) + diffstat_chi_square(b[f]);
			pooled += df > 0 ? chi[f] / df / N_FUNCTIONS : 0;
		}
		for (int f = 0; f < N_FUNCTIONS; f++) {
			struct diffstat_spread spread = diffstat_spread_of(chi[f], df, pooled);
			struct diffstat_count ca = { a[f].k, a[f].n }, cb = { b[f].k, b[f].n };
			struct diffstat_interval d = diffstat_newcombe(ca, cb, spread);
			double truth = s->p * s->change;
			out.covered += d.low <= truth && truth <= d.high;
			p[f] = diffstat_p_value(ca, cb, spread);
			out.false_alarms += p[f] < 0.05;
		}
		uint32_t order[N_FUNCTIONS];
		bool found[N_FUNCTIONS];
		out.false_families += diffstat_benjamini_hochberg(p, N_FUNCTIONS, 0.05, order, found) > 0;
	}
	out.covered /= rounds * N_FUNCTIONS;
	out.false_alarms /= rounds * N_FUNCTIONS;
	out.false_families /= rounds;
	return out;
}

static void intervals_cover_what_they_promise(void **state)
{
	(void)state;
	static const struct scenario cases[] = {
		{ .p = 0.3, .windows = 1, .n = 1000, .burst = 1 },
		{ .p = 0.02, .change = 0.3, .windows = 1, .n = 2000, .burst = 1 },
		{ .p = 0.01, .change = 0.2, .windows = 1, .n = 1000, .burst = 1 },
		{ .p = 0.05, .windows = 6, .n = 300, .burst = 1 },
		{ .p = 0.05, .change = 0.2, .windows = 6, .n = 400, .burst = 4 },
		{ .p = 0.1, .windows = 3, .n = 600, .burst = 6 },
		{ .p = 0.1, .change = -0.2, .windows = 10, .n = 300, .burst = 1, .drift = 0.3 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outcome o = simulate(&cases[i], 200);
		print_message("# case %zu: covered %.4f\n", i, o.covered);
		if (o.covered < 0.93 || o.covered > 0.97)
			fail_msg("case %zu: the interval covers %.4f", i, o.covered);
	}
}

static void equal_sides_raise_few_alarms(void **state)
{
	(void)state;
	static const struct scenario cases[] = {
		{ .p = 0.3, .windows = 1, .n = 1000, .burst = 1 },
		{ .p = 0.02, .windows = 1, .n = 2000, .burst = 1 },
		{ .p = 0.05, .windows = 6, .n = 300, .burst = 1 },
		{ .p = 0.05, .windows = 6, .n = 400, .burst = 4 },
		{ .p = 0.1, .windows = 10, .n = 300, .burst = 1, .drift = 0.3 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct outcome o = simulate(&cases[i], 300);
		print_message("# case %zu: alarms %.4f, families %.4f\n", i, o.false_alarms, o.false_families);
		if (o.false_alarms < 0.025 || o.false_alarms > 0.065)
			fail_msg("case %zu: %.4f of equal shares are called different", i, o.false_alarms);
		if (o.false_families > 0.09)
			fail_msg("case %zu: %.4f of equal profiles have a significant function", i, o.false_families);
	}
	/* Without phi, bursts of four would do this. */
	const struct scenario burst = { .p = 0.05, .windows = 1, .n = 2400, .burst = 4 };
	assert_true(simulate(&burst, 100).false_alarms > 0.2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals_are_newcombes),	   cmocka_unit_test(functions_agree_with_scipy),
		cmocka_unit_test(small_counts_are_tested_exactly), cmocka_unit_test(power_and_zero_bounds),
		cmocka_unit_test(false_discoveries_are_bounded),   cmocka_unit_test(intervals_cover_what_they_promise),
		cmocka_unit_test(equal_sides_raise_few_alarms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
