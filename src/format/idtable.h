/* SPDX-License-Identifier: Apache-2.0 */
/* idtable.h: a file's own 64-bit ids -> ours.
 *
 *   id < n_direct   direct[id]     nearly every producer counts from 1
 *   else            sparse         some use addresses or hashes
 *
 * 0 is "not defined". The direct part is sized by how many rows the file
 * really holds, never by the ids it claims. */
#pragma once

#include "base/u64map.h"

#include <errno.h>
#include <string.h>

struct idtable {
	uint32_t *direct;
	uint32_t n_direct, cap;
	struct u64map sparse;
	struct membudget *budget;
};

/* For `n_rows` rows. */
static inline int must_check idtable_init(struct idtable *t, struct membudget *budget, uint32_t n_rows)
{
	*t = (struct idtable){ .budget = budget };
	u64map_init(&t->sparse, budget);
	uint32_t n = n_rows < UINT32_MAX / 16 ? n_rows + n_rows / 2 + 64 : n_rows;
	int r = vec_grow(budget, (void **)&t->direct, &t->cap, n, UINT32_MAX / 2, sizeof(*t->direct));
	if (r < 0)
		return r;
	memset(t->direct, 0, (size_t)n * sizeof(*t->direct));
	t->n_direct = n;
	return 0;
}

static inline void idtable_done(struct idtable *t)
{
	vec_free(t->budget, (void **)&t->direct, &t->cap, sizeof(*t->direct));
	u64map_done(&t->sparse);
	t->n_direct = 0;
}

static inline uint32_t idtable_get(const struct idtable *t, uint64_t id)
{
	if (__builtin_expect(id < t->n_direct, 1))
		return t->direct[id];
	return u64map_get(&t->sparse, id);
}

/* Whether nearly all ids are in `direct`. */
static inline bool idtable_is_dense(const struct idtable *t)
{
	return t->sparse.n < t->n_direct / 16;
}

/* -EEXIST when `id` is defined already, -ENOBUFS. */
static inline int must_check idtable_set(struct idtable *t, uint64_t id, uint32_t value)
{
	uint32_t *slot = id < t->n_direct ? &t->direct[id] : u64map_put(&t->sparse, id);
	if (!slot)
		return -ENOBUFS;
	if (*slot)
		return -EEXIST;
	*slot = value;
	return 0;
}
