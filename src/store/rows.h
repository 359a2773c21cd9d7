/* SPDX-License-Identifier: Apache-2.0 */
/* rows.h: the samples of one chunk as three columns (docs/block-format.md).
 *
 *   struct row[]  --rows_put-->  node | labels | value     differences, value / scale
 *                 <--rows_get--  struct rows: one array each
 *
 * Rows stand by (node, labels), each pair once. `scale` is the greatest common
 * divisor of the values: a CPU profile's are multiples of its period, so a row
 * mostly takes 2-4 bytes. Memory and blocks pack rows alike; ids are those of
 * the part that holds the chunk. */
#pragma once

#include "base/membudget.h"
#include "store/column.h"

struct row {
	uint32_t node, labels;
	int64_t value;
};

/* By (node, labels). */
void rows_sort(struct row *rows, uint32_t n);

/* By (node, labels); equal rows are summed and those of value 0 left out. The new n. */
uint32_t rows_fold(struct row *rows, uint32_t n);

/* Of folded rows: what a chunk says of them. */
int64_t rows_scale(const struct row *rows, uint32_t n);
int64_t rows_total(const struct row *rows, uint32_t n);

enum row_column { ROW_NODE, ROW_LABELS, ROW_VALUE, N_ROW_COLUMNS };

/* Appends folded rows to the three columns. */
void rows_put(struct buf column[static N_ROW_COLUMNS], const struct row *rows, uint32_t n, int64_t scale);

/* Unpacked rows: arrays of n, valid until the next call that writes there. */
struct rows {
	uint32_t n;
	const uint32_t *node;
	const uint32_t *labels; /* NULL: all 0 */
	const int64_t *value;
};

/* Reads chunks one behind the other. The columns' bytes outlive it. */
struct rows_reader {
	struct column column[N_ROW_COLUMNS];
	uint32_t max_node, max_labels; /* the largest ids there are */
	/* Of the arrays handed out. */
	uint32_t *node, *labels;
	int64_t *value;
	uint32_t cap;
	struct membudget *budget;
};

void rows_reader_init(struct rows_reader *r, uint32_t max_node, uint32_t max_labels, struct membudget *budget);
void rows_reader_done(struct rows_reader *r);
/* Takes other columns, keeps the arrays. */
void rows_reader_open(struct rows_reader *r, const struct column column[static N_ROW_COLUMNS]);

/* The next n rows. -EBADMSG: they are not whole, or not of this part; -ENOBUFS, -ENOMEM. */
int rows_get(struct rows_reader *r, uint32_t n, int64_t scale, struct rows *ret) must_check;
/* Leaves n rows out. */
void rows_skip(struct rows_reader *r, uint32_t n);
