/* SPDX-License-Identifier: Apache-2.0 */
/* diff_save.h: comparisons as pictures. */
#pragma once

#include "base/error.h"
#include "cli/diff_view.h"
#include "cli/output.h"

/* Writes a flame graph: one of OUTPUT_PICTURES. */
int diff_save(const struct diff_view *v, const struct output *o, struct error *err) must_check;
