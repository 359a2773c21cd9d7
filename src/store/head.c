/* SPDX-License-Identifier: Apache-2.0 */
#include "store/head.h"

#include "base/saturate.h"

#include <assert.h>
#include <errno.h>

int head_init(struct head *h, size_t memory_max, uint32_t max_values)
{
	*h = (struct head){ .budget = membudget_of(memory_max) };
	part_index_init(&h->index, &h->budget);
	label_guard_init(&h->labels, max_values, &h->budget);
	int r = part_init(&h->part, &h->budget);
	h->part.head = h;
	if (r == 0)
		r = known_stacks_init(&h->known, &h->budget);
	if (r < 0)
		head_done(h);
	return r;
}

static void chunk_free(struct head *h, struct head_chunk *c)
{
	free(c->data);
	membudget_release(&h->budget, c->size);
}

void head_done(struct head *h)
{
	struct membudget *b = &h->budget;
	for (uint32_t i = 0; i < h->series.n; i++) {
		struct head_series *s = &h->series.data[i];
		for (uint32_t c = 0; c < s->chunks.n; c++)
			chunk_free(h, &s->chunks.data[c]);
		vec_done(b, &s->chunks);
	}
	vec_done(b, &h->series);
	vec_done(b, &h->keys);
	part_index_done(&h->index);
	label_guard_done(&h->labels);
	known_stacks_done(&h->known);
	part_done(&h->part);
}

static int host_of(struct head *h, struct slice name, uint32_t *ret, struct error *err)
{
	int r = part_host(&h->part, &h->index, name, HEAD_MAX_HOSTS, ret);
	if (r == -EDQUOT)
		return error_set(err, r, "%d hosts are known, which is the limit", HEAD_MAX_HOSTS);
	return r == 0 ? part_reserve_window(&h->part, *ret, h->n_staged + 1) : r;
}

/* Finds or makes the series of `labels` and value type t of the profile. */
static int series_of(struct head *h, const struct str_id *labels, uint32_t host, const struct profile *p, uint32_t t,
		     uint32_t *ret, struct error *err)
{
	struct slice type = strtab_get(&p->dict.strings, p->types[t].type);
	struct slice unit = strtab_get(&p->dict.strings, p->types[t].unit);
	struct series row = { .host = host };
	memcpy(row.label, labels, sizeof(row.label));
	_cleanup_(buf_done)
	struct buf full = buf_of(1 << 20);
	buf_add(&full, type.data, type.size);
	buf_add_byte(&full, ':');
	buf_add(&full, unit.data, unit.size);
	if (full.failed)
		return -ENOBUFS;
	int r = strtab_intern(&h->part.names.dict.strings, slice_of(full.data, full.n), &row.type);
	if (r == 0)
		r = vec_reserve(&h->budget, &h->series, 1);
	if (r == 0)
		r = part_series(&h->part, &h->index, &row, HEAD_MAX_SERIES, ret);
	if (r == -EDQUOT)
		return error_set(err, r,
				 "%d series (label sets) are stored, which is the limit: put what changes all "
				 "the time into sample labels",
				 HEAD_MAX_SERIES);
	if (r == 0 && *ret == h->series.n)
		h->series.data[h->series.n++] = (struct head_series){ 0 };
	return r;
}

/* The profile's rows in the head's ids. */
struct mapping_job {
	struct node_id *nodes;
	struct labels_id *labels;
	struct row *rows; /* of the type at hand */
	uint32_t *order;  /* samples by (node, labels): sorted once for all types */
};

static void mapping_job_done(struct mapping_job *j)
{
	free(j->nodes);
	free(j->labels);
	free(j->rows);
	free(j->order);
}

static void sort_samples(const struct profile *p, struct mapping_job *j)
{
	uint32_t n = profile_n_samples(p);
	for (uint32_t i = 0; i < n; i++)
		j->rows[i] = (struct row){ j->nodes[p->node.data[i].v].v, j->labels[p->labels.data[i].v].v, i };
	rows_sort(j->rows, n);
	for (uint32_t i = 0; i < n; i++)
		j->order[i] = (uint32_t)j->rows[i].value;
}

static int map_profile(struct head *h, const struct profile *p, struct mapping_job *j)
{
	j->nodes = malloc((size_t)dict_n_nodes(&p->dict) * sizeof(*j->nodes));
	j->labels = malloc((size_t)p->labels_off.n * sizeof(*j->labels));
	j->rows = malloc(((size_t)profile_n_samples(p) + 1) * sizeof(*j->rows));
	j->order = malloc(((size_t)profile_n_samples(p) + 1) * sizeof(*j->order));
	if (!j->nodes || !j->labels || !j->rows || !j->order)
		return -ENOMEM;
	int r = known_stacks_import(&h->known, &h->part.names.dict, p, j->nodes);
	if (r == 0)
		r = label_sets_import(&h->part.names, p, &h->labels, j->labels);
	if (r == 0)
		sort_samples(p, j);
	return r;
}

