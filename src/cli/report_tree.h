/* SPDX-License-Identifier: Apache-2.0 */
/* report_tree.h: a call tree as indented text. */
#pragma once

#include "cli/report_view.h"

/* Prints r->tree; the last line says what the cut-off left out. `view` names
 * it in JSON. 0 or -ENOMEM. */
int report_tree(const struct report *r, const char *view) must_check;
