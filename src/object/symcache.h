/* SPDX-License-Identifier: Apache-2.0 */
/* symcache.h: function ranges met lately, for all objects, in bounded memory.
 *
 *   (object, address) -> [start, end) name module
 *
 *   young  [ nodes ->        <- names ]   <- put, and hits in old
 *   old    [ the same block           ]   dropped whole when young is full
 *            a treap over (object, start)
 *
 * Two generations make "evict what was not used lately" one reset of two
 * arrays: no list to keep, no free per entry, no fragmentation. What is used
 * at least once per turnover stays. Each generation is one block of half of
 * max_size, whose pages become resident as they fill.
 *
 * Objects are numbers of the caller's (0 is not one). An object whose symbols
 * changed (kallsyms refreshed, perf map grown) gets a new number; the ranges
 * of the old one age out. Not thread-safe. */
#pragma once

#include "base/membudget.h"
#include "object/symrange.h"

struct symcache;

struct symcache_stats {
	uint64_t n_hits, n_misses;
	uint64_t n_evictions; /* ranges dropped */
	uint32_t n_ranges;
	size_t size; /* bytes in use */
};

/* At most max_size bytes (64 KiB to 1 GiB), charged to `budget` (NULL: none)
 * for the cache's life. NULL: no memory, or no room in the budget. */
struct symcache *symcache_new(size_t max_size, struct membudget *budget);
void symcache_free(struct symcache **c); /* for _cleanup_ */

/* True and the range that holds `addr`: the slices are valid until the next
 * symcache_find or symcache_put. */
bool symcache_find(struct symcache *c, uint64_t object, uint64_t addr, struct symrange *ret);

/* Gives all ranges and their memory back. */
void symcache_clear(struct symcache *c);

/* Adds a range; one that starts at the same address is replaced. Names over
 * SYMBOL_NAME_MAX are cut. */
void symcache_put(struct symcache *c, uint64_t object, const struct symrange *range);

struct symcache_stats symcache_stats(const struct symcache *c);
