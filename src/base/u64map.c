/* SPDX-License-Identifier: Apache-2.0 */
#include "base/u64map.h"

#include <string.h>

struct u64map_slot {
	uint64_t key;
	uint32_t value;
	uint32_t pad;
};

/* Finaliser of MurmurHash3 (public domain, A. Appleby): every input bit
 * reaches every output bit, which linear probing over dense ids needs. */
static inline uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return x;
}

void u64map_init(struct u64map *m, struct membudget *budget)
{
	*m = (struct u64map){ .budget = budget };
}

static size_t slots_size(const struct u64map *m)
{
	return m->mask ? ((size_t)m->mask + 1) * sizeof(*m->slots) : 0;
}

void u64map_done(struct u64map *m)
{
	membudget_release(m->budget, slots_size(m));
	free(m->slots);
	*m = (struct u64map){ .budget = m->budget };
}

void u64map_clear(struct u64map *m)
{
	if (m->slots)
		memset(m->slots, 0, slots_size(m));
	m->n = 0;
}

static struct u64map_slot *probe(const struct u64map *m, uint64_t key)
{
	uint32_t i = (uint32_t)mix(key) & m->mask;
	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & m->mask;
	return &m->slots[i];
}

uint32_t u64map_get(const struct u64map *m, uint64_t key)
{
	return m->slots ? probe(m, key)->value : 0;
}

void u64map_prefetch(const struct u64map *m, uint64_t key)
{
	if (m->slots)
		__builtin_prefetch(&m->slots[(uint32_t)mix(key) & m->mask]);
}

static bool grow(struct u64map *m)
{
	uint64_t n_slots = m->mask ? ((uint64_t)m->mask + 1) * 2 : 64;
	if (n_slots > (uint64_t)1 << 31)
		return false;
	size_t size = (size_t)n_slots * sizeof(*m->slots);
	if (!membudget_charge(m->budget, size))
		return false;
	struct u64map bigger = { .mask = (uint32_t)(n_slots - 1), .n = m->n, .budget = m->budget };
	bigger.slots = calloc((size_t)n_slots, sizeof(*m->slots));
	if (!bigger.slots) {
		membudget_release(m->budget, size);
		return false;
	}
	for (uint32_t i = 0; m->slots && i <= m->mask; i++)
		if (m->slots[i].value)
			*probe(&bigger, m->slots[i].key) = m->slots[i];
	membudget_release(m->budget, slots_size(m));
	free(m->slots);
	*m = bigger;
	return true;
}

uint32_t *u64map_put(struct u64map *m, uint64_t key)
{
	if (m->slots) {
		struct u64map_slot *s = probe(m, key);
		if (s->value)
			return &s->value;
	}
	if ((uint64_t)m->n * 4 >= (uint64_t)m->mask * 3 && !grow(m))
		return NULL;
	struct u64map_slot *s = probe(m, key);
	s->key = key;
	m->n++;
	return &s->value;
}
