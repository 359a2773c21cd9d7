/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_writer.h"

#include "base/file.h"

#include <errno.h>

#define FLUSH_SIZE ((size_t)1 << 20)

int block_writer_init(struct block_writer *w, int fd, const struct block_id *id, int level,
		      const struct master_key *seal_with)
{
	*w = (struct block_writer){ .fd = fd, .seed = block_seed(id), .id = *id, .out = buf_of(UINT32_MAX) };
	w->packed = buf_of(UINT32_MAX);
	int r = packer_init(&w->packer, level);
	if (r == 0 && seal_with)
		r = seal_file_key(seal_with, id->byte, &w->key, NULL);
	uint8_t *header = r == 0 ? buf_room(&w->out, BLOCK_HEADER_SIZE) : NULL;
	if (!header) {
		block_writer_done(w);
		return r < 0 ? r : -ENOMEM;
	}
	block_header_write(id, seal_with ? seal_with->id : "", header);
	w->out.n = BLOCK_HEADER_SIZE;
	return 0;
}

void block_writer_done(struct block_writer *w)
{
	packer_done(&w->packer);
	sealing_key_done(&w->key);
	buf_done(&w->packed);
	buf_done(&w->out);
}

static void flush(struct block_writer *w)
{
	if (w->out.failed && w->result == 0)
		w->result = -ENOMEM;
	if (w->result == 0)
		w->result = fd_write_all(w->fd, w->out.data, w->out.n);
	w->off += w->out.n;
	w->out.n = 0;
}

static uint64_t position(const struct block_writer *w)
{
	return w->off + w->out.n;
}

/* To a multiple of 8. */
static void pad(struct block_writer *w)
{
	static const uint8_t zeros[8];
	buf_add(&w->out, zeros, -position(w) & 7);
	if (w->out.n >= FLUSH_SIZE)
		flush(w);
}

/* Appends the packed piece, sealed to its place. */
static void put_sealed(struct block_writer *w, struct slice plain)
{
	uint8_t aad[BLOCK_AAD_SIZE];
	w->packed.n = 0;
	size_t size = pack(&w->packer, plain, &w->packed);
	w->out.failed = w->out.failed || w->packed.failed;
	if (w->out.failed || size == 0)
		return;
	block_aad(&w->id, position(w), aad);
	int r = seal_bytes(&w->key, slice_of(aad, sizeof(aad)), slice_of(w->packed.data, size), &w->out, NULL);
	if (r < 0 && w->result == 0)
		w->result = r == -E2BIG ? -ENOMEM : r;
}

/* Packs and appends; the hash of what is stored. */
static uint64_t put(struct block_writer *w, struct slice plain, uint64_t *ret_stored)
{
	size_t at = w->out.n;
	if (w->key.cipher)
		put_sealed(w, plain);
	else
		(void)pack(&w->packer, plain, &w->out);
	*ret_stored = w->out.n - at;
	return w->out.failed ? 0 : block_hash(w->seed, slice_of(w->out.data + at, *ret_stored));
}

void block_writer_page(struct block_writer *w, const struct slice piece[static N_PIECES], struct page *page)
{
	page->off = position(w);
	for (int i = 0; i < N_PIECES; i++) {
		uint64_t stored;
		page->hash[i] = put(w, piece[i], &stored);
		page->stored[i] = (uint32_t)stored;
		page->size[i] = (uint32_t)piece[i].size;
		if (piece[i].size > BLOCK_MAX_PIECE && w->result == 0)
			w->result = -E2BIG;
	}
	pad(w);
}

void block_writer_section(struct block_writer *w, enum block_section kind, uint32_t n, struct slice plain)
{
	struct block_row row = { .kind = (uint16_t)kind, .n = n, .off = position(w), .size = plain.size };
	row.hash = put(w, plain, &row.stored_size);
	uint64_t extra = w->key.cipher && row.size ? SEAL_EXTRA_SIZE : 0;
	row.codec = row.stored_size - extra < row.size ? BLOCK_ZSTD : BLOCK_PLAIN;
	if (plain.size > BLOCK_MAX_SECTION && w->result == 0)
		w->result = -E2BIG;
	w->section[w->n_sections++] = row;
	pad(w);
}

int block_writer_finish(struct block_writer *w, uint64_t *ret_size)
{
	uint8_t table[N_SECTIONS * BLOCK_ROW_SIZE] = { 0 }, trailer[BLOCK_TRAILER_SIZE];
	struct slice rows = slice_of(table, (size_t)w->n_sections * BLOCK_ROW_SIZE);
	for (uint32_t i = 0; i < w->n_sections; i++)
		block_row_write(&w->section[i], table + (size_t)i * BLOCK_ROW_SIZE);
	block_trailer_write(&w->id, position(w), rows, trailer);
	buf_add(&w->out, rows.data, rows.size);
	buf_add(&w->out, trailer, sizeof(trailer));
	flush(w);
	if (w->result == 0 && fsync(w->fd) < 0)
		w->result = -errno;
	*ret_size = w->off;
	return w->result;
}
