/* SPDX-License-Identifier: Apache-2.0 */
/* keys.h: the idempotency keys of the last day.
 *
 *   hour 480001   hash hash hash ...      one generation for each hour of arrival
 *   hour 480002   hash hash ...
 *
 *   stage -> pending -> settle: stored, or as if it had never come
 *
 * 128 bits of hash stand for a key; they are seeded, so that chosen keys
 * cannot be made to collide. A generation goes when it is a day old, or
 * earlier when memory for keys is spent, which is counted. Not thread-safe. */
#pragma once

#include "base/slice.h"
#include "base/u64map.h"

#define KEYS_MAX_AGE_MS	 (24 * INT64_C(3600000))
#define KEYS_GENERATIONS 26

enum key_state { KEY_UNKNOWN, KEY_PENDING, KEY_STORED };

struct key_hash {
	uint64_t low, high;
};

/* A stored key, as blocks keep it. */
struct key_row {
	struct key_hash hash;
	int64_t arrived_ms;
};

struct key_generation {
	int64_t hour;
	struct u64map ids; /* low half, probed onwards -> row + 1 */
	VEC(struct key_hash) hash;
	VEC(uint8_t) state; /* enum key_state; n as hash.n */
};

struct keys {
	uint64_t seed;
	struct key_generation generation[KEYS_GENERATIONS]; /* the newest first */
	unsigned n;
	uint64_t n_forgotten; /* before they were a day old: memory */
	struct membudget budget;
};

/* Where a key stands that was staged. generation_hour and row find it. */
struct key_ref {
	bool is_set;
	struct key_row row;
	int64_t hour;
	uint32_t at;
};

void keys_init(struct keys *k, uint64_t seed, size_t memory_max);
void keys_done(struct keys *k);
uint64_t keys_count(const struct keys *k);

/* KEY_UNKNOWN for an empty key. */
enum key_state keys_state(const struct keys *k, struct slice key);

/* The key becomes pending; an empty key is none, and so is one there is no room
 * for, which is counted. -ENOMEM. */
int keys_stage(struct keys *k, struct slice key, int64_t now_ms, struct key_ref *ret) must_check;
void keys_settle(struct keys *k, const struct key_ref *ref, bool stored);

/* A key that a block holds. -ENOMEM. */
int keys_add(struct keys *k, const struct key_row *row, int64_t now_ms) must_check;
