/* SPDX-License-Identifier: Apache-2.0 */
#include "store/head.h"

#include "base/saturate.h"

#include <errno.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int head_init(struct head *h, size_t memory_max)
{
	*h = (struct head){ .budget = membudget_of(memory_max) };
	struct membudget *b = &h->budget;
	u64map_init(&h->series_ids, b);
	u64map_init(&h->host_ids, b);
	u64map_init(&h->key_ids, b);
	int r = profile_init(&h->names, b);
	if (r == 0)
		r = vec_reserve(b, &h->losses, 1);
	if (r == 0)
		r = vec_reserve(b, &h->sources, HEAD_MAX_SOURCES);
	/* Chosen keys cannot be made to collide. */
	if (r == 0 && getrandom(&h->key_seed, sizeof(h->key_seed), 0) != (ssize_t)sizeof(h->key_seed))
		r = -EIO;
	if (r < 0) {
		head_done(h);
		return r;
	}
	h->losses.data[h->losses.n++] = (struct losses){ 0 };
	h->sources.data[h->sources.n++] = (struct source){ 0 };
	return 0;
}

void head_done(struct head *h)
{
	struct membudget *b = &h->budget;
	for (uint32_t i = 0; i < h->series.n; i++) {
		struct series *s = &h->series.data[i];
		for (uint32_t c = 0; c < s->chunks.n; c++)
			chunk_done(b, &s->chunks.data[c]);
		vec_done(b, &s->chunks);
	}
	for (uint32_t i = 0; i < h->hosts.n; i++)
		vec_done(b, &h->hosts.data[i].windows);
	vec_done(b, &h->series);
	vec_done(b, &h->hosts);
	vec_done(b, &h->losses);
	vec_done(b, &h->sources);
	vec_done(b, &h->keys);
	u64map_done(&h->series_ids);
	u64map_done(&h->host_ids);
	u64map_done(&h->key_ids);
	profile_done(&h->names);
}

/* 128 bits of the key stand for it: the low half finds the row, the high half
 * confirms. *ret_at = the map's slot key, where a new row would go. */
static uint32_t key_find(const struct head *h, struct slice key, XXH128_hash_t *ret_hash, uint64_t *ret_at)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(key.data, key.size, h->key_seed);
	uint64_t at = hash.low64;
	uint32_t row;
	while ((row = u64map_get(&h->key_ids, at)) && h->keys.data[row - 1].hash_high != hash.high64)
		at++;
	*ret_hash = hash;
	*ret_at = at;
	return row;
}

enum key_state head_key_state(const struct head *h, struct slice key)
{
	XXH128_hash_t hash;
	uint64_t at;
	uint32_t row = key.size ? key_find(h, key, &hash, &at) : 0;
	return row ? h->keys.data[row - 1].state : KEY_UNKNOWN;
}

static int key_stage(struct head *h, struct slice key, uint32_t *ret)
{
	if (key.size == 0) {
		*ret = 0;
		return 0;
	}
	XXH128_hash_t hash;
	uint64_t at;
	uint32_t row = key_find(h, key, &hash, &at);
	if (!row) {
		int r = vec_reserve(&h->budget, &h->keys, 1);
		if (r < 0)
			return r;
		uint32_t *slot = u64map_put(&h->key_ids, at);
		if (!slot)
			return -ENOBUFS;
		h->keys.data[h->keys.n++] = (struct key_row){ .hash_high = hash.high64 };
		*slot = row = h->keys.n;
	}
	assert(h->keys.data[row - 1].state == KEY_UNKNOWN);
	h->keys.data[row - 1].state = KEY_PENDING;
	*ret = row;
	return 0;
}

