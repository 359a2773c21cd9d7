/* SPDX-License-Identifier: Apache-2.0 */
/* perfdata_map.h: which code lies where in an address space.
 *
 *   space a  root --> [..)      [..)          treap by start; ranges never
 *   space b  root ------^  [..)               overlap; shared after a fork
 *
 * A fork shares all nodes: each node belongs to the owner that made it, and
 * who changes a node of another copies it first. So a fork costs nothing and
 * a map or a look-up O(log n), whatever the order of addresses. Priorities
 * come from a hash of the input, which its writer cannot aim at. */
#pragma once

#include "base/membudget.h"

struct map_node {
	uint64_t start, end;
	uint32_t left, right; /* 0 = none */
	uint32_t owner;
	uint32_t priority;
	uint32_t area; /* the caller's */
	uint32_t pad;
};

struct map_pool {
	VEC(struct map_node) nodes; /* [0] is none */
	uint32_t n_owners;
	uint32_t max;
	uint64_t seed;
	struct membudget *budget;
	int error; /* sticky: -ENOBUFS, -ENOMEM, -E2BIG (over `max` nodes) */
};

/* An address space; { 0 } is an empty one that needs map_space_init(). */
struct map_space {
	uint32_t root, owner;
	uint32_t version; /* changes whenever an answer may; unique in the pool */
};

int map_pool_init(struct map_pool *p, uint64_t seed, uint32_t max, struct membudget *budget) must_check;
void map_pool_done(struct map_pool *p);

void map_space_init(struct map_pool *p, struct map_space *s); /* nothing mapped */
/* `child` starts as a copy of `parent`. */
void map_space_fork(struct map_pool *p, struct map_space *parent, struct map_space *child);

/* [start, end) is now `area`; what was there is gone. Failure sticks in p->error. */
void map_space_put(struct map_pool *p, struct map_space *s, uint64_t start, uint64_t end, uint32_t area);
/* [start, end) is free. */
void map_space_drop(struct map_pool *p, struct map_space *s, uint64_t start, uint64_t end);

/* The area at `address`, 0 = none. */
uint32_t map_space_find(const struct map_pool *p, const struct map_space *s, uint64_t address);
