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
	const struct head *h = arg;
	if (x->service_cpu != y->service_cpu)
		return x->service_cpu > y->service_cpu ? -1 : 1;
	int c = compare_slice(head_string(h, x->service), head_string(h, y->service));
	return c ? c : compare_slice(head_string(h, x->type), head_string(h, y->type));
}

/* False when no profile of the series is in the range. */
static bool service_row_of(const struct selection *s, const struct series *series, struct service_row *ret)
{
	bool any = false;
	*ret = (struct service_row){ .service = series->label[SERIES_SERVICE],
				     .type = series->type,
				     .last_ms = series->last_ms };
	for (uint32_t c = 0; c < series->chunks.n; c++) {
		if (!selection_has_chunk(s, &series->chunks.data[c]))
			continue;
		ret->total = i64_add_saturating(ret->total, selection_chunk_total(s, &series->chunks.data[c]));
		any = true;
	}
	return any;
}

/* Rows of one service and type become one; all rows of a service learn its
 * CPU time and last profile. The new n. */
static uint32_t services_fold(const struct head *h, struct service_row *rows, uint32_t n)
{
	qsort(rows, n, sizeof(*rows), compare_service);
	uint32_t out = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (out && compare_service(&rows[out - 1], &rows[i]) == 0) {
			rows[out - 1].total = i64_add_saturating(rows[out - 1].total, rows[i].total);
			if (rows[i].last_ms > rows[out - 1].last_ms)
				rows[out - 1].last_ms = rows[i].last_ms;
		} else {
			rows[out++] = rows[i];
		}
	}
	for (uint32_t i = 0; i < out;) {
		int64_t cpu = 0, last = 0;
		uint32_t end = i;
		for (; end < out && rows[end].service.v == rows[i].service.v; end++) {
			if (slice_eq(head_string(h, rows[end].type), slice_str("cpu:nanoseconds")))
				cpu = rows[end].total;
			if (rows[end].last_ms > last)
				last = rows[end].last_ms;
		}
		for (; i < end; i++) {
			rows[i].service_cpu = cpu;
			rows[i].last_ms = last;
		}
	}
	return out;
}

int list_services(const struct selection *s, struct membudget *budget, struct service_row **ret, uint32_t *ret_n)
{
	const struct head *h = s->head;
	size_t size = ((size_t)h->series.n + 1) * sizeof(struct service_row);
	/* Charged only while it is filled: the caller frees it at once. */
	if (!membudget_charge(budget, size))
		return -ENOBUFS;
	membudget_release(budget, size);
	struct service_row *rows = malloc(size);
	if (!rows)
		return -ENOMEM;
	uint32_t n = 0;
	for (uint32_t i = 0; i < h->series.n; i++)
		if (s->series[i] && service_row_of(s, &h->series.data[i], &rows[n]))
			n++;
	n = services_fold(h, rows, n);
	qsort_r(rows, n, sizeof(*rows), compare_shown, (void *)h);
	*ret = rows;
	*ret_n = n;
	return 0;
}

/* ---- types ---- */

static int compare_type(const void *a, const void *b, void *arg)
{
	const struct head *h = arg;
	return compare_slice(head_string(h, *(const struct str_id *)a), head_string(h, *(const struct str_id *)b));
}

int list_types(const struct head *h, struct str_id **ret, uint32_t *ret_n)
{
	struct str_id *types = malloc(((size_t)h->series.n + 1) * sizeof(*types));
	if (!types)
		return -ENOMEM;
	uint32_t n = 0, out = 0;
	for (uint32_t i = 0; i < h->series.n; i++)
		if (h->series.data[i].chunks.n)
			types[n++] = h->series.data[i].type;
	qsort_r(types, n, sizeof(*types), compare_type, (void *)h);
	for (uint32_t i = 0; i < n; i++)
		if (out == 0 || types[out - 1].v != types[i].v)
			types[out++] = types[i];
	*ret = types;
	*ret_n = out;
	return 0;
}

/* ---- labels ---- */

struct label_sums {
	const struct selection *s;
	struct membudget *budget;
	VEC(struct label_row) rows;
	struct u64map ids; /* row + 1; probed onwards where numbers clash */
};

static void label_sums_done(struct label_sums *t)
{
	vec_done(t->budget, &t->rows);
	u64map_done(&t->ids);
}

static bool same_label(const struct label_row *a, const struct label_row *b)
{
	return a->series_label == b->series_label && a->label.key.v == b->label.key.v &&
	       a->label.is_num == b->label.is_num && a->label.str.v == b->label.str.v && a->label.num == b->label.num;
}

