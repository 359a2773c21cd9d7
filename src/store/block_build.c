/* SPDX-License-Identifier: Apache-2.0 */
#include "store/block_build.h"

#include "base/saturate.h"
#include "store/block_tables.h"
#include "store/page_writer.h"
#include "store/scan.h"

#include <endian.h>
#include <errno.h>

#define BUCKET_ROWS (1u << 20) /* a bucket is folded when it has so many */

/* One part that goes in. */
struct source_part {
	const struct part *part;
	struct node_id *node; /* of the part -> of the union, then of the block; NULL = by `order` */
	struct labels_id *labels;
	size_t charged;
	struct scan scan;
	bool has_scan;
	/* Of the series being merged: */
	uint32_t series;
	bool is_at_chunk; /* scan.chunk is to be taken */
	bool is_chosen;	  /* by the erasure */
};

/* A series of a part, and which series of the block it is. */
struct member {
	uint32_t to, part, series;
};

/* Sums of one step of time, growing. */
struct bucket {
	int64_t step, to_ms;
	struct chunk chunk;
	VEC(struct row) rows;
};

struct build {
	const struct build_options *o;
	struct membudget *budget;
	struct source_part *parts;
	uint32_t n_parts;
	struct profile merged;	     /* the names of several parts */
	const struct profile *names; /* those, or the only part's */
	struct part out;	     /* the directory: hosts, series, and their strings */
	struct part_index index;
	struct block_words words;
	struct block_order order;
	uint8_t *nodes, *sets;	    /* wanted; NULL = all */
	VEC(struct member) members; /* by `to`, in order of writing */
	VEC(uint32_t) series_order;
	struct block_writer writer;
	struct page_writer pages[N_RESOLUTIONS];
	struct bucket bucket[N_RESOLUTIONS];
	struct block_pages written;
	VEC(struct row) rows;
	VEC(struct observation) observations;
	VEC(struct row) observed; /* the row of each */
	struct block_meta *meta;
	/* Of the finest resolution: */
	uint64_t n_chunks, n_first;
	uint64_t n_of_series, n_most; /* profiles of the series being written, and of the one that has most */
};

static bool is_partial(const struct build *b)
{
	return !b->o->is_all;
}

/* ---- names ---- */

static int import_part(struct build *b, struct source_part *s)
{
	const struct profile *names = &s->part->names;
	uint32_t n_nodes = dict_n_nodes(&names->dict), n_sets = part_n_label_sets(s->part);
	s->charged = ((size_t)n_nodes + n_sets) * sizeof(uint32_t);
	if (!membudget_charge(b->budget, s->charged)) {
		s->charged = 0;
		return -ENOBUFS;
	}
	s->node = malloc((size_t)n_nodes * sizeof(*s->node));
	s->labels = malloc((size_t)n_sets * sizeof(*s->labels));
	if (!s->node || !s->labels)
		return -ENOMEM;
	int r = dict_import(&b->merged.dict, &names->dict, s->node);
	return r == 0 ? label_sets_import(&b->merged, names, NULL, s->labels) : r;
}

static int import_windows(struct build *b, const struct part *p, const struct host *host)
{
	uint32_t to;
	int r = part_host(&b->out, &b->index, part_string(p, host->name), UINT32_MAX, &to);
	for (uint32_t i = 0; r == 0 && i < host->windows.n; i++) {
		struct window w = host->windows.data[i];
		if (w.from_ms < b->o->from_ms || w.from_ms >= b->o->to_ms)
			continue;
		const struct source *source = &p->sources.data[w.source];
		r = part_reserve_window(&b->out, to, 1);
		if (r < 0)
			return r;
		w.source = part_source(&b->out, source->name, source->unwind);
		part_add_window(&b->out, to, &w, &p->losses.data[w.losses]);
	}
	return r;
}

