/* SPDX-License-Identifier: Apache-2.0 */
#include "format/quantity.h"

#include "base/cleanup.h"

#include <math.h>
#include <string.h>

struct step {
	double size;
	const char *name;
};

/* Largest first. */
static const struct step times[] = { { 86400e9, "d" }, { 3600e9, "h" }, { 60e9, "min" }, { 1e9, "s" },
				     { 1e6, "ms" },    { 1e3, "us" },	{ 1, "ns" } };
static const struct step sizes[] = { { 1099511627776.0, "TiB" }, { 1073741824.0, "GiB" }, { 1048576.0, "MiB" },
				     { 1024.0, "KiB" },		 { 1, "B" } };
static const struct step counts[] = { { 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" }, { 1, "" } };

static const struct {
	const char *unit;
	double scale; /* to the smallest step */
	const struct step *steps;
	size_t n_steps;
} units[] = {
	{ "nanoseconds", 1, times, ARRAY_SIZE(times) }, { "microseconds", 1e3, times, ARRAY_SIZE(times) },
	{ "milliseconds", 1e6, times, ARRAY_SIZE(times) }, { "seconds", 1e9, times, ARRAY_SIZE(times) },
	{ "bytes", 1, sizes, ARRAY_SIZE(sizes) },
};

/* Decimals that make three digits of `v`. */
static int decimals(double v)
{
	v = fabs(v);
	return v >= 99.95 ? 0 : v >= 9.995 ? 1 : 2;
}

static const struct step *pick_step(const struct step *steps, size_t n, double v)
{
	size_t i = 0;
	while (i + 1 < n && fabs(v) < steps[i].size)
		i++;
	return &steps[i];
}

void quantity_format(int64_t value, const char *unit, char ret[static QUANTITY_SIZE])
{
	double v = (double)value;
	for (size_t i = 0; unit && i < ARRAY_SIZE(units); i++) {
		if (strcmp(unit, units[i].unit) != 0)
			continue;
		v *= units[i].scale;
		const struct step *s = pick_step(units[i].steps, units[i].n_steps, v);
		int digits = s->size > 1 ? decimals(v / s->size) : 0;
		(void)snprintf(ret, QUANTITY_SIZE, "%.*f %s", digits, v / s->size, s->name);
		return;
	}
	const struct step *s = pick_step(counts, ARRAY_SIZE(counts), v);
	const char *word = unit && strcmp(unit, "count") != 0 ? unit : "";
	(void)snprintf(ret, QUANTITY_SIZE, "%.*f%s%s%s%.32s", s->size > 1 ? decimals(v / s->size) : 0, v / s->size,
		       *s->name ? " " : "", s->name, *word ? " " : "", word);
}

void share_format(int64_t value, int64_t total, char ret[static QUANTITY_SIZE])
{
	double share = total ? 100 * (double)value / (double)total : 0;
	(void)snprintf(ret, QUANTITY_SIZE, "%.*f %%", share != 0 && fabs(share) < 99.995 ? 2 : 0, share);
}
