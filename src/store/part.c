/* SPDX-License-Identifier: Apache-2.0 */
#include "store/part.h"

#include "base/saturate.h"
#include "store/guard.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int64_t resolution_ms(enum resolution r)
{
	static const int64_t ms[N_RESOLUTIONS] = { 0, 300000, 3600000, 86400000 };
	return ms[r];
}

const char *resolution_name(enum resolution r)
{
	static const char *const names[N_RESOLUTIONS] = { "raw", "5m", "1h", "1d" };
	return names[r];
}

int part_init(struct part *p, struct membudget *budget)
{
	*p = (struct part){ .budget = budget };
	int r = profile_init(&p->names, budget);
	if (r == 0)
		r = vec_reserve(budget, &p->losses, 1);
	if (r == 0)
		r = vec_reserve(budget, &p->sources, PART_MAX_SOURCES);
	if (r == 0) {
		p->lines = calloc(1, sizeof(*p->lines));
		r = p->lines ? 0 : -ENOMEM;
	}
	if (r < 0) {
		part_done(p);
		return r;
	}
	p->losses.data[p->losses.n++] = (struct losses){ 0 };
	p->sources.data[p->sources.n++] = (struct source){ 0 };
	return 0;
}

void part_done(struct part *p)
{
	struct membudget *b = p->budget;
	for (uint32_t i = 0; i < p->hosts.n; i++)
		vec_done(b, &p->hosts.data[i].windows);
	vec_done(b, &p->series);
	vec_done(b, &p->hosts);
	vec_done(b, &p->losses);
	vec_done(b, &p->sources);
	profile_done(&p->names);
	if (p->lines)
		free(p->lines->chain);
	free(p->lines);
	p->lines = NULL;
}

/* ---- growing ---- */

void part_index_init(struct part_index *x, struct membudget *budget)
{
	u64map_init(&x->series_ids, budget);
	u64map_init(&x->host_ids, budget);
}

void part_index_done(struct part_index *x)
{
	u64map_done(&x->series_ids);
	u64map_done(&x->host_ids);
}

int part_host(struct part *p, struct part_index *x, struct slice name, uint32_t max, uint32_t *ret)
{
	struct str_id id;
	int r = strtab_intern(&p->names.dict.strings, name, &id);
	if (r == 0)
		r = vec_reserve(p->budget, &p->hosts, 1);
	if (r < 0)
		return r;
	uint32_t found = u64map_get(&x->host_ids, id.v);
	if (!found) {
		if (p->hosts.n == max)
			return -EDQUOT;
		uint32_t *slot = u64map_put(&x->host_ids, id.v);
		if (!slot)
			return -ENOBUFS;
		p->hosts.data[p->hosts.n++] = (struct host){ .name = id };
		*slot = found = p->hosts.n;
	}
	*ret = found - 1;
	return 0;
}

int part_series(struct part *p, struct part_index *x, const struct series *row, uint32_t max, uint32_t *ret)
{
	struct str_id key[N_SERIES_LABELS + 1];
	memcpy(key, row->label, sizeof(row->label));
	key[N_SERIES_LABELS] = row->type;
	int r = vec_reserve(p->budget, &p->series, 1);
	if (r < 0)
		return r;
	for (uint64_t at = XXH3_64bits(key, sizeof(key));; at++) {
		uint32_t found = u64map_get(&x->series_ids, at);
		if (found) {
			const struct series *s = &p->series.data[found - 1];
			if (memcmp(s->label, key, sizeof(s->label)) != 0 || s->type.v != row->type.v)
				continue;
			*ret = found - 1;
			return 0;
		}
		if (p->series.n == max)
			return -EDQUOT;
		uint32_t *slot = u64map_put(&x->series_ids, at);
		if (!slot)
			return -ENOBUFS;
		p->series.data[p->series.n++] = *row;
		*slot = p->series.n;
		*ret = p->series.n - 1;
		return 0;
	}
}

static int import_label(struct profile *dst, const struct profile *p, const struct label *from, struct label *ret)
{
	struct strtab *strings = &dst->dict.strings;
	struct label to = { .is_num = from->is_num, .num = from->num };
	int r = strtab_intern_from(strings, &p->dict.strings, from->key, &to.key);
	if (r == 0)
		r = strtab_intern_from(strings, &p->dict.strings, from->str, &to.str);
	if (r == 0)
		r = strtab_intern_from(strings, &p->dict.strings, from->unit, &to.unit);
	*ret = to;
	return r;
}

void label_guard_init(struct label_guard *g, uint32_t max, struct membudget *budget)
{
	*g = (struct label_guard){ .max = max };
	u64map_init(&g->values, budget);
	u64map_init(&g->counts, budget);
}

void label_guard_done(struct label_guard *g)
{
	u64map_done(&g->values);
	u64map_done(&g->counts);
}

