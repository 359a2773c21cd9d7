/* SPDX-License-Identifier: Apache-2.0 */
/* compaction.h: which blocks become one, and which go.
 *
 *   a day under way:   0 0 0 0 -> 1     1 1 1 1 -> 2      four of a level become one of the next
 *   a day that is over and quiet: all of it -> one, with sums of 5 min, 1 h, 1 d
 *   by age of arrival: raw profiles go first, sums later
 *   over the limit of bytes: raw of what arrived first, then its sums
 *   at rest with another key than the one to write with: written anew
 *
 * Pure: looks at what blocks say of themselves. */
#pragma once

#include "store/blockset.h"

#define COMPACTION_MAX 64

enum compaction_why {
	COMPACT_MERGE,
	COMPACT_THIN, /* raw profiles go by age */
	COMPACT_THIN_FOR_SPACE,
	COMPACT_EXPIRE, /* the block goes by age */
	COMPACT_EVICT,	/* for space */
	COMPACT_RESEAL, /* written anew with the key of now */
};

struct compaction {
	enum compaction_why why;
	struct block *block[COMPACTION_MAX]; /* of one span of starts */
	uint32_t n;
	uint64_t n_nodes;
	enum resolution finest, coarsest; /* of what comes of them */
	int zstd_level;
};

struct compaction_limits {
	int64_t now_ms;
	uint64_t n_nodes; /* of the blocks that become one, added up */
	int64_t raw_age_ms, sums_age_ms;
	uint64_t bytes;	    /* of all blocks */
	const char *key_id; /* to seal with; NULL = none */
};

/* The next thing to do; false: nothing. Orders `blocks`. */
bool compaction_plan(struct block **blocks, uint32_t n, const struct compaction_limits *l, struct compaction *ret);
