/* SPDX-License-Identifier: Apache-2.0 */
#include "base/seal.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

static int refused(int r, struct error *err)
{
	return error_set(err, r == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EIO, "GnuTLS: %s", gnutls_strerror(r));
}

int seal_new_file_id(uint8_t ret[static SEAL_FILE_ID_SIZE], struct error *err)
{
	int r = gnutls_rnd(GNUTLS_RND_RANDOM, ret, SEAL_FILE_ID_SIZE);
	return r < 0 ? refused(r, err) : 0;
}

int sealing_key_init(struct sealing_key *k, const uint8_t bytes[static KEY_SIZE], struct error *err)
{
	/* GnuTLS copies the key. */
	gnutls_datum_t key = { (unsigned char *)(uintptr_t)bytes, KEY_SIZE };
	int r = gnutls_aead_cipher_init(&k->cipher, GNUTLS_CIPHER_AES_256_GCM, &key);
	return r < 0 ? refused(r, err) : 0;
}

void sealing_key_done(struct sealing_key *k)
{
	if (k->cipher)
		gnutls_aead_cipher_deinit(k->cipher);
	k->cipher = NULL;
}

int seal_file_key(const struct master_key *master, const uint8_t file_id[static SEAL_FILE_ID_SIZE],
		  struct sealing_key *ret, struct error *err)
{
	static const char info_text[] = "wick sealed file 1";
	gnutls_datum_t key = { (unsigned char *)(uintptr_t)master->bytes, KEY_SIZE };
	gnutls_datum_t salt = { (unsigned char *)(uintptr_t)file_id, SEAL_FILE_ID_SIZE };
	gnutls_datum_t info = { (unsigned char *)(uintptr_t)info_text, sizeof(info_text) - 1 };
	uint8_t extracted[32], expanded[KEY_SIZE];
	gnutls_datum_t prk = { extracted, sizeof(extracted) };
	int r = gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &key, &salt, extracted);
	if (r >= 0)
		r = gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &prk, &info, expanded, sizeof(expanded));
	r = r < 0 ? refused(r, err) : sealing_key_init(ret, expanded, err);
	explicit_bzero(extracted, sizeof(extracted));
	explicit_bzero(expanded, sizeof(expanded));
	return r;
}

static int no_room(const struct buf *out, struct error *err)
{
	return error_set(err, -E2BIG, "no room for a piece: the limit is %zu bytes", out->max);
}

int seal_both(struct sealing_key *k, struct slice aad, struct slice first, struct slice second, struct buf *out,
	      struct error *err)
{
	size_t plain;
	if (__builtin_add_overflow(first.size, second.size, &plain) || plain > SIZE_MAX - SEAL_EXTRA_SIZE)
		return no_room(out, err);
	uint8_t *nonce = buf_room(out, plain + SEAL_EXTRA_SIZE);
	if (!nonce)
		return no_room(out, err);
	size_t size = plain + SEAL_TAG_SIZE;
	const giovec_t auth = { (void *)(uintptr_t)aad.data, aad.size };
	const giovec_t text[] = { { (void *)(uintptr_t)first.data, first.size },
				  { (void *)(uintptr_t)second.data, second.size } };
	int r = gnutls_rnd(GNUTLS_RND_NONCE, nonce, SEAL_NONCE_SIZE);
	if (r >= 0)
		r = gnutls_aead_cipher_encryptv(k->cipher, nonce, SEAL_NONCE_SIZE, &auth, 1, SEAL_TAG_SIZE, text, 2,
						nonce + SEAL_NONCE_SIZE, &size);
	if (r < 0)
		return refused(r, err);
	out->n += SEAL_NONCE_SIZE + size;
	return 0;
}

int seal_bytes(struct sealing_key *k, struct slice aad, struct slice plain, struct buf *out, struct error *err)
{
	if (plain.size > SIZE_MAX - SEAL_EXTRA_SIZE)
		return no_room(out, err);
	uint8_t *nonce = buf_room(out, plain.size + SEAL_EXTRA_SIZE);
	if (!nonce)
		return no_room(out, err);
	size_t size = plain.size + SEAL_TAG_SIZE;
	int r = gnutls_rnd(GNUTLS_RND_NONCE, nonce, SEAL_NONCE_SIZE);
	if (r >= 0)
		r = gnutls_aead_cipher_encrypt(k->cipher, nonce, SEAL_NONCE_SIZE, aad.data, aad.size, SEAL_TAG_SIZE,
					       plain.data, plain.size, nonce + SEAL_NONCE_SIZE, &size);
	if (r < 0)
		return refused(r, err);
	out->n += SEAL_NONCE_SIZE + size;
	return 0;
}

int unseal_bytes(struct sealing_key *k, struct slice aad, struct slice sealed, struct buf *out, struct error *err)
{
	if (sealed.size < SEAL_EXTRA_SIZE)
		return error_set(err, -ENODATA, "%zu bytes are no sealed piece: that has %d and more", sealed.size,
				 SEAL_EXTRA_SIZE);
	size_t size = sealed.size - SEAL_EXTRA_SIZE;
	uint8_t nothing, *plain = size ? buf_room(out, size) : &nothing;
	if (!plain)
		return no_room(out, err);
	int r = gnutls_aead_cipher_decrypt(k->cipher, sealed.data, SEAL_NONCE_SIZE, aad.data, aad.size, SEAL_TAG_SIZE,
					   sealed.data + SEAL_NONCE_SIZE, sealed.size - SEAL_NONCE_SIZE, plain, &size);
	if (r < 0)
		/* What was decrypted before the tag was seen is not true. */
		explicit_bzero(plain, sealed.size - SEAL_EXTRA_SIZE);
	if (r == GNUTLS_E_DECRYPTION_FAILED)
		return error_set(err, -EBADMSG, "does not open: it was altered, or sealed with another key");
	if (r < 0)
		return refused(r, err);
	out->n += size;
	return 0;
}
