/* SPDX-License-Identifier: Apache-2.0 */
/* stackwalk.h: from stacks to nodes of a dict, many at a time.
 *
 *   stack 0: main a b c        walked as far as the tree goes, all stacks
 *   stack 1: main a x          of a batch in turns: while one waits for
 *   stack 2: main d b          memory, the others go on
 *                              then what is new is added, stack by stack
 *
 * A large profile's tree does not fit into the caches and every step leads
 * somewhere else; a walk that waits for each step takes several times as
 * long. Nodes get the ids they would get one stack at a time. */
#pragma once

#include "model/dict.h"

/* How many stacks are worth handing over together. */
#define STACKWALK_BATCH 16

/* `n` frame ids > 0 of the dict, read from the caller towards the leaf:
 * root[0], root[step], root[2 * step] ... */
struct stack_frames {
	const uint32_t *root;
	uint32_t n;
	int32_t step;
	uint32_t from; /* the node to start at, 0 = root */
};

/* frames[from .. from + n); `frames` may be NULL when n is 0. */
static inline struct stack_frames stack_root_first(const uint32_t *frames, uint32_t from, uint32_t n)
{
	return (struct stack_frames){ n ? frames + from : NULL, n, 1, 0 };
}

static inline struct stack_frames stack_leaf_first(const uint32_t *frames, uint32_t from, uint32_t n)
{
	return (struct stack_frames){ n ? frames + from + n - 1 : NULL, n, -1, 0 };
}

/* ret[i] = the node of stacks[i], its nodes added where new; the empty stack
 * is the root. Any number of stacks. 0, -ENOBUFS or -ENOMEM: then some may
 * have been added. */
int stackwalk(struct dict *d, const struct stack_frames *stacks, uint32_t n, struct node_id *ret) must_check;