static int host_of(struct head *h, struct slice name, uint32_t *ret, struct error *err)
{
	struct str_id id;
	int r = strtab_intern(&h->names.dict.strings, name, &id);
	if (r == 0)
		r = vec_reserve(&h->budget, &h->hosts, 1);
	if (r < 0)
		return r;
	uint32_t found = u64map_get(&h->host_ids, id.v);
	if (!found) {
		if (h->hosts.n == HEAD_MAX_HOSTS)
			return error_set(err, -EDQUOT, "%d hosts are known, which is the limit", HEAD_MAX_HOSTS);
		uint32_t *slot = u64map_put(&h->host_ids, id.v);
		if (!slot)
			return -ENOBUFS;
		h->hosts.data[h->hosts.n++] = (struct host){ .name = id };
		*slot = found = h->hosts.n;
	}
	*ret = found - 1;
	return vec_reserve(&h->budget, &h->hosts.data[*ret].windows, h->hosts.data[*ret].n_staged + 1);
}

/* Finds or makes the series of `labels` and value type t of the profile. */
static int series_of(struct head *h, const struct str_id *labels, uint32_t host, const struct profile *p, uint32_t t,
		     uint32_t *ret, struct error *err)
{
	struct slice type = strtab_get(&p->dict.strings, p->types[t].type);
	struct slice unit = strtab_get(&p->dict.strings, p->types[t].unit);
	_cleanup_(buf_done)
	struct buf full = buf_of(1 << 20);
	buf_add(&full, type.data, type.size);
	buf_add_byte(&full, ':');
	buf_add(&full, unit.data, unit.size);
	if (full.failed)
		return -ENOBUFS;
	struct str_id key[N_SERIES_LABELS + 1];
	memcpy(key, labels, N_SERIES_LABELS * sizeof(*key));
	int r = strtab_intern(&h->names.dict.strings, slice_of(full.data, full.n), &key[N_SERIES_LABELS]);
	if (r == 0)
		r = vec_reserve(&h->budget, &h->series, 1);
	if (r < 0)
		return r;
	for (uint64_t at = XXH3_64bits(key, sizeof(key));; at++) {
		uint32_t found = u64map_get(&h->series_ids, at);
		if (found) {
			const struct series *s = &h->series.data[found - 1];
			if (memcmp(s->label, key, sizeof(s->label)) != 0 || s->type.v != key[N_SERIES_LABELS].v)
				continue;
			*ret = found - 1;
			return 0;
		}
		if (h->series.n == HEAD_MAX_SERIES)
			return error_set(err, -EDQUOT,
					 "%d series (label sets) are stored, which is the limit: put what changes all "
					 "the time into sample labels",
					 HEAD_MAX_SERIES);
		uint32_t *slot = u64map_put(&h->series_ids, at);
		if (!slot)
			return -ENOBUFS;
		struct series s = { .host = host, .type = key[N_SERIES_LABELS] };
		memcpy(s.label, labels, sizeof(s.label));
		h->series.data[h->series.n++] = s;
		*ret = h->series.n - 1;
		*slot = h->series.n;
		return 0;
	}
}

static int import_label(struct head *h, const struct profile *p, const struct label *from, struct label *ret)
{
	struct strtab *strings = &h->names.dict.strings;
	struct label to = { .is_num = from->is_num, .num = from->num };
	int r = strtab_intern(strings, strtab_get(&p->dict.strings, from->key), &to.key);
	if (r == 0)
		r = strtab_intern(strings, strtab_get(&p->dict.strings, from->str), &to.str);
	if (r == 0)
		r = strtab_intern(strings, strtab_get(&p->dict.strings, from->unit), &to.unit);
	*ret = to;
	return r;
}