static int import_series(struct build *b, uint32_t part, uint32_t i)
{
	const struct part *p = b->parts[part].part;
	const struct series *from = &p->series.data[i];
	struct strtab *strings = &b->out.names.dict.strings;
	struct series row = { .last_ms = INT64_MIN };
	int r = strtab_intern(strings, part_string(p, from->type), &row.type);
	for (int k = 0; r == 0 && k < N_SERIES_LABELS; k++)
		r = strtab_intern(strings, part_string(p, from->label[k]), &row.label[k]);
	if (r == 0)
		r = part_host(&b->out, &b->index, part_string(p, p->hosts.data[from->host].name), UINT32_MAX,
			      &row.host);
	uint32_t to = 0;
	if (r == 0)
		r = part_series(&b->out, &b->index, &row, UINT32_MAX, &to);
	if (r == 0)
		r = vec_reserve(b->budget, &b->members, 1);
	if (r < 0)
		return r;
	b->members.data[b->members.n++] = (struct member){ to, part, i };
	return 0;
}

static int import_all(struct build *b)
{
	int r = 0;
	for (uint32_t k = 0; r == 0 && k < b->n_parts; k++) {
		const struct part *p = b->parts[k].part;
		/* One part's names are numbered as they stand. */
		if (b->n_parts > 1)
			r = import_part(b, &b->parts[k]);
		for (uint32_t i = 0; r == 0 && i < p->hosts.n; i++)
			r = import_windows(b, p, &p->hosts.data[i]);
		for (uint32_t i = 0; r == 0 && i < p->series.n; i++)
			r = import_series(b, k, i);
	}
	return r == 0 ? block_words_init(&b->words, &b->out) : r;
}

/* ---- scanning ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static int open_scans(struct build *b)
{
	const struct scan_options options = {
		.from_ms = b->o->from_ms,
		.to_ms = b->o->to_ms,
		.finest = b->o->finest,
		.coarsest = b->o->finest,
		.is_ordered = true,
	};
	int r = 0;
	for (uint32_t k = 0; r == 0 && k < b->n_parts; k++) {
		b->parts[k].has_scan = true;
		r = scan_init(&b->parts[k].scan, b->parts[k].part, &options, b->budget);
	}
	return r;
}

static bool is_erased(const struct build *b, const struct source_part *s, const struct chunk *c)
{
	const struct erasure *e = b->o->erasure;
	if (!s->is_chosen)
		return false;
	if (b->o->finest == RES_RAW)
		return c->from_ms >= e->from_ms && c->from_ms < e->to_ms;
	/* By the step, which all types of a profile share: sums of one type may reach less far than those of another.
	 */
	int64_t step = resolution_ms(b->o->finest), from_ms = floor_div(c->from_ms, step) * step;
	return from_ms < e->to_ms && from_ms + step > e->from_ms;
}

/* To the next chunk that starts in the range and stays. */
static int step_scan(struct build *b, struct source_part *s)
{
	int r;
	while ((r = scan_next(&s->scan)) == 1) {
		if (s->scan.chunk.from_ms >= b->o->from_ms && !is_erased(b, s, &s->scan.chunk))
			break;
	}
	s->is_at_chunk = r == 1;
	return r < 0 ? r : 0;
}

/* To the first such chunk of a series. */
static int start_scan(struct build *b, struct source_part *s, uint32_t series)
{
	const struct erasure *e = b->o->erasure;
	int r = e ? e->chooses(e->arg, s->part, series) : 0;
	s->is_chosen = r == 1;
	if (r >= 0)
		r = scan_series(&s->scan, series);
	return r < 0 ? r : step_scan(b, s);
}

static int mark_series(struct build *b, struct source_part *s, uint32_t series)
{
	int r = start_scan(b, s, series);
	while (r == 0 && s->is_at_chunk) {
		struct rows rows;
		r = scan_rows(&s->scan, &rows);
		for (uint32_t i = 0; r == 1 && i < rows.n; i++) {
			uint32_t set = rows.labels ? rows.labels[i] : 0;
			b->nodes[s->node ? s->node[rows.node[i]].v : rows.node[i]] = 1;
			b->sets[s->labels ? s->labels[set].v : set] = 1;
		}
		if (r >= 0)
			r = step_scan(b, s);
	}
	return r;
}

