/* SPDX-License-Identifier: Apache-2.0 */
/* terminal.h: what text output may assume about the stream it goes to.
 *
 * Colour and cutting to the width are for a person at a terminal only. A file
 * or a pipe gets plain text and whole names. Names come from files: what could
 * move the cursor or change colours is replaced, wherever the text goes. */
#pragma once

#include "base/slice.h"

#include <stdio.h>

enum color_mode { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct terminal {
	bool has_color;
	uint32_t width; /* columns; 0 = not a terminal, nothing is cut */
};

/* "auto", "always", "never". */
bool color_mode_parse(const char *text, enum color_mode *ret);

/* COLOR_AUTO: colour when `f` is a terminal, TERM is not "dumb" and NO_COLOR
 * is unset or empty (no-color.org). The width is the terminal's. */
struct terminal terminal_of(FILE *f, enum color_mode mode);

/* Escape sequences, "" without colour. A share of the whole: red from 5 %,
 * green from 0.5 %, as perf report colours it. */
const char *terminal_share(const struct terminal *t, double percent);
const char *terminal_dim(const struct terminal *t);
const char *terminal_bold(const struct terminal *t);
const char *terminal_plain(const struct terminal *t);

/* " [libc.so.6]" behind a name, cut at a terminal, and how wide that is there;
 * nothing for "". */
void terminal_put_remark(const struct terminal *t, struct slice text);
uint32_t terminal_remark_columns(struct slice text);

/* Prints a name in at most `columns` (0 = any number): where it is longer,
 * "..." stands for the path it begins with, or else for its middle. Control
 * characters and bytes that are no UTF-8 become '?'. */
void terminal_put_name(FILE *f, struct slice name, uint32_t columns);
