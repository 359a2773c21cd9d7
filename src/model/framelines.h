/* SPDX-License-Identifier: Apache-2.0 */
/* framelines.h: what debug information says of a dict's frames, kept beside the dict.
 *
 *   frame 17    libx.so+0x1234              as it was stored, perhaps with a function's name
 *   chain[17] = 3
 *   chain 3     serve x.c:80 | parse x.h:12 | peek x.h:3      outermost first; those behind are inlined
 *
 * The dict stays as it is, so what was stored long ago gets names without being
 * rewritten, and loses nothing when it gets none. The outermost line is that of
 * the frame's own function: the name that the frame has stays, since the symbol
 * table tells clones apart that are one function in the source.
 *
 * Equal chains and functions are stored once. Chains 0 and 1 are empty: not
 * looked for, and looked for in vain. Not thread-safe; all memory is charged. */
#pragma once

#include "model/dict.h"

#define FRAMELINES_MAX	   64 /* lines of one frame */
#define FRAMELINES_UNKNOWN 0
#define FRAMELINES_NONE	   1

struct line_function {
	struct str_id name, system_name, file; /* in framelines.strings */
};

struct frame_line {
	uint32_t function, line;
};

struct framelines {
	struct strtab strings;
	VEC(struct line_function) functions; /* [0] = none */
	VEC(struct frame_line) lines;
	VEC(uint32_t) first; /* chain c: lines[first[c] .. first[c + 1]) */
	VEC(uint32_t) chain; /* by frame; frames behind the end have not been looked for */
	struct u64map function_ids, chain_ids;
	struct membudget *budget;
};

int framelines_init(struct framelines *l, struct membudget *budget) must_check;
void framelines_done(struct framelines *l);

/* One line as it comes; the outermost first. */
struct source_line {
	struct slice name, system_name, file;
	uint32_t line;
};

/* Says what the frame is; n = 0: looked for in vain. More than FRAMELINES_MAX
 * lines are cut at their inner end. -ENOBUFS, -ENOMEM: the frame is as before. */
int framelines_put(struct framelines *l, struct frame_id frame, const struct source_line *lines, uint32_t n) must_check;
/* It may be looked for again. */
void framelines_forget(struct framelines *l, struct frame_id frame);

static inline uint32_t framelines_chain(const struct framelines *l, uint32_t frame)
{
	return frame < l->chain.n ? l->chain.data[frame] : FRAMELINES_UNKNOWN;
}

/* The frame's lines, *ret_n of them; `l` may be NULL: it has none. */
static inline const struct frame_line *framelines_get(const struct framelines *l, uint32_t frame, uint32_t *ret_n)
{
	uint32_t chain = l ? framelines_chain(l, frame) : FRAMELINES_UNKNOWN;
	*ret_n = chain > FRAMELINES_NONE ? l->first.data[chain + 1] - l->first.data[chain] : 0;
	return *ret_n ? l->lines.data + l->first.data[chain] : NULL;
}
