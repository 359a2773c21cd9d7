/* SPDX-License-Identifier: Apache-2.0 */
/* stack_end.h: why stacks of a selection are not whole.
 *
 * An agent gives a sample whose stack does not reach the start of its thread
 * the label stack_end = a name of bpf/stack_end.def. One without the label is
 * whole, or its producer does not say. */
#pragma once

#include "store/part.h"

enum stack_ended {
	STACK_NOT_ENDED, /* no such label */
#define STACK_END(id, name, text) STACK_ENDED_##id,
#include "bpf/stack_end.def"
#undef STACK_END
	STACK_ENDED_OTHERWISE, /* for a reason of a newer agent */
	N_STACK_ENDED
};

/* The label's value and its meaning, of reasons; STACK_ENDED_OTHERWISE has no name of its own (""). */
const char *stack_ended_name(enum stack_ended e);
const char *stack_ended_text(enum stack_ended e);

/* The end of each label set of a part. */
struct stack_ends {
	VEC(uint8_t) of_set; /* enum stack_ended */
	struct membudget *budget;
};

/* -ENOBUFS, -ENOMEM. */
int stack_ends_init(struct stack_ends *ret, const struct part *p, struct membudget *budget) must_check;
void stack_ends_done(struct stack_ends *e);

static inline enum stack_ended stack_ends_of(const struct stack_ends *e, uint32_t labels)
{
	return (enum stack_ended)e->of_set.data[labels];
}
