/* SPDX-License-Identifier: Apache-2.0 */
/* wal_reader.h: the records of one segment, whatever happened to it.
 *
 *   good good ####### good good ~~~~~~~ end of file
 *             damaged           tail: no good record behind it
 *
 * Behind a place that is no record the reader looks at every 8th byte for
 * the next one whose salted hash is right. In a sealed segment each record is
 * opened on the way; where its header is damaged, by whatever key opens it. Reads through a window that grows
 * to the largest record only. Not thread-safe. */
#pragma once

#include "store/wal_record.h"

struct wal_reader {
	int fd; /* borrowed */
	uint64_t salt;
	uint64_t size;	   /* of the file */
	uint64_t pos;	   /* where the next record should start */
	uint64_t good_end; /* padded end of the last good record */
	bool is_cut;	   /* created, and the machine stopped before the header was written */

	char key_id[KEY_ID_MAX + 1]; /* its records are sealed with; "" = not sealed */
	bool is_header_lost;	     /* damaged: who knows whether and with what they are */
	const struct keyring *keys;
	struct sealing_key key;
	struct buf plain; /* of the record given out */

	struct buf window;
	uint64_t window_off;

	uint64_t record_off;		   /* of the record given out */
	uint64_t bad_off;		   /* with -EKEYREJECTED */
	uint64_t n_damaged, damaged_bytes; /* places between good records */
	uint64_t tail_bytes;		   /* behind the last good record */
	uint64_t n_unknown;		   /* whole, but of a later version's kind */
};

/* `salt` is the one of the segment's name, used where the header is damaged. `keys`
 * (NULL = none) outlive the reader. -EPROTONOSUPPORT with the version in `err`; -ENOKEY:
 * sealed with a key that is not among `keys`; -EIO and the like. */
int wal_reader_init(struct wal_reader *r, int fd, uint64_t salt, const struct keyring *keys,
		    struct error *err) must_check;
void wal_reader_done(struct wal_reader *r);

/* 1 and the next good record (valid until the next call), 0 at the end,
 * negative errno when the file cannot be read. -EKEYREJECTED: the record at r->bad_off
 * is whole, and none of our keys is its own: the caller must not take it for damage. */
int wal_reader_next(struct wal_reader *r, struct wal_record *ret) must_check;
