/* SPDX-License-Identifier: Apache-2.0 */
#include "store/wal_record.h"

#include "format/inflate.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include <zstd.h>

#define MAGIC 0x63657277u /* "wrec" */

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

void wal_record_write(const struct wal_record *r, uint64_t salt, struct buf *out)
{
	size_t at = out->n;
	uint8_t header[WAL_HEADER_SIZE] = { 0 };
	buf_add(out, header, sizeof(header));
	for (unsigned i = 0; i < N_SERIES_LABELS; i++)
		put_field(out, FIELD_LABELS + i, r->intake.label[i]);
	put_field(out, FIELD_TYPE, r->intake.type);
	put_field(out, FIELD_KEY, r->intake.key);
	put_time(out, FIELD_FROM_MS, r->intake.from_ms);
	put_time(out, FIELD_TO_MS, r->intake.to_ms);
	put_time(out, FIELD_RECEIVED_MS, r->intake.received_ms);
	if (out->failed)
		return;
	struct slice meta = slice_of(out->data + at + WAL_HEADER_SIZE, out->n - at - WAL_HEADER_SIZE);
	assert(meta.size <= WAL_META_MAX && r->body.size <= WAL_BODY_MAX);
	put_u32(header, MAGIC);
	header[4] = WAL_PROFILE;
	header[5] = (uint8_t)r->codec;
	put_u32(header + 8, (uint32_t)meta.size);
	put_u32(header + 12, (uint32_t)r->body.size);
	put_u64(header + 16, r->seq);
	put_u64(header + 24, record_hash(header, meta, r->body, salt));
	memcpy(out->data + at, header, sizeof(header));
}

size_t wal_record_size(const uint8_t *header)
{
	uint32_t meta = get_u32(header + 8), body = get_u32(header + 12);
	if (get_u32(header) != MAGIC || meta > WAL_META_MAX || body > WAL_BODY_MAX)
		return 0;
	return WAL_HEADER_SIZE + (size_t)meta + body;
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

int wal_record_read(struct slice bytes, uint64_t salt, struct wal_record *ret)
{
	if (bytes.size < WAL_HEADER_SIZE || wal_record_size(bytes.data) != bytes.size)
		return -EBADMSG;
	size_t meta_size = get_u32(bytes.data + 8);
	struct slice meta = slice_of(bytes.data + WAL_HEADER_SIZE, meta_size);
	struct slice body =
		slice_of(bytes.data + WAL_HEADER_SIZE + meta_size, bytes.size - WAL_HEADER_SIZE - meta_size);
	if (record_hash(bytes.data, meta, body, salt) != get_u64(bytes.data + 24))
		return -EBADMSG;
	if (bytes.data[4] != WAL_PROFILE || bytes.data[5] > WAL_ZSTD)
		return -EPROTONOSUPPORT;
	struct wal_record r = {
		.codec = bytes.data[5],
		.seq = get_u64(bytes.data + 16),
		.body = body,
	};
	if (!read_meta(meta, &r.intake))
		return -EBADMSG;
	*ret = r;
	return 0;
}

static const uint8_t segment_magic[8] = "wickwal";

void wal_segment_header_write(uint64_t salt, uint8_t out[static WAL_SEGMENT_HEADER_SIZE])
{
	memcpy(out, segment_magic, 8);
	put_u32(out + 8, WAL_VERSION);
	put_u32(out + 12, 0);
	put_u64(out + 16, salt);
	put_u64(out + 24, XXH3_64bits(out, 24));
}

int wal_segment_header_read(const uint8_t in[static WAL_SEGMENT_HEADER_SIZE], uint64_t *ret_salt, uint32_t *ret_version)
{
	if (memcmp(in, segment_magic, 8) != 0 || XXH3_64bits(in, 24) != get_u64(in + 24))
		return -EBADMSG;
	*ret_version = get_u32(in + 8);
	if (*ret_version != WAL_VERSION)
		return -EPROTONOSUPPORT;
	*ret_salt = get_u64(in + 16);
	return 0;
}
