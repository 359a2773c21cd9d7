/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h: the chunks of a series of one part, within a range of time.
 *
 *   scan_init -> scan_series -> scan_next -> scan_rows
 *                               scan_next -> (rows not wanted)
 *
 * Of a block that has its profiles at several resolutions too, the coarsest
 * chunks are taken that answer exactly: one that lies whole within the range
 * (and within one step of `grid_ms`) stands for all it was made of; in place of
 * one that does not, the finer ones are looked at. Where finer ones are there no
 * more, the chunk is taken as it is and `is_inexact` set.
 *
 * A place that cannot be read is left out and counted. Not thread-safe. */
#pragma once

#include "base/cancel.h"
#include "store/part.h"
#include "store/rows.h"
#include "store/times.h"

struct scan_options {
	int64_t from_ms, to_ms; /* profiles whose interval meets [from, to) */
	int64_t grid_ms;	/* no chunk may span two of these steps, counted from from_ms; 0 = none */
	enum resolution finest, coarsest;
	bool is_ordered;       /* by start, in a head too; blocks always are */
	struct cancel *cancel; /* NULL = the scan is always wanted */
};

struct scan_stats {
	uint64_t n_chunks, n_rows, n_bytes;
	uint64_t n_damaged;   /* pages left out */
	unsigned resolutions; /* bit r: chunks of that resolution were taken */
	bool is_inexact;
};

struct block_scan;

struct scan {
	const struct part *part;
	struct scan_options options;
	struct membudget *budget;
	struct scan_stats stats;
	struct chunk chunk; /* where scan_next() stands */

	uint32_t series;
	uint32_t n_polls;
	struct rows_reader rows;
	uint32_t at, chunk_at;	   /* of a head: the next chunk, and the one in `chunk` */
	VEC(uint32_t) order;	   /* of a head's chunks, if is_ordered */
	struct block_scan *blocks; /* of a block */
	VEC(struct observation) observations;
};

/* -ENOBUFS, -ENOMEM. `s` needs scan_done() in any case. */
int scan_init(struct scan *s, const struct part *part, const struct scan_options *options,
	      struct membudget *budget) must_check;
void scan_done(struct scan *s);

/* Starts with the first chunk of series i of the part. -ENOBUFS, -ENOMEM. */
int scan_series(struct scan *s, uint32_t series) must_check;

/* 1 and s->chunk is the next one; 0 at the end; -ECANCELED, -ENOBUFS, -ENOMEM. */
int scan_next(struct scan *s) must_check;

/* The chunk's rows, valid until the next call. 1; 0: they cannot be read, which
 * has been counted; -ENOBUFS, -ENOMEM. At most once per chunk. */
int scan_rows(struct scan *s, struct rows *ret) must_check;

/* When samples of the chunk were taken, after its scan_rows(), whose rows stay
 * valid: *ret_n observations, none for a sum. 1, 0: they cannot be read; -ENOBUFS,
 * -ENOMEM. */
int scan_times(struct scan *s, const struct rows *rows, const struct observation **ret, uint32_t *ret_n) must_check;

void scan_stats_add(struct scan_stats *dst, const struct scan_stats *src);
