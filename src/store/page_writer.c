/* SPDX-License-Identifier: Apache-2.0 */
#include "store/page_writer.h"

#include <errno.h>

#define PAGE_SIZE_ROWS ((size_t)64 << 10) /* of rows, unpacked: a page ends behind that */
#define PAGE_CHUNKS    4096

void page_writer_init(struct page_writer *p, struct block_writer *w, struct membudget *budget)
{
	*p = (struct page_writer){ .writer = w, .budget = budget };
	columns_init(&p->columns);
	for (int i = 0; i < N_ROW_COLUMNS; i++)
		p->rows[i] = buf_of(UINT32_MAX);
	for (int i = 0; i < N_PIECES; i++)
		p->piece[i] = buf_of(UINT32_MAX);
}

void page_writer_done(struct page_writer *p)
{
	vec_done(p->budget, &p->chunks);
	vec_done(p->budget, &p->pages);
	columns_done(&p->columns);
	for (int i = 0; i < N_ROW_COLUMNS; i++)
		buf_done(&p->rows[i]);
	for (int i = 0; i < N_PIECES; i++)
		buf_done(&p->piece[i]);
}

static void write_heads(struct page_writer *p)
{
	struct columns *c = &p->columns;
	columns_reset(c);
	for (uint32_t i = 0; i < p->chunks.n; i++) {
		const struct chunk *k = &p->chunks.data[i];
		columns_d(c, 0, (uint64_t)k->from_ms);
		columns_u(c, 1, k->duration_ms);
		columns_u(c, 2, k->n_rows);
		columns_u(c, 3, (uint64_t)k->scale);
		columns_z(c, 4, k->total);
		columns_u(c, 5, k->n_profiles);
	}
	p->piece[PIECE_HEADS].n = 0;
	columns_write(c, 6, &p->piece[PIECE_HEADS]);
}

static void write_rows(struct page_writer *p)
{
	struct buf *out = &p->piece[PIECE_ROWS];
	out->n = 0;
	if (!p->any_labels)
		p->rows[ROW_LABELS].n = 0;
	for (int i = 0; i < N_ROW_COLUMNS; i++) {
		uint8_t *at = buf_room(out, VARINT_MAX);
		if (at)
			out->n += (size_t)(varint_write(at, p->rows[i].n) - at);
		buf_add(out, p->rows[i].data, p->rows[i].n);
		out->failed = out->failed || p->rows[i].failed;
		p->rows[i].n = 0;
	}
}

static int flush(struct page_writer *p)
{
	if (p->chunks.n == 0)
		return 0;
	int r = vec_reserve(p->budget, &p->pages, 1);
	if (r < 0)
		return r;
	struct page page = {
		.from_ms = p->chunks.data[0].from_ms,
		.to_ms = p->to_ms,
		.n_chunks = p->chunks.n,
	};
	write_heads(p);
	write_rows(p);
	struct slice piece[N_PIECES];
	for (int i = 0; i < N_PIECES; i++) {
		if (p->piece[i].failed)
			return -ENOMEM;
		piece[i] = slice_of(p->piece[i].data, p->piece[i].n);
	}
	block_writer_page(p->writer, piece, &page);
	p->pages.data[p->pages.n++] = page;
	p->chunks.n = 0;
	p->any_labels = false;
	return 0;
}

int page_writer_add(struct page_writer *p, struct chunk *c, const struct row *rows, uint32_t n)
{
	int r = vec_reserve(p->budget, &p->chunks, 1);
	if (r < 0)
		return r;
	c->n_rows = n;
	c->scale = rows_scale(rows, n);
	c->total = rows_total(rows, n);
	rows_put(p->rows, rows, n, c->scale);
	for (uint32_t i = 0; !p->any_labels && i < n; i++)
		p->any_labels = rows[i].labels != 0;
	if (p->chunks.n == 0 || chunk_end(c) > p->to_ms)
		p->to_ms = chunk_end(c);
	p->chunks.data[p->chunks.n++] = *c;
	size_t size = p->rows[ROW_NODE].n + p->rows[ROW_LABELS].n + p->rows[ROW_VALUE].n;
	return size >= PAGE_SIZE_ROWS || p->chunks.n == PAGE_CHUNKS ? flush(p) : 0;
}

int page_writer_end_series(struct page_writer *p, struct block_pages *to)
{
	int r = flush(p);
	if (r == 0)
		r = vec_reserve(p->budget, &to->pages, p->pages.n);
	for (uint32_t i = 0; r == 0 && i < p->pages.n; i++)
		to->pages.data[to->pages.n++] = p->pages.data[i];
	p->pages.n = 0;
	return r;
}
