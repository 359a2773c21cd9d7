/* SPDX-License-Identifier: Apache-2.0 */
/* spool.h: parcels on disk while the server is away.
 *
 *   folder/lock, .new, 0001764300000000-0000002a.parcel ...
 *                      start in ms      counter           the oldest first
 *
 * A file is written as .new and renamed: one that was cut by the end of the
 * machine has the wrong hash, is counted and removed. Nothing is synced: the
 * last seconds before a power cut may go.
 *
 * Bounded by bytes, as the disk counts them, and files: then the oldest go, and
 * their samples are counted. What its index takes is 16 bytes a file. Never
 * blocks but on the disk. One process at a time has the folder. */
#pragma once

#include "agent/parcel.h"
#include "base/error.h"

#define SPOOL_FILES_MAX 16384
#define SPOOL_LIMIT_MIN ((uint64_t)1 << 20)

struct spool_stats {
	uint32_t n_files; /* now; the one that was taken, too */
	uint64_t bytes;
	/* Since it was opened: */
	uint64_t n_written, n_dropped, n_torn, n_failed; /* failed: files that could not be written */
	uint64_t n_samples_lost;			 /* in dropped and torn ones */
};

struct spool;

/* Makes the folder with its parents, locks it, and finds what an
 * earlier run left. -EBUSY: another agent has it. */
int spool_open(const char *folder, uint64_t limit, struct spool **ret, struct error *err) must_check;
void spool_free(struct spool **s); /* for _cleanup_ */

/* Writes it behind those that are there; the oldest make room. -E2BIG: it is
 * larger than the limit; or what the disk says. */
int spool_put(struct spool *s, const struct parcel *p, struct error *err) must_check;

/* The oldest whole one, NULL: there is none. It stays on disk, and is not dropped
 * meanwhile, until spool_end() says whether it is done with. One at a time. */
struct parcel *spool_take(struct spool *s);
void spool_end(struct spool *s, bool is_done);

struct spool_stats spool_stats(const struct spool *s);
const char *spool_folder(const struct spool *s);
uint64_t spool_limit(const struct spool *s);
