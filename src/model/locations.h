/* SPDX-License-Identifier: Apache-2.0 */
/* locations.h: the frames of stacks put together as pprof's locations.
 *
 *   stack, leaf first:   inner   middle   outer | main
 *                        inlined inlined        |
 *   location 1:          inner < middle < outer     one address, three lines
 *   location 2:          main
 *
 * A chain is a frame and the chain it is inlined into; equal chains have one
 * id, so that a location costs no more than its lines, however many nodes
 * end in it. Chain 0 is none. Borrows the dict, which must not grow. */
#pragma once

#include "model/dict.h"

struct chain {
	uint32_t into; /* chain of the frames this one is inlined into; 0 = none */
	struct frame_id frame;
};

struct locations {
	const struct dict *dict;
	uint32_t *chain_of; /* by node; the location that a stack ending there ends in */
	VEC(struct chain) chains;
	struct u64map ids; /* into << 32 | frame */
};

/* O(nodes). -ENOMEM. */
int locations_init(struct locations *l, const struct dict *d) must_check;
void locations_done(struct locations *l);

/* The innermost node of the next location towards the root; 0 = the root. */
struct node_id locations_caller(const struct locations *l, struct node_id node);
