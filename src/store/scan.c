/* SPDX-License-Identifier: Apache-2.0 */
#include "store/scan.h"

#include "store/block_scan.h"
#include "store/head.h"

#include <assert.h>
#include <errno.h>

int scan_init(struct scan *s, const struct part *part, const struct scan_options *options, struct membudget *budget)
{
	*s = (struct scan){ .part = part, .options = *options, .budget = budget };
	rows_reader_init(&s->rows, dict_n_nodes(&part->names.dict) - 1, part_n_label_sets(part) - 1, budget);
	if (part->pages)
		s->blocks = block_scan_new(s, part->pages);
	return part->pages && !s->blocks ? -ENOMEM : 0;
}

void scan_done(struct scan *s)
{
	rows_reader_done(&s->rows);
	block_scan_free(&s->blocks);
	vec_done(s->budget, &s->order);
	vec_done(s->budget, &s->observations);
}

static int compare_start(const void *a, const void *b, void *arg)
{
	const struct head_chunk *chunks = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int64_t from_x = chunks[x].chunk.from_ms, from_y = chunks[y].chunk.from_ms;
	if (from_x != from_y)
		return from_x < from_y ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* A head has its profiles in order of arrival. */
static int order_head(struct scan *s)
{
	const struct head_series *series = &s->part->head->series.data[s->series];
	s->order.n = 0;
	int r = vec_reserve(s->budget, &s->order, series->chunks.n);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < series->chunks.n; i++)
		s->order.data[s->order.n++] = i;
	if (s->order.n)
		qsort_r(s->order.data, s->order.n, sizeof(uint32_t), compare_start, series->chunks.data);
	return 0;
}

int scan_series(struct scan *s, uint32_t series)
{
	s->series = series;
	s->at = 0;
	if (s->part->pages)
		block_scan_series(s);
	return s->part->head && s->options.is_ordered ? order_head(s) : 0;
}

static int next_of_head(struct scan *s)
{
	const struct head_series *series = &s->part->head->series.data[s->series];
	while (s->at < series->chunks.n) {
		s->chunk_at = s->options.is_ordered ? s->order.data[s->at] : s->at;
		s->at++;
		const struct chunk *c = &series->chunks.data[s->chunk_at].chunk;
		if (c->from_ms >= s->options.to_ms || chunk_end(c) <= s->options.from_ms)
			continue;
		s->chunk = *c;
		s->stats.n_chunks++;
		s->stats.resolutions |= 1u << RES_RAW;
		return 1;
	}
	return 0;
}

static int rows_of_head(struct scan *s, struct rows *ret)
{
	const struct head_chunk *c = &s->part->head->series.data[s->series].chunks.data[s->chunk_at];
	struct slice rest = slice_of(c->data, c->size);
	struct column column[N_ROW_COLUMNS];
	int r = 0;
	for (int i = 0; r == 0 && i < N_ROW_COLUMNS; i++)
		r = columns_next(&rest, &column[i]);
	assert(r == 0); /* we wrote it ourselves */
	rows_reader_open(&s->rows, column);
	r = rows_get(&s->rows, c->chunk.n_rows, c->chunk.scale, ret);
	assert(r != -EBADMSG);
	s->stats.n_rows += c->chunk.n_rows;
	return r == 0 ? 1 : r;
}

static int times_of_head(struct scan *s, const struct rows *rows, const struct observation **ret, uint32_t *ret_n)
{
	const struct head_chunk *c = &s->part->head->series.data[s->series].chunks.data[s->chunk_at];
	struct slice rest = slice_of(c->data, c->size);
	struct column skipped, column[N_TIME_COLUMNS];
	_cleanup_(free_ptr)
	uint32_t *place = NULL;
	*ret_n = 0;
	if (c->n_observations == 0)
		return 1;
	s->observations.n = 0;
	int r = vec_reserve(s->budget, &s->observations, c->n_observations);
	if (r == 0)
		r = times_rank(rows->value, sizeof(*rows->value), rows->n, &place);
	if (r < 0)
		return r;
	for (int i = 0; r == 0 && i < N_ROW_COLUMNS; i++)
		r = columns_next(&rest, &skipped);
	for (int i = 0; r == 0 && i < N_TIME_COLUMNS; i++)
		r = columns_next(&rest, &column[i]);
	bool ok = r == 0 &&
		  times_get(column, c->n_observations, c->chunk.from_ms, c->unit, place, rows->n, s->observations.data);
	assert(ok); /* we wrote it ourselves */
	*ret = s->observations.data;
	*ret_n = c->n_observations;
	return 1;
}

int scan_next(struct scan *s)
{
	/* A clock costs more than a chunk that is passed over. */
	if (++s->n_polls % 32 == 0 && cancel_asked(s->options.cancel))
		return -ECANCELED;
	return s->part->pages ? block_scan_next(s) : next_of_head(s);
}

int scan_rows(struct scan *s, struct rows *ret)
{
	return s->part->pages ? block_scan_rows(s, ret) : rows_of_head(s, ret);
}

int scan_times(struct scan *s, const struct rows *rows, const struct observation **ret, uint32_t *ret_n)
{
	return s->part->pages ? block_scan_times(s, rows, ret, ret_n) : times_of_head(s, rows, ret, ret_n);
}

void scan_stats_add(struct scan_stats *dst, const struct scan_stats *src)
{
	dst->n_chunks += src->n_chunks;
	dst->n_rows += src->n_rows;
	dst->n_bytes += src->n_bytes;
	dst->n_damaged += src->n_damaged;
	dst->resolutions |= src->resolutions;
	dst->is_inexact = dst->is_inexact || src->is_inexact;
}
