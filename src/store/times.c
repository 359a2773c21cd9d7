/* SPDX-License-Identifier: Apache-2.0 */
#include "store/times.h"

#include <errno.h>

struct ranked {
	int64_t value;
	uint32_t at;
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->value != y->value)
		return x->value > y->value ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

int times_rank(const int64_t *value, uint32_t stride, uint32_t n, uint32_t **ret)
{
	_cleanup_(free_ptr)
	struct ranked *order = malloc(((size_t)n + 1) * sizeof(*order));
	uint32_t *place = malloc(((size_t)n * 2 + 1) * sizeof(*place));
	if (!order || !place) {
		free(place);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++)
		order[i] = (struct ranked){ *(const int64_t *)((const char *)value + (size_t)i * stride), i };
	qsort(order, n, sizeof(*order), compare_ranked);
	for (uint32_t i = 0; i < n; i++) {
		place[i] = order[i].at;
		place[n + order[i].at] = i;
	}
	*ret = place;
	return 0;
}

int64_t times_unit(const struct observation *o, uint32_t n)
{
	uint64_t unit = 0;
	for (uint32_t i = 0; i < n && unit != 1; i++) {
		uint64_t a = o[i].value < 0 ? -(uint64_t)o[i].value : (uint64_t)o[i].value, b = unit;
		while (b) {
			uint64_t rest = a % b;
			a = b;
			b = rest;
		}
		unit = a;
	}
	return unit > INT64_MAX ? 1 : (int64_t)unit;
}

static int compare_time(const void *a, const void *b)
{
	const struct observation *x = a, *y = b;
	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

static void put(struct buf *out, uint64_t v)
{
	uint8_t *p = buf_room(out, VARINT_MAX);
	if (p)
		out->n += (size_t)(varint_write(p, v) - p);
}

void times_put(struct buf column[static N_TIME_COLUMNS], struct observation *o, uint32_t n, int64_t from_ms,
	       int64_t unit, const uint32_t *rank)
{
	int64_t last = from_ms;
	qsort(o, n, sizeof(*o), compare_time);
	for (uint32_t i = 0; i < n; i++) {
		int64_t time = o[i].time_ms < last ? last : o[i].time_ms;
		put(&column[TIME_DELTA], (uint64_t)(time - last));
		put(&column[TIME_RANK], rank[o[i].row]);
		put(&column[TIME_FACTOR], zigzag(unit ? o[i].value / unit : 0));
		last = time;
	}
}

bool times_get(struct column column[static N_TIME_COLUMNS], uint32_t n, int64_t from_ms, int64_t unit,
	       const uint32_t *place, uint32_t n_rows, struct observation *out)
{
	int64_t time = from_ms;
	bool overflow = n > 0 && n_rows == 0;
	for (uint32_t i = 0; i < n && !overflow; i++) {
		uint64_t delta = column_u(&column[TIME_DELTA]);
		overflow = delta > INT64_MAX || __builtin_add_overflow(time, (int64_t)delta, &time);
		out[i].time_ms = time;
		out[i].row = place[column_u32(&column[TIME_RANK], n_rows - 1)];
		overflow |= __builtin_mul_overflow(column_z(&column[TIME_FACTOR]), unit, &out[i].value);
	}
	return !overflow && !column[TIME_DELTA].bad && !column[TIME_RANK].bad && !column[TIME_FACTOR].bad;
}

void times_skip(struct column column[static N_TIME_COLUMNS], uint32_t n)
{
	for (int k = 0; k < N_TIME_COLUMNS; k++)
		column_skip(&column[k], n);
}
