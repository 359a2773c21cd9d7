/* SPDX-License-Identifier: Apache-2.0 */
#include "model/quantity.h"

#include "base/cleanup.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

struct scale {
	const char *text;
	double factor;
};

/* Falling factors; the first one that the value reaches is used. */
static const struct scale times[] = { { "h", 3600e9 }, { "min", 60e9 }, { "s", 1e9 },
				      { "ms", 1e6 },   { "us", 1e3 },	{ "ns", 1 } };
static const struct scale sizes[] = {
	{ "TiB", 0x1p40 }, { "GiB", 0x1p30 }, { "MiB", 0x1p20 }, { "KiB", 0x1p10 }, { "B", 1 }
};

static const struct {
	const char *unit;
	double factor;
	bool is_size;
} units[] = {
	{ "nanoseconds", 1, false },   { "microseconds", 1e3, false }, { "milliseconds", 1e6, false },
	{ "seconds", 1e9, false },     { "bytes", 1, true },	       { "kilobytes", 0x1p10, true },
	{ "megabytes", 0x1p20, true },
};

static void scaled(double value, const struct scale *scales, size_t n, char *ret)
{
	size_t i = 0;
	while (i + 1 < n && fabs(value) < scales[i].factor)
		i++;
	double v = value / scales[i].factor;
	int decimals = scales[i].factor <= 1 || fabs(v) >= 100 ? 0 : fabs(v) >= 10 ? 1 : 2;
	(void)snprintf(ret, QUANTITY_SIZE, "%.*f %s", decimals, v, scales[i].text);
}

static void grouped(int64_t value, const char *unit, char *ret)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%lld", (long long)value);
	size_t out = 0;
	for (int i = 0; i < n; i++) {
		ret[out++] = digits[i];
		int left = n - 1 - i;
		if (left > 0 && left % 3 == 0 && digits[i] != '-')
			ret[out++] = ',';
	}
	ret[out] = 0;
	if (*unit && strcmp(unit, "count") != 0)
		(void)snprintf(ret + out, QUANTITY_SIZE - out, " %s", unit);
}

void quantity_format(int64_t value, const char *unit, char ret[static QUANTITY_SIZE])
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(unit, units[i].unit) != 0)
			continue;
		double v = (double)value * units[i].factor;
		if (units[i].is_size)
			scaled(v, sizes, ARRAY_SIZE(sizes), ret);
		else
			scaled(v, times, ARRAY_SIZE(times), ret);
		return;
	}
	grouped(value, unit, ret);
}
