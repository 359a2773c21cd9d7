/* SPDX-License-Identifier: Apache-2.0 */
#include "store/rows.h"

#include "base/saturate.h"

#include <errno.h>

/* ---- folding ---- */

static int compare_row(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->labels < y->labels ? -1 : x->labels > y->labels;
}

#define RADIX_LEAST 64 /* rows: fewer are sorted by comparing */

static uint64_t place(const struct row *r)
{
	return (uint64_t)r->node << 32 | r->labels;
}

/* One pass of a radix sort: by 8 bits of the place, in order otherwise. */
static void sort_pass(const struct row *from, uint32_t n, unsigned shift, struct row *to)
{
	uint32_t next[257] = { 0 };
	for (uint32_t i = 0; i < n; i++)
		next[(place(&from[i]) >> shift & 255) + 1]++;
	for (int k = 1; k < 256; k++)
		next[k] += next[k - 1];
	for (uint32_t i = 0; i < n; i++)
		to[next[place(&from[i]) >> shift & 255]++] = from[i];
}

void rows_sort(struct row *rows, uint32_t n)
{
	_cleanup_(free_ptr)
	struct row *other = n < RADIX_LEAST ? NULL : malloc(n * sizeof(*other));
	if (!other) {
		if (n)
			qsort(rows, n, sizeof(*rows), compare_row);
		return;
	}
	uint64_t differs = 0;
	for (uint32_t i = 1; i < n; i++)
		differs |= place(&rows[i]) ^ place(&rows[0]);
	struct row *from = rows, *to = other;
	for (unsigned shift = 0; shift < 64; shift += 8) {
		if (!(differs >> shift & 255))
			continue;
		sort_pass(from, n, shift, to);
		struct row *swap = from;
		from = to;
		to = swap;
	}
	if (from != rows)
		memcpy(rows, from, n * sizeof(*rows));
}

uint32_t rows_fold(struct row *rows, uint32_t n)
{
	bool is_sorted = true;
	for (uint32_t i = 1; is_sorted && i < n; i++)
		is_sorted = compare_row(&rows[i - 1], &rows[i]) <= 0;
	if (!is_sorted)
		rows_sort(rows, n);
	uint32_t out = 0;
	for (uint32_t i = 0; i < n;) {
		struct row sum = rows[i];
		for (i++; i < n && compare_row(&rows[i], &sum) == 0; i++)
			sum.value = i64_add_saturating(sum.value, rows[i].value);
		if (sum.value)
			rows[out++] = sum;
	}
	return out;
}

static uint64_t magnitude(int64_t v)
{
	return v < 0 ? -(uint64_t)v : (uint64_t)v;
}

int64_t rows_scale(const struct row *rows, uint32_t n)
{
	uint64_t divisor = 0;
	for (uint32_t i = 0; i < n && divisor != 1; i++) {
		uint64_t a = magnitude(rows[i].value), b = divisor;
		/* Mostly a multiple of what was found already. */
		while (b) {
			uint64_t rest = a % b;
			a = b;
			b = rest;
		}
		divisor = a;
	}
	/* INT64_MIN alone has a divisor that no int64_t holds. */
	return divisor == 0 || divisor > INT64_MAX ? 1 : (int64_t)divisor;
}

int64_t rows_total(const struct row *rows, uint32_t n)
{
	int64_t total = 0;
	for (uint32_t i = 0; i < n; i++)
		total = i64_add_saturating(total, rows[i].value);
	return total;
}

/* ---- packing ---- */

static void put(struct buf *out, uint64_t v)
{
	uint8_t *p = buf_room(out, VARINT_MAX);
	if (p)
		out->n += (size_t)(varint_write(p, v) - p);
}

void rows_put(struct buf column[static N_ROW_COLUMNS], const struct row *rows, uint32_t n, int64_t scale)
{
	struct row last = { 0 };
	for (uint32_t i = 0; i < n; i++) {
		put(&column[ROW_NODE], rows[i].node - last.node);
		put(&column[ROW_LABELS], zigzag((int64_t)rows[i].labels - (int64_t)last.labels));
		put(&column[ROW_VALUE], zigzag(rows[i].value / scale));
		last = rows[i];
	}
}

/* ---- unpacking ---- */

void rows_reader_init(struct rows_reader *r, uint32_t max_node, uint32_t max_labels, struct membudget *budget)
{
	*r = (struct rows_reader){ .max_node = max_node, .max_labels = max_labels, .budget = budget };
}

