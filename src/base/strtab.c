/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strtab.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int strtab_init(struct strtab *t, struct membudget *budget)
{
	*t = (struct strtab){ .budget = budget };
	int r = vec_reserve(budget, &t->offset, 1);
	if (r < 0)
		return r;
	t->offset.data[t->offset.n++] = 0;
	struct str_id none;
	r = strtab_intern(t, slice_of("", 0), &none);
	if (r < 0)
		strtab_done(t);
	return r;
}

static size_t slots_size(const struct strtab *t)
{
	return t->mask ? ((size_t)t->mask + 1) * sizeof(*t->slots) : 0;
}

void strtab_done(struct strtab *t)
{
	vec_done(t->budget, &t->bytes);
	vec_done(t->budget, &t->offset);
	vec_done(t->budget, &t->hash);
	membudget_release(t->budget, slots_size(t));
	free(t->slots);
	*t = (struct strtab){ .budget = t->budget };
}

struct slice strtab_get(const struct strtab *t, struct str_id id)
{
	assert(id.v < strtab_count(t));
	uint32_t from = t->offset.data[id.v];
	return slice_of(t->bytes.data + from, t->offset.data[id.v + 1] - from - 1);
}

static inline uint32_t hash_of(struct slice s)
{
	return (uint32_t)XXH3_64bits(s.data, s.size);
}

/* Slot that holds `s`, or the empty one where it belongs. */
static uint32_t *probe(const struct strtab *t, struct slice s, uint32_t hash)
{
	uint32_t i = hash & t->mask, v;
	while ((v = t->slots[i]) != 0) {
		if (((v ^ hash) & ~t->mask) == 0 && slice_eq(strtab_get(t, (struct str_id){ (v & t->mask) - 1 }), s))
			break;
		i = (i + 1) & t->mask;
	}
	return &t->slots[i];
}

/* Makes the slots so many that `n` strings are under 3/4 of them. */
static int grow(struct strtab *t, uint64_t n)
{
	uint64_t n_slots = t->mask ? ((uint64_t)t->mask + 1) * 2 : 64;
	while ((n_slots - 1) * 3 < n * 4)
		n_slots *= 2;
	if (n_slots > (uint64_t)1 << 31)
		return -ENOBUFS;
	size_t size = (size_t)n_slots * sizeof(*t->slots);
	if (!membudget_charge(t->budget, size))
		return -ENOBUFS;
	uint32_t *slots = calloc((size_t)n_slots, sizeof(*slots));
	if (!slots) {
		membudget_release(t->budget, size);
		return -ENOMEM;
	}
	uint32_t mask = (uint32_t)(n_slots - 1);
	for (uint32_t id = 0; id < t->hash.n; id++) {
		uint32_t i = t->hash.data[id] & mask;
		while (slots[i])
			i = (i + 1) & mask;
		slots[i] = (t->hash.data[id] & ~mask) | (id + 1);
	}
	membudget_release(t->budget, slots_size(t));
	free(t->slots);
	t->slots = slots;
	t->mask = mask;
	return 0;
}

struct str_id strtab_find(const struct strtab *t, struct slice s, bool *ret_found)
{
	uint32_t slot = t->slots ? *probe(t, s, hash_of(s)) : 0;
	*ret_found = slot != 0;
	return (struct str_id){ slot ? (slot & t->mask) - 1 : 0 };
}

void strtab_reserve(struct strtab *t, uint32_t n_strings, uint32_t n_bytes)
{
	uint64_t n = (uint64_t)t->hash.n + n_strings;
	if ((uint64_t)n_bytes + n_strings > VEC_MAX || vec_reserve(t->budget, &t->bytes, n_bytes + n_strings) < 0 ||
	    vec_reserve(t->budget, &t->offset, n_strings) < 0 || vec_reserve(t->budget, &t->hash, n_strings) < 0)
		return;
	if (n * 4 > (uint64_t)t->mask * 3)
		(void)!grow(t, n);
}

/* Room for one more, which is not there: its slot moves when the table grows. */
static int make_room(struct strtab *t, struct slice s, uint32_t hash, uint32_t **slot)
{
	if (s.size >= VEC_MAX)
		return -ENOBUFS;
	int r = 0;
	if (!t->slots || (uint64_t)t->hash.n * 4 >= (uint64_t)t->mask * 3) {
		r = grow(t, 0);
		if (r == 0)
			*slot = probe(t, s, hash);
	}
	if (r == 0)
		r = vec_reserve(t->budget, &t->bytes, (uint32_t)s.size + 1);
	if (r == 0)
		r = vec_reserve(t->budget, &t->offset, 1);
	return r == 0 ? vec_reserve(t->budget, &t->hash, 1) : r;
}

static int intern(struct strtab *t, struct slice s, uint32_t hash, struct str_id *ret)
{
	uint32_t *slot = t->slots ? probe(t, s, hash) : NULL;
	if (slot && *slot) {
		ret->v = (*slot & t->mask) - 1;
		return 0;
	}
	int r = make_room(t, s, hash, &slot);
	if (r < 0)
		return r;
	uint32_t id = t->hash.n;
	if (s.size)
		memcpy(t->bytes.data + t->bytes.n, s.data, s.size);
	t->bytes.data[t->bytes.n + s.size] = 0;
	t->bytes.n += (uint32_t)s.size + 1;
	t->offset.data[t->offset.n++] = t->bytes.n;
	t->hash.data[t->hash.n++] = hash;
	*slot = (hash & ~t->mask) | (id + 1);
	ret->v = id;
	return 0;
}

int strtab_intern(struct strtab *t, struct slice s, struct str_id *ret)
{
	return intern(t, s, hash_of(s), ret);
}

int strtab_intern_from(struct strtab *t, const struct strtab *from, struct str_id id, struct str_id *ret)
{
	struct slice s = strtab_get(from, id);
	return intern(t, s, id.v < from->hash.n ? from->hash.data[id.v] : hash_of(s), ret);
}
