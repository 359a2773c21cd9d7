/* SPDX-License-Identifier: Apache-2.0 */
/* synthetic.h: call stacks for generators of large inputs, always the same
 * for the same arguments.
 *
 *   parent[node], code[node], depth[node]    parent < child, node 0 the root
 *   leaves[i]                                the stack of sample i
 *
 * A stack is an earlier one, half of the time a recent one, whose last few
 * frames have been replaced: what samples of a busy program look like. */
#pragma once

#include <stdint.h>

/* How deep stacks are, and how many different codes (places in a program,
 * from 1) there are. Some code is everywhere, most is rare. */
struct synthetic_shape {
	uint32_t n_codes, min_depth, max_depth;
};

struct synthetic {
	struct synthetic_shape shape;
	uint32_t *parent, *code, *depth, *leaves;
	uint32_t n, n_leaves;
};

/* Random numbers below `below`, the same in each run. */
uint32_t synthetic_any(uint32_t below);

/* For up to `max_leaves` samples. Ends the program when memory does. */
void synthetic_init(struct synthetic *t, struct synthetic_shape shape, uint32_t max_leaves);
void synthetic_done(struct synthetic *t);

/* Adds a sample and returns its leaf. */
uint32_t synthetic_next(struct synthetic *t);

/* The codes of `node`'s stack, leaf first; room for max_depth. Returns how many. */
uint32_t synthetic_stack(const struct synthetic *t, uint32_t node, uint32_t *ret_codes);