#define ROW_SIZE (2 * sizeof(uint32_t) + sizeof(int64_t))

void rows_reader_done(struct rows_reader *r)
{
	free(r->node);
	free(r->labels);
	free(r->value);
	membudget_release(r->budget, r->cap * ROW_SIZE);
	*r = (struct rows_reader){ 0 };
}

void rows_reader_open(struct rows_reader *r, const struct column column[static N_ROW_COLUMNS])
{
	memcpy(r->column, column, sizeof(r->column));
}

static int reserve(struct rows_reader *r, uint32_t n)
{
	if (n <= r->cap)
		return 0;
	uint32_t cap = n < UINT32_MAX / 2 ? n + n / 2 : n;
	if (!membudget_charge(r->budget, (cap - r->cap) * ROW_SIZE))
		return -ENOBUFS;
	free(r->node);
	free(r->labels);
	free(r->value);
	r->node = malloc(cap * sizeof(*r->node));
	r->labels = malloc(cap * sizeof(*r->labels));
	r->value = malloc(cap * sizeof(*r->value));
	r->cap = cap;
	return r->node && r->labels && r->value ? 0 : -ENOMEM;
}

/* Ids rise, so the last one tells whether all exist. */
static bool get_nodes(struct rows_reader *r, uint32_t n)
{
	struct column c = r->column[ROW_NODE];
	uint32_t *out = r->node;
	uint64_t node = 0;
	for (uint32_t i = 0; i < n;) {
		struct column_number k = { c.p, 0 };
		for (uint32_t end = i + column_n_ample(&c, n - i); i < end; i++) {
			k = column_next(k.p, &c.bad);
			node += k.v > UINT32_MAX ? UINT32_MAX : k.v;
			out[i] = (uint32_t)node;
		}
		c.p = k.p;
		if (i == n)
			break;
		uint64_t step = column_u(&c);
		node += step > UINT32_MAX ? UINT32_MAX : step;
		out[i++] = (uint32_t)node;
	}
	r->column[ROW_NODE] = c;
	return !c.bad && node <= r->max_node;
}

static bool get_labels(struct rows_reader *r, uint32_t n)
{
	struct column c = r->column[ROW_LABELS];
	uint64_t labels = 0, worst = 0;
	for (uint32_t i = 0; i < n; i++) {
		labels += (uint64_t)column_z(&c);
		worst |= labels > r->max_labels;
		r->labels[i] = (uint32_t)labels;
	}
	r->column[ROW_LABELS] = c;
	return !c.bad && !worst;
}

static bool get_values(struct rows_reader *r, uint32_t n, int64_t scale)
{
	struct column c = r->column[ROW_VALUE];
	int64_t *out = r->value;
	bool overflow = false;
	for (uint32_t i = 0; i < n;) {
		struct column_number k = { c.p, 0 };
		for (uint32_t end = i + column_n_ample(&c, n - i); i < end; i++) {
			k = column_next(k.p, &c.bad);
			overflow |= __builtin_mul_overflow(unzigzag(k.v), scale, &out[i]);
		}
		c.p = k.p;
		if (i == n)
			break;
		overflow |= __builtin_mul_overflow(column_z(&c), scale, &out[i]);
		i++;
	}
	r->column[ROW_VALUE] = c;
	return !c.bad && !overflow;
}

int rows_get(struct rows_reader *r, uint32_t n, int64_t scale, struct rows *ret)
{
	/* A row takes a byte at least: what is not there needs no memory. */
	if (n > (size_t)(r->column[ROW_NODE].end - r->column[ROW_NODE].p))
		return -EBADMSG;
	int e = reserve(r, n);
	if (e < 0)
		return e;
	bool has_labels = r->column[ROW_LABELS].p != r->column[ROW_LABELS].end;
	if (!get_nodes(r, n) || (has_labels && !get_labels(r, n)) || !get_values(r, n, scale))
		return -EBADMSG;
	*ret = (struct rows){ .n = n, .node = r->node, .labels = has_labels ? r->labels : NULL, .value = r->value };
	return 0;
}

void rows_skip(struct rows_reader *r, uint32_t n)
{
	column_skip(&r->column[ROW_NODE], n);
	if (r->column[ROW_LABELS].p != r->column[ROW_LABELS].end)
		column_skip(&r->column[ROW_LABELS], n);
	column_skip(&r->column[ROW_VALUE], n);
}
