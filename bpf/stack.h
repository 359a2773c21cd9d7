/* SPDX-License-Identifier: Apache-2.0 */
/* stack.h: what is known of a user stack beside its addresses. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum stack_end {
	STACK_GOES_ON,
#define STACK_END(id, name, text) STACK_END_##id,
#include "stack_end.def"
#undef STACK_END
	N_STACK_ENDS
};

/* How the pc of a frame was found. */
enum frame_how {
	HOW_UNKNOWN,
	HOW_REGISTER,  /* the thread's own pc */
	HOW_TABLE,     /* by the callee's unwind information */
	HOW_SIGNAL,    /* what a signal interrupted, from the kernel's frame */
	HOW_FP,	       /* by the callee's frame pointer */
	HOW_HEURISTIC, /* the word on top of the stack looks like a return address */
	N_FRAME_HOWS
};

/* A frame on the way from the leaf to the root. */
struct walk {
	uint64_t pc, sp, fp;
	uint64_t link; /* arm64's x30; 0 but in the leaf */
	bool is_call;  /* pc is a return address */
	bool fp_lost;  /* fp is not the frame's */
	uint8_t how;   /* enum frame_how */
	uint8_t pad[5];
};