/* Of a part only some profiles go in: which names do those need? */
static int mark_wanted(struct build *b)
{
	uint32_t n_nodes = dict_n_nodes(&b->names->dict), n_sets = b->names->labels_off.n;
	if (!membudget_charge(b->budget, (size_t)n_nodes + n_sets))
		return -ENOBUFS;
	b->nodes = calloc(n_nodes, 1);
	b->sets = calloc(n_sets, 1);
	if (!b->nodes || !b->sets)
		return -ENOMEM;
	int r = 0;
	for (uint32_t k = 0; r == 0 && k < b->n_parts; k++)
		for (uint32_t i = 0; r == 0 && i < b->parts[k].part->series.n; i++)
			r = mark_series(b, &b->parts[k], i);
	return r;
}

static int number_all(struct build *b)
{
	int r = is_partial(b) ? mark_wanted(b) : 0;
	if (r == 0)
		r = block_order_init(&b->order, b->names, &b->out.names.dict.strings, b->nodes, b->sets, b->budget);
	for (uint32_t k = 0; r == 0 && b->n_parts > 1 && k < b->n_parts; k++) {
		struct source_part *s = &b->parts[k];
		for (uint32_t i = 0; i < dict_n_nodes(&s->part->names.dict); i++)
			s->node[i].v = b->order.node.new_id[s->node[i].v];
		for (uint32_t i = 0; i < part_n_label_sets(s->part); i++)
			s->labels[i].v = b->order.label_set.new_id[s->labels[i].v];
	}
	return r;
}

/* ---- chunks ---- */

static int feed(struct build *b, int res, const struct chunk *c, const struct row *rows);

static int close_bucket(struct build *b, int res)
{
	struct bucket *k = &b->bucket[res];
	if (k->chunk.n_profiles == 0)
		return 0;
	k->rows.n = rows_fold(k->rows.data, k->rows.n);
	int64_t duration = k->to_ms - k->chunk.from_ms;
	k->chunk.duration_ms = duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
	int r = page_writer_add(&b->pages[res], &k->chunk, k->rows.data, k->rows.n, NULL);
	if (r == 0)
		r = feed(b, res + 1, &k->chunk, k->rows.data);
	k->chunk.n_profiles = k->chunk.n_first = 0;
	k->rows.n = 0;
	return r;
}

/* Adds a chunk to the sums of the resolution and, in time, to those above. */
static int feed(struct build *b, int res, const struct chunk *c, const struct row *rows)
{
	if (res > (int)b->o->coarsest)
		return 0;
	struct bucket *k = &b->bucket[res];
	int64_t step = floor_div(c->from_ms, resolution_ms((enum resolution)res));
	int r = k->chunk.n_profiles && k->step != step ? close_bucket(b, res) : 0;
	if (r == 0 && k->rows.n > BUCKET_ROWS)
		k->rows.n = rows_fold(k->rows.data, k->rows.n);
	if (r == 0)
		r = vec_reserve(b->budget, &k->rows, c->n_rows);
	if (r < 0)
		return r;
	if (k->chunk.n_profiles == 0) {
		k->step = step;
		k->chunk.from_ms = c->from_ms;
		k->to_ms = c->from_ms;
	}
	if (c->n_rows)
		memcpy(k->rows.data + k->rows.n, rows, c->n_rows * sizeof(*rows));
	k->rows.n += c->n_rows;
	k->chunk.n_profiles += c->n_profiles;
	k->chunk.n_first += c->n_first;
	/* Asked for by time, a sum must count where each of its profiles would. */
	if (chunk_end(c) > k->to_ms)
		k->to_ms = chunk_end(c);
	return 0;
}

static int compare_place(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->labels < y->labels ? -1 : x->labels > y->labels;
}

/* Observations of the chunk, with the rows b->rows has before they are folded. */
static int read_times(struct build *b, struct source_part *s, const struct rows *rows)
{
	const struct observation *o;
	uint32_t n;
	int r = scan_times(&s->scan, rows, &o, &n);
	if (r <= 0)
		return r;
	r = vec_reserve(b->budget, &b->observations, n);
	if (r == 0)
		r = vec_reserve(b->budget, &b->observed, n);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		b->observed.data[b->observed.n++] = b->rows.data[o[i].row];
		b->observations.data[b->observations.n++] = o[i];
	}
	return r;
}

