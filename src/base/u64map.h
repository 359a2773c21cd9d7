/* SPDX-License-Identifier: Apache-2.0 */
/* u64map.h: u64 -> u32, open addressing, linear probing.
 *
 *   slots: { key, value }   value 0 = empty slot, so values start at 1
 *
 * No removal. Load stays under 3/4. Not thread-safe. */
#pragma once

#include "base/membudget.h"

struct u64map_slot;

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

/* Value of `key` or 0. */
uint32_t u64map_get(const struct u64map *m, uint64_t key);

/* Starts to fetch what u64map_get() of `key` will read. */
void u64map_prefetch(const struct u64map *m, uint64_t key);

/* Points to the value of `key`, adding it with value 0 if absent: the caller
 * must then store a value > 0 before any other call. NULL: budget spent. */
uint32_t *u64map_put(struct u64map *m, uint64_t key) must_check;
