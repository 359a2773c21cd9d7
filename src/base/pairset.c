/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pairset.h"

#include <errno.h>
#include <stdlib.h>

void pairset_init(struct pairset *s, struct membudget *budget)
{
	*s = (struct pairset){ .budget = budget };
}

static size_t slots_size(const struct pairset *s)
{
	return s->mask ? ((size_t)s->mask + 1) * sizeof(*s->slots) : 0;
}

void pairset_done(struct pairset *s)
{
	membudget_release(s->budget, slots_size(s));
	free(s->slots);
	*s = (struct pairset){ .budget = s->budget };
}

int pairset_grow(struct pairset *s, struct pair_columns rows, uint32_t more)
{
	uint64_t n_slots = 64;
	while ((n_slots - 1) * 3 < ((uint64_t)s->n + more) * 4)
		n_slots *= 2;
	if (n_slots > (uint64_t)1 << 31)
		return -ENOBUFS;
	size_t size = (size_t)n_slots * sizeof(*s->slots);
	if (!membudget_charge(s->budget, size))
		return -ENOBUFS;
	struct pairset bigger = { .mask = (uint32_t)(n_slots - 1), .budget = s->budget };
	bigger.slots = calloc((size_t)n_slots, sizeof(*s->slots));
	if (!bigger.slots) {
		membudget_release(s->budget, size);
		return -ENOMEM;
	}
	/* In the order of the rows: their columns are read forwards. */
	for (uint32_t row = 1; row <= s->n; row++)
		pairset_set(&bigger, pairset_free_slot(&bigger, rows.a[row], rows.b[row]), row);
	membudget_release(s->budget, slots_size(s));
	free(s->slots);
	*s = bigger;
	return 0;
}