static uint32_t duration_of(const struct intake_profile *ip)
{
	int64_t duration = ip->to_ms - ip->from_ms;
	return duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
}

static void put_columns(struct buf *out, struct buf *column, int n)
{
	for (int i = 0; i < n; i++) {
		uint8_t *p = buf_room(out, VARINT_MAX);
		if (p)
			out->n += (size_t)(varint_write(p, column[i].n) - p);
		buf_add(out, column[i].data, column[i].n);
		out->failed = out->failed || column[i].failed;
		buf_done(&column[i]);
	}
}

static int compare_place(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->labels < y->labels ? -1 : x->labels > y->labels;
}

/* Index of the row of (node, labels); n: it was left out, being 0. */
static uint32_t row_index(const struct row *rows, uint32_t n, const struct row *wanted)
{
	const struct row *found = n ? bsearch(wanted, rows, n, sizeof(*rows), compare_place) : NULL;
	return found ? (uint32_t)(found - rows) : n;
}

/* Appends when samples of type t were taken. */
static int pack_times(const struct intake_profile *ip, uint32_t t, const struct mapping_job *j, uint32_t n_rows,
		      struct head_chunk *c, struct buf *out)
{
	const struct profile *p = &ip->profile;
	uint32_t n = 0;
	if (!profile_has_times(p) || n_rows == 0)
		return 0;
	_cleanup_(free_ptr)
	struct observation *o = malloc(((size_t)profile_n_samples(p) + 1) * sizeof(*o));
	_cleanup_(free_ptr)
	uint32_t *place = NULL;
	if (!o || times_rank(&j->rows[0].value, sizeof(*j->rows), n_rows, &place) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		int64_t time = profile_sample_time(p, i), value = p->value[t].data[i];
		const struct row at = { j->nodes[p->node.data[i].v].v, j->labels[p->labels.data[i].v].v, 0 };
		uint32_t row = time > 0 && value ? row_index(j->rows, n_rows, &at) : n_rows;
		if (row < n_rows)
			o[n++] = (struct observation){ time / 1000000, row, value };
	}
	struct buf column[N_TIME_COLUMNS] = { buf_of(UINT32_MAX), buf_of(UINT32_MAX), buf_of(UINT32_MAX) };
	c->n_observations = n;
	c->unit = times_unit(o, n);
	c->chunk.has_times = n > 0;
	times_put(column, o, n, ip->from_ms, c->unit, place + n_rows);
	put_columns(out, column, N_TIME_COLUMNS);
	return 0;
}

/* Packs the first n rows of `j`, which are folded in place. */
static int chunk_pack(struct head *h, const struct intake_profile *ip, uint32_t t, struct mapping_job *j, uint32_t n,
		      bool is_first, struct head_chunk *ret)
{
	n = rows_fold(j->rows, n);
	struct head_chunk c = { .chunk = { .from_ms = ip->from_ms,
					   .duration_ms = duration_of(ip),
					   .n_rows = n,
					   .n_profiles = 1,
					   .n_first = is_first,
					   .scale = rows_scale(j->rows, n),
					   .total = rows_total(j->rows, n) } };
	struct buf column[N_ROW_COLUMNS] = { buf_of(UINT32_MAX), buf_of(UINT32_MAX), buf_of(UINT32_MAX) };
	_cleanup_(buf_done)
	struct buf out = buf_of(UINT32_MAX);
	rows_put(column, j->rows, n, c.chunk.scale);
	put_columns(&out, column, N_ROW_COLUMNS);
	int r = pack_times(ip, t, j, n, &c, &out);
	if (r == 0 && out.failed)
		r = -ENOMEM;
	if (r == 0 && !membudget_charge(&h->budget, out.n))
		r = -ENOBUFS;
	if (r < 0)
		return r;
	c.data = malloc(out.n);
	c.size = (uint32_t)out.n;
	if (!c.data) {
		membudget_release(&h->budget, out.n);
		return -ENOMEM;
	}
	memcpy(c.data, out.data, out.n);
	*ret = c;
	return 0;
}

static int stage_type(struct head *h, const struct intake_profile *ip, uint32_t t, uint32_t series,
		      struct mapping_job *j, struct staged *s)
{
	const struct profile *p = &ip->profile;
	uint32_t n = profile_n_samples(p);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t from = j->order[i];
		j->rows[i] = (struct row){ j->nodes[p->node.data[from].v].v, j->labels[p->labels.data[from].v].v,
					   p->value[t].data[from] };
	}
	struct head_chunk *chunk = &s->chunk[s->n_chunks].chunk;
	int r = vec_reserve(&h->budget, &h->series.data[series].chunks, h->series.data[series].n_staged + 1);
	if (r == 0)
		r = chunk_pack(h, ip, t, j, n, s->n_chunks == 0, chunk);
	if (r < 0)
		return r;
	h->series.data[series].n_staged++;
	s->chunk[s->n_chunks++].series = series;
	return 0;
}

