/* SPDX-License-Identifier: Apache-2.0 */
/* report_tree.h: a call tree as indented text: the whole one, what calls some
 * functions, what they call. */
#pragma once

#include "cli/report_view.h"

/* The last line says what the cut-off left out. 0 or -ENOMEM. */
int report_tree(const struct report *r) must_check;

/* Functions that `match`, below each its callers up to the root; or its
 * callees. model/callers.h says what counts. */
int report_callers(const struct report *r, const bool *match) must_check;
int report_callees(const struct report *r, const bool *match) must_check;
