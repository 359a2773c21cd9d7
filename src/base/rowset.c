/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rowset.h"

#include <errno.h>
#include <stdlib.h>

void rowset_init(struct rowset *s, struct membudget *budget)
{
	*s = (struct rowset){ .budget = budget };
}

static size_t slots_size(const struct rowset *s)
{
	return s->mask ? ((size_t)s->mask + 1) * sizeof(*s->slots) : 0;
}

void rowset_done(struct rowset *s)
{
	membudget_release(s->budget, slots_size(s));
	free(s->slots);
	*s = (struct rowset){ .budget = s->budget };
}

/* In order, so that the first of equal ones is found. */
static void put_all(struct rowset *s, const void *rows, size_t row_size, uint32_t n)
{
	for (uint32_t row = 1; row <= n; row++) {
		uint64_t hash = rowset_hash(s, (const char *)rows + (size_t)row * row_size, row_size);
		uint32_t slot = (uint32_t)hash & s->mask;
		while (s->slots[slot])
			slot = (slot + 1) & s->mask;
		rowset_set(s, slot, hash, row);
	}
}

void rowset_rebuild(struct rowset *s, const void *rows, size_t row_size, uint32_t n)
{
	if (!s->slots)
		return;
	memset(s->slots, 0, slots_size(s));
	s->n = 0;
	put_all(s, rows, row_size, n);
}

int rowset_grow(struct rowset *s, const void *rows, size_t row_size, uint32_t more)
{
	uint64_t n_slots = 64;
	while ((n_slots - 1) * 3 < ((uint64_t)s->n + more) * 4)
		n_slots *= 2;
	if (n_slots > (uint64_t)1 << 31)
		return -ENOBUFS;
	size_t size = (size_t)n_slots * sizeof(*s->slots);
	if (!membudget_charge(s->budget, size))
		return -ENOBUFS;
	struct rowset bigger = { .mask = (uint32_t)(n_slots - 1), .budget = s->budget };
	bigger.slots = calloc((size_t)n_slots, sizeof(*s->slots));
	if (!bigger.slots) {
		membudget_release(s->budget, size);
		return -ENOMEM;
	}
	put_all(&bigger, rows, row_size, s->n);
	membudget_release(s->budget, slots_size(s));
	free(s->slots);
	*s = bigger;
	return 0;
}
