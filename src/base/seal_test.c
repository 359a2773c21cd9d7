/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/seal.h"

#include <errno.h>

static const uint8_t file_a[SEAL_FILE_ID_SIZE] = "file a", file_b[SEAL_FILE_ID_SIZE] = "file b";

static struct buf from_hex(const char *hex)
{
	struct buf b = buf_of(1 << 10);
	for (; *hex; hex += 2) {
		unsigned byte;
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		buf_add_byte(&b, (uint8_t)byte);
	}
	return b;
}

static struct slice whole(const struct buf *b)
{
	return slice_of(b->data, b->n);
}

static struct sealing_key key_of(const char *hex)
{
	_cleanup_(buf_done)
	struct buf bytes = from_hex(hex);
	struct sealing_key k;
	assert_int_equal(bytes.n, KEY_SIZE);
	assert_int_equal(sealing_key_init(&k, bytes.data, NULL), 0);
	return k;
}

static struct sealing_key file_key(const struct master_key *master, const uint8_t *file_id)
{
	struct sealing_key k;
	assert_int_equal(seal_file_key(master, file_id, &k, NULL), 0);
	return k;
}

static struct master_key master_of(const char *id, uint8_t byte)
{
	struct master_key m = { .id = "" };
	(void)snprintf(m.id, sizeof(m.id), "%s", id);
	memset(m.bytes, byte, sizeof(m.bytes));
	return m;
}

/* Test cases 13 to 16 of McGrew and Viega, "The Galois/Counter Mode of
 * Operation (GCM)", appendix B: files must be readable by any GCM. */
static const struct {
	const char *key, *nonce, *aad, *plain, *sealed, *tag;
} vectors[] = {
	{ "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "", "",
	  "530f8afbc74536b9a963b4f1c4cb738b" },
	{ "0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
	  "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919" },
	{ "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
	  "b094dac5d93471bdec1a502270e3cc6c" },
	{ "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
	  "feedfacedeadbeeffeedfacedeadbeefabaddad2",
	  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
	  "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
	  "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	  "76fc6ece0f4e1768cddf8853bb2d551b" },
};

static void known_answers_open(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		char text[512];
		(void)snprintf(text, sizeof(text), "%s%s%s", vectors[i].nonce, vectors[i].sealed, vectors[i].tag);
		_cleanup_(buf_done)
		struct buf sealed = from_hex(text), aad = from_hex(vectors[i].aad), plain = from_hex(vectors[i].plain);
		_cleanup_(buf_done)
		struct buf out = buf_of(1 << 10);
		_cleanup_(sealing_key_done)
		struct sealing_key k = key_of(vectors[i].key);
		struct error err = { "" };
		if (unseal_bytes(&k, whole(&aad), whole(&sealed), &out, &err) < 0)
			fail_msg("case %zu: %s", i + 13, err.text);
		assert_true(slice_eq(whole(&out), whole(&plain)));
	}
}

/* HKDF-SHA256 of bytes 00..1f, salt a0..af, info "wick sealed file 1", by
 * Python's hmac as RFC 5869 says. Another derivation would make every file of
 * earlier versions unreadable. */
static void file_keys_are_derived_as_written(void **state)
{
	(void)state;
	struct master_key master = { .id = "a" };
	uint8_t file_id[SEAL_FILE_ID_SIZE];
	for (unsigned i = 0; i < KEY_SIZE; i++)
		master.bytes[i] = (uint8_t)i;
	for (unsigned i = 0; i < SEAL_FILE_ID_SIZE; i++)
		file_id[i] = (uint8_t)(0xa0 + i);
	_cleanup_(sealing_key_done)
	struct sealing_key derived = file_key(&master, file_id),
			   written = key_of("6006fd1c1e685963e5ccfdc4cb69d3456cb349f5e0585eaf92755913e67dbfa4");
	_cleanup_(buf_done)
	struct buf sealed = buf_of(1 << 10), plain = buf_of(1 << 10);
	assert_int_equal(seal_bytes(&derived, slice_str("aad"), slice_str("text"), &sealed, NULL), 0);
	assert_int_equal(unseal_bytes(&written, slice_str("aad"), whole(&sealed), &plain, NULL), 0);
	assert_true(slice_eq(whole(&plain), slice_str("text")));
}

