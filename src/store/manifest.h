/* SPDX-License-Identifier: Apache-2.0 */
/* manifest.h: which blocks count (docs/block-format.md), as text.
 *
 * Replaced whole by rename: what a crash leaves is the old list or the new one. */
#pragma once

#include "store/block_format.h"

#define MANIFEST_MAX_BLOCKS 20000
#define MANIFEST_MAX_KEPT   1000

struct manifest {
	struct block_id store;
	uint64_t key_seed;
	uint64_t last_seq; /* of the log's records in blocks */
	VEC(struct block_id) blocks;
	VEC(uint64_t) kept; /* records of the log at most last_seq that no block holds: they could not be read */
};

void manifest_done(struct manifest *m);

/* The text of a manifest. -EBADMSG, -EPROTONOSUPPORT (`err` says which version), -ENOMEM. */
int manifest_parse(struct slice text, struct manifest *ret, struct error *err) must_check;
void manifest_format(const struct manifest *m, struct buf *out);

/* -ENOENT: there is none; -EBADMSG: damaged; -EPROTONOSUPPORT. `dir` is the blocks' folder. */
int manifest_read(int dir, struct manifest *ret, struct error *err) must_check;
/* On disk when it returns 0; else the old one is as it was or, with *ret_unsure, the new
 * one is there but may be gone after a power cut. */
int manifest_write(int dir, const struct manifest *m, bool *ret_unsure, struct error *err) must_check;
