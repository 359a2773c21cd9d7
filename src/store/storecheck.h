/* SPDX-License-Identifier: Apache-2.0 */
/* storecheck.h: everything in a store's folder read once, while a server may run.
 *
 *   blocks   header, tables, each section and piece of a page: hash, seal, contents; each row and observation
 *   log      each record: hash, seal, body decoded
 *
 * A manifest that is damaged, or lost, is damage, and the blocks are those that a server would make it anew from.
 *
 * A block that goes meanwhile was merged: what took its place is looked at instead. What stands behind the
 * last record of the last segment is a write under way or a torn one, and no damage. */
#pragma once

#include "store/folder.h"

struct storecheck {
	/* The caller's. */
	struct folder *folder;
	size_t memory; /* for one block's tables, one record's profile */
	void (*damaged)(void *arg, const char *file, uint64_t off, const char *what);
	void *arg;

	uint64_t n_blocks, n_pages, n_rows, n_segments, n_records, n_damaged;
	uint64_t torn_bytes; /* behind the last record */
};

/* 0: all was read, n_damaged says how it is. -ENOKEY: a key is not at hand; -ENOBUFS: `memory` is too little;
 * -EBUSY: blocks came and went too fast; -EIO ... */
int storecheck_run(struct storecheck *c, struct error *err) must_check;
