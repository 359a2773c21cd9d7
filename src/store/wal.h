/* SPDX-License-Identifier: Apache-2.0 */
/* wal.h: the write-ahead log, a folder of segment files.
 *
 *   DIR/00000001-<salt>.wal  00000002-<salt>.wal ...      docs/wal-format.md
 *
 *   append append append | sync          acknowledged from here on
 *                        | roll back     none of the batch ever happened
 *
 * A batch lies in one segment. When a sync fails, the batch is cut off and
 * the segment is never written again: after a failed fsync the kernel may
 * have dropped dirty pages and would call the next one a success.
 * One thread at a time. */
#pragma once

#include "store/wal_record.h"

struct wal;

/* What reading the log at start found. */
struct wal_report {
	uint64_t n_segments, n_records, n_bytes;
	uint64_t n_damaged, damaged_bytes; /* skipped places with good records behind them */
	uint64_t torn_bytes;		   /* cut off the end of the last segment */
	uint64_t n_unknown;		   /* records of a kind this version does not know */
};

/* Lists the segments of `dir`, which is created when absent. A batch that
 * starts behind `segment_size` opens the next segment. Records get numbers
 * behind `last_seq` and those found. */
int wal_open(const char *dir, uint64_t segment_size, uint64_t last_seq, struct wal **ret, struct error *err) must_check;
void wal_free(struct wal **w);

/* Before anything is read: `keys` (NULL = none) open what is read and seal what is written.
 * They outlive the log. */
void wal_use_keys(struct wal *w, const struct keyring *keys);

/* 1 and the next record, oldest first (valid until the next call); 0 at the
 * end, when the torn tail has been cut; negative errno (-ENOKEY, -EKEYREJECTED: a
 * segment is sealed with a key that is not among ours). To be called until
 * it returns 0 before the first append. */
int wal_next(struct wal *w, struct wal_record *ret, struct error *err) must_check;
const struct wal_report *wal_get_report(const struct wal *w);

/* Writes the record behind the others of the batch; sets r->seq. */
int wal_append(struct wal *w, struct wal_record *r, struct error *err) must_check;
/* Makes the batch durable. On failure it has been rolled back. */
int wal_sync(struct wal *w, struct error *err) must_check;
/* Cuts the batch off. */
void wal_rollback(struct wal *w);

/* The next batch opens a segment. No batch is under way. */
void wal_rotate(struct wal *w);
/* Removes closed segments whose records are all at most `last_seq` and none of
 * `kept`. What cannot be removed stays, and is the error. */
int wal_drop(struct wal *w, uint64_t last_seq, const uint64_t *kept, uint32_t n_kept, struct error *err) must_check;

/* Could a record be written now? Opens a segment when there is none. */
int wal_probe(struct wal *w, struct error *err) must_check;

/* Bytes of all segments, the unsynced batch included. */
uint64_t wal_bytes(const struct wal *w);
