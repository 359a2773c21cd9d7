/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_scan.h"

#include "store/column.h"

#include <errno.h>

struct scratch {
	uint8_t *data;
	size_t cap;
};

/* A walk over the pages of one resolution. */
struct level {
	uint32_t page, end; /* the page it stands in, one past the last */
	bool is_open;	    /* its heads are in `chunks` */
	uint32_t at;	    /* the next chunk */
	VEC(struct chunk) chunks;
	bool has_rows;	  /* its rows are in `rows` */
	bool is_bad;	  /* its rows cannot be read */
	uint32_t rows_at; /* the chunk whose rows `reader` stands before */
	struct scratch rows;
	struct rows_reader reader;
	bool has_times, is_times_bad; /* the piece is in `times`; it cannot be read */
	uint32_t times_at;	      /* the chunk whose observations `time` stands before */
	struct scratch times;
	struct column observations, unit, time[N_TIME_COLUMNS];
	int64_t from_ms, to_ms; /* only chunks that start in [from, to) are asked for */
	int up;			/* the level that asks */
};

struct block_scan {
	const struct block_pages *pages;
	struct level level[N_RESOLUTIONS];
	int now;			      /* the level being walked; -1: none */
	int taken;			      /* the one scan.chunk comes from */
	struct scratch stored, packed, heads; /* packed: what was sealed */
	struct sealing_key key;		      /* this scan's own: it belongs to one thread */
	struct unpacker unpacker;
	struct membudget *budget;
};

static int scratch_reserve(struct scratch *s, size_t size, struct membudget *budget)
{
	if (size <= s->cap)
		return 0;
	if (!membudget_charge(budget, size - s->cap))
		return -ENOBUFS;
	free(s->data);
	s->data = malloc(size);
	s->cap = size;
	return s->data ? 0 : -ENOMEM;
}

static void scratch_done(struct scratch *s, struct membudget *budget)
{
	free(s->data);
	membudget_release(budget, s->cap);
}

struct block_scan *block_scan_new(const struct scan *s, const struct block_pages *pages)
{
	struct block_scan *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->pages = pages;
	b->budget = s->budget;
	b->now = -1;
	if (block_file_key(&pages->file, &b->key) < 0 || unpacker_init(&b->unpacker) < 0) {
		sealing_key_done(&b->key);
		free(b);
		return NULL;
	}
	for (int i = 0; i < N_RESOLUTIONS; i++)
		rows_reader_init(&b->level[i].reader, s->rows.max_node, s->rows.max_labels, s->budget);
	return b;
}

void block_scan_free(struct block_scan **scan)
{
	struct block_scan *b = *scan;
	if (!b)
		return;
	for (int i = 0; i < N_RESOLUTIONS; i++) {
		struct level *l = &b->level[i];
		vec_done(b->budget, &l->chunks);
		scratch_done(&l->rows, b->budget);
		scratch_done(&l->times, b->budget);
		rows_reader_done(&l->reader);
	}
	scratch_done(&b->stored, b->budget);
	scratch_done(&b->packed, b->budget);
	scratch_done(&b->heads, b->budget);
	sealing_key_done(&b->key);
	unpacker_done(&b->unpacker);
	free(b);
	*scan = NULL;
}

/* ---- pages ---- */

