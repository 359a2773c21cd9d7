/* SPDX-License-Identifier: Apache-2.0 */
/* slab.h: a call tree as columns, docs/slab-format.md. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "model/calltree.h"
#include "model/diff.h"

struct slab_meta {
	struct slice type, unit;
	struct slice extra; /* further members of the meta object: `"a":1,"b":[2]`, or empty */
	/* The tree is diff->tree: adds the columns of a comparison; NULL = none. */
	const struct diff *diff;
	bool lines; /* the tree is by lines: say them */
	/* Of a comparison: the subtrees with the smallest shares of both sides are folded until at most so many
	 * nodes remain, as calltree_prune() does it with one side; 0 = none is. */
	uint32_t max_nodes;
};

/* Same tree, same bytes. -E2BIG past out->max, -ENOMEM. */
int slab_encode(const struct calltree *t, const struct slab_meta *meta, struct buf *out) must_check;

/* A checked view of somebody's slab: the columns point into the bytes. Every
 * index is in range, depth[0] = 0 and no node is more than one deeper than
 * the one before. */
struct slab {
	uint32_t n_nodes;
	const uint32_t *func; /* TREE_FUNC_PRUNED: stands for pruned[i] nodes */
	const uint16_t *depth;
	const double *self;
	const uint32_t *pruned;
	const uint8_t *found; /* as calltree.found, but of bits nobody has checked; NULL = not known of any frame */

	uint32_t n_funcs;
	const uint32_t *name, *file, *module; /* string indices */
	const uint8_t *kind;		      /* enum frame_kind, bit 7: no name known */
	const uint32_t *line;		      /* 0 = unknown; NULL = lines do not stand apart */

	uint32_t n_strings;
	const uint32_t *str_offset;
	const uint8_t *str_bytes;
	struct slice meta; /* JSON */
};

/* `bytes` must be aligned to 8 (-EINVAL). -EBADMSG, -ENODATA,
 * -EPROTONOSUPPORT (another version). */
int slab_open(struct slice bytes, struct slab *ret, struct error *err) must_check;

/* Asserts that `index` is one of the slab's. */
struct slice slab_string(const struct slab *s, uint32_t index);