/* Their rows, now that those are in order. */
static void place_times(struct build *b)
{
	uint32_t out = 0;
	for (uint32_t i = 0; i < b->observations.n; i++) {
		const struct row *found = b->rows.n ? bsearch(&b->observed.data[i], b->rows.data, b->rows.n,
							      sizeof(struct row), compare_place)
						    : NULL;
		if (!found)
			continue;
		b->observations.data[out] = b->observations.data[i];
		b->observations.data[out++].row = (uint32_t)(found - b->rows.data);
	}
	b->observations.n = out;
	b->meta->n_observations += out;
}

/* The chunk where the part's scan stands, in the block's numbers. 0: it cannot be read. */
static int read_chunk(struct build *b, struct source_part *s)
{
	struct rows rows;
	int r = scan_rows(&s->scan, &rows);
	if (r <= 0)
		return r;
	b->rows.n = 0;
	r = vec_reserve(b->budget, &b->rows, rows.n);
	if (r < 0)
		return r;
	const uint32_t *node = s->node ? &s->node->v : b->order.node.new_id;
	const uint32_t *labels = s->labels ? &s->labels->v : b->order.label_set.new_id;
	for (uint32_t i = 0; i < rows.n; i++)
		b->rows.data[b->rows.n++] = (struct row){
			node[rows.node[i]],
			labels[rows.labels ? rows.labels[i] : 0],
			rows.value[i],
		};
	b->observations.n = b->observed.n = 0;
	r = s->scan.chunk.has_times ? read_times(b, s, &rows) : 0;
	b->rows.n = rows_fold(b->rows.data, b->rows.n);
	if (r == 0)
		place_times(b);
	return r < 0 ? r : 1;
}

static void count_chunk(struct build *b, struct series *series, const struct chunk *c)
{
	struct block_meta *m = b->meta;
	int64_t to = c->from_ms + c->duration_ms;
	if (series->last_ms < to)
		series->last_ms = to;
	if (b->n_chunks == 0 || c->from_ms < m->from_ms)
		m->from_ms = c->from_ms;
	if (b->n_chunks == 0 || to > m->to_ms)
		m->to_ms = to;
	b->n_chunks++;
	b->n_first += c->n_first;
	b->n_of_series += c->n_profiles;
	if (b->n_of_series > b->n_most)
		b->n_most = b->n_of_series;
}

static int write_chunk(struct build *b, struct source_part *s, struct series *series)
{
	struct chunk c = s->scan.chunk;
	int r = read_chunk(b, s);
	if (r <= 0)
		return r;
	int finest = (int)b->o->finest;
	/* Sums of one step may lie in several parts. */
	if (finest > RES_RAW) {
		c.n_rows = b->rows.n;
		r = feed(b, finest, &c, b->rows.data);
	} else {
		const struct chunk_times times = { b->observations.data, b->observations.n };
		r = page_writer_add(&b->pages[RES_RAW], &c, b->rows.data, b->rows.n, &times);
		if (r == 0)
			r = feed(b, RES_RAW + 1, &c, b->rows.data);
	}
	count_chunk(b, series, &c);
	return r;
}

/* The part whose next chunk is the earliest; NULL: there are no more. */
static struct source_part *earliest(struct build *b, const struct member *members, uint32_t n)
{
	struct source_part *first = NULL;
	for (uint32_t i = 0; i < n; i++) {
		struct source_part *s = &b->parts[members[i].part];
		if (s->is_at_chunk && (!first || s->scan.chunk.from_ms < first->scan.chunk.from_ms))
			first = s;
	}
	return first;
}

/* -ENODATA: none of its chunks starts in the range. */
static int write_series(struct build *b, const struct member *members, uint32_t n)
{
	int r = 0;
	struct series *series = &b->out.series.data[members->to];
	b->n_of_series = 0;
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		struct source_part *s = &b->parts[members[i].part];
		r = start_scan(b, s, members[i].series);
	}
	for (struct source_part *s; r == 0 && (s = earliest(b, members, n));) {
		r = write_chunk(b, s, series);
		if (r == 0)
			r = step_scan(b, s);
	}
	for (int res = 0; r == 0 && res < N_RESOLUTIONS; res++)
		r = close_bucket(b, res);
	return r == 0 && series->last_ms == INT64_MIN ? -ENODATA : r;
}

