/* SPDX-License-Identifier: Apache-2.0 */
#include "model/diffstat.h"

#include <float.h>
#include <stdlib.h>

#define EXACT_BELOW 1000 /* expected samples on the smaller side */

/* Lentz's way to sum DLMF 8.17.22; some sqrt(max(a, b)) steps. */
static double beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1, d = 1 - (a + b) * x / (a + 1);
	d = 1 / (fabs(d) < tiny ? tiny : d);
	double sum = d;
	for (int m = 1; m < 10000; m++) {
		for (int odd = 0; odd < 2; odd++) {
			double step = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
					  : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
			d = 1 + step * d;
			c = 1 + step / c;
			d = 1 / (fabs(d) < tiny ? tiny : d);
			c = fabs(c) < tiny ? tiny : c;
			sum *= c * d;
		}
		if (fabs(c * d - 1) < 4 * DBL_EPSILON)
			break;
	}
	return sum;
}

double diffstat_incomplete_beta(double a, double b, double x)
{
	if (!(x > 0) || isinf(b))
		return 0;
	if (x >= 1)
		return 1;
	double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* c[0] + c[1] x + ... */
static double polynomial(const double *c, double x)
{
	double y = c[7];
	for (int i = 6; i >= 0; i--)
		y = y * x + c[i];
	return y;
}

/* The coefficients of AS 241, PPND16. */
double diffstat_normal_quantile(double p)
{
	static const double a[] = { 3.3871328727963666080,   1.3314166789178437745e2, 1.9715909503065514427e3,
				    1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
				    3.3430575583588128105e4, 2.5090809287301226727e3 };
	static const double b[] = { 1.0,
				    4.2313330701600911252e1,
				    6.8718700749205790830e2,
				    5.3941960214247511077e3,
				    2.1213794301586595867e4,
				    3.9307895800092710610e4,
				    2.8729085735721942674e4,
				    5.2264952788528545610e3 };
	static const double c[] = { 1.42343711074968357734,    4.63033784615654529590,	 5.76949722146069140550,
				    3.64784832476320460504,    1.27045825245236838258,	 2.41780725177450611770e-1,
				    2.27238449892691845833e-2, 7.74545014278341407640e-4 };
	static const double d[] = { 1.0,
				    2.05319162663775882187,
				    1.67638483018380384940,
				    6.89767334985100004550e-1,
				    1.48103976427480074590e-1,
				    1.51986665636164571966e-2,
				    5.47593808499534494600e-4,
				    1.05075007164441684324e-9 };
	static const double e[] = { 6.65790464350110377720,    5.46378491116411436990,	  1.78482653991729133580,
				    2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
				    2.71155556874348757815e-5, 2.01033439929228813265e-7 };
	static const double f[] = { 1.0,
				    5.99832206555887937690e-1,
				    1.36929880922735805310e-1,
				    1.48753612908506148525e-2,
				    7.86869131145613259100e-4,
				    1.84631831751005468180e-5,
				    1.42151175831644588870e-7,
				    2.04426310338993978564e-15 };
	double q = p - 0.5;
	if (fabs(q) <= 0.425) {
		double r = 0.180625 - q * q;
		return q * polynomial(a, r) / polynomial(b, r);
	}
	double r = sqrt(-log(q < 0 ? p : 1 - p));
	double x =
		r <= 5 ? polynomial(c, r - 1.6) / polynomial(d, r - 1.6) : polynomial(e, r - 5) / polynomial(f, r - 5);
	return q < 0 ? -x : x;
}

/* Both tails of Student's t beyond |t|. */
static double t_tails(double t, double df)
{
	if (isinf(df))
		return erfc(fabs(t) * M_SQRT1_2);
	return diffstat_incomplete_beta(df / 2, 0.5, df / (df + t * t));
}

/* Newton's method from the normal quantile, which is never beyond t's: the
 * tail is convex there, so each step stays on this side of the root. */
double diffstat_t_quantile(double p, double df)
{
	double t = diffstat_normal_quantile(p);
	if (isinf(df))
		return t;
	double scale = exp(lgamma((df + 1) / 2) - lgamma(df / 2)) / sqrt(df * M_PI);
	for (int i = 0; i < 100; i++) {
		double density = scale * pow(1 + t * t / df, -(df + 1) / 2);
		double step = (t_tails(t, df) - 2 * (1 - p)) / (2 * density);
		t += step;
		if (!(fabs(step) > 1e-12 * t))
			break;
	}
	return t;
}

/* Wilson's interval of k / n for a quantile z. */
static struct diffstat_interval wilson(struct diffstat_count c, double phi, double z)
{
	double n = c.n / phi, p = c.k / c.n, zz = z * z / n;
	double middle = (p + zz / 2) / (1 + zz);
	double half = sqrt(zz * (p * (1 - p) + zz / 4)) / (1 + zz);
	/* At the ends the two cancel in theory; do so in practice. */
	double low = c.k <= 0 ? 0 : middle - half, high = c.k >= c.n ? 1 : middle + half;
	return (struct diffstat_interval){ low < 0 ? 0 : low, high > 1 ? 1 : high };
}

static double quantile_of(struct diffstat_spread s)
{
	return diffstat_t_quantile(0.975, s.df);
}

struct diffstat_interval diffstat_wilson(struct diffstat_count c, struct diffstat_spread s)
{
	return wilson(c, s.phi, quantile_of(s));
}

struct diffstat_interval diffstat_newcombe(struct diffstat_count a, struct diffstat_count b, struct diffstat_spread s)
{
	double z = quantile_of(s), pa = a.k / a.n, pb = b.k / b.n, delta = pb - pa;
	struct diffstat_interval wa = wilson(a, s.phi, z), wb = wilson(b, s.phi, z);
	return (struct diffstat_interval){ delta - hypot(pb - wb.low, wa.high - pa),
					   delta + hypot(wb.high - pb, pa - wa.low) };
}

/* Two-sided mid-p of k of a + b draws with probability q. */
static double binomial_mid_p(double k, double other, double q)
{
	double at_least = k > 0 ? diffstat_incomplete_beta(k, other + 1, q) : 1;
	double more = other > 0 ? diffstat_incomplete_beta(k + 1, other, q) : 0;
	double upper = (at_least + more) / 2;
	double lower = 1 - upper;
	/* 1 - upper loses a small lower tail: count from the other side. */
	if (lower < 1e-6) {
		double at_most = other > 0 ? diffstat_incomplete_beta(other, k + 1, 1 - q) : 1;
		double less = k > 0 ? diffstat_incomplete_beta(other + 1, k, 1 - q) : 0;
		lower = (at_most + less) / 2;
	}
	double p = 2 * (upper < lower ? upper : lower);
	return p < 1 ? p : 1;
}

double diffstat_p_value(struct diffstat_count a, struct diffstat_count b, struct diffstat_spread s)
{
	double na = a.n / s.phi, nb = b.n / s.phi, p = (a.k + b.k) / (a.n + b.n);
	double smaller = na < nb ? na : nb;
	if (p <= 0 || p >= 1)
		return 1;
	if (p > 0.5) {
		a.k = a.n - a.k;
		b.k = b.n - b.k;
		p = (a.k + b.k) / (a.n + b.n);
	}
	double z;
	if (smaller * p >= EXACT_BELOW) {
		z = (b.k / b.n - a.k / a.n) / sqrt(p * (1 - p) * (1 / na + 1 / nb));
	} else {
		double scale = s.phi * (1 - p);
		double exact = binomial_mid_p(b.k / scale, a.k / scale, nb / (na + nb));
		if (isinf(s.df) || !(exact > 0))
			return exact;
		z = diffstat_normal_quantile(exact / 2);
	}
	return t_tails(z, s.df);
}

double diffstat_zero_bound(double n, double phi)
{
	double bound = 3 * phi / n;
	return bound < 1 ? bound : 1;
}

double diffstat_samples_needed(double p, double change, double phi)
{
	const double z = 1.959963984540054 + 0.8416212335729143;
	return 2 * z * z * (1 - p) / (p * change * change) * phi;
}

double diffstat_chi_square(struct diffstat_windows w)
{
	double p = w.k / w.n;
	if (!(p > 0) || !(p < 1))
		return 0;
	double x = (w.squares - w.k * w.k / w.n) / (p * (1 - p));
	return x > 0 ? x : 0;
}

struct diffstat_spread diffstat_spread_of(double chi_square, double df, double pooled)
{
	if (!(df > 0))
		return (struct diffstat_spread){ 1, INFINITY };
	double all = df + DIFFSTAT_PRIOR_DF;
	double phi = (chi_square + DIFFSTAT_PRIOR_DF * pooled) / all;
	/* 1 is no estimate: less than by drawing alone nothing varies. */
	return phi > 1 ? (struct diffstat_spread){ phi, all } : (struct diffstat_spread){ 1, INFINITY };
}

static int compare_p(const void *x, const void *y, void *arg)
{
	const double *p = arg;
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	if (p[a] < p[b] || p[a] > p[b])
		return p[a] < p[b] ? -1 : 1;
	return a < b ? -1 : a > b;
}

uint32_t diffstat_benjamini_hochberg(const double *p, uint32_t n, double q, uint32_t *order, bool *ret)
{
	uint32_t n_tested = 0, n_significant = 0;
	for (uint32_t i = 0; i < n; i++) {
		ret[i] = false;
		if (!isnan(p[i]))
			order[n_tested++] = i;
	}
	if (n_tested > 1)
		qsort_r(order, n_tested, sizeof(*order), compare_p, (void *)(uintptr_t)p);
	for (uint32_t i = 0; i < n_tested; i++)
		if (p[order[i]] <= q * (i + 1) / n_tested)
			n_significant = i + 1;
	for (uint32_t i = 0; i < n_significant; i++)
		ret[order[i]] = true;
	return n_significant;
}
