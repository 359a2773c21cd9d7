/* SPDX-License-Identifier: Apache-2.0 */
/* limits.h: how much of a file wick is willing to believe.
 *
 * Every decoder takes one of these and answers -E2BIG, naming the limit and
 * its value, before it has spent more. Memory is capped a second time by the
 * profile's budget (-ENOBUFS). */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct format_limits {
	size_t input_size;    /* bytes as they arrive */
	size_t inflated_size; /* bytes after decompression */
	uint32_t ratio;	      /* inflated : compressed, beyond the first 16 MiB */
	uint32_t n_samples;
	uint32_t n_locations; /* the same for mappings, functions and frames */
	uint32_t n_strings;
	uint32_t n_comments;
	uint32_t n_labels; /* of one sample; at most LABELS_MAX */
	uint32_t depth;	   /* frames of one stack, inlined ones included */
};

/* What a table that holds `n_own` strings of the decoder's may grow to. */
static inline uint32_t limits_max_strings(const struct format_limits *l, uint32_t n_own)
{
	return l->n_strings < UINT32_MAX - n_own ? n_own + l->n_strings : UINT32_MAX;
}

extern const struct format_limits format_limits_default;
