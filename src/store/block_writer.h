/* SPDX-License-Identifier: Apache-2.0 */
/* block_writer.h: the file of a block being written: pages as they come, then sections, then the table.
 *
 *   block_writer_init -> block_writer_page ... -> block_writer_section ... -> block_writer_finish
 *
 * A failed write is kept until the end: only block_writer_finish() tells. */
#pragma once

#include "store/block_part.h"

struct block_writer {
	int fd; /* borrowed */
	uint64_t seed, off;
	struct block_id id;
	struct packer packer;
	struct sealing_key key; /* no cipher: nothing is sealed */
	struct buf packed;	/* of a piece to be sealed */
	struct buf out;		/* not yet written */
	struct block_row section[N_SECTIONS];
	uint32_t n_sections;
	int result;
};

/* `level` of zstd. `fd` is empty. `seal_with` NULL: the block is not sealed. -ENOMEM, -EIO. */
int block_writer_init(struct block_writer *w, int fd, const struct block_id *id, int level,
		      const struct master_key *seal_with) must_check;
void block_writer_done(struct block_writer *w);

/* Writes the pieces; sets off, stored, size and hash of the page. */
void block_writer_page(struct block_writer *w, const struct slice piece[static N_PIECES], struct page *page);
void block_writer_section(struct block_writer *w, enum block_section kind, uint32_t n, struct slice plain);

/* Table, trailer, fsync. -EIO, -ENOSPC, -ENOMEM ...: the file is of no use. *ret_size = its size. */
int block_writer_finish(struct block_writer *w, uint64_t *ret_size) must_check;