/* map[label set of p] = label set of the head. */
static int import_labels(struct head *h, const struct profile *p, struct labels_id *map)
{
	uint32_t n_sets = p->labels_off.n - 1;
	map[0].v = 0;
	for (uint32_t i = 1; i < n_sets; i++) {
		struct label set[LABELS_MAX];
		uint32_t n;
		const struct label *from = profile_label_set(p, (struct labels_id){ i }, &n);
		for (uint32_t l = 0; l < n; l++) {
			int r = import_label(h, p, &from[l], &set[l]);
			if (r < 0)
				return r;
		}
		int r = profile_labels(&h->names, set, n, &map[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The profile's rows in the head's ids. */
struct mapping_job {
	struct node_id *nodes;
	struct labels_id *labels;
	struct chunk_row *rows; /* of the type at hand */
	uint32_t *order;	/* samples by (node, labels): sorted once for all types */
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
		j->rows[i] = (struct chunk_row){ j->nodes[p->node.data[i].v].v, j->labels[p->labels.data[i].v].v, i };
	chunk_sort(j->rows, n);
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
	int r = dict_import(&h->names.dict, &p->dict, j->nodes);
	if (r == 0)
		r = import_labels(h, p, j->labels);
	if (r == 0)
		sort_samples(p, j);
	return r;
}

static int stage_type(struct head *h, const struct intake_profile *ip, uint32_t t, uint32_t series,
		      struct mapping_job *j, struct staged *s)
{
	const struct profile *p = &ip->profile;
	uint32_t n = profile_n_samples(p);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t from = j->order[i];
		j->rows[i] = (struct chunk_row){ j->nodes[p->node.data[from].v].v, j->labels[p->labels.data[from].v].v,
						 p->value[t].data[from] };
	}
	int r = vec_reserve(&h->budget, &h->series.data[series].chunks, h->series.data[series].n_staged + 1);
	struct chunk chunk;
	if (r == 0)
		r = chunk_encode(&h->budget, j->rows, n, &chunk);
	if (r < 0)
		return r;
	int64_t duration = ip->to_ms - ip->from_ms;
	chunk.from_ms = ip->from_ms;
	chunk.duration_ms = duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration;
	h->series.data[series].n_staged++;
	s->chunk[s->n_chunks].series = series;
	s->chunk[s->n_chunks++].chunk = chunk;
	return 0;
}

/* Its index, 0 when nothing is known or the table is full. */
static uint32_t source_of(struct head *h, const struct window_info *info)
{
	for (uint32_t i = 0; i < h->sources.n; i++)
		if (strcmp(h->sources.data[i].name, info->source) == 0 &&
		    strcmp(h->sources.data[i].unwind, info->unwind) == 0)
			return i;
	if (h->sources.n == HEAD_MAX_SOURCES)
		return 0;
	struct source *s = &h->sources.data[h->sources.n++];
	(void)snprintf(s->name, sizeof(s->name), "%s", info->source);
	(void)snprintf(s->unwind, sizeof(s->unwind), "%s", info->unwind);
	return h->sources.n - 1;
}

static void stage_window(struct head *h, const struct intake_profile *ip, struct staged *s)
{
	int64_t duration = ip->to_ms - ip->from_ms;
	s->window = (struct window){
		.from_ms = ip->from_ms,
		.duration_ms = duration > UINT32_MAX ? UINT32_MAX : (uint32_t)duration,
	};
	const struct profile *p = &ip->profile;
	for (uint32_t i = 0; i < p->comments.n; i++) {
		struct window_info info;
		if (!window_info_parse(strtab_get(&p->dict.strings, p->comments.data[i]), &info))
			continue;
		s->window.n_cpus = info.n_cpus;
		s->window.n_samples = info.n_samples;
		s->window.source = source_of(h, &info);
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
		r = strtab_intern(&h->names.dict.strings, in->label[i], &labels[i]);
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
	s->key = 0;
	s->losses = (struct losses){ 0 };
	s->from_ms = ip->from_ms;
	s->to_ms = ip->to_ms;
	if (err)
		err->text[0] = 0;
	int r = stage_series(h, in, ip, s, err);
	if (r == 0)
		r = vec_reserve(&h->budget, &h->losses, h->n_losses_staged + 1);
	if (r == 0)
		r = key_stage(h, in->key, &s->key);
	if (r < 0) {
		for (uint32_t i = 0; i < s->n_chunks; i++) {
			h->series.data[s->chunk[i].series].n_staged--;
			chunk_done(&h->budget, &s->chunk[i].chunk);
		}
		return err && err->text[0] ? r : error_set(err, r, "the store's memory is full");
	}
	stage_window(h, ip, s);
	h->hosts.data[s->host].n_staged++;
	h->n_losses_staged++;
	return 0;
}

/* Where the window (from, duration) is, or would go to stay sorted. */
static uint32_t window_place(const struct host *host, const struct window *w, bool *ret_found)
{
	uint32_t i = host->windows.n;
	/* Windows arrive nearly in order: look from the end. */
	while (i > 0 && host->windows.data[i - 1].from_ms > w->from_ms)
		i--;
	for (uint32_t k = i; k > 0 && host->windows.data[k - 1].from_ms == w->from_ms; k--) {
		if (host->windows.data[k - 1].duration_ms == w->duration_ms) {
			*ret_found = true;
			return k - 1;
		}
	}
	*ret_found = false;
	return i;
}

static void window_merge(struct head *h, struct window *w, const struct staged *s)
{
	if (s->window.n_cpus > w->n_cpus)
		w->n_cpus = s->window.n_cpus;
	if (!w->source)
		w->source = s->window.source;
	w->n_samples = u64_add_saturating(w->n_samples, s->window.n_samples);
	bool any = false;
	for (int i = 0; i < N_LOSSES; i++)
		any = any || s->losses.n[i];
	if (!any)
		return;
	if (!w->losses) {
		w->losses = h->losses.n;
		h->losses.data[h->losses.n++] = (struct losses){ 0 };
	}
	struct losses *sum = &h->losses.data[w->losses];
	for (int i = 0; i < N_LOSSES; i++)
		if (s->losses.n[i] > sum->n[i])
			sum->n[i] = s->losses.n[i];
}

static void publish_window(struct head *h, const struct staged *s)
{
	struct host *host = &h->hosts.data[s->host];
	bool found;
	uint32_t at = window_place(host, &s->window, &found);
	if (!found) {
		assert(host->windows.n < host->windows.cap);
		memmove(host->windows.data + at + 1, host->windows.data + at,
			(size_t)(host->windows.n - at) * sizeof(struct window));
		host->windows.data[at] =
			(struct window){ .from_ms = s->window.from_ms, .duration_ms = s->window.duration_ms };
		host->windows.n++;
	}
	window_merge(h, &host->windows.data[at], s);
	host->n_staged--;
	h->n_losses_staged--;
}

void head_publish(struct head *h, struct staged *s)
{
	for (uint32_t i = 0; i < s->n_chunks; i++) {
		struct series *series = &h->series.data[s->chunk[i].series];
		assert(series->chunks.n < series->chunks.cap);
		series->chunks.data[series->chunks.n++] = s->chunk[i].chunk;
		series->n_staged--;
		if (s->to_ms > series->last_ms)
			series->last_ms = s->to_ms;
	}
	publish_window(h, s);
	if (s->key)
		h->keys.data[s->key - 1].state = KEY_STORED;
	h->n_profiles++;
	if (h->oldest_ms == 0 || s->from_ms < h->oldest_ms)
		h->oldest_ms = s->from_ms;
	if (s->to_ms > h->newest_ms)
		h->newest_ms = s->to_ms;
}

void head_abandon(struct head *h, struct staged *s)
{
	for (uint32_t i = 0; i < s->n_chunks; i++) {
		h->series.data[s->chunk[i].series].n_staged--;
		chunk_done(&h->budget, &s->chunk[i].chunk);
	}
	h->hosts.data[s->host].n_staged--;
	h->n_losses_staged--;
	if (s->key)
		h->keys.data[s->key - 1].state = KEY_UNKNOWN;
}
