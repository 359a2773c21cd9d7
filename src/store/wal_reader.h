/* SPDX-License-Identifier: Apache-2.0 */
/* wal_reader.h: the records of one segment, whatever happened to it.
 *
 *   good good ####### good good ~~~~~~~ end of file
 *             damaged           tail: no good record behind it
 *
 * Behind a place that is no record the reader looks at every 8th byte for
 * the next one whose salted hash is right. Reads through a window that grows
 * to the largest record only. Not thread-safe. */
#pragma once

#include "store/wal_record.h"

struct wal_reader {
	int fd; /* borrowed */
	uint64_t salt;
	uint64_t size;	   /* of the file */
	uint64_t pos;	   /* where the next record should start */
	uint64_t good_end; /* padded end of the last good record */

	struct buf window;
	uint64_t window_off;

	uint64_t n_damaged, damaged_bytes; /* places between good records */
	uint64_t tail_bytes;		   /* behind the last good record */
	uint64_t n_unknown;		   /* whole, but of a later version's kind */
};

/* `salt` is the one of the segment's name, used where the header is damaged.
 * -EPROTONOSUPPORT with the version in `err`; -EIO and the like. */
int wal_reader_init(struct wal_reader *r, int fd, uint64_t salt, struct error *err) must_check;
void wal_reader_done(struct wal_reader *r);

/* 1 and the next good record (valid until the next call), 0 at the end,
 * negative errno when the file cannot be read. */
int wal_reader_next(struct wal_reader *r, struct wal_record *ret) must_check;
