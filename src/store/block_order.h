/* SPDX-License-Identifier: Apache-2.0 */
/* block_order.h: new numbers for the rows of a part that becomes a block.
 *
 *   nodes     preorder, so that what belongs together has numbers close together
 *   frames    by first use in that order; functions and mappings by first use of those frames
 *   strings   by first use of all that; words of the directory (hosts, series ...) behind them
 *
 * What no wanted node or label set needs gets no number and is not written. */
#pragma once

#include "store/part.h"

/* Numbers of one table. Row 0 is row 0. */
struct numbering {
	uint32_t *new_id; /* by old number; 0 = none */
	uint32_t *old_id; /* by new number */
	uint32_t n;	  /* numbers given, 0 not counted */
};

struct block_order {
	struct numbering node, frame, function, mapping, label_set, string; /* of names */
	struct numbering word;						    /* of the directory's strings */
	size_t charged;
	struct membudget *budget;
};

/* Of the nodes and label sets whose byte is set, and all that they need; NULL =
 * of all. A node's parents need no byte of their own. -ENOBUFS, -ENOMEM. */
int block_order_init(struct block_order *o, const struct profile *names, const struct strtab *words, uint8_t *nodes,
		     const uint8_t *label_sets, struct membudget *budget) must_check;
void block_order_done(struct block_order *o);

/* The number of a string of the directory, a new one if it has none. */
uint32_t block_order_word(struct block_order *o, struct str_id id);
