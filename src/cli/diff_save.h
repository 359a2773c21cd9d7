/* SPDX-License-Identifier: Apache-2.0 */
/* diff_save.h: comparisons as pictures. */
#pragma once

#include "base/error.h"
#include "cli/diff_view.h"

/* -EINVAL when the end of the name is none of the formats below, -EEXIST. */
int diff_check_output(const char *path, bool force, struct error *err) must_check;

/* Writes a flame graph: .svg, .html, .slab. */
int diff_save(const struct diff_view *v, const char *path, bool force, struct error *err) must_check;
