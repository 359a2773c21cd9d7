/* SPDX-License-Identifier: Apache-2.0 */
/* coverage.h: how well the code of each binary is unwound.
 *
 *   binary      frames found by   table  frame pointer  guess ...
 *               stacks that end in it   root  no_unwind_info ...
 *
 * Counted in samples since the agent began. The binaries that were met least
 * make room for new ones; what they had is in the row without a path, so sums stay right. */
#pragma once

#include "agent/window.h"

#define COVERAGE_ROWS 256

struct coverage_row {
	char *path;	/* "" = all that have no row of their own */
	char *build_id; /* lower-case hex, "" = none */
	uint64_t n_found[N_FRAME_HOWS];
	uint64_t n_ends[N_STACK_ENDS]; /* of stacks whose outermost frame is the binary's */
	uint64_t n;		       /* frames */
};

struct coverage {
	uint32_t n_rows;
	struct coverage_row rows[COVERAGE_ROWS];
	uint64_t n_ends[N_STACK_ENDS]; /* of all stacks with a user side */
};

void coverage_done(struct coverage *c);

/* -ENOMEM: the window is not counted. */
int coverage_add(struct coverage *c, const struct window *w) must_check;

const char *stack_end_name(enum stack_end end); /* "no_unwind_info"; "" for STACK_GOES_ON */
const char *stack_end_text(enum stack_end end);
const char *frame_how_name(enum frame_how how); /* "table" */
