/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wal_record.h"

#include "format/inflate.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#define MAGIC	    0x63657277u /* "wrec" */
#define AAD_SIZE    32
#define SEALED_AT   6 /* byte of the header */
#define KEY_ID_AT   32
#define SEALED_HASH 64 /* of a sealed segment's header */

/* Field numbers of the metadata. Series labels have 1 + enum series_label. */
enum field {
	FIELD_LABELS = 1,
	FIELD_TYPE = 32,
	FIELD_KEY = 33,
	FIELD_FROM_MS = 34,
	FIELD_TO_MS = 35,
	FIELD_RECEIVED_MS = 36,
};

static void put_u16(uint8_t *p, uint16_t v)
{
	v = htole16(v);
	memcpy(p, &v, sizeof(v));
}

static void put_u32(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

static void put_u64(uint8_t *p, uint64_t v)
{
	v = htole64(v);
	memcpy(p, &v, sizeof(v));
}

static uint16_t get_u16(const uint8_t *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/* Over header (its hash field as zeros), metadata and body. */
static uint64_t record_hash(const uint8_t *header, struct slice meta, struct slice body, uint64_t salt)
{
	uint8_t clean[WAL_HEADER_SIZE];
	memcpy(clean, header, sizeof(clean));
	memset(clean + 24, 0, 8);
	XXH3_state_t state;
	XXH3_INITSTATE(&state);
	(void)XXH3_64bits_reset_withSeed(&state, salt);
	(void)XXH3_64bits_update(&state, clean, sizeof(clean));
	(void)XXH3_64bits_update(&state, meta.data, meta.size);
	(void)XXH3_64bits_update(&state, body.data, body.size);
	return XXH3_64bits_digest(&state);
}

static void put_field(struct buf *out, unsigned id, struct slice value)
{
	if (value.size == 0)
		return;
	assert(value.size <= UINT16_MAX);
	uint8_t head[4] = { (uint8_t)id, 0 };
	put_u16(head + 2, (uint16_t)value.size);
	buf_add(out, head, sizeof(head));
	buf_add(out, value.data, value.size);
}

static void put_time(struct buf *out, unsigned id, int64_t ms)
{
	uint8_t bytes[8];
	put_u64(bytes, (uint64_t)ms);
	put_field(out, id, slice_of(bytes, ms ? sizeof(bytes) : 0));
}

int wal_record_set_body(struct wal_record *r, struct slice body, struct buf *scratch)
{
	r->codec = WAL_AS_RECEIVED;
	r->body = body;
	if (codec_of(body) != CODEC_RAW)
		return body.size > WAL_BODY_MAX ? -E2BIG : 0;
	size_t room = ZSTD_compressBound(body.size);
	uint8_t *out = buf_room(scratch, room);
	if (!out)
		return -ENOMEM;
	size_t n = ZSTD_compress(out, room, body.data, body.size, 1);
	if (ZSTD_isError(n))
		return -ENOMEM; /* with enough room there is no other reason */
	scratch->n += n;
	if (n > WAL_BODY_MAX)
		return -E2BIG;
	r->codec = WAL_ZSTD;
	r->body = slice_of(out, n);
	return 0;
}

int wal_record_copy(const struct wal_record *r, struct buf *bytes, struct wal_record *ret)
{
	struct wal_record copy = *r;
	struct slice *slices[N_SERIES_LABELS + 3] = { &copy.body, &copy.intake.type, &copy.intake.key };
	for (unsigned i = 0; i < N_SERIES_LABELS; i++)
		slices[3 + i] = &copy.intake.label[i];
	size_t size = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(slices); i++)
		size += slices[i]->size;
	bytes->n = 0;
	if (size && !buf_room(bytes, size))
		return -ENOMEM;
	for (unsigned i = 0; i < ARRAY_SIZE(slices); i++) {
		size_t at = bytes->n;
		buf_add(bytes, slices[i]->data, slices[i]->size);
		slices[i]->data = bytes->data + at;
	}
	*ret = copy;
	return 0;
}

static void put_meta(const struct wal_record *r, struct buf *out)
{
	for (unsigned i = 0; i < N_SERIES_LABELS; i++)
		put_field(out, FIELD_LABELS + i, r->intake.label[i]);
	put_field(out, FIELD_TYPE, r->intake.type);
	put_field(out, FIELD_KEY, r->intake.key);
	put_time(out, FIELD_FROM_MS, r->intake.from_ms);
	put_time(out, FIELD_TO_MS, r->intake.to_ms);
	put_time(out, FIELD_RECEIVED_MS, r->intake.received_ms);
}

/* All but the hash. */
static void put_header(const struct wal_record *r, size_t meta_size, bool is_sealed, uint8_t *out)
{
	assert(meta_size <= WAL_META_MAX && r->body.size <= WAL_BODY_MAX);
	memset(out, 0, WAL_HEADER_SIZE);
	put_u32(out, MAGIC);
	out[4] = WAL_PROFILE;
	out[5] = (uint8_t)r->codec;
	out[SEALED_AT] = is_sealed;
	put_u32(out + 8, (uint32_t)meta_size);
	put_u32(out + 12, (uint32_t)r->body.size);
	put_u64(out + 16, r->seq);
}

void wal_record_write(const struct wal_record *r, uint64_t salt, struct buf *out)
{
	size_t at = out->n;
	uint8_t header[WAL_HEADER_SIZE] = { 0 };
	buf_add(out, header, sizeof(header));
	put_meta(r, out);
	if (out->failed)
		return;
	struct slice meta = slice_of(out->data + at + WAL_HEADER_SIZE, out->n - at - WAL_HEADER_SIZE);
	put_header(r, meta.size, false, header);
	put_u64(header + 24, record_hash(header, meta, r->body, salt));
	memcpy(out->data + at, header, sizeof(header));
}

/* The segment, and all of the header but its hash. */
static void record_aad(const uint8_t *header, uint64_t salt, uint8_t out[static AAD_SIZE])
{
	put_u64(out, salt);
	memcpy(out + 8, header, 24);
}

int wal_record_seal(const struct wal_record *r, uint64_t salt, struct sealing_key *key, struct buf *out,
		    struct error *err)
{
	uint8_t header[WAL_HEADER_SIZE], aad[AAD_SIZE];
	_cleanup_(buf_done)
	struct buf meta = buf_of(WAL_META_MAX);
	put_meta(r, &meta);
	if (meta.failed)
		return error_set(err, -ENOMEM, "out of memory");
	put_header(r, meta.n, true, header);
	record_aad(header, salt, aad);
	size_t at = out->n;
	buf_add(out, header, sizeof(header));
	int e = seal_both(key, slice_of(aad, sizeof(aad)), slice_of(meta.data, meta.n), r->body, out, err);
	if (e < 0)
		return e == -E2BIG ? error_set(err, -ENOMEM, "out of memory") : e;
	struct slice sealed = slice_of(out->data + at + WAL_HEADER_SIZE, out->n - at - WAL_HEADER_SIZE);
	put_u64(header + 24, record_hash(header, sealed, (struct slice){ 0 }, salt));
	memcpy(out->data + at, header, sizeof(header));
	return 0;
}

bool wal_record_is_sealed(const uint8_t *header)
{
	return header[SEALED_AT];
}

size_t wal_record_size(const uint8_t *header)
{
	uint32_t meta = get_u32(header + 8), body = get_u32(header + 12);
	if (get_u32(header) != MAGIC || meta > WAL_META_MAX || body > WAL_BODY_MAX)
		return 0;
	return WAL_HEADER_SIZE + (size_t)meta + body + (wal_record_is_sealed(header) ? SEAL_EXTRA_SIZE : 0);
}

static bool take_time(struct slice value, int64_t *ret)
{
	if (value.size != 8)
		return false;
	*ret = (int64_t)get_u64(value.data);
	return true;
}

static bool take_field(struct intake *in, unsigned id, struct slice value)
{
	if (id >= FIELD_LABELS && id < FIELD_LABELS + N_SERIES_LABELS)
		in->label[id - FIELD_LABELS] = value;
	else if (id == FIELD_TYPE)
		in->type = value;
	else if (id == FIELD_KEY)
		in->key = value;
	else if (id == FIELD_FROM_MS)
		return take_time(value, &in->from_ms);
	else if (id == FIELD_TO_MS)
		return take_time(value, &in->to_ms);
	else if (id == FIELD_RECEIVED_MS)
		return take_time(value, &in->received_ms);
	return true; /* a later version's field is skipped */
}

static bool read_meta(struct slice meta, struct intake *ret)
{
	size_t i = 0;
	while (i < meta.size) {
		if (meta.size - i < 4)
			return false;
		size_t size = get_u16(meta.data + i + 2);
		if (meta.size - i - 4 < size)
			return false;
		if (!take_field(ret, meta.data[i], slice_of(meta.data + i + 4, size)))
			return false;
		i += 4 + size;
	}
	return intake_check(ret, NULL) == 0;
}

static int parse(const uint8_t *header, struct slice plain, struct wal_record *ret)
{
	size_t meta_size = get_u32(header + 8);
	struct slice meta = slice_of(plain.data, meta_size);
	struct wal_record r = {
		.codec = header[5],
		.seq = get_u64(header + 16),
		.body = slice_of(plain.data + meta_size, plain.size - meta_size),
	};
	if (!read_meta(meta, &r.intake))
		return -EBADMSG;
	*ret = r;
	return 0;
}

/* 0: whole, and of a kind that we know. */
static int check(struct slice bytes, uint64_t salt, struct slice *ret_stored)
{
	if (bytes.size < WAL_HEADER_SIZE || wal_record_size(bytes.data) != bytes.size)
		return -EBADMSG;
	*ret_stored = slice_of(bytes.data + WAL_HEADER_SIZE, bytes.size - WAL_HEADER_SIZE);
	if (record_hash(bytes.data, *ret_stored, (struct slice){ 0 }, salt) != get_u64(bytes.data + 24))
		return -EBADMSG;
	bool is_known = bytes.data[4] == WAL_PROFILE && bytes.data[5] <= WAL_ZSTD && bytes.data[SEALED_AT] <= 1;
	return is_known ? 0 : -EPROTONOSUPPORT;
}

int wal_record_read(struct slice bytes, uint64_t salt, struct wal_record *ret)
{
	struct slice plain;
	int r = check(bytes, salt, &plain);
	if (r == 0 && wal_record_is_sealed(bytes.data))
		r = -EBADMSG;
	return r == 0 ? parse(bytes.data, plain, ret) : r;
}

int wal_record_unseal(struct slice bytes, uint64_t salt, struct sealing_key *key, struct buf *plain,
		      struct wal_record *ret)
{
	struct slice sealed;
	uint8_t aad[AAD_SIZE];
	int r = check(bytes, salt, &sealed);
	if (r == 0 && !wal_record_is_sealed(bytes.data))
		r = -EBADMSG;
	if (r == 0 && !key)
		r = -EKEYREJECTED;
	if (r < 0)
		return r;
	record_aad(bytes.data, salt, aad);
	plain->n = 0;
	r = unseal_bytes(key, slice_of(aad, sizeof(aad)), sealed, plain, NULL);
	if (r == -EBADMSG)
		return -EKEYREJECTED;
	if (r == -E2BIG)
		return -ENOMEM;
	return r == 0 ? parse(bytes.data, slice_of(plain->data, plain->n), ret) : r;
}

int wal_segment_key(const struct master_key *master, uint64_t salt, struct sealing_key *ret, struct error *err)
{
	uint8_t file_id[SEAL_FILE_ID_SIZE] = "........wick log";
	put_u64(file_id, salt);
	return seal_file_key(master, file_id, ret, err);
}

static const uint8_t segment_magic[8] = "wickwal";

static void put_segment_header(uint64_t salt, uint32_t version, uint8_t *out)
{
	memcpy(out, segment_magic, 8);
	put_u32(out + 8, version);
	put_u32(out + 12, 0);
	put_u64(out + 16, salt);
	put_u64(out + 24, XXH3_64bits(out, 24));
}

void wal_segment_header_write(uint64_t salt, uint8_t out[static WAL_SEGMENT_HEADER_SIZE])
{
	put_segment_header(salt, WAL_VERSION, out);
}

void wal_sealed_header_write(uint64_t salt, const char *key_id, uint8_t out[static WAL_SEALED_HEADER_SIZE])
{
	put_segment_header(salt, WAL_VERSION_SEALED, out);
	memset(out + KEY_ID_AT, 0, KEY_ID_MAX);
	memcpy(out + KEY_ID_AT, key_id, strnlen(key_id, KEY_ID_MAX));
	put_u64(out + SEALED_HASH, XXH3_64bits(out, SEALED_HASH));
}

int wal_segment_header_read(struct slice in, uint64_t *ret_salt, char ret_key_id[static KEY_ID_MAX + 1],
			    uint32_t *ret_version)
{
	if (in.size < WAL_SEGMENT_HEADER_SIZE)
		return -ENODATA;
	if (memcmp(in.data, segment_magic, 8) != 0 || XXH3_64bits(in.data, 24) != get_u64(in.data + 24))
		return -EBADMSG;
	*ret_version = get_u32(in.data + 8);
	if (*ret_version != WAL_VERSION && *ret_version != WAL_VERSION_SEALED)
		return -EPROTONOSUPPORT;
	if (*ret_version == WAL_VERSION_SEALED) {
		if (in.size < WAL_SEALED_HEADER_SIZE)
			return -ENODATA;
		if (XXH3_64bits(in.data, SEALED_HASH) != get_u64(in.data + SEALED_HASH) || !in.data[KEY_ID_AT])
			return -EBADMSG;
		memcpy(ret_key_id, in.data + KEY_ID_AT, KEY_ID_MAX);
	}
	ret_key_id[*ret_version == WAL_VERSION_SEALED ? KEY_ID_MAX : 0] = 0;
	*ret_salt = get_u64(in.data + 16);
	return 0;
}
