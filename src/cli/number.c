/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/number.h"

#include <string.h>

bool number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s < '0' || *s > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
			return false;
	if (v < min || v > max)
		return false;
	*ret = v;
	return true;
}

bool size_parse(const char *s, uint64_t *ret)
{
	static const char units[] = "kmg";
	char digits[24];
	size_t n = strlen(s);
	const char *unit = n ? strchr(units, s[n - 1] | 0x20) : NULL;
	uint64_t v;
	if (unit && *unit)
		n--;
	if (n >= sizeof(digits))
		return false;
	memcpy(digits, s, n);
	digits[n] = 0;
	unsigned shift = unit && *unit ? 10 * (unsigned)(unit - units + 1) : 0;
	if (!number_parse(digits, 0, UINT64_MAX >> shift, &v))
		return false;
	*ret = v << shift;
	return true;
}
