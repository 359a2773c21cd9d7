/* SPDX-License-Identifier: Apache-2.0 */
/* backup.h: the log and the blocks of a folder as they are at one moment, copied while a server writes.
 *
 *   1. the log's segments, oldest first     a segment that goes meanwhile is in blocks by then
 *   2. the manifest, then its blocks        one that goes meanwhile was merged: the manifest again
 *   3. that manifest
 *
 * So what was acknowledged before is in the log or in the blocks that are copied, or in both: what the
 * manifest says blocks hold is passed over in the log, as after any crash. */
#pragma once

#include "store/folder.h"

struct backup_stats {
	uint64_t n_blocks, n_segments, bytes;
};

/* Into the folder `to`, which is empty. `link`: blocks share their bytes with `f`. -EXDEV: `link` on another
 * file system; -EBUSY: blocks were merged faster than they are copied; -ENOSPC ... Everything is on disk then. */
int backup_copy(struct folder *f, int to, bool link, struct backup_stats *ret, struct error *err) must_check;
