/* SPDX-License-Identifier: Apache-2.0 */
#include "query/listing.h"

#include "base/saturate.h"

#include <errno.h>

static int compare_slice(struct slice a, struct slice b)
{
	size_t n = a.size < b.size ? a.size : b.size;
	int c = n ? memcmp(a.data, b.data, n) : 0;
	if (c)
		return c;
	return a.size < b.size ? -1 : a.size > b.size;
}

/* ---- services ---- */

int service_list_init(struct service_list *l, struct membudget *budget)
{
	*l = (struct service_list){ .budget = budget };
	u64map_init(&l->ids, budget);
	return strtab_init(&l->strings, budget);
}

void service_list_done(struct service_list *l)
{
	strtab_done(&l->strings);
	vec_done(l->budget, &l->rows);
	u64map_done(&l->ids);
}

static int service_row(struct service_list *l, const struct part *p, const struct series *series,
		       struct service_row **ret)
{
	struct service_row row = { 0 };
	int r = strtab_intern(&l->strings, part_string(p, series->label[SERIES_SERVICE]), &row.service);
	if (r == 0)
		r = strtab_intern(&l->strings, part_string(p, series->type), &row.type);
	if (r == 0)
		r = vec_reserve(l->budget, &l->rows, 1);
	uint32_t *id = r == 0 ? u64map_put(&l->ids, (uint64_t)row.service.v << 32 | row.type.v) : NULL;
	if (!id)
		return r < 0 ? r : -ENOBUFS;
	if (*id == 0) {
		l->rows.data[l->rows.n++] = row;
		*id = l->rows.n;
	}
	*ret = &l->rows.data[*id - 1];
	return 0;
}

static int add_service(struct service_list *l, const struct selection *s, uint32_t i, struct scan *scan)
{
	const struct series *series = &s->part->series.data[i];
	int64_t sum = 0;
	bool any = false;
	int r = scan_series(scan, i);
	while (r >= 0 && (r = scan_next(scan)) == 1) {
		int64_t total;
		r = selection_chunk_total(s, scan, &total);
		if (r < 0)
			return r;
		sum = i64_add_saturating(sum, total);
		any = true;
	}
	struct service_row *row;
	if (r < 0 || !any)
		return r;
	r = service_row(l, s->part, series, &row);
	if (r < 0)
		return r;
	row->total = i64_add_saturating(row->total, sum);
	if (series->last_ms > row->last_ms)
		row->last_ms = series->last_ms;
	return 0;
}

int service_list_add(struct service_list *l, const struct selection *s)
{
	struct scan scan;
	int r = selection_scan(s, 0, &scan);
	for (uint32_t i = 0; r == 0 && i < s->part->series.n; i++)
		if (s->series[i])
			r = add_service(l, s, i, &scan);
	selection_scan_done(s, &scan);
	return r;
}

static int compare_service(const void *a, const void *b)
{
	const struct service_row *x = a, *y = b;
	if (x->service.v != y->service.v)
		return x->service.v < y->service.v ? -1 : 1;
	return x->type.v < y->type.v ? -1 : x->type.v > y->type.v;
}

static int compare_shown(const void *a, const void *b, void *arg)
{
	const struct service_row *x = a, *y = b;
	const struct strtab *t = arg;
	if (x->service_cpu != y->service_cpu)
		return x->service_cpu > y->service_cpu ? -1 : 1;
	int c = compare_slice(strtab_get(t, x->service), strtab_get(t, y->service));
	return c ? c : compare_slice(strtab_get(t, x->type), strtab_get(t, y->type));
}

void service_list_finish(struct service_list *l)
{
	struct service_row *rows = l->rows.data;
	uint32_t n = l->rows.n;
	if (n == 0)
		return;
	qsort(rows, n, sizeof(*rows), compare_service);
	for (uint32_t i = 0; i < n;) {
		int64_t cpu = 0, last = 0;
		uint32_t end = i;
		for (; end < n && rows[end].service.v == rows[i].service.v; end++) {
			if (slice_eq(strtab_get(&l->strings, rows[end].type), slice_str("cpu:nanoseconds")))
				cpu = rows[end].total;
			if (rows[end].last_ms > last)
				last = rows[end].last_ms;
		}
		for (; i < end; i++) {
			rows[i].service_cpu = cpu;
			rows[i].last_ms = last;
		}
	}
	qsort_r(rows, n, sizeof(*rows), compare_shown, &l->strings);
}

/* ---- labels ---- */

int label_list_init(struct label_list *l, struct membudget *budget)
{
	*l = (struct label_list){ .budget = budget };
	u64map_init(&l->ids, budget);
	return strtab_init(&l->strings, budget);
}

void label_list_done(struct label_list *l)
{
	strtab_done(&l->strings);
	vec_done(l->budget, &l->rows);
	u64map_done(&l->ids);
}

