/* SPDX-License-Identifier: Apache-2.0 */
/* times.h: when the samples of a chunk were taken, at 1 ms (docs/block-format.md).
 *
 *   struct observation[]  --times_put-->  time | rank | factor
 *                         <--times_get--
 *
 * The row of an observation is stored by its rank among the chunk's rows, the
 * one with the largest value first: the numbers are small where it counts. */
#pragma once

#include "store/rows.h"

struct observation {
	int64_t time_ms;
	uint32_t row; /* index among the chunk's rows */
	int64_t value;
};

enum time_column { TIME_DELTA, TIME_RANK, TIME_FACTOR, N_TIME_COLUMNS };

/* place[i] = index of the row of rank i; place[n + index] = its rank. -ENOMEM. */
int times_rank(const int64_t *value, uint32_t stride, uint32_t n, uint32_t **ret) must_check;

/* Greatest common divisor of the values; 0 for none. */
int64_t times_unit(const struct observation *o, uint32_t n);

/* Appends observations to the three columns, which are ordered by time in place.
 * Those before `from_ms` count as made then. `rank` is the second half of what
 * times_rank() gave. */
void times_put(struct buf column[static N_TIME_COLUMNS], struct observation *o, uint32_t n, int64_t from_ms,
	       int64_t unit, const uint32_t *rank);

/* The next n of a chunk of n_rows rows. False: they make no sense. `place` is the
 * first half of what times_rank() gave. */
bool times_get(struct column column[static N_TIME_COLUMNS], uint32_t n, int64_t from_ms, int64_t unit,
	       const uint32_t *place, uint32_t n_rows, struct observation *out);
void times_skip(struct column column[static N_TIME_COLUMNS], uint32_t n);
