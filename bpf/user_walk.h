/* SPDX-License-Identifier: Apache-2.0 */
/* user_walk.h: a walk in the making, see unwind.h. */
#pragma once

#include "abi.h"

#define CHUNK_WORDS 128 /* a power of two */

struct user_walk {
	struct walk walk; /* first: walk_read() gets no more than this */
	/* The process's: */
	uint32_t list, n_mappings;
	/* Where the last pc was: */
	struct pool_mapping mapping;
	struct pool_table table;
	uint64_t page_number;
	uint32_t page; /* word of its heads; 0 = no rows */

	uint32_t chunk_size;
	uint64_t chunk; /* address of the first word */
	uint64_t words[CHUNK_WORDS];

	uint64_t hash;
	struct record_stack stack;
};

/* What replay.bpf.c works on: user space fills user.list, user.n_mappings and
 * `memory`, and finds the result in user.stack. */
struct replay_area {
	struct user_walk user;
	struct record_memory memory;
	uint64_t beyond[CHUNK_WORDS]; /* for the verifier: a chunk that begins at the last word */
};
