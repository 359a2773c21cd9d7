/* SPDX-License-Identifier: Apache-2.0 */
/* debuginfo_list.h: reads what a server says of its debug files (docs/http-api.md). */
#pragma once

#include "base/error.h"
#include "base/slice.h"

/* "dwarf" of one file: whether it has debug information. */
int debuginfo_read_dwarf(struct slice json, bool *ret, struct error *err) must_check;

/* A table of the files and of the builds that are missing, to stdout. */
int debuginfo_print_list(struct slice json, struct error *err) must_check;
