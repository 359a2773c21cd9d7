/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_format.h"

#include "store/column.h"

#include <endian.h>
#include <errno.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

static const char header_magic[8] = "wickblk";
static const char trailer_magic[8] = "wickend";

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

/* ---- ids ---- */

void block_id_format(const struct block_id *id, char out[static BLOCK_ID_HEX])
{
	for (int i = 0; i < BLOCK_ID_SIZE; i++)
		(void)snprintf(out + 2 * i, 3, "%02x", id->byte[i]);
}

static int hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool block_id_parse(struct slice hex, struct block_id *ret)
{
	if (hex.size != BLOCK_ID_HEX - 1)
		return false;
	for (size_t i = 0; i < BLOCK_ID_SIZE; i++) {
		int high = hex_digit(hex.data[2 * i]), low = hex_digit(hex.data[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		ret->byte[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int block_id_random(struct block_id *ret)
{
	return getrandom(ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) ? 0 : -EIO;
}

uint64_t block_seed(const struct block_id *id)
{
	return get_u64(id->byte);
}

uint64_t block_hash(uint64_t seed, struct slice bytes)
{
	return XXH3_64bits_withSeed(bytes.data, bytes.size, seed);
}

/* ---- META ---- */

enum meta_field {
	META_FROM = 1,
	META_TO,
	META_REPLACES,
	META_ARRIVED_FROM,
	META_ARRIVED_TO,
	META_LAST_SEQ,
	META_PROFILES,
	META_NODES,
	META_LEVEL,
	META_RESOLUTIONS,
	META_TENANT, /* not written yet */
	META_OBSERVATIONS,
	META_SERIES,
	META_TYPE,
	META_STARTS_FROM,
	META_STARTS_TO,
	META_KEY_SEED,
};

static void put_field(struct buf *out, enum meta_field number, struct slice value)
{
	uint8_t head[4] = { (uint8_t)number };
	put_u16(head + 2, (uint16_t)value.size);
	buf_add(out, head, sizeof(head));
	buf_add(out, value.data, value.size);
}

static void put_number(struct buf *out, enum meta_field number, uint64_t v)
{
	uint8_t bytes[8];
	put_u64(bytes, v);
	put_field(out, number, slice_of(bytes, sizeof(bytes)));
}

void block_meta_write(const struct block_meta *m, struct buf *out)
{
	put_number(out, META_FROM, (uint64_t)m->from_ms);
	put_number(out, META_TO, (uint64_t)m->to_ms);
	put_number(out, META_STARTS_FROM, (uint64_t)m->starts_from_ms);
	put_number(out, META_STARTS_TO, (uint64_t)m->starts_to_ms);
	put_number(out, META_ARRIVED_FROM, (uint64_t)m->arrived_from_ms);
	put_number(out, META_ARRIVED_TO, (uint64_t)m->arrived_to_ms);
	put_number(out, META_LAST_SEQ, m->last_seq);
	put_number(out, META_PROFILES, m->n_profiles);
	put_number(out, META_NODES, m->n_nodes);
	put_number(out, META_SERIES, m->n_series);
	put_number(out, META_OBSERVATIONS, m->n_observations);
	put_number(out, META_LEVEL, m->level);
	put_number(out, META_RESOLUTIONS, m->resolutions);
	if (m->key_seed)
		put_number(out, META_KEY_SEED, m->key_seed);
	for (uint32_t i = 0; i < m->n_replaces; i++)
		put_field(out, META_REPLACES, slice_of(&m->replaces[i], BLOCK_ID_SIZE));
	for (uint32_t at = 0; at < m->types_size; at += (uint32_t)strlen(m->types + at) + 1)
		put_field(out, META_TYPE, slice_str(m->types + at));
}

void block_meta_add_type(struct block_meta *m, struct slice type)
{
	for (uint32_t at = 0; at < m->types_size; at += (uint32_t)strlen(m->types + at) + 1)
		if (slice_eq(slice_str(m->types + at), type))
			return;
	if (type.size >= sizeof(m->types) - m->types_size)
		return;
	memcpy(m->types + m->types_size, type.data, type.size);
	m->types_size += (uint32_t)type.size;
	m->types[m->types_size++] = 0;
}

static uint64_t *number_field(struct block_meta *m, unsigned number)
{
	switch (number) {
	case META_FROM:
		return (uint64_t *)&m->from_ms;
	case META_TO:
		return (uint64_t *)&m->to_ms;
	case META_STARTS_FROM:
		return (uint64_t *)&m->starts_from_ms;
	case META_STARTS_TO:
		return (uint64_t *)&m->starts_to_ms;
	case META_ARRIVED_FROM:
		return (uint64_t *)&m->arrived_from_ms;
	case META_ARRIVED_TO:
		return (uint64_t *)&m->arrived_to_ms;
	case META_LAST_SEQ:
		return &m->last_seq;
	case META_PROFILES:
		return &m->n_profiles;
	case META_NODES:
		return &m->n_nodes;
	case META_SERIES:
		return &m->n_series;
	case META_OBSERVATIONS:
		return &m->n_observations;
	case META_LEVEL:
		return &m->level;
	case META_KEY_SEED:
		return &m->key_seed;
	default:
		return NULL;
	}
}

static bool is_time(unsigned number)
{
	return number == META_FROM || number == META_TO || number == META_STARTS_FROM || number == META_STARTS_TO ||
	       number == META_ARRIVED_FROM || number == META_ARRIVED_TO;
}

static int read_field(struct block_meta *m, unsigned number, struct slice value)
{
	uint64_t *to = number_field(m, number);
	if (to || number == META_RESOLUTIONS) {
		if (value.size != 8)
			return -EBADMSG;
		int64_t time = (int64_t)get_u64(value.data);
		/* Ages are added to it. */
		if (is_time(number) && (time > COLUMN_TIME_MAX || time < -COLUMN_TIME_MAX))
			return -EBADMSG;
		if (to)
			*to = get_u64(value.data);
		else
			m->resolutions = (unsigned)get_u64(value.data) & ((1u << N_RESOLUTIONS) - 1);
	} else if (number == META_REPLACES) {
		if (value.size != BLOCK_ID_SIZE || m->n_replaces == BLOCK_MAX_REPLACES)
			return -EBADMSG;
		memcpy(&m->replaces[m->n_replaces++], value.data, BLOCK_ID_SIZE);
	} else if (number == META_TYPE) {
		if (value.size == 0 || value.size > INTAKE_TYPE_MAX || memchr(value.data, 0, value.size))
			return -EBADMSG;
		block_meta_add_type(m, value);
	}
	return 0;
}

int block_meta_read(struct slice bytes, struct block_meta *ret)
{
	*ret = (struct block_meta){ 0 };
	while (bytes.size) {
		if (bytes.size < 4)
			return -EBADMSG;
		size_t size = get_u16(bytes.data + 2);
		if (size > bytes.size - 4)
			return -EBADMSG;
		int r = read_field(ret, bytes.data[0], slice_of(bytes.data + 4, size));
		if (r < 0)
			return r;
		bytes = slice_of(bytes.data + 4 + size, bytes.size - 4 - size);
	}
	return 0;
}

/* ---- header, table, trailer ---- */

void block_header_write(const struct block_id *id, const char *key_id, uint8_t out[static BLOCK_HEADER_SIZE])
{
	memset(out, 0, BLOCK_HEADER_SIZE);
	memcpy(out, header_magic, 8);
	put_u32(out + 8, BLOCK_VERSION);
	memcpy(out + 16, id, BLOCK_ID_SIZE);
	memcpy(out + 32, key_id, strnlen(key_id, KEY_ID_MAX));
	put_u64(out + 64, block_hash(0, slice_of(out, 64)));
}

int block_header_read(const uint8_t in[static BLOCK_HEADER_SIZE], struct block_id *ret,
		      char ret_key_id[static KEY_ID_MAX + 1], struct error *err)
{
	if (memcmp(in, header_magic, 8) != 0)
		return error_set(err, -EBADMSG, "not a block: it does not start with \"wickblk\"");
	if (get_u32(in + 8) != BLOCK_VERSION)
		return error_set(err, -EPROTONOSUPPORT, "block version %u is not known: this wick reads version %d",
				 get_u32(in + 8), BLOCK_VERSION);
	if (get_u64(in + 64) != block_hash(0, slice_of(in, 64)))
		return error_set(err, -EBADMSG, "the block's header is damaged");
	memcpy(ret, in + 16, BLOCK_ID_SIZE);
	memcpy(ret_key_id, in + 32, KEY_ID_MAX);
	ret_key_id[KEY_ID_MAX] = 0;
	return 0;
}

void block_aad(const struct block_id *id, uint64_t off, uint8_t out[static BLOCK_AAD_SIZE])
{
	memcpy(out, id, BLOCK_ID_SIZE);
	put_u64(out + BLOCK_ID_SIZE, off);
}

void block_row_write(const struct block_row *row, uint8_t out[static BLOCK_ROW_SIZE])
{
	memset(out, 0, BLOCK_ROW_SIZE);
	put_u16(out, row->kind);
	put_u16(out + 2, row->codec);
	put_u32(out + 4, row->n);
	put_u64(out + 8, row->off);
	put_u64(out + 16, row->stored_size);
	put_u64(out + 24, row->size);
	put_u64(out + 32, row->hash);
}

void block_row_read(const uint8_t in[static BLOCK_ROW_SIZE], struct block_row *ret)
{
	*ret = (struct block_row){
		.kind = get_u16(in),
		.codec = get_u16(in + 2),
		.n = get_u32(in + 4),
		.off = get_u64(in + 8),
		.stored_size = get_u64(in + 16),
		.size = get_u64(in + 24),
		.hash = get_u64(in + 32),
	};
}

static uint64_t trailer_hash(const struct block_id *id, struct slice table, const uint8_t *trailer)
{
	XXH3_state_t state;
	XXH3_INITSTATE(&state);
	(void)XXH3_64bits_reset_withSeed(&state, block_seed(id));
	(void)XXH3_64bits_update(&state, table.data, table.size);
	(void)XXH3_64bits_update(&state, trailer, 16);
	return XXH3_64bits_digest(&state);
}

void block_trailer_write(const struct block_id *id, uint64_t table_off, struct slice table,
			 uint8_t out[static BLOCK_TRAILER_SIZE])
{
	memset(out, 0, BLOCK_TRAILER_SIZE);
	put_u64(out, table_off);
	put_u32(out + 8, (uint32_t)(table.size / BLOCK_ROW_SIZE));
	put_u64(out + 16, trailer_hash(id, table, out));
	memcpy(out + 24, trailer_magic, 8);
}

int block_trailer_read(const uint8_t in[static BLOCK_TRAILER_SIZE], uint64_t file_size, uint64_t *ret_off,
		       uint32_t *ret_n)
{
	uint64_t off = get_u64(in);
	uint32_t n = get_u32(in + 8);
	if (memcmp(in + 24, trailer_magic, 8) != 0 || n > BLOCK_MAX_SECTIONS || off < BLOCK_HEADER_SIZE ||
	    off > file_size || file_size - off != (uint64_t)n * BLOCK_ROW_SIZE + BLOCK_TRAILER_SIZE)
		return -EBADMSG;
	*ret_off = off;
	*ret_n = n;
	return 0;
}

bool block_trailer_fits(const struct block_id *id, struct slice table, const uint8_t in[static BLOCK_TRAILER_SIZE])
{
	return trailer_hash(id, table, in) == get_u64(in + 16);
}