static int label_add(struct label_sums *t, const struct label_row *row)
{
	int r = vec_reserve(t->budget, &t->rows, 1);
	if (r < 0)
		return r;
	uint64_t low = row->label.is_num ? (uint64_t)row->label.num * 2 + 1 : (uint64_t)row->label.str.v * 2;
	uint64_t high = row->series_label >= 0 ? UINT32_MAX - (uint64_t)row->series_label : row->label.key.v;
	for (uint64_t at = high << 32 ^ low;; at++) {
		uint32_t *id = u64map_put(&t->ids, at);
		if (!id)
			return -ENOBUFS;
		if (*id == 0) {
			t->rows.data[t->rows.n++] = *row;
			*id = t->rows.n;
			return 0;
		}
		struct label_row *old = &t->rows.data[*id - 1];
		if (same_label(old, row)) {
			old->total = i64_add_saturating(old->total, row->total);
			return 0;
		}
	}
}

/* total[set] += what the chunk has for it; the chunk's part that is wanted. */
static int64_t sum_sets(const struct selection *s, const struct chunk *c, int64_t *totals)
{
	int64_t sum = 0;
	struct chunk_reader r = chunk_read(c);
	while (chunk_next(&r)) {
		if (s->sets && !s->sets[r.row.labels])
			continue;
		totals[r.row.labels] = i64_add_saturating(totals[r.row.labels], r.row.value);
		sum = i64_add_saturating(sum, r.row.value);
	}
	return sum;
}

static int sum_series(struct label_sums *t, int64_t *set_totals)
{
	const struct head *h = t->s->head;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < h->series.n; i++) {
		const struct series *series = &h->series.data[i];
		int64_t total = 0;
		bool any = false;
		for (uint32_t c = 0; t->s->series[i] && c < series->chunks.n; c++) {
			if (!selection_has_chunk(t->s, &series->chunks.data[c]))
				continue;
			total = i64_add_saturating(total, sum_sets(t->s, &series->chunks.data[c], set_totals));
			any = true;
		}
		for (int l = SERIES_HOST; r == 0 && any && l < N_SERIES_LABELS; l++) {
			struct label_row row = { .series_label = l, .label.str = series->label[l], .total = total };
			if (row.label.str.v)
				r = label_add(t, &row);
		}
	}
	return r;
}

static int sum_label_sets(struct label_sums *t, const int64_t *set_totals, uint32_t n_sets)
{
	int r = 0;
	for (uint32_t set = 0; r == 0 && set < n_sets; set++) {
		if (!set_totals[set])
			continue;
		uint32_t n;
		const struct label *labels = profile_label_set(&t->s->head->names, (struct labels_id){ set }, &n);
		for (uint32_t i = 0; r == 0 && i < n; i++) {
			struct label_row row = { .series_label = -1, .label = labels[i], .total = set_totals[set] };
			row.label.unit.v = 0;
			r = label_add(t, &row);
		}
	}
	return r;
}

struct slice label_row_name(const struct head *h, const struct label_row *row)
{
	if (row->series_label >= 0)
		return slice_str(series_label_name((enum series_label)row->series_label));
	return head_string(h, row->label.key);
}

static int compare_label_row(const void *a, const void *b, void *arg)
{
	const struct label_row *x = a, *y = b;
	const struct head *h = arg;
	if ((x->series_label < 0) != (y->series_label < 0))
		return x->series_label < 0 ? 1 : -1;
	if (x->series_label != y->series_label)
		return x->series_label < y->series_label ? -1 : 1;
	int c = compare_slice(label_row_name(h, x), label_row_name(h, y));
	if (c)
		return c;
	if (x->total != y->total)
		return x->total > y->total ? -1 : 1;
	char bx[24], by[24];
	return compare_slice(label_text(h, &x->label, bx), label_text(h, &y->label, by));
}

int list_labels(const struct selection *s, struct membudget *budget, struct label_row **ret, uint32_t *ret_n)
{
	_cleanup_(label_sums_done)
	struct label_sums t = { .s = s, .budget = budget };
	u64map_init(&t.ids, budget);
	uint32_t n_sets = s->head->names.labels_off.n - 1;
	size_t size = ((size_t)n_sets + 1) * sizeof(int64_t);
	if (!membudget_charge(budget, size))
		return -ENOBUFS;
	_cleanup_(free_ptr)
	int64_t *set_totals = calloc((size_t)n_sets + 1, sizeof(*set_totals));
	int r = set_totals ? sum_series(&t, set_totals) : -ENOMEM;
	if (r == 0)
		r = sum_label_sets(&t, set_totals, n_sets);
	membudget_release(budget, size);
	if (r < 0)
		return r;
	if (t.rows.n)
		qsort_r(t.rows.data, t.rows.n, sizeof(struct label_row), compare_label_row, (void *)s->head);
	*ret_n = t.rows.n;
	*ret = t.rows.data;
	/* The caller owns the rows now, no longer charged. */
	membudget_release(budget, (size_t)t.rows.cap * sizeof(struct label_row));
	t.rows.data = NULL;
	t.rows.n = t.rows.cap = 0;
	return 0;
}
