/* SPDX-License-Identifier: Apache-2.0 */
#include "store/page_writer.h"

#include <errno.h>

#define PAGE_SIZE_ROWS ((size_t)64 << 10) /* of rows, unpacked: a page ends behind that */
#define PAGE_CHUNKS    4096
#define TIMES_WEIGHT   8 /* times are read seldom: their pieces may be larger */

void page_writer_init(struct page_writer *p, struct block_writer *w, struct membudget *budget)
{
	*p = (struct page_writer){ .writer = w, .budget = budget };
	columns_init(&p->columns);
	columns_init(&p->times);
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
	columns_done(&p->times);
	for (int i = 0; i < N_ROW_COLUMNS; i++)
		buf_done(&p->rows[i]);
	for (int i = 0; i < N_PIECES; i++)
		buf_done(&p->piece[i]);
}

static void write_heads(struct page_writer *p)
{
	struct columns *c = &p->columns;
	bool all_first = true;
	columns_reset(c);
	for (uint32_t i = 0; i < p->chunks.n; i++) {
		const struct chunk *k = &p->chunks.data[i];
		columns_d(c, 0, (uint64_t)k->from_ms);
		columns_u(c, 1, k->duration_ms);
		columns_u(c, 2, k->n_rows);
		columns_u(c, 3, (uint64_t)k->scale);
		columns_z(c, 4, k->total);
		columns_u(c, 5, k->n_profiles);
		all_first = all_first && k->n_first == k->n_profiles;
	}
	for (uint32_t i = 0; !all_first && i < p->chunks.n; i++)
		columns_u(c, 6, p->chunks.data[i].n_first);
	p->piece[PIECE_HEADS].n = 0;
	columns_write(c, 7, &p->piece[PIECE_HEADS]);
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

static void write_times(struct page_writer *p)
{
	p->piece[PIECE_TIMES].n = 0;
	if (p->n_observations)
		columns_write(&p->times, 2 + N_TIME_COLUMNS, &p->piece[PIECE_TIMES]);
	columns_reset(&p->times);
	p->n_observations = 0;
}

static int add_times(struct page_writer *p, const struct chunk *c, const struct row *rows, uint32_t n,
		     const struct chunk_times *times)
{
	uint32_t n_times = times ? times->n : 0;
	int64_t unit = n_times ? times_unit(times->observations, n_times) : 0;
	columns_u(&p->times, 0, n_times);
	columns_u(&p->times, 1, (uint64_t)unit);
	p->n_observations += n_times;
	if (n_times == 0)
		return 0;
	_cleanup_(free_ptr)
	uint32_t *place = NULL;
	int r = times_rank(&rows[0].value, sizeof(*rows), n, &place);
	if (r == 0)
		times_put(&p->times.column[2], times->observations, n_times, c->from_ms, unit, place + n);
	return r;
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
	write_times(p);
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

int page_writer_add(struct page_writer *p, struct chunk *c, const struct row *rows, uint32_t n,
		    const struct chunk_times *times)
{
	int r = vec_reserve(p->budget, &p->chunks, 1);
	if (r == 0)
		r = add_times(p, c, rows, n, times);
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
	for (int i = 0; i < N_TIME_COLUMNS; i++)
		size += p->times.column[2 + i].n / TIMES_WEIGHT;
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
