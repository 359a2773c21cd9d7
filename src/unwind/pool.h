/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h: the memory behind bpf/pool.h: rules, tables, and words in segments.
 *
 *   segment 0  [#][table of libc....][list of pid 7][free     ]    1 MiB each
 *   segment 1  [table of node.................................]
 *   segment 2  none                                                made when needed
 *
 * In the kernel's maps (struct pool_maps) or, without them, in this process.
 * Of the kernel's segments, whose pages count as resident while they are mapped,
 * a window is mapped to be written to; pool_settle() lets go of all.
 *
 * Words are given out in units of 64 bytes. What pool_free() takes back is
 * "withdrawn": programs that run right now may still read it, so it becomes
 * free in pool_reclaim() only, which waits for them. Not thread-safe. */
#pragma once

#include "base/u64map.h"
#include "bpf/pool.h"
#include "bpf/rule.h"

#define POOL_UNIT_WORDS 16

struct pool;

/* The kernel side. Segments are maps whose value is their words; new_segment and
 * drop_segment keep the array of segments up to date. forget: what programs
 * remember of tables is void. */
struct pool_maps {
	int rules_fd, tables_fd;
	int (*new_segment)(void *arg, uint32_t number); /* its fd, or -errno */
	void (*drop_segment)(void *arg, uint32_t number, int fd);
	void (*forget)(void *arg);
	void *arg;
};

struct pool_stats {
	uint32_t n_segments, n_rules, n_slots;
	uint64_t n_used_words; /* withdrawn ones included */
	uint64_t n_rules_full; /* rules that found no room: RULE_UNSUPPORTED in their place */
};

/* At most `max_segments`. `maps` may be NULL. -ENOMEM, or what mmap says. */
int pool_new(const struct pool_maps *maps, uint32_t max_segments, struct pool **ret) must_check;
void pool_free_all(struct pool **p); /* for _cleanup_ */

/* n words in a row, n > 0. -ENOBUFS when no segment has them and no further
 * one may be made; -E2BIG when they do not fit into any; or new_segment()'s. */
int pool_alloc(struct pool *p, uint32_t n, uint32_t *ret_word) must_check;
void pool_free(struct pool *p, uint32_t word, uint32_t n);

/* The memory of n words, until the next call of this or of pool_settle().
 * NULL: it could not be mapped. */
uint32_t *pool_words(struct pool *p, uint32_t word, uint32_t n) must_check;
void pool_settle(struct pool *p);

/* Makes free what was withdrawn, and drops segments without content. Takes as
 * long as a grace period of the kernel (tens of ms, asleep) when there is any. */
void pool_reclaim(struct pool *p);
bool pool_has_withdrawn(const struct pool *p);

/* The number of an equal rule, or of a new one; of an unsupported one when the
 * table of rules is full. */
uint16_t pool_rule(struct pool *p, const struct unwind_rule *rule);

/* A slot without a table. 0: all are in use. It is the caller's until
 * pool_drop_slot(), and no one else's before the next pool_reclaim(). */
uint32_t pool_new_slot(struct pool *p);
void pool_drop_slot(struct pool *p, uint32_t slot);
void pool_set_table(struct pool *p, uint32_t slot, const struct pool_table *table);

/* For the native walk. NULL: no such segment (or it cannot be mapped). */
const uint32_t *pool_segment(struct pool *p, uint32_t number);
const struct pool_table *pool_tables(const struct pool *p);
const struct unwind_rule *pool_rules(const struct pool *p);

struct pool_stats pool_stats(const struct pool *p);