/* 1 and the piece is in `out`; 0: it is damaged, which is counted. */
static int read_piece(struct scan *s, const struct page *page, enum page_piece piece, struct scratch *out)
{
	struct block_scan *b = s->blocks;
	uint64_t off = page->off;
	for (int i = 0; i < (int)piece; i++)
		off += page->stored[i];
	int r = scratch_reserve(&b->stored, page->stored[piece], b->budget);
	if (r == 0 && b->key.cipher)
		r = scratch_reserve(&b->packed, page->stored[piece], b->budget);
	if (r == 0)
		r = scratch_reserve(out, page->size[piece], b->budget);
	if (r < 0)
		return r;
	struct slice stored = slice_of(b->stored.data, page->stored[piece]);
	r = block_file_read(&b->pages->file, off, stored.size, b->stored.data);
	if (r == 0 && block_hash(b->pages->file.seed, stored) != page->hash[piece])
		r = -EBADMSG;
	struct slice packed = stored;
	if (r == 0 && b->key.cipher && stored.size) {
		r = block_file_unseal(&b->pages->file, &b->key, off, stored, b->packed.data);
		packed = slice_of(b->packed.data, stored.size - SEAL_EXTRA_SIZE);
	}
	if (r == 0)
		r = unpack(&b->unpacker, packed, out->data, page->size[piece]);
	s->stats.n_bytes += stored.size;
	s->stats.n_damaged += r < 0;
	return r < 0 ? 0 : 1;
}

static bool parse_heads(struct level *l, const struct page *page, struct slice bytes)
{
	enum { FROM, DURATION, ROWS, SCALE, TOTAL, PROFILES, FIRST, N };
	struct column c[N];
	uint64_t n_rows = 0;
	c[FIRST] = (struct column){ 0 };
	for (int i = 0; i < N && (i < FIRST || bytes.size); i++)
		if (columns_next(&bytes, &c[i]) < 0)
			return false;
	bool all_first = c[FIRST].p == c[FIRST].end;
	for (uint32_t i = 0; i < page->n_chunks; i++) {
		struct chunk chunk = { .from_ms = column_time(&c[FROM]) };
		chunk.duration_ms = column_u32(&c[DURATION], UINT32_MAX);
		chunk.n_rows = column_u32(&c[ROWS], UINT32_MAX);
		uint64_t scale = column_u(&c[SCALE]);
		chunk.total = column_z(&c[TOTAL]);
		chunk.n_profiles = column_u(&c[PROFILES]);
		chunk.n_first = all_first ? chunk.n_profiles : column_u(&c[FIRST]);
		n_rows += chunk.n_rows;
		if (scale == 0 || scale > INT64_MAX || n_rows > page->size[PIECE_ROWS])
			return false;
		chunk.scale = (int64_t)scale;
		l->chunks.data[l->chunks.n++] = chunk;
	}
	for (int i = 0; i < N; i++)
		if (!column_is_over(&c[i]))
			return false;
	return true;
}

/* 1, 0: the page cannot be read. */
static int open_page(struct scan *s, struct level *l)
{
	struct block_scan *b = s->blocks;
	const struct page *page = &b->pages->pages.data[l->page];
	l->chunks.n = 0;
	l->at = l->rows_at = 0;
	l->is_open = true;
	l->has_rows = l->is_bad = false;
	l->has_times = l->is_times_bad = false;
	l->times_at = 0;
	int r = read_piece(s, page, PIECE_HEADS, &b->heads);
	if (r <= 0)
		return r;
	/* A chunk takes bytes in each column: what is not there needs no memory. */
	if (page->n_chunks <= page->size[PIECE_HEADS]) {
		r = vec_reserve(b->budget, &l->chunks, page->n_chunks);
		if (r < 0)
			return r;
		if (parse_heads(l, page, slice_of(b->heads.data, page->size[PIECE_HEADS])))
			return 1;
	}
	s->stats.n_damaged++;
	l->chunks.n = 0;
	return 0;
}

static void next_page(struct level *l)
{
	l->page++;
	l->is_open = false;
}

/* Whether no chunk of the page is asked for. */
static bool can_skip(const struct scan *s, const struct level *l)
{
	const struct page *page = &s->blocks->pages->pages.data[l->page];
	if (page->to_ms <= s->options.from_ms)
		return true;
	return l->page + 1 < l->end && page[1].from_ms < l->from_ms;
}

