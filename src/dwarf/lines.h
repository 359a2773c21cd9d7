/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h: an answer of wick-dwarf as lines of a frame. */
#pragma once

#include "dwarf/answers.h"
#include "model/framelines.h"

_Static_assert(DWARF_MAX_DEPTH == FRAMELINES_MAX, "an answer fits");

/* Outermost first, as framelines_put() wants them; how many. The function
 * itself goes by its symbol's name where there is one, as everywhere else. */
uint32_t dwarf_lines(const struct dwarf_answer *a, struct source_line ret[static FRAMELINES_MAX]);
