/* SPDX-License-Identifier: Apache-2.0 */
/* testblock.h: profiles, blocks of them, and what is in a part as hashes to compare.
 *
 *   testblock_fill -> struct head -> testblock_write -> <id>.blk
 *                         |                                |
 *                         `-----------> testblock_see <----'      the same for both
 *
 * For unit tests: whatever goes wrong here fails the running case. */
#pragma once

#include "store/block_build.h"
#include "store/block_part.h"
#include "store/head.h"

/* n profiles of several services, hosts, types and stacks, with labels, and times for some; profile i starts
 * at from_ms + i * step_ms. The same for the same seed. */
void testblock_fill(struct head *h, uint32_t seed, unsigned n, int64_t from_ms, int64_t step_ms);

/* Blocks are sealed with it; NULL, as at first: they are not. */
extern const struct master_key *testblock_seal_with;

/* A block of the parts as file <id>.blk of the folder. Ids, level and times of arrival are the caller's to set
 * in `meta`; a zero id gets one. */
void testblock_write(int dir, const struct part *const *parts, uint32_t n, enum resolution finest,
		     enum resolution coarsest, struct block_meta *meta);

/* Every chunk and window of a part: a hash of all that is said of it, in order. */
struct testblock_seen {
	VEC(uint64_t) hashes;
	uint64_t n_damaged; /* as the scan counted */
	int64_t total[N_RESOLUTIONS];
};

/* At all resolutions the part has. Negative errno of the scan. */
int testblock_see(const struct part *p, struct membudget *budget, struct testblock_seen *ret) must_check;
void testblock_seen_done(struct testblock_seen *s);
/* Whether all of `a` is in `b`. */
bool testblock_is_within(const struct testblock_seen *a, const struct testblock_seen *b);
static inline bool testblock_is_same(const struct testblock_seen *a, const struct testblock_seen *b)
{
	return a->hashes.n == b->hashes.n && testblock_is_within(a, b);
}