/* Points to the level's next chunk. 0: there is none. */
static int peek(struct scan *s, struct level *l, const struct chunk **ret)
{
	for (;;) {
		if (l->page == l->end || s->blocks->pages->pages.data[l->page].from_ms >= s->options.to_ms)
			return 0;
		if (!l->is_open && can_skip(s, l)) {
			next_page(l);
			continue;
		}
		if (!l->is_open) {
			int r = open_page(s, l);
			if (r < 0)
				return r;
		}
		if (l->at < l->chunks.n) {
			*ret = &l->chunks.data[l->at];
			return 1;
		}
		next_page(l);
	}
}

/* ---- which chunks ---- */

/* The next finer resolution that the series has; -1: there is none. */
static int finer(const struct scan *s, int level)
{
	const struct series_pages *pages = &s->blocks->pages->series.data[s->series];
	for (int i = level - 1; i >= (int)s->options.finest; i--)
		if (pages->first[i] < pages->first[i + 1])
			return i;
	return -1;
}

void block_scan_series(struct scan *s)
{
	struct block_scan *b = s->blocks;
	const struct series_pages *pages = &b->pages->series.data[s->series];
	for (int i = 0; i < N_RESOLUTIONS; i++) {
		struct level *l = &b->level[i];
		l->page = pages->first[i];
		l->end = pages->first[i + 1];
		l->is_open = false;
		l->from_ms = INT64_MIN;
		l->to_ms = INT64_MAX;
		l->up = -1;
	}
	b->now = finer(s, (int)s->options.coarsest + 1);
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Whether a chunk that stands for several profiles answers as they would. */
static bool fits(const struct scan *s, const struct chunk *c)
{
	const struct scan_options *o = &s->options;
	if (c->from_ms < o->from_ms || chunk_end(c) > o->to_ms)
		return false;
	return o->grid_ms == 0 ||
	       floor_div(c->from_ms - o->from_ms, o->grid_ms) == floor_div(chunk_end(c) - 1 - o->from_ms, o->grid_ms);
}

/* To the chunks that `c` of this level was made of. */
static void descend(struct block_scan *b, int level, const struct chunk *c)
{
	int64_t step = resolution_ms((enum resolution)b->now);
	struct level *l = &b->level[level];
	l->from_ms = floor_div(c->from_ms, step) * step;
	l->to_ms = l->from_ms + step;
	l->up = b->now;
	b->now = level;
}

static void take(struct scan *s, const struct chunk *c)
{
	s->chunk = *c;
	s->chunk.has_times = s->blocks->pages->pages.data[s->blocks->level[s->blocks->now].page].size[PIECE_TIMES] > 0;
	s->blocks->taken = s->blocks->now;
	s->stats.n_chunks++;
	s->stats.resolutions |= 1u << s->blocks->now;
}

int block_scan_next(struct scan *s)
{
	struct block_scan *b = s->blocks;
	while (b->now >= 0) {
		struct level *l = &b->level[b->now];
		const struct chunk *c;
		int r = peek(s, l, &c);
		if (r < 0)
			return r;
		if (r == 0 || c->from_ms >= l->to_ms) {
			b->now = l->up;
			continue;
		}
		l->at++;
		if (c->from_ms < l->from_ms || c->from_ms >= s->options.to_ms || chunk_end(c) <= s->options.from_ms)
			continue;
		int below = b->now == RES_RAW || fits(s, c) ? -1 : finer(s, b->now);
		if (below >= 0) {
			descend(b, below, c);
			continue;
		}
		s->stats.is_inexact = s->stats.is_inexact || (b->now != RES_RAW && !fits(s, c));
		take(s, c);
		return 1;
	}
	return 0;
}

/* ---- rows ---- */

static int open_rows(struct scan *s, struct level *l)
{
	const struct page *page = &s->blocks->pages->pages.data[l->page];
	struct column column[N_ROW_COLUMNS];
	int r = read_piece(s, page, PIECE_ROWS, &l->rows);
	if (r <= 0)
		return r;
	struct slice bytes = slice_of(l->rows.data, page->size[PIECE_ROWS]);
	for (int i = 0; i < N_ROW_COLUMNS; i++) {
		if (columns_next(&bytes, &column[i]) < 0) {
			s->stats.n_damaged++;
			return 0;
		}
	}
	rows_reader_open(&l->reader, column);
	l->has_rows = true;
	return 1;
}

int block_scan_rows(struct scan *s, struct rows *ret)
{
	struct level *l = &s->blocks->level[s->blocks->taken];
	int r = l->has_rows || l->is_bad ? 1 : open_rows(s, l);
	if (r == 0)
		l->is_bad = true;
	if (r < 0 || l->is_bad)
		return r < 0 ? r : 0;
	for (; l->rows_at + 1 < l->at; l->rows_at++)
		rows_skip(&l->reader, l->chunks.data[l->rows_at].n_rows);
	const struct chunk *c = &l->chunks.data[l->rows_at++];
	r = rows_get(&l->reader, c->n_rows, c->scale, ret);
	if (r == -EBADMSG) {
		l->is_bad = true;
		s->stats.n_damaged++;
		return 0;
	}
	s->stats.n_rows += c->n_rows;
	return r < 0 ? r : 1;
}

/* ---- times ---- */

static int open_times(struct scan *s, struct level *l)
{
	const struct page *page = &s->blocks->pages->pages.data[l->page];
	int r = read_piece(s, page, PIECE_TIMES, &l->times);
	if (r <= 0)
		return r;
	struct slice bytes = slice_of(l->times.data, page->size[PIECE_TIMES]);
	bool ok = columns_next(&bytes, &l->observations) == 0 && columns_next(&bytes, &l->unit) == 0;
	for (int i = 0; ok && i < N_TIME_COLUMNS; i++)
		ok = columns_next(&bytes, &l->time[i]) == 0;
	s->stats.n_damaged += !ok;
	l->has_times = ok;
	return ok;
}

/* The chunk's observations into s->observations. False: they make no sense. */
static int read_times(struct scan *s, struct level *l, const struct rows *rows, uint32_t n, uint64_t unit)
{
	_cleanup_(free_ptr)
	uint32_t *place = NULL;
	if (n > (size_t)(l->time[TIME_DELTA].end - l->time[TIME_DELTA].p) || unit > INT64_MAX)
		return -EBADMSG;
	s->observations.n = 0;
	int r = vec_reserve(s->budget, &s->observations, n);
	if (r == 0)
		r = times_rank(rows->value, sizeof(*rows->value), rows->n, &place);
	if (r < 0)
		return r;
	return times_get(l->time, n, s->chunk.from_ms, (int64_t)unit, place, rows->n, s->observations.data) ? 0
													    : -EBADMSG;
}

int block_scan_times(struct scan *s, const struct rows *rows, const struct observation **ret, uint32_t *ret_n)
{
	struct level *l = &s->blocks->level[s->blocks->taken];
	*ret_n = 0;
	if (!s->chunk.has_times)
		return 1;
	int r = l->has_times || l->is_times_bad ? 1 : open_times(s, l);
	if (r == 0)
		l->is_times_bad = true;
	if (r < 0 || l->is_times_bad)
		return r < 0 ? r : 0;
	for (; l->times_at + 1 < l->at; l->times_at++) {
		times_skip(l->time, column_u32(&l->observations, UINT32_MAX));
		(void)column_u(&l->unit);
	}
	uint32_t n = column_u32(&l->observations, UINT32_MAX);
	uint64_t unit = column_u(&l->unit);
	l->times_at++;
	r = n ? read_times(s, l, rows, n, unit) : 0;
	if (l->observations.bad || l->unit.bad || r == -EBADMSG) {
		l->is_times_bad = true;
		s->stats.n_damaged++;
		return 0;
	}
	*ret = s->observations.data;
	*ret_n = n;
	return r < 0 ? r : 1;
}