/* Of numbers the hash counts: that two fall together only lets one more in. */
static uint64_t value_key(const struct label *l)
{
	return (uint64_t)l->key.v << 32 |
	       (l->is_num ? (uint32_t)((uint64_t)l->num * 0x9e3779b97f4a7c15 >> 32) | 1 : l->str.v);
}

/* Folds a value that is new and one too many. */
static int guard_label(struct profile *dst, struct label_guard *g, struct label *l)
{
	uint64_t key = value_key(l);
	if (u64map_get(&g->values, key))
		return 0;
	uint32_t *n = u64map_put(&g->counts, l->key.v);
	if (!n)
		return -ENOBUFS;
	/* A count starts at 1: 0 is not there. */
	*n += *n == 0;
	if (*n <= g->max) {
		++*n;
		uint32_t *slot = u64map_put(&g->values, key);
		if (!slot)
			return -ENOBUFS;
		*slot = 1;
		return 0;
	}
	g->n_folded++;
	l->is_num = 0;
	l->num = 0;
	l->unit.v = 0;
	return strtab_intern_str(&dst->dict.strings, GUARD_OTHER, &l->str);
}

int label_sets_import(struct profile *dst, const struct profile *p, struct label_guard *guard, struct labels_id *map)
{
	uint32_t n_sets = p->labels_off.n - 1;
	map[0].v = 0;
	for (uint32_t i = 1; i < n_sets; i++) {
		struct label set[LABELS_MAX];
		uint32_t n;
		const struct label *from = profile_label_set(p, (struct labels_id){ i }, &n);
		for (uint32_t l = 0; l < n; l++) {
			int r = import_label(dst, p, &from[l], &set[l]);
			if (r == 0 && guard)
				r = guard_label(dst, guard, &set[l]);
			if (r < 0)
				return r;
		}
		int r = profile_labels(dst, set, n, &map[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

uint32_t part_source(struct part *p, const char *name, const char *unwind)
{
	for (uint32_t i = 0; i < p->sources.n; i++)
		if (strcmp(p->sources.data[i].name, name) == 0 && strcmp(p->sources.data[i].unwind, unwind) == 0)
			return i;
	if (p->sources.n == PART_MAX_SOURCES)
		return 0;
	struct source *s = &p->sources.data[p->sources.n++];
	(void)snprintf(s->name, sizeof(s->name), "%s", name);
	(void)snprintf(s->unwind, sizeof(s->unwind), "%s", unwind);
	return p->sources.n - 1;
}

/* ---- windows ---- */

int part_reserve_window(struct part *p, uint32_t host, uint32_t n_more)
{
	int r = vec_reserve(p->budget, &p->hosts.data[host].windows, n_more);
	return r == 0 ? vec_reserve(p->budget, &p->losses, n_more) : r;
}

/* The place of a window of this time, by binary search; *ret_found says whether there is one. */
static uint32_t window_place(const struct host *host, const struct window *w, bool *ret_found)
{
	uint32_t from = 0, to = host->windows.n;
	while (from < to) {
		uint32_t mid = from + (to - from) / 2;
		const struct window *at = &host->windows.data[mid];
		if (at->from_ms < w->from_ms || (at->from_ms == w->from_ms && at->duration_ms < w->duration_ms))
			from = mid + 1;
		else
			to = mid;
	}
	const struct window *at = &host->windows.data[from];
	*ret_found = from < host->windows.n && at->from_ms == w->from_ms && at->duration_ms == w->duration_ms;
	return from;
}

static void merge_losses(struct part *p, struct window *w, const struct losses *losses)
{
	bool any = false;
	for (int i = 0; i < N_LOSSES; i++)
		any = any || losses->n[i];
	if (!any)
		return;
	if (!w->losses) {
		assert(p->losses.n < p->losses.cap);
		w->losses = p->losses.n;
		p->losses.data[p->losses.n++] = (struct losses){ 0 };
	}
	struct losses *sum = &p->losses.data[w->losses];
	for (int i = 0; i < N_LOSSES; i++)
		if (losses->n[i] > sum->n[i])
			sum->n[i] = losses->n[i];
}

void part_add_window(struct part *p, uint32_t host_at, const struct window *new, const struct losses *losses)
{
	struct host *host = &p->hosts.data[host_at];
	bool found;
	uint32_t at = window_place(host, new, &found);
	if (!found) {
		assert(host->windows.n < host->windows.cap);
		memmove(host->windows.data + at + 1, host->windows.data + at,
			(size_t)(host->windows.n - at) * sizeof(struct window));
		host->windows.data[at] = (struct window){ .from_ms = new->from_ms, .duration_ms = new->duration_ms };
		host->windows.n++;
	}
	struct window *w = &host->windows.data[at];
	if (new->n_cpus > w->n_cpus)
		w->n_cpus = new->n_cpus;
	if (!w->source)
		w->source = new->source;
	w->n_samples = u64_add_saturating(w->n_samples, new->n_samples);
	merge_losses(p, w, losses);
}
