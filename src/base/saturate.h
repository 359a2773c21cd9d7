/* SPDX-License-Identifier: Apache-2.0 */
/* saturate.h: sums of values that came from outside stop at the end of their
 * type instead of wrapping. */
#pragma once

#include <stdint.h>

static inline int64_t i64_add_saturating(int64_t a, int64_t b)
{
	int64_t sum;
	if (__builtin_add_overflow(a, b, &sum))
		return b > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

static inline uint64_t u64_add_saturating(uint64_t a, uint64_t b)
{
	uint64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}
