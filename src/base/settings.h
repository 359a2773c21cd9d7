/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h: what a program is told, by its environment and, winning over
 * that, by arguments. A program keeps its rows in an option.def:
 *
 *   OPTION(RATE, "rate", "WICK_RATE", "HZ", "samples a second")
 *
 * and gets --rate HZ, --rate=HZ, WICK_RATE and its line of --help from it. */
#pragma once

#include "base/error.h"

struct setting {
	const char *name;	 /* without the dashes */
	const char *environment; /* NULL: none */
	const char *argument;	 /* NULL: a switch */
	const char *text;
};

/* Takes one value. `called` is how the person named it ("--rate",
 * "WICK_RATE"), for messages; `value` is NULL for a switch given as an
 * argument. `row` is its place in the table. */
typedef int settings_take(void *arg, unsigned row, const char *called, const char *value, struct error *err);

/* -EINVAL says which argument is wrong; or what `take` returned. */
int settings_read(const struct setting *rows, unsigned n, int argc, char **argv, settings_take *take, void *arg,
		  struct error *err) must_check;

/* The rows as --help shows them, behind `intro`. */
void settings_usage(const struct setting *rows, unsigned n, const char *intro, FILE *out);
