/* SPDX-License-Identifier: Apache-2.0 */
/* block_build.h: one block from the profiles of any number of parts.
 *
 *   parts --names--> one dictionary, nodes in preorder
 *         --chunks, series by series, ordered by time--> pages (raw)
 *                                                    \-> sums of 5 min -> of 1 h -> of 1 d
 *
 * Memory follows the distinct names and nodes, and the rows of one day of one
 * series; profiles stream through. */
#pragma once

#include "store/block_format.h"
#include "store/keys.h"

#define BUILD_MAX_PARTS 256

/* Profiles that do not go in: those of chosen series that start in [from, to), and where there are
 * sums only, those of steps that [from, to) meets. All types of a profile are to be chosen, or none. */
struct erasure {
	/* 1, 0, negative errno. */
	int (*chooses)(void *arg, const struct part *p, uint32_t series);
	void *arg;
	int64_t from_ms, to_ms;
};

struct build_options {
	int64_t from_ms, to_ms;	       /* profiles that start in [from, to) */
	bool is_all;		       /* all of the parts do: nothing needs to be looked for */
	const struct erasure *erasure; /* NULL = none; not with is_all */
	enum resolution finest;	       /* what the parts have and the block gets */
	enum resolution coarsest;      /* sums are made up to this one */
	int zstd_level;
	const struct key_row *keys; /* kept with it */
	uint32_t n_keys;
	const struct master_key *seal_with; /* NULL: the block is not sealed */
	struct membudget *budget;
	const _Atomic bool *cancel; /* true: give up soon; may be NULL */
};

struct build_report {
	uint64_t n_damaged; /* pages of the parts that could not be read */
};

/* Writes the file. The caller sets id, level, last_seq, arrival and replaces of `meta`; the rest is set. -ENOBUFS,
 * -ENOMEM, -EIO, -ENOSPC, -ENODATA: no profile starts in the range; -ECANCELED. */
int block_build(const struct part *const *parts, uint32_t n, const struct build_options *o, int fd,
		struct block_meta *meta, struct build_report *ret, struct error *err) must_check;