/* Pieces follow one another in a buffer, of any size. */
static void pieces_come_back(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 15, 16, 17, 4096, 65537 };
	static uint8_t text[65537];
	struct master_key master = master_of("a", 1);
	_cleanup_(sealing_key_done)
	struct sealing_key k = file_key(&master, file_a);
	_cleanup_(buf_done)
	struct buf sealed = buf_of(1 << 20), plain = buf_of(1 << 20);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7 >> 3);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t from = sealed.n;
		struct slice piece = slice_of(text, sizes[i]);
		plain.n = 0;
		assert_int_equal(seal_bytes(&k, slice_of(&i, sizeof(i)), piece, &sealed, NULL), 0);
		assert_int_equal(sealed.n - from, sizes[i] + SEAL_EXTRA_SIZE);
		assert_true(sizes[i] < 15 || !memmem(sealed.data + from, sealed.n - from, text, sizes[i]));
		struct slice last = slice_of(sealed.data + from, sealed.n - from);
		assert_int_equal(unseal_bytes(&k, slice_of(&i, sizeof(i)), last, &plain, NULL), 0);
		assert_true(slice_eq(whole(&plain), piece));
	}
	assert_int_equal(seal_bytes(&k, slice_of(NULL, 0), slice_of(NULL, 0), &sealed, NULL), 0);
}

/* Nothing is appended and the reason is named. */
static void assert_broken(struct sealing_key *k, struct slice aad, struct slice sealed)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	struct error err = { "" };
	buf_add_str(&out, "before");
	assert_int_equal(unseal_bytes(k, aad, sealed, &out, &err), -EBADMSG);
	assert_string_equal(err.text, "does not open: it was altered, or sealed with another key");
	assert_true(slice_eq(whole(&out), slice_str("before")));
}

static void every_altered_byte_is_found(void **state)
{
	(void)state;
	struct master_key master = master_of("a", 1);
	_cleanup_(sealing_key_done)
	struct sealing_key k = file_key(&master, file_a);
	_cleanup_(buf_done)
	struct buf sealed = buf_of(1 << 20), plain = buf_of(1 << 20);
	char aad[] = "section 7, piece 3";
	assert_int_equal(
		seal_bytes(&k, slice_str(aad), slice_str("forty-two bytes of a profile, say, or more"), &sealed, NULL),
		0);
	for (size_t i = 0; i < sealed.n; i++) {
		for (unsigned bit = 1; bit < 0x100; bit <<= 1) {
			sealed.data[i] ^= (uint8_t)bit;
			assert_broken(&k, slice_str(aad), whole(&sealed));
			sealed.data[i] ^= (uint8_t)bit;
		}
	}
	for (size_t i = 0; i < sizeof(aad) - 1; i++) {
		aad[i] ^= 1;
		assert_broken(&k, slice_str(aad), whole(&sealed));
		aad[i] ^= 1;
	}
	assert_broken(&k, slice_of(aad, 1), whole(&sealed));
	buf_add_byte(&sealed, 0);
	assert_broken(&k, slice_str(aad), whole(&sealed));
	sealed.n--;
	for (size_t n = SEAL_EXTRA_SIZE; n < sealed.n; n++)
		assert_broken(&k, slice_str(aad), slice_of(sealed.data, n));
	struct error err = { "" };
	assert_int_equal(unseal_bytes(&k, slice_str(aad), slice_of(sealed.data, 27), &plain, &err), -ENODATA);
	assert_string_equal(err.text, "27 bytes are no sealed piece: that has 28 and more");
	assert_int_equal(unseal_bytes(&k, slice_str(aad), whole(&sealed), &plain, &err), 0);
}

static void other_keys_do_not_open(void **state)
{
	(void)state;
	struct master_key a = master_of("a", 1), b = master_of("b", 2);
	_cleanup_(sealing_key_done)
	struct sealing_key k = file_key(&a, file_a), other_master = file_key(&b, file_a),
			   other_file = file_key(&a, file_b);
	_cleanup_(buf_done)
	struct buf sealed = buf_of(1 << 10);
	assert_int_equal(seal_bytes(&k, slice_str(""), slice_str("text"), &sealed, NULL), 0);
	assert_broken(&other_master, slice_str(""), whole(&sealed));
	assert_broken(&other_file, slice_str(""), whole(&sealed));
}

static struct keyring *ring_of(const char *ids)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 10);
	for (; *ids; ids++)
		buf_printf(&text, "%c %064x\n", *ids, *ids);
	struct keyring *ring = NULL;
	assert_int_equal(keyring_parse(whole(&text), &ring, NULL), 0);
	return ring;
}

