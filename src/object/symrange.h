/* SPDX-License-Identifier: Apache-2.0 */
/* symrange.h: what every symbol source answers with.
 *
 *   addresses   ...  a1   a2 ............ a3  ...        sorted, of one object
 *   answers     [start  main  end)[start  -  end)        one per distinct range
 *
 * A range is chosen so that every address in [start, end) has this very
 * answer: a caller may cache it and ask once per function instead of once
 * per address. An empty name says that no symbol covers the range, which is
 * worth caching too. Ranges come in rising order and do not overlap.
 *
 * Ranges are half-open, so the very last address can lie in none: asking for
 * it gives no answer. */
#pragma once

#include "base/slice.h"

#define SYMBOL_NAME_MAX	    4096 /* bytes; longer names are cut here */
#define SYMRANGE_NO_ADDRESS UINT64_MAX

struct symrange {
	uint64_t start, end;
	struct slice name;   /* as the source spells it (mangled); size 0 = no symbol */
	struct slice module; /* kernel only: "nf_tables", "bpf"; size 0 = the kernel itself */
};

/* Takes one range; the slices are valid during the call only. Negative ends
 * the look-up, which returns that value. */
struct symrange_sink {
	int (*put)(void *arg, const struct symrange *range);
	void *arg;
};