static bool same_label(const struct label_row *a, const struct label_row *b)
{
	return a->series_label == b->series_label && a->name.v == b->name.v && a->value.v == b->value.v &&
	       a->is_num == b->is_num;
}

static int label_add(struct label_list *l, int series_label, struct slice name, struct slice value,
		     const struct label *num, int64_t total)
{
	struct label_row row = { .series_label = series_label, .is_num = num && num->is_num, .total = total };
	int r = strtab_intern(&l->strings, name, &row.name);
	if (r == 0)
		r = strtab_intern(&l->strings, value, &row.value);
	if (r == 0)
		r = vec_reserve(l->budget, &l->rows, 1);
	if (r < 0)
		return r;
	uint64_t hash = ((uint64_t)row.name.v << 32 | row.value.v) * 4 + row.is_num * 2 + (series_label >= 0);
	for (uint64_t at = hash;; at++) {
		uint32_t *id = u64map_put(&l->ids, at);
		if (!id)
			return -ENOBUFS;
		if (*id == 0) {
			l->rows.data[l->rows.n++] = row;
			*id = l->rows.n;
			return 0;
		}
		struct label_row *old = &l->rows.data[*id - 1];
		if (same_label(old, &row)) {
			old->total = i64_add_saturating(old->total, total);
			return 0;
		}
	}
}

/* totals[set] += what the chunk has for it. */
static void sum_sets(const struct selection *s, const struct rows *rows, int64_t *totals, int64_t *sum)
{
	for (uint32_t i = 0; i < rows->n; i++) {
		uint32_t set = rows->labels ? rows->labels[i] : 0;
		if (s->sets && !s->sets[set])
			continue;
		totals[set] = i64_add_saturating(totals[set], rows->value[i]);
		*sum = i64_add_saturating(*sum, rows->value[i]);
	}
}

static int add_series(struct label_list *l, const struct selection *s, uint32_t i, struct scan *scan,
		      int64_t *set_totals)
{
	const struct part *p = s->part;
	int64_t total = 0;
	bool any = false;
	int r = scan_series(scan, i);
	while (r >= 0 && (r = scan_next(scan)) == 1) {
		struct rows rows;
		r = scan_rows(scan, &rows);
		if (r < 0)
			return r;
		if (r == 1)
			sum_sets(s, &rows, set_totals, &total);
		any = true;
	}
	for (int k = SERIES_HOST; r == 0 && any && k < N_SERIES_LABELS; k++) {
		struct slice value = part_string(p, p->series.data[i].label[k]);
		if (value.size)
			r = label_add(l, k, slice_str(series_label_name((enum series_label)k)), value, NULL, total);
	}
	return r;
}

static int add_sets(struct label_list *l, const struct part *p, const int64_t *set_totals)
{
	int r = 0;
	for (uint32_t set = 0; r == 0 && set < part_n_label_sets(p); set++) {
		if (!set_totals[set])
			continue;
		uint32_t n;
		const struct label *labels = profile_label_set(&p->names, (struct labels_id){ set }, &n);
		for (uint32_t i = 0; r == 0 && i < n; i++) {
			char number[24];
			r = label_add(l, -1, part_string(p, labels[i].key), label_text(p, &labels[i], number),
				      &labels[i], set_totals[set]);
		}
	}
	return r;
}

int label_list_add(struct label_list *l, const struct selection *s)
{
	size_t size = ((size_t)part_n_label_sets(s->part) + 1) * sizeof(int64_t);
	if (!membudget_charge(l->budget, size))
		return -ENOBUFS;
	_cleanup_(free_ptr)
	int64_t *set_totals = calloc(1, size);
	struct scan scan;
	int r = selection_scan(s, 0, &scan);
	if (r == 0 && !set_totals)
		r = -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < s->part->series.n; i++)
		if (s->series[i])
			r = add_series(l, s, i, &scan, set_totals);
	selection_scan_done(s, &scan);
	if (r == 0)
		r = add_sets(l, s->part, set_totals);
	membudget_release(l->budget, size);
	return r;
}

static int compare_label_row(const void *a, const void *b, void *arg)
{
	const struct label_row *x = a, *y = b;
	const struct strtab *t = arg;
	if ((x->series_label < 0) != (y->series_label < 0))
		return x->series_label < 0 ? 1 : -1;
	if (x->series_label != y->series_label)
		return x->series_label < y->series_label ? -1 : 1;
	int c = compare_slice(strtab_get(t, x->name), strtab_get(t, y->name));
	if (c)
		return c;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	return compare_slice(strtab_get(t, x->value), strtab_get(t, y->value));
}

void label_list_finish(struct label_list *l)
{
	if (l->rows.n)
		qsort_r(l->rows.data, l->rows.n, sizeof(struct label_row), compare_label_row, &l->strings);
}
