/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_writer.h"

#include "base/file.h"

#include <errno.h>

#define FLUSH_SIZE ((size_t)1 << 20)

int block_writer_init(struct block_writer *w, int fd, const struct block_id *id, int level)
{
	*w = (struct block_writer){ .fd = fd, .seed = block_seed(id), .id = *id, .out = buf_of(UINT32_MAX) };
	int r = packer_init(&w->packer, level);
	uint8_t *header = r == 0 ? buf_room(&w->out, BLOCK_HEADER_SIZE) : NULL;
	if (!header) {
		block_writer_done(w);
		return -ENOMEM;
	}
	block_header_write(id, header);
	w->out.n = BLOCK_HEADER_SIZE;
	return 0;
}

void block_writer_done(struct block_writer *w)
{
	packer_done(&w->packer);
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

/* Packs and appends; the hash of what is stored. */
static uint64_t put(struct block_writer *w, struct slice plain, uint64_t *ret_stored)
{
	size_t at = w->out.n;
	*ret_stored = pack(&w->packer, plain, &w->out);
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
	row.codec = row.stored_size < row.size ? BLOCK_ZSTD : BLOCK_PLAIN;
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