/* A replaced key still opens what it sealed, until its line is gone. */
static void keys_are_replaced(void **state)
{
	(void)state;
	_cleanup_(keyring_free)
	struct keyring *before = ring_of("a"), *during = ring_of("ba"), *after = ring_of("b");
	_cleanup_(buf_done)
	struct buf sealed = buf_of(1 << 10), plain = buf_of(1 << 10);
	_cleanup_(sealing_key_done)
	struct sealing_key k = file_key(keyring_writer(before), file_a);
	assert_int_equal(seal_bytes(&k, slice_str(""), slice_str("text"), &sealed, NULL), 0);

	const struct master_key *found = NULL;
	assert_string_equal(keyring_writer(during)->id, "b");
	assert_int_equal(keyring_find(during, slice_str("a"), &found, NULL), 0);
	_cleanup_(sealing_key_done)
	struct sealing_key again = file_key(found, file_a), new_key = file_key(keyring_writer(during), file_a);
	assert_int_equal(unseal_bytes(&again, slice_str(""), whole(&sealed), &plain, NULL), 0);
	assert_true(slice_eq(whole(&plain), slice_str("text")));
	assert_broken(&new_key, slice_str(""), whole(&sealed));

	struct error err = { "" };
	assert_int_equal(keyring_find(after, slice_str("a"), &found, &err), -ENOKEY);
	assert_string_equal(err.text, "no key with the id a: put its line back into the key file");
}

static int by_nonce(const void *a, const void *b)
{
	return memcmp(a, b, SEAL_NONCE_SIZE);
}

/* Two pieces of one nonce give their plain texts away. */
static void nonces_do_not_repeat(void **state)
{
	(void)state;
	static uint8_t nonces[20000][SEAL_NONCE_SIZE];
	uint8_t ids[2][SEAL_FILE_ID_SIZE];
	assert_int_equal(seal_new_file_id(ids[0], NULL), 0);
	assert_int_equal(seal_new_file_id(ids[1], NULL), 0);
	assert_memory_not_equal(ids[0], ids[1], SEAL_FILE_ID_SIZE);
	struct master_key master = master_of("a", 1);
	_cleanup_(sealing_key_done)
	struct sealing_key k = file_key(&master, ids[0]);
	_cleanup_(buf_done)
	struct buf sealed = buf_of(1 << 10);
	for (size_t i = 0; i < ARRAY_SIZE(nonces); i++) {
		sealed.n = 0;
		assert_int_equal(seal_bytes(&k, slice_str(""), slice_str("text"), &sealed, NULL), 0);
		memcpy(nonces[i], sealed.data, SEAL_NONCE_SIZE);
	}
	qsort(nonces, ARRAY_SIZE(nonces), SEAL_NONCE_SIZE, by_nonce);
	for (size_t i = 1; i < ARRAY_SIZE(nonces); i++)
		assert_memory_not_equal(nonces[i], nonces[i - 1], SEAL_NONCE_SIZE);
}

static void full_buffers_are_left_alone(void **state)
{
	(void)state;
	struct master_key master = master_of("a", 1);
	struct error err = { "" };
	_cleanup_(sealing_key_done)
	struct sealing_key k = file_key(&master, file_a);
	_cleanup_(buf_done)
	struct buf fits = buf_of(4 + SEAL_EXTRA_SIZE), small = buf_of(3 + SEAL_EXTRA_SIZE), plain = buf_of(3);
	assert_int_equal(seal_bytes(&k, slice_str(""), slice_str("text"), &fits, NULL), 0);
	assert_int_equal(seal_bytes(&k, slice_str(""), slice_str("text"), &small, &err), -E2BIG);
	assert_string_equal(err.text, "no room for a piece: the limit is 31 bytes");
	assert_int_equal(small.n, 0);
	assert_int_equal(unseal_bytes(&k, slice_str(""), whole(&fits), &plain, &err), -E2BIG);
	assert_string_equal(err.text, "no room for a piece: the limit is 3 bytes");
	assert_int_equal(plain.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers_open),	  cmocka_unit_test(file_keys_are_derived_as_written),
		cmocka_unit_test(pieces_come_back),	  cmocka_unit_test(every_altered_byte_is_found),
		cmocka_unit_test(other_keys_do_not_open), cmocka_unit_test(keys_are_replaced),
		cmocka_unit_test(nonces_do_not_repeat),	  cmocka_unit_test(full_buffers_are_left_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
