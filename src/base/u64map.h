/* SPDX-License-Identifier: Apache-2.0 */
/* u64map.h: u64 -> u32, open addressing, linear probing.
 *
 *   slots: { key, value }   value 0 = empty slot, so values start at 1
 *
 * No removal. Load stays under 3/4. Not thread-safe. */
#pragma once

#include "base/membudget.h"

struct u64map_slot {
	uint64_t key;
	uint32_t value;
	uint32_t pad;
};

struct u64map {
	struct u64map_slot *slots;
	uint32_t mask; /* n_slots - 1; 0 = nothing allocated */
	uint32_t n;
	struct membudget *budget;
};

void u64map_init(struct u64map *m, struct membudget *budget);
void u64map_done(struct u64map *m);
/* Keeps the memory. */
void u64map_clear(struct u64map *m);

/* Finaliser of MurmurHash3 (public domain, A. Appleby): every input bit
 * reaches every output bit, which linear probing over dense ids needs. */
static inline uint64_t u64map_mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return x;
}

/* The key's slot, or the empty one where it belongs. Needs a map that has slots. */
static inline struct u64map_slot *u64map_probe(const struct u64map *m, uint64_t key)
{
	uint32_t i = (uint32_t)u64map_mix(key) & m->mask;
	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & m->mask;
	return &m->slots[i];
}

/* Value of `key` or 0. */
static inline uint32_t u64map_get(const struct u64map *m, uint64_t key)
{
	return m->slots ? u64map_probe(m, key)->value : 0;
}

/* Starts to fetch what u64map_get() of `key` will read. */
static inline void u64map_prefetch(const struct u64map *m, uint64_t key)
{
	if (m->slots)
		__builtin_prefetch(&m->slots[(uint32_t)u64map_mix(key) & m->mask]);
}

/* Room for `more` keys. False: budget spent. */
bool u64map_grow(struct u64map *m, uint32_t more) must_check;

static inline bool must_check u64map_reserve(struct u64map *m, uint32_t more)
{
	return ((uint64_t)m->n + more) * 4 <= (uint64_t)m->mask * 3 || u64map_grow(m, more);
}

/* Points to the value of `key`, adding it with value 0 if absent: the caller
 * must then store a value > 0 before any other call. NULL: budget spent. */
static inline uint32_t *must_check u64map_put(struct u64map *m, uint64_t key)
{
	struct u64map_slot *s = m->slots ? u64map_probe(m, key) : NULL;
	if (s && s->value)
		return &s->value;
	if (!s || ((uint64_t)m->n + 1) * 4 > (uint64_t)m->mask * 3) {
		if (!u64map_grow(m, 1))
			return NULL;
		s = u64map_probe(m, key);
	}
	s->key = key;
	m->n++;
	return &s->value;
}
