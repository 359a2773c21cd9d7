/* SPDX-License-Identifier: Apache-2.0 */
/* guard.h: how many different things may come in a day.
 *
 *   host=web-1 .. web-10000   known or within the limit: as they are
 *   host=web-10001            "__other__", counted
 *
 * Labels that change all the time would make a series of every profile. Over a
 * limit nothing is refused: what is stored is right, only coarser. Folded values
 * are what the log has, so that a restart yields the same. Sums start anew each
 * day, and when the server starts. Not thread-safe. */
#pragma once

#include "base/u64map.h"
#include "store/intake.h"

#define GUARD_OTHER "__other__"

struct guard_limits {
	uint32_t n_series; /* label sets */
	uint32_t n_values; /* of each series label; and in memory, of each label of samples */
};

struct guard {
	struct guard_limits limits;
	struct u64map series, values[N_SERIES_LABELS]; /* hashes */
	int64_t since_ms;
	uint64_t seed;
	uint64_t n_folded_values, n_folded_series; /* profiles, by reason */
	struct membudget budget;
};

void guard_init(struct guard *g, const struct guard_limits *limits, uint64_t seed, size_t memory_max);
void guard_done(struct guard *g);

/* Folds labels of `in` that are over a limit: they then point to static text. */
void guard_fold(struct guard *g, struct intake *in);
