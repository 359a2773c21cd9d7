/* SPDX-License-Identifier: Apache-2.0 */
/* sibling.h: the other programs of wick, which stand beside this one. */
#pragma once

#include "base/error.h"

/* Replaces this process by `program` with argv[1..]; returns only on failure. */
int sibling_exec(const char *program, char **argv, struct error *err) must_check;