static void stage_window(struct head *h, const struct intake_profile *ip, struct staged *s)
{
	s->window = (struct window){ .from_ms = ip->from_ms, .duration_ms = duration_of(ip) };
	const struct profile *p = &ip->profile;
	for (uint32_t i = 0; i < p->comments.n; i++) {
		struct window_info info;
		if (!window_info_parse(strtab_get(&p->dict.strings, p->comments.data[i]), &info))
			continue;
		s->window.n_cpus = info.n_cpus;
		s->window.n_samples = info.n_samples;
		s->window.source = part_source(&h->part, info.source, info.unwind);
		memcpy(s->losses.n, info.lost, sizeof(s->losses.n));
		return;
	}
}

static int stage_series(struct head *h, const struct intake *in, const struct intake_profile *ip, struct staged *s,
			struct error *err)
{
	_cleanup_(mapping_job_done)
	struct mapping_job j = { 0 };
	struct str_id labels[N_SERIES_LABELS];
	int r = host_of(h, in->label[SERIES_HOST], &s->host, err);
	for (int i = 0; r == 0 && i < N_SERIES_LABELS; i++)
		r = strtab_intern(&h->part.names.dict.strings, in->label[i], &labels[i]);
	if (r == 0)
		r = map_profile(h, &ip->profile, &j);
	for (uint32_t t = 0; r == 0 && t < ip->profile.n_types; t++) {
		uint32_t series = 0;
		if (!(ip->keep >> t & 1))
			continue;
		r = series_of(h, labels, s->host, &ip->profile, t, &series, err);
		if (r == 0)
			r = stage_type(h, ip, t, series, &j, s);
	}
	return r;
}

int head_prepare(struct head *h, const struct intake *in, const struct intake_profile *ip, struct staged *ret,
		 struct error *err)
{
	struct staged *s = ret;
	memset(s, 0, offsetof(struct staged, chunk));
	s->host = 0;
	s->key = (struct key_ref){ 0 };
	s->losses = (struct losses){ 0 };
	s->from_ms = ip->from_ms;
	s->to_ms = ip->to_ms;
	s->arrived_ms = in->received_ms;
	s->seq = 0;
	if (err)
		err->text[0] = 0;
	int r = stage_series(h, in, ip, s, err);
	if (r == 0)
		r = vec_reserve(&h->budget, &h->keys, h->n_staged + 1);
	if (r < 0) {
		for (uint32_t i = 0; i < s->n_chunks; i++) {
			h->series.data[s->chunk[i].series].n_staged--;
			chunk_free(h, &s->chunk[i].chunk);
		}
		return err && err->text[0] ? r : error_set(err, r, "the store's memory is full");
	}
	stage_window(h, ip, s);
	h->n_staged++;
	return 0;
}

void head_publish(struct head *h, struct staged *s)
{
	struct part *p = &h->part;
	for (uint32_t i = 0; i < s->n_chunks; i++) {
		struct head_series *series = &h->series.data[s->chunk[i].series];
		struct series *about = &p->series.data[s->chunk[i].series];
		assert(series->chunks.n < series->chunks.cap);
		series->chunks.data[series->chunks.n++] = s->chunk[i].chunk;
		h->n_observations += s->chunk[i].chunk.n_observations;
		series->n_staged--;
		if (s->to_ms > about->last_ms)
			about->last_ms = s->to_ms;
	}
	part_add_window(p, s->host, &s->window, &s->losses);
	h->n_staged--;
	if (s->key.is_set)
		h->keys.data[h->keys.n++] = s->key.row;
	if (s->seq > h->last_seq)
		h->last_seq = s->seq;
	p->n_profiles++;
	if (p->oldest_ms == 0 || s->from_ms < p->oldest_ms)
		p->oldest_ms = s->from_ms;
	if (s->to_ms > p->newest_ms)
		p->newest_ms = s->to_ms;
	if (h->arrived_from_ms == 0 || s->arrived_ms < h->arrived_from_ms)
		h->arrived_from_ms = s->arrived_ms;
	if (s->arrived_ms > h->arrived_to_ms)
		h->arrived_to_ms = s->arrived_ms;
}

void head_abandon(struct head *h, struct staged *s)
{
	for (uint32_t i = 0; i < s->n_chunks; i++) {
		h->series.data[s->chunk[i].series].n_staged--;
		chunk_free(h, &s->chunk[i].chunk);
	}
	h->n_staged--;
}
