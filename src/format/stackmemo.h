/* SPDX-License-Identifier: Apache-2.0 */
/* stackmemo.h: the node that the callers' part of a stack led to, by its bytes.
 *
 *   ids:  leaf ... | ... caller ... main      packed, leaf first
 *         0        cut                  size
 *
 * Stacks of a busy program differ in their last few frames only, and so do
 * the bytes of their packed ids: what stands behind the cut has mostly been
 * read before. A row of a small direct-mapped table says where, and to which
 * node it led. Bytes are compared, never just their hash. */
#pragma once

#include "base/membudget.h"
#include "base/slice.h"

struct stackmemo_row {
	const uint8_t *at; /* of the bytes, within the input */
	uint32_t size;
	uint32_t n_frames; /* that they stand for */
	uint32_t node;
	uint32_t hash;
};

struct stackmemo {
	struct stackmemo_row *rows; /* NULL: none, nothing is ever found */
	struct membudget *budget;
};

/* Without memory to spare there is no table, which only costs time. */
void stackmemo_init(struct stackmemo *m, struct membudget *budget);
void stackmemo_done(struct stackmemo *m);

/* Where to cut: 0 = not at all. The bytes before it are few, and the cut is
 * where an id begins. */
size_t stackmemo_cut(struct slice ids);

/* The row for these bytes, which either is about them (*ret_found) or may
 * be overwritten; NULL without a table. */
struct stackmemo_row *stackmemo_find(struct stackmemo *m, struct slice bytes, bool *ret_found);
