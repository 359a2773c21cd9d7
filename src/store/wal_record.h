/* SPDX-License-Identifier: Apache-2.0 */
/* wal_record.h: one record of the write-ahead log as bytes. Pure; the text
 * is docs/wal-format.md.
 *
 *   | magic kind codec sealed | meta_size body_size | seq | hash | meta | body | pad to 8 |
 *     4     1    1     1+1      4         4           8     8
 *
 *   sealed: | nonce | meta | body | tag | in place of | meta | body |
 *
 * The hash is seeded with the segment's random salt: bytes that a client put
 * into a body cannot pass for a record when a reader looks for the next good
 * one behind a damaged place. */
#pragma once

#include "base/buf.h"
#include "base/seal.h"
#include "store/intake.h"

#define WAL_HEADER_SIZE		32
#define WAL_SEGMENT_HEADER_SIZE 32
#define WAL_SEALED_HEADER_SIZE	72 /* of a segment whose records are sealed */
#define WAL_VERSION		1
#define WAL_VERSION_SEALED	2
#define WAL_META_MAX		4096
#define WAL_BODY_MAX		((size_t)64 << 20)

enum wal_kind { WAL_PROFILE = 1 };

enum wal_codec {
	WAL_AS_RECEIVED, /* the sender's bytes */
	WAL_ZSTD,	 /* they came uncompressed; one zstd frame holds them */
};

struct wal_record {
	enum wal_codec codec;
	uint64_t seq;
	struct intake intake; /* slices point into the bytes read */
	struct slice body;
};

/* Sets codec and body of `r`: what came uncompressed is packed into `scratch`.
 * -E2BIG, -ENOMEM. */
int wal_record_set_body(struct wal_record *r, struct slice body, struct buf *scratch) must_check;

/* Copies what the slices of `r` point to into `bytes` (emptied first). */
int wal_record_copy(const struct wal_record *r, struct buf *bytes, struct wal_record *ret) must_check;

/* Appends header and metadata; the body follows them, then wal_padding()
 * zeros. */
void wal_record_write(const struct wal_record *r, uint64_t salt, struct buf *out);

/* Appends a whole sealed record but for its padding. -ENOMEM, -EIO. */
int wal_record_seal(const struct wal_record *r, uint64_t salt, struct sealing_key *key, struct buf *out,
		    struct error *err) must_check;

static inline size_t wal_padding(size_t size)
{
	return -size & 7;
}

/* Whole size without padding of the record that starts here, 0 when none can:
 * looks at WAL_HEADER_SIZE bytes and does not check the hash. */
size_t wal_record_size(const uint8_t *header);

/* Reads a record of wal_record_size() bytes. -EBADMSG: wrong hash or
 * metadata. -EPROTONOSUPPORT: whole, but of a kind or codec that this
 * version does not know. */
int wal_record_read(struct slice bytes, uint64_t salt, struct wal_record *ret) must_check;

/* Whether the record with this header is sealed. */
bool wal_record_is_sealed(const uint8_t *header);
/* Like wal_record_read() of a sealed one, whose slices point into `plain`, which is emptied first.
 * -EBADMSG: wrong hash or metadata; -EKEYREJECTED: it is whole, and the key (NULL: none) does not open it. */
int wal_record_unseal(struct slice bytes, uint64_t salt, struct sealing_key *key, struct buf *plain,
		      struct wal_record *ret) must_check;

/* The key that the records of a sealed segment are sealed with. */
int wal_segment_key(const struct master_key *master, uint64_t salt, struct sealing_key *ret,
		    struct error *err) must_check;

void wal_segment_header_write(uint64_t salt, uint8_t out[static WAL_SEGMENT_HEADER_SIZE]);
void wal_sealed_header_write(uint64_t salt, const char *key_id, uint8_t out[static WAL_SEALED_HEADER_SIZE]);
/* `in` has WAL_SEALED_HEADER_SIZE bytes, or all where the file is shorter. *ret_key_id "": its records are not sealed.
 * -EBADMSG; -ENODATA: cut; -EPROTONOSUPPORT with *ret_version. */
int wal_segment_header_read(struct slice in, uint64_t *ret_salt, char ret_key_id[static KEY_ID_MAX + 1],
			    uint32_t *ret_version) must_check;
static inline size_t wal_segment_header_size(const char *key_id)
{
	return key_id[0] ? WAL_SEALED_HEADER_SIZE : WAL_SEGMENT_HEADER_SIZE;
}
