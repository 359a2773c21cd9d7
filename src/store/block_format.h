/* SPDX-License-Identifier: Apache-2.0 */
/* block_format.h: the numbers of docs/block-format.md, and what a block says of itself. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/keyring.h"
#include "store/part.h"

#define BLOCK_VERSION	   1
#define BLOCK_ID_SIZE	   16
#define BLOCK_HEADER_SIZE  72
#define BLOCK_ROW_SIZE	   48 /* of the section table */
#define BLOCK_TRAILER_SIZE 32
#define BLOCK_MAX_REPLACES 256
#define BLOCK_TYPES_SIZE   2048
#define BLOCK_MAX_SECTIONS 64
#define BLOCK_MAX_SECTION  ((uint64_t)1 << 30)	/* unpacked */
#define BLOCK_MAX_PIECE	   ((uint64_t)64 << 20) /* unpacked */

enum block_section {
	SECTION_META = 1,
	SECTION_STRINGS,
	SECTION_NODES,
	SECTION_FRAMES,
	SECTION_MAPPINGS,
	SECTION_FUNCTIONS,
	SECTION_LABEL_SETS,
	SECTION_HOSTS,
	SECTION_SOURCES,
	SECTION_LOSSES,
	SECTION_SERIES,
	SECTION_PAGES,
	SECTION_POSTINGS,
	SECTION_KEYS,
	N_SECTIONS, /* one more than the last */
};

enum block_codec {
	BLOCK_PLAIN,
	BLOCK_ZSTD,
};

/* A row of the section table. */
struct block_row {
	uint16_t kind, codec;
	uint32_t n;
	uint64_t off, stored_size, size, hash;
};

struct block_id {
	uint8_t byte[BLOCK_ID_SIZE];
};

#define BLOCK_ID_HEX (2 * BLOCK_ID_SIZE + 1)
void block_id_format(const struct block_id *id, char out[static BLOCK_ID_HEX]);
bool block_id_parse(struct slice hex, struct block_id *ret);
int block_id_random(struct block_id *ret) must_check;
static inline bool block_id_eq(const struct block_id *a, const struct block_id *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}
/* Of hashes within a block. */
uint64_t block_seed(const struct block_id *id);
uint64_t block_hash(uint64_t seed, struct slice bytes);

/* What a block says of itself, without its contents. */
struct block_meta {
	struct block_id id;
	uint64_t size;		     /* of the file; not in META */
	char key_id[KEY_ID_MAX + 1]; /* it is sealed with, "" = not sealed; not in META */
	int64_t from_ms, to_ms;
	int64_t arrived_from_ms, arrived_to_ms;
	uint64_t last_seq, n_profiles, n_nodes, n_series, n_observations, level;
	int64_t starts_from_ms, starts_to_ms; /* all its profiles start in [from, to) */
	uint64_t key_seed;		      /* of the hashes of its keys; 0 = it does not say */
	unsigned resolutions;		      /* bit r: enum resolution */
	uint32_t n_replaces;
	struct block_id replaces[BLOCK_MAX_REPLACES];
	uint32_t types_size;
	char types[BLOCK_TYPES_SIZE]; /* value types it has, each with a NUL behind it */
};

void block_meta_write(const struct block_meta *m, struct buf *out);
/* -EBADMSG. The id is the caller's to set. */
int block_meta_read(struct slice bytes, struct block_meta *ret) must_check;
/* Notes that the block has this type; those beyond BLOCK_TYPES_SIZE are not listed. */
void block_meta_add_type(struct block_meta *m, struct slice type);

/* `key_id` "": the block is not sealed. */
void block_header_write(const struct block_id *id, const char *key_id, uint8_t out[static BLOCK_HEADER_SIZE]);
/* -EBADMSG, -EPROTONOSUPPORT; `err` says what. */
int block_header_read(const uint8_t in[static BLOCK_HEADER_SIZE], struct block_id *ret,
		      char ret_key_id[static KEY_ID_MAX + 1], struct error *err) must_check;

/* What is authenticated with the bytes stored at `off`. */
#define BLOCK_AAD_SIZE 24
void block_aad(const struct block_id *id, uint64_t off, uint8_t out[static BLOCK_AAD_SIZE]);

void block_row_write(const struct block_row *row, uint8_t out[static BLOCK_ROW_SIZE]);
void block_row_read(const uint8_t in[static BLOCK_ROW_SIZE], struct block_row *ret);

/* `table` are the n rows as bytes. */
void block_trailer_write(const struct block_id *id, uint64_t table_off, struct slice table,
			 uint8_t out[static BLOCK_TRAILER_SIZE]);
/* Place of the table. -EBADMSG. */
int block_trailer_read(const uint8_t in[static BLOCK_TRAILER_SIZE], uint64_t file_size, uint64_t *ret_off,
		       uint32_t *ret_n) must_check;
/* Whether the table is what the trailer was written for. */
bool block_trailer_fits(const struct block_id *id, struct slice table, const uint8_t in[static BLOCK_TRAILER_SIZE]);
