/* SPDX-License-Identifier: Apache-2.0 */
/* pathcache.h: which node a piece of a stack, as the file writes it, leads to.
 *
 *   stack, root first:   [------ piece ------][------ piece ------][rest]
 *   walked:            node 0             -> node 17            -> node 90
 *   entry:             { from 17, bytes of the piece } -> 90
 *
 * Stacks of one file begin alike. A piece that is in the cache is neither
 * read nor walked: one look into the cache does for all its frames. A place
 * belongs to the piece that came last; a lost one costs a walk.
 *
 * Pieces are cut by the reader, so that equal stacks are cut alike, and must
 * mean the same wherever they stand. */
#pragma once

#include "base/membudget.h"

#include <string.h>

#define PATHCACHE_WORDS 3
#define PATHCACHE_BYTES (PATHCACHE_WORDS * 8)

/* At most PATHCACHE_BYTES bytes, zeros behind or in front of them. */
struct path_piece {
	uint64_t word[PATHCACHE_WORDS];
	uint32_t size; /* bytes */
	uint32_t from; /* node */
};

struct path_entry {
	struct path_piece piece;
	uint32_t node, depth; /* node 0: empty */
};

struct pathcache {
	struct path_entry *entries;
	uint32_t mask;
	struct membudget *budget;
};

/* For `input_size` bytes of stacks. -ENOBUFS, -ENOMEM. */
int pathcache_init(struct pathcache *c, struct membudget *budget, size_t input_size) must_check;
void pathcache_done(struct pathcache *c);

static inline uint64_t pathcache_mix(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)(a ^ 0xa0761d6478bd642f) * (b ^ 0xe7037ed1a0b428db);
	return (uint64_t)(m >> 64) ^ (uint64_t)m;
}

/* Of a piece and all those before it, whose hash is `before` (0: none). */
static inline uint64_t pathcache_hash(uint64_t before, const struct path_piece *p)
{
	return pathcache_mix(pathcache_mix(p->word[0] ^ before, p->word[1]) ^ p->size, p->word[2]);
}

static inline struct path_entry *pathcache_place(const struct pathcache *c, uint64_t hash)
{
	return &c->entries[(uint32_t)(hash >> 20) & c->mask];
}

static inline bool pathcache_holds(const struct path_entry *e, const struct path_piece *p)
{
	return e->node && e->piece.from == p->from && e->piece.size == p->size && e->piece.word[0] == p->word[0] &&
	       e->piece.word[1] == p->word[1] && e->piece.word[2] == p->word[2];
}
