/* SPDX-License-Identifier: Apache-2.0 */
/* block_part.h: a block as a part, with its tables in memory and its pages on disk.
 *
 *   series 0   pages[first[0] .. first[1]) raw | [first[1] .. first[2]) 5 min | 1 h | 1 d
 *   series 1   pages ...
 *
 * Read only: its strings and rows cannot be interned into. Everything that was
 * read has been checked: ids exist, pages lie within the file. */
#pragma once

#include "store/block_file.h"
#include "store/keys.h"

enum page_piece { PIECE_HEADS, PIECE_ROWS, PIECE_TIMES, N_PIECES };

struct page {
	uint64_t off;
	int64_t from_ms, to_ms; /* of its chunks */
	uint32_t n_chunks;
	uint32_t stored[N_PIECES], size[N_PIECES];
	uint64_t hash[N_PIECES];
};

struct series_pages {
	uint32_t first[N_RESOLUTIONS + 1]; /* into block_pages.pages; [r] .. [r + 1) */
};

struct block_pages {
	struct block_file file;
	VEC(struct page) pages;
	VEC(struct series_pages) series; /* n as part.series.n */
};

struct block_part {
	struct part part;
	struct block_pages pages;
	struct membudget *budget;
};

/* Opens and reads it whole. `keys` (block_file_open) and `budget` outlive it. -EBADMSG, -EPROTONOSUPPORT, -EIO,
 * -ENOBUFS, -ENOMEM. */
int block_part_load(struct block_part *b, int dir, const char *name, const struct keyring *keys,
		    struct membudget *budget, struct error *err) must_check;
void block_part_done(struct block_part *b);

/* The keys of an open block, each given to `add`, whose failure ends it. */
int block_read_keys(const struct block_file *f, int (*add)(void *arg, const struct key_row *row), void *arg,
		    struct membudget *budget, struct error *err) must_check;
