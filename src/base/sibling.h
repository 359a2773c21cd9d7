/* SPDX-License-Identifier: Apache-2.0 */
/* sibling.h: the programs of wick find each other beside themselves, wherever
 * they are installed. */
#pragma once

#include "base/error.h"

#include <limits.h>

/* Path of the program of that name in this program's own folder, whether it
 * is there or not. */
int sibling_path(const char *program, char ret[static PATH_MAX], struct error *err) must_check;
