/* SPDX-License-Identifier: Apache-2.0 */
/* page_writer.h: chunks of one series and one resolution gathered into pages. */
#pragma once

#include "store/block_writer.h"
#include "store/column.h"
#include "store/rows.h"
#include "store/times.h"

struct page_writer {
	struct block_writer *writer;
	VEC(struct chunk) chunks; /* of the page being filled */
	int64_t to_ms;		  /* latest end of them */
	struct buf rows[N_ROW_COLUMNS];
	bool any_labels;
	struct columns times; /* of the piece */
	uint64_t n_observations;
	struct columns columns; /* scratch */
	struct buf piece[N_PIECES];
	VEC(struct page) pages; /* of the series being written */
	struct membudget *budget;
};

void page_writer_init(struct page_writer *p, struct block_writer *w, struct membudget *budget);
void page_writer_done(struct page_writer *p);

/* When samples of a chunk were taken; their rows are indices of the chunk's. */
struct chunk_times {
	struct observation *observations; /* their order changes */
	uint32_t n;
};

/* Chunks come ordered by start; rows are folded. Sets scale and total of the
 * chunk. `times` may be NULL. */
int page_writer_add(struct page_writer *p, struct chunk *c, const struct row *rows, uint32_t n,
		    const struct chunk_times *times) must_check;
/* The series ends: its pages are appended to those of `to`. */
int page_writer_end_series(struct page_writer *p, struct block_pages *to) must_check;
