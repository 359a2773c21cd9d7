/* SPDX-License-Identifier: Apache-2.0 */
/* block_scan.h: scan.h for the chunks of a block.
 *
 *   1 d    |..........................|      looked at first, taken if it fits
 *   1 h    |...|...|...|...|...|...|...|     else its hours, of which some may fit
 *   5 min  ||||
 *   raw    |||||||||
 *
 * Chunks of a resolution are ordered by start, and steps lie within the steps of
 * the next coarser one: each resolution is walked once, forward. */
#pragma once

#include "store/block_part.h"
#include "store/scan.h"

struct block_scan;

struct block_scan *block_scan_new(const struct scan *s, const struct block_pages *pages); /* NULL: no memory */
void block_scan_free(struct block_scan **b);

void block_scan_series(struct scan *s);
int block_scan_next(struct scan *s) must_check;
int block_scan_rows(struct scan *s, struct rows *ret) must_check;
int block_scan_times(struct scan *s, const struct rows *rows, const struct observation **ret,
		     uint32_t *ret_n) must_check;
