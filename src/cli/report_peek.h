/* SPDX-License-Identifier: Apache-2.0 */
/* report_peek.h: functions with who calls them above and what they call
 * below, as pprof -peek. */
#pragma once

#include "cli/report_view.h"

/* The functions of r->tree that `match`; an edge lighter than
 * r->min_percent is left out and counted. 0 or -ENOMEM. */
int report_peek(const struct report *r, const bool *match) must_check;
