/* SPDX-License-Identifier: Apache-2.0 */
/* pattern.h: a regular expression from a user, with bounded work.
 *
 * Syntax is PCRE2's; what RE2 (pprof's engine) takes means the same here:
 * case matters, `.` is one UTF-8 character and not a newline, `$` is the end
 * of the text. Texts may be any bytes: a character never spans broken ones.
 *
 * Backtracking is counted in steps of the matcher. One text may take
 * PATTERN_TEXT_STEPS; texts that need more than PATTERN_FIRST_STEPS share
 * PATTERN_ALL_STEPS, a few seconds, within one `struct pattern_work`. More is an
 * error, never a silent "no". A compiled pattern takes at most some 100 KiB
 * and may be shared by threads. */
#pragma once

#include "base/error.h"
#include "base/slice.h"

#define PATTERN_SIZE_MAX    1024 /* bytes of a pattern's text */
#define PATTERN_FIRST_STEPS 256
#define PATTERN_TEXT_STEPS  1000000
#define PATTERN_ALL_STEPS   200000000
#define PATTERN_HEAP_KIB    4096 /* the matcher's memory, on top of the pattern's */

struct pattern;

/* -EINVAL: "at character 5: missing closing parenthesis"; -E2BIG: longer than
 * PATTERN_SIZE_MAX; -ENOMEM. */
int pattern_new(struct slice text, struct pattern **ret, struct error *err) must_check;
/* As pattern_new(), of a pattern as PromQL reads it: it must match all of a
 * text, and `.` is any character. It matches no text with broken characters. */
int pattern_new_whole(struct slice text, struct pattern **ret, struct error *err) must_check;
void pattern_free(struct pattern **p); /* for _cleanup_ */

/* What matching has cost, for one piece of work in one thread. Holds the
 * matcher's memory. */
struct pattern_work {
	uint64_t n_steps; /* by texts that needed many: up to 4 times what they took */
	struct pcre2_real_match_data_8 *match;
	struct pcre2_real_match_context_8 *limits;
};

int pattern_work_init(struct pattern_work *w) must_check; /* 0 or -ENOMEM */
void pattern_work_done(struct pattern_work *w);

/* 1: some part of `text` matches, 0: none does. -E2BIG: too much work, the
 * error names the text; -ENOMEM. */
int pattern_match(const struct pattern *p, struct slice text, struct pattern_work *w, struct error *err) must_check;
