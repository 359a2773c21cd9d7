/* SPDX-License-Identifier: Apache-2.0 */
/* diff_view.h: what `wick diff` prints. docs/diff.md says what the numbers mean. */
#pragma once

#include "cli/terminal.h"
#include "model/diff.h"

enum diff_mode { DIFF_RELATIVE, DIFF_ABSOLUTE, DIFF_NORMALISED };

/* "relative", "absolute", "normalised" (or "normalized"). */
bool diff_mode_parse(const char *text, enum diff_mode *ret);

struct diff_view {
	const struct diff *diff;
	const char *type, *unit;
	enum diff_mode mode;
	enum diff_family family; /* what is a row, and by which value */
	uint32_t limit;		 /* rows; 0 = all */
	double detect;		 /* relative change; 0 = none asked for */
	struct terminal terminal;
};

/* Significant rows first, then by |delta|. 0 or -ENOMEM. */
int diff_text(const struct diff_view *v) must_check;

/* All functions and all nodes, whatever the limit. */
void diff_json(const struct diff_view *v);
