/* SPDX-License-Identifier: Apache-2.0 */
/* salvage.h: half a file is better than none, if that is said.
 *
 * A decoder that is given one of these keeps what stands before the end of a
 * truncated input instead of failing with -ENODATA, and says here where that
 * end is and what is missing. NULL: a truncated input is an error. Together:
 *
 *   ends in the middle of string 7, at byte 300, after 3 samples; lost: 1 frame names
 *   |               end                       |  format/detect.c  |       lost        */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct salvage {
	bool is_wanted;	   /* read by format/detect.h: false = refuse, but say what would be kept */
	struct error end;  /* one phrase; "" = the input is whole */
	struct error lost; /* one phrase; may be "" */
};

static inline bool salvage_is_half(const struct salvage *s)
{
	return s->end.text[0];
}

/* The input ends within something, at byte `size`. Of compressed input it is
 * known already where that ends: what it ends within is added. */
void salvage_end(struct salvage *s, size_t size, const char *within, ...) printf_like(3, 4);

/* Adds "3 labels" to what is lost; of 0 nothing. */
void salvage_lose(struct salvage *s, uint64_t n, const char *what);
