/* SPDX-License-Identifier: Apache-2.0 */
/* rowset.h: finds the row of an array that is equal to a given one.
 *
 *   rows:  0 r r r ...      rows 1 .. are the caller's and only ever appended;
 *                           plain bytes, a multiple of 8
 *   slots: hash(row) -> { upper bits: part of the hash | lower bits: row }
 *
 * As pairset.h, whose rows are two columns. Slot 0 = empty, so row 0 is never
 * found; of equal rows the first is. Linear probing, load under 3/4. No
 * removal. Not thread-safe. */
#pragma once

#include "base/membudget.h"

#include <string.h>

struct rowset {
	uint32_t *slots;
	uint32_t mask; /* n_slots - 1; 0 = nothing allocated */
	uint32_t n;
	struct membudget *budget;
};

void rowset_init(struct rowset *s, struct membudget *budget);
void rowset_done(struct rowset *s);

/* Makes room for `more` rows; slots move. 0, -ENOBUFS or -ENOMEM. */
int rowset_grow(struct rowset *s, const void *rows, size_t row_size, uint32_t more) must_check;

/* Forgets all but the first `n` rows, which may have changed. */
void rowset_rebuild(struct rowset *s, const void *rows, size_t row_size, uint32_t n);

static inline int must_check rowset_reserve(struct rowset *s, const void *rows, size_t row_size, uint32_t more)
{
	return ((uint64_t)s->n + more) * 4 <= (uint64_t)s->mask * 3 ? 0 : rowset_grow(s, rows, row_size, more);
}

/* Multiply and fold, eight bytes at a time, as pairset_hash(). Rows that all have one hash are easily made by
 * whoever knows where it begins: at the address of the slots, which no sender does. */
static inline uint64_t rowset_hash(const struct rowset *s, const void *row, size_t row_size)
{
	uint64_t hash = 0xa0761d6478bd642f ^ (uintptr_t)s->slots;
	for (size_t i = 0; i < row_size; i += 8) {
		uint64_t w;
		memcpy(&w, (const char *)row + i, sizeof(w));
		unsigned __int128 m = (unsigned __int128)(w ^ hash) * 0xe7037ed1a0b428db;
		hash = (uint64_t)(m >> 64) ^ (uint64_t)m;
	}
	return hash;
}

/* The row equal to `row`, or 0 and *ret_slot is where that belongs once rowset_reserve() has made room. */
static inline uint32_t rowset_find(const struct rowset *s, const void *rows, const void *row, size_t row_size,
				   uint64_t hash, uint32_t *ret_slot)
{
	uint32_t slot = (uint32_t)hash & s->mask, tag = (uint32_t)(hash >> 32) & ~s->mask, row_at;
	for (;; slot = (slot + 1) & s->mask) {
		uint32_t v = s->slots[slot];
		row_at = v & s->mask;
		if (v == 0 || (((v ^ tag) & ~s->mask) == 0 &&
			       memcmp((const char *)rows + (size_t)row_at * row_size, row, row_size) == 0))
			break;
	}
	*ret_slot = slot;
	return row_at;
}

static inline void rowset_set(struct rowset *s, uint32_t slot, uint64_t hash, uint32_t row)
{
	s->slots[slot] = ((uint32_t)(hash >> 32) & ~s->mask) | row;
	s->n++;
}
