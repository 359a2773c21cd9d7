/* SPDX-License-Identifier: Apache-2.0 */
#include "base/u64map.h"

#include <string.h>

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

bool u64map_grow(struct u64map *m, uint32_t more)
{
	uint64_t n_slots = 64;
	while ((n_slots - 1) * 3 < ((uint64_t)m->n + more) * 4)
		n_slots *= 2;
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
			*u64map_probe(&bigger, m->slots[i].key) = m->slots[i];
	membudget_release(m->budget, slots_size(m));
	free(m->slots);
	*m = bigger;
	return true;
}
