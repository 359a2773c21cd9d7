/* SPDX-License-Identifier: Apache-2.0 */
#include "store/keys.h"

#include <assert.h>
#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define HOUR_MS INT64_C(3600000)

void keys_init(struct keys *k, uint64_t seed, size_t memory_max)
{
	*k = (struct keys){ .seed = seed, .budget = membudget_of(memory_max) };
}

static void generation_done(struct keys *k, struct key_generation *g)
{
	u64map_done(&g->ids);
	vec_done(&k->budget, &g->hash);
	vec_done(&k->budget, &g->state);
}

void keys_done(struct keys *k)
{
	while (k->n > 0)
		generation_done(k, &k->generation[--k->n]);
}

uint64_t keys_count(const struct keys *k)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < k->n; i++)
		n += k->generation[i].hash.n;
	return n;
}

static struct key_hash hash_of(const struct keys *k, struct slice key)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(key.data, key.size, k->seed);
	return (struct key_hash){ hash.low64, hash.high64 };
}

/* Its row + 1, or 0 and *ret_at is where it would go. */
static uint32_t generation_find(const struct key_generation *g, struct key_hash hash, uint64_t *ret_at)
{
	uint32_t row;
	*ret_at = hash.low;
	while ((row = u64map_get(&g->ids, *ret_at)) &&
	       (g->hash.data[row - 1].low != hash.low || g->hash.data[row - 1].high != hash.high))
		++*ret_at;
	return row;
}

static uint8_t *find(const struct keys *k, struct key_hash hash)
{
	for (unsigned i = 0; i < k->n; i++) {
		uint64_t at;
		uint32_t row = generation_find(&k->generation[i], hash, &at);
		if (row)
			return &k->generation[i].state.data[row - 1];
	}
	return NULL;
}

enum key_state keys_state(const struct keys *k, struct slice key)
{
	const uint8_t *state = key.size ? find(k, hash_of(k, key)) : NULL;
	return state ? (enum key_state) * state : KEY_UNKNOWN;
}

static void drop_oldest(struct keys *k)
{
	generation_done(k, &k->generation[--k->n]);
}

/* The generation of this hour. NULL: it is older than all and there is no place for it. */
static struct key_generation *generation_of(struct keys *k, int64_t hour, int64_t now_ms)
{
	while (k->n > 0 && (k->generation[k->n - 1].hour + 1) * HOUR_MS + KEYS_MAX_AGE_MS < now_ms)
		drop_oldest(k);
	unsigned at = 0;
	while (at < k->n && k->generation[at].hour > hour)
		at++;
	if (at < k->n && k->generation[at].hour == hour)
		return &k->generation[at];
	/* Clocks jump: the oldest goes, even if it is not old. */
	if (k->n == KEYS_GENERATIONS) {
		if (at == k->n)
			return NULL;
		drop_oldest(k);
	}
	memmove(&k->generation[at + 1], &k->generation[at], (k->n - at) * sizeof(k->generation[0]));
	k->generation[at] = (struct key_generation){ .hour = hour };
	u64map_init(&k->generation[at].ids, &k->budget);
	k->n++;
	return &k->generation[at];
}

static int generation_add(struct keys *k, struct key_generation *g, struct key_hash hash, uint32_t *ret)
{
	int r = vec_reserve(&k->budget, &g->hash, 1);
	if (r == 0)
		r = vec_reserve(&k->budget, &g->state, 1);
	if (r < 0)
		return r;
	uint64_t at;
	uint32_t row = generation_find(g, hash, &at);
	if (!row) {
		uint32_t *slot = u64map_put(&g->ids, at);
		if (!slot)
			return -ENOBUFS;
		g->hash.data[g->hash.n++] = hash;
		g->state.data[g->state.n++] = KEY_UNKNOWN;
		*slot = row = g->hash.n;
	}
	*ret = row - 1;
	return 0;
}

/* When memory is spent, older generations go first. */
static int add(struct keys *k, struct key_hash hash, int64_t hour, int64_t now_ms, struct key_generation **ret_g,
	       uint32_t *ret)
{
	for (;;) {
		struct key_generation *g = generation_of(k, hour, now_ms);
		int r = g ? generation_add(k, g, hash, ret) : -ENOBUFS;
		*ret_g = g;
		if (r != -ENOBUFS || k->n < 2 || k->generation[k->n - 1].hour >= hour)
			return r;
		k->n_forgotten += k->generation[k->n - 1].hash.n;
		drop_oldest(k);
	}
}

int keys_stage(struct keys *k, struct slice key, int64_t now_ms, struct key_ref *ret)
{
	*ret = (struct key_ref){ 0 };
	if (key.size == 0)
		return 0;
	struct key_ref ref = { .is_set = true, .row = { hash_of(k, key), now_ms }, .hour = now_ms / HOUR_MS };
	struct key_generation *g;
	int r = add(k, ref.row.hash, ref.hour, now_ms, &g, &ref.at);
	if (r == -ENOBUFS) {
		/* Older than a day, or all memory is this hour's: the profile counts more than its key. */
		k->n_forgotten++;
		return 0;
	}
	if (r < 0)
		return r;
	assert(g->state.data[ref.at] == KEY_UNKNOWN);
	g->state.data[ref.at] = KEY_PENDING;
	*ret = ref;
	return 0;
}

/* The generation may have gone meanwhile, and another one of its hour be there. */
static bool is_at(const struct key_generation *g, const struct key_ref *ref)
{
	const struct key_hash *hash = &ref->row.hash;
	return g->hour == ref->hour && ref->at < g->hash.n && g->hash.data[ref->at].low == hash->low &&
	       g->hash.data[ref->at].high == hash->high;
}

void keys_settle(struct keys *k, const struct key_ref *ref, bool stored)
{
	for (unsigned i = 0; ref->is_set && i < k->n; i++)
		if (is_at(&k->generation[i], ref))
			k->generation[i].state.data[ref->at] = stored ? KEY_STORED : KEY_UNKNOWN;
}

int keys_add(struct keys *k, const struct key_row *row, int64_t now_ms)
{
	if (row->arrived_ms + KEYS_MAX_AGE_MS < now_ms || find(k, row->hash))
		return 0;
	struct key_generation *g;
	uint32_t at;
	int r = add(k, row->hash, row->arrived_ms / HOUR_MS, now_ms, &g, &at);
	if (r == 0)
		g->state.data[at] = KEY_STORED;
	k->n_forgotten += r == -ENOBUFS;
	return r == -ENOBUFS ? 0 : r;
}
