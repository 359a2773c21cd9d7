/* SPDX-License-Identifier: Apache-2.0 */
#include "store/chunk.h"

#include "base/saturate.h"

#include <errno.h>
#include <string.h>

#define ROW_MAX		(5 + 5 + 10) /* bytes of the largest row */
#define MALLOC_OVERHEAD 16

static int compare_row(const void *a, const void *b)
{
	const struct chunk_row *x = a, *y = b;
	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	return x->labels < y->labels ? -1 : x->labels > y->labels;
}

void chunk_sort(struct chunk_row *rows, uint32_t n)
{
	qsort(rows, n, sizeof(*rows), compare_row);
}

/* Sums equal rows and drops zeros; the new n. */
static uint32_t rows_compact(struct chunk_row *rows, uint32_t n)
{
	uint32_t out = 0;
	for (uint32_t i = 0; i < n;) {
		struct chunk_row sum = rows[i];
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

static int64_t common_divisor(const struct chunk_row *rows, uint32_t n)
{
	uint64_t divisor = 0;
	for (uint32_t i = 0; i < n && divisor != 1; i++) {
		uint64_t a = magnitude(rows[i].value), b = divisor;
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

static uint8_t *put_varint(uint8_t *p, uint64_t v)
{
	while (v >= 128) {
		*p++ = (uint8_t)(v | 128);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

static uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static size_t rows_write(const struct chunk_row *rows, uint32_t n, int64_t scale, uint8_t *out)
{
	uint8_t *p = out;
	struct chunk_row last = { 0 };
	for (uint32_t i = 0; i < n; i++) {
		p = put_varint(p, rows[i].node - last.node);
		p = put_varint(p, zigzag((int64_t)rows[i].labels - last.labels));
		p = put_varint(p, zigzag(rows[i].value / scale));
		last = rows[i];
	}
	return (size_t)(p - out);
}

static size_t data_memory(uint32_t size)
{
	return size ? (size_t)size + MALLOC_OVERHEAD : 0;
}

size_t chunk_memory(const struct chunk *c)
{
	return sizeof(*c) + data_memory(c->size);
}

int chunk_encode(struct membudget *budget, struct chunk_row *rows, uint32_t n, struct chunk *ret)
{
	n = rows_compact(rows, n);
	struct chunk c = { .n_rows = n, .scale = common_divisor(rows, n) };
	for (uint32_t i = 0; i < n; i++)
		c.total = i64_add_saturating(c.total, rows[i].value);
	if (n == 0) {
		*ret = c;
		return 0;
	}
	if ((uint64_t)n * ROW_MAX > UINT32_MAX)
		return -ENOBUFS;
	_cleanup_(free_ptr)
	uint8_t *scratch = malloc((size_t)n * ROW_MAX);
	if (!scratch)
		return -ENOMEM;
	c.size = (uint32_t)rows_write(rows, n, c.scale, scratch);
	if (!membudget_charge(budget, data_memory(c.size)))
		return -ENOBUFS;
	c.data = malloc(c.size);
	if (!c.data) {
		membudget_release(budget, data_memory(c.size));
		return -ENOMEM;
	}
	memcpy(c.data, scratch, c.size);
	*ret = c;
	return 0;
}

void chunk_done(struct membudget *budget, struct chunk *c)
{
	free(c->data);
	membudget_release(budget, data_memory(c->size));
	c->data = NULL;
	c->size = 0;
}
