/* SPDX-License-Identifier: Apache-2.0 */
/* pairset.h: finds the row of two u32 columns that holds a pair.
 *
 *   a:     0 0 1 ...      rows 1 .. are the caller's and only ever appended
 *   b:     0 7 3 ...
 *   slots: hash(a, b) -> { upper bits: part of the hash | lower bits: row }
 *
 * Four bytes per slot: a row number needs no more bits than the index of a
 * slot does, and those left tell nearly all other rows apart without a look
 * at the columns. Slot 0 = empty, so row 0 is never found. Linear probing,
 * load under 3/4. No removal. Not thread-safe. */
#pragma once

#include "base/membudget.h"

struct pairset {
	uint32_t *slots;
	uint32_t mask; /* n_slots - 1; 0 = nothing allocated */
	uint32_t n;
	struct membudget *budget;
};

/* The rows being searched. */
struct pair_columns {
	const uint32_t *a, *b;
};

void pairset_init(struct pairset *s, struct membudget *budget);
void pairset_done(struct pairset *s);

/* Makes room for `more` pairs; slots move. 0, -ENOBUFS or -ENOMEM. */
int pairset_grow(struct pairset *s, struct pair_columns rows, uint32_t more) must_check;

static inline int must_check pairset_reserve(struct pairset *s, struct pair_columns rows, uint32_t more)
{
	return ((uint64_t)s->n + more) * 4 <= (uint64_t)s->mask * 3 ? 0 : pairset_grow(s, rows, more);
}

/* Multiply and fold: the step of wyhash (public domain, Wang Yi). */
static inline uint64_t pairset_hash(uint32_t a, uint32_t b)
{
	unsigned __int128 m = (unsigned __int128)(((uint64_t)a << 32 | b) ^ 0xa0761d6478bd642f) * 0xe7037ed1a0b428db;
	return (uint64_t)(m >> 64) ^ (uint64_t)m;
}

/* A search under way: the slot to look at, what a row found there must
 * have beside it. Needs a set that has slots. */
struct pair_probe {
	uint32_t slot, tag;
};

static inline struct pair_probe pairset_probe(const struct pairset *s, uint32_t a, uint32_t b)
{
	uint64_t hash = pairset_hash(a, b);
	return (struct pair_probe){ (uint32_t)hash & s->mask, (uint32_t)(hash >> 32) & ~s->mask };
}

/* The row that the slot may hold: 0 when it is empty, UINT32_MAX when it is
 * for certain another's. */
static inline uint32_t pairset_candidate(const struct pairset *s, struct pair_probe p)
{
	uint32_t v = s->slots[p.slot];
	return v == 0 ? 0 : ((v ^ p.tag) & ~s->mask) == 0 ? v & s->mask : UINT32_MAX;
}

static inline void pairset_next(const struct pairset *s, struct pair_probe *p)
{
	p->slot = (p->slot + 1) & s->mask;
}

/* The row of (a, b), or 0 and *p is where it belongs. */
static inline uint32_t pairset_find(const struct pairset *s, struct pair_columns rows, uint32_t a, uint32_t b,
				    struct pair_probe *p)
{
	*p = pairset_probe(s, a, b);
	for (uint32_t row; (row = pairset_candidate(s, *p)) != 0; pairset_next(s, p))
		if (row != UINT32_MAX && rows.a[row] == a && rows.b[row] == b)
			return row;
	return 0;
}

/* Where a pair belongs that no row holds. */
static inline struct pair_probe pairset_free_slot(const struct pairset *s, uint32_t a, uint32_t b)
{
	struct pair_probe p = pairset_probe(s, a, b);
	while (s->slots[p.slot])
		pairset_next(s, &p);
	return p;
}

/* Puts `row` where a search since pairset_reserve() ended without it. */
static inline void pairset_set(struct pairset *s, struct pair_probe p, uint32_t row)
{
	s->slots[p.slot] = p.tag | row;
	s->n++;
}
