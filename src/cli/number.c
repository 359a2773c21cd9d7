/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/number.h"

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