static int end_series(struct build *b, uint32_t series)
{
	int r = vec_reserve(b->budget, &b->written.series, 1);
	if (r == 0)
		r = vec_reserve(b->budget, &b->series_order, 1);
	struct series_pages pages;
	for (int res = 0; r == 0 && res < N_RESOLUTIONS; res++) {
		pages.first[res] = b->written.pages.n;
		r = page_writer_end_series(&b->pages[res], &b->written);
	}
	if (r < 0)
		return r;
	pages.first[N_RESOLUTIONS] = b->written.pages.n;
	b->written.series.data[b->written.series.n++] = pages;
	b->series_order.data[b->series_order.n++] = series;
	block_meta_add_type(b->meta, part_string(&b->out, b->out.series.data[series].type));
	return 0;
}

static int compare_text(struct slice a, struct slice b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int c = n ? memcmp(a.data, b.data, n) : 0;
	return c ? c : a.size < b.size ? -1 : a.size > b.size;
}

/* Series by their labels, so that those of a service lie together. */
static int compare_member(const void *a, const void *b, void *arg)
{
	const struct member *x = a, *y = b;
	const struct part *p = arg;
	if (x->to == y->to)
		return x->part < y->part ? -1 : x->part > y->part;
	const struct series *s = &p->series.data[x->to], *t = &p->series.data[y->to];
	for (int k = 0; k < N_SERIES_LABELS; k++) {
		int c = compare_text(part_string(p, s->label[k]), part_string(p, t->label[k]));
		if (c)
			return c;
	}
	return compare_text(part_string(p, s->type), part_string(p, t->type));
}

static int write_all_series(struct build *b)
{
	struct member *m = b->members.data;
	int r = 0;
	if (b->members.n)
		qsort_r(m, b->members.n, sizeof(*m), compare_member, &b->out);
	for (uint32_t i = 0; r == 0 && i < b->members.n;) {
		uint32_t end = i + 1;
		while (end < b->members.n && m[end].to == m[i].to)
			end++;
		if (b->o->cancel && *b->o->cancel)
			return -ECANCELED;
		r = write_series(b, m + i, end - i);
		if (r == 0)
			r = end_series(b, m[i].to);
		else if (r == -ENODATA)
			r = 0;
		i = end;
	}
	return r == 0 && b->n_chunks == 0 ? -ENODATA : r;
}

/* ---- the rest of the file ---- */

static int compare_key(const void *a, const void *b)
{
	const struct key_row *x = a, *y = b;
	if (x->hash.low != y->hash.low)
		return x->hash.low < y->hash.low ? -1 : 1;
	return x->hash.high < y->hash.high ? -1 : x->hash.high > y->hash.high;
}

static int write_keys(struct build *b)
{
	uint32_t n = b->o->n_keys;
	size_t size = ((size_t)n + 1) * sizeof(struct key_row);
	if (!membudget_charge(b->budget, size))
		return -ENOBUFS;
	_cleanup_(free_ptr)
	struct key_row *rows = malloc(size);
	if (rows) {
		if (n)
			memcpy(rows, b->o->keys, n * sizeof(*rows));
		qsort(rows, n, sizeof(*rows), compare_key);
		for (uint32_t i = 0; i < n; i++)
			rows[i] = (struct key_row){ { htole64(rows[i].hash.low), htole64(rows[i].hash.high) },
						    (int64_t)htole64((uint64_t)rows[i].arrived_ms) };
		block_writer_section(&b->writer, SECTION_KEYS, n, slice_of(rows, n * sizeof(*rows)));
	}
	membudget_release(b->budget, size);
	return rows ? 0 : -ENOMEM;
}

_Static_assert(sizeof(struct key_row) == 24, "as the file has it");

static void write_meta(struct build *b)
{
	struct block_meta *m = b->meta;
	/* Pages that could not be read may have had the first type of profiles that stay. */
	m->n_profiles = b->n_first < b->n_most ? b->n_most : b->n_first;
	struct buf bytes = buf_of(1 << 20);
	(void)snprintf(m->key_id, sizeof(m->key_id), "%s", b->o->seal_with ? b->o->seal_with->id : "");
	m->starts_from_ms = b->o->from_ms;
	m->starts_to_ms = b->o->to_ms;
	m->n_nodes = b->order.node.n;
	m->n_series = b->series_order.n;
	m->resolutions = 0;
	for (unsigned res = b->o->finest; res <= b->o->coarsest; res++)
		m->resolutions |= 1u << res;
	block_meta_write(m, &bytes);
	b->writer.out.failed = b->writer.out.failed || bytes.failed;
	block_writer_section(&b->writer, SECTION_META, 1, slice_of(bytes.data, bytes.n));
	buf_done(&bytes);
}

