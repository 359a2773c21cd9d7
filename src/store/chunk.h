/* SPDX-License-Identifier: Apache-2.0 */
/* chunk.h: the samples of one value type of one profile, packed.
 *
 *   row = varint(node - previous node) zigzag(labels - previous labels) zigzag(value / scale)
 *
 * Rows stand by (node, labels). `scale` is the greatest common divisor of the
 * values: a CPU profile's are multiples of its period, so a row mostly takes
 * 3-5 bytes. Immutable once encoded. */
#pragma once

#include "base/membudget.h"

#include <assert.h>

struct chunk_row {
	uint32_t node, labels; /* ids of the head's dict and label sets */
	int64_t value;
};

struct chunk {
	int64_t from_ms;
	uint32_t duration_ms;
	uint32_t n_rows;
	uint32_t size; /* of data */
	uint32_t pad;
	int64_t scale;
	int64_t total; /* of all values */
	uint8_t *data; /* NULL when there are no rows */
};

/* By (node, labels). */
void chunk_sort(struct chunk_row *rows, uint32_t n);

/* Packs sorted rows, of which equal ones are summed and those of value 0 left
 * out in place. The caller sets the times. -ENOBUFS, -ENOMEM. */
int chunk_encode(struct membudget *budget, struct chunk_row *rows, uint32_t n, struct chunk *ret) must_check;
void chunk_done(struct membudget *budget, struct chunk *c);

/* Bytes of memory a chunk stands for, its row in the series included. */
size_t chunk_memory(const struct chunk *c);

struct chunk_reader {
	const uint8_t *p, *end;
	int64_t scale;
	struct chunk_row row;
};

static inline struct chunk_reader chunk_read(const struct chunk *c)
{
	return (struct chunk_reader){ .p = c->data, .end = c->data + c->size, .scale = c->scale };
}

static inline uint64_t chunk_varint(struct chunk_reader *r)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;
	do {
		assert(r->p < r->end && shift < 64); /* we wrote it ourselves */
		byte = *r->p++;
		v |= (uint64_t)(byte & 127) << shift;
		shift += 7;
	} while (byte & 128);
	return v;
}

static inline int64_t chunk_zigzag(struct chunk_reader *r)
{
	uint64_t v = chunk_varint(r);
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Steps to the next row, which is then r->row. */
static inline bool chunk_next(struct chunk_reader *r)
{
	if (r->p == r->end)
		return false;
	r->row.node += (uint32_t)chunk_varint(r);
	r->row.labels = (uint32_t)(r->row.labels + chunk_zigzag(r));
	r->row.value = chunk_zigzag(r) * r->scale;
	return true;
}