static int write_tables(struct build *b)
{
	struct block_tables tables = {
		.names = b->names,
		.directory = &b->out,
		.words = &b->words,
		.order = &b->order,
		.series_order = b->series_order.data,
		.pages = &b->written,
		.budget = b->budget,
	};
	int r = block_tables_write(&tables, &b->writer);
	if (r == 0)
		r = write_keys(b);
	if (r < 0)
		return r;
	write_meta(b);
	return block_writer_finish(&b->writer, &b->meta->size);
}

/* ---- all of it ---- */

static void build_done(struct build *b)
{
	for (uint32_t k = 0; k < b->n_parts; k++) {
		struct source_part *s = &b->parts[k];
		free(s->node);
		free(s->labels);
		membudget_release(b->budget, s->charged);
		if (s->has_scan)
			scan_done(&s->scan);
	}
	free(b->parts);
	if (b->nodes)
		membudget_release(b->budget, (size_t)dict_n_nodes(&b->names->dict) + b->names->labels_off.n);
	free(b->nodes);
	free(b->sets);
	for (int res = 0; res < N_RESOLUTIONS; res++) {
		page_writer_done(&b->pages[res]);
		vec_done(b->budget, &b->bucket[res].rows);
	}
	vec_done(b->budget, &b->members);
	vec_done(b->budget, &b->series_order);
	vec_done(b->budget, &b->written.pages);
	vec_done(b->budget, &b->written.series);
	vec_done(b->budget, &b->rows);
	vec_done(b->budget, &b->observations);
	vec_done(b->budget, &b->observed);
	block_writer_done(&b->writer);
	block_order_done(&b->order);
	part_index_done(&b->index);
	profile_done(&b->merged);
	part_done(&b->out);
}

static int build_init(struct build *b, const struct part *const *parts, uint32_t n, int fd)
{
	part_index_init(&b->index, b->budget);
	for (int res = 0; res < N_RESOLUTIONS; res++)
		page_writer_init(&b->pages[res], &b->writer, b->budget);
	b->parts = calloc((size_t)n + 1, sizeof(*b->parts));
	if (!b->parts)
		return -ENOMEM;
	b->n_parts = n;
	for (uint32_t k = 0; k < n; k++)
		b->parts[k].part = parts[k];
	b->names = n == 1 ? &parts[0]->names : &b->merged;
	int r = profile_init(&b->merged, b->budget);
	if (r == 0)
		r = part_init(&b->out, b->budget);
	return r == 0 ? block_writer_init(&b->writer, fd, &b->meta->id, b->o->zstd_level, b->o->seal_with) : r;
}

static int build_run(struct build *b)
{
	int r = import_all(b);
	if (r == 0)
		r = open_scans(b);
	if (r == 0)
		r = number_all(b);
	if (r == 0)
		r = write_all_series(b);
	return r == 0 ? write_tables(b) : r;
}

int block_build(const struct part *const *parts, uint32_t n, const struct build_options *o, int fd,
		struct block_meta *meta, struct build_report *ret, struct error *err)
{
	struct build b = { .o = o, .budget = o->budget, .meta = meta };
	meta->n_observations = 0;
	meta->types_size = 0;
	int r = build_init(&b, parts, n, fd);
	if (r == 0)
		r = build_run(&b);
	*ret = (struct build_report){ 0 };
	for (uint32_t k = 0; k < b.n_parts; k++)
		ret->n_damaged += b.parts[k].has_scan ? b.parts[k].scan.stats.n_damaged : 0;
	build_done(&b);
	if (r == -ENODATA)
		return error_set(err, r, "no profile starts in the range");
	if (r == -ENOBUFS)
		return error_set(err, r, "writing a block needs more than the %zu MiB it has", o->budget->max >> 20);
	return r < 0 ? error_set(err, r, "a block cannot be written: %s", strerror(-r)) : 0;
}
