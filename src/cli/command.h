/* SPDX-License-Identifier: Apache-2.0 */
/* command.h: the subcommands of wick. Each has one cmd_x.c.
 *
 * A command gets its own argv (argv[0] = its name), prints results on stdout
 * and everything else on stderr, and returns the exit status: 0 done, 1
 * failed, 2 wrong usage, 3 input is not what it should be, 4 a limit was
 * reached, 5 not permitted (docs/cli.md). */
#pragma once

#include "base/error.h"

#include <stdint.h>

struct command {
	const char *name;
	const char *summary; /* one line of `wick help` */
	const char *usage;   /* `wick help NAME` */
	int (*run)(int argc, char **argv);
};

#define EXIT_USAGE 2
#define EXIT_INPUT 3

extern const struct command cmd_up, cmd_server, cmd_agent, cmd_record, cmd_report, cmd_convert, cmd_merge, cmd_diff,
	cmd_debuginfo, cmd_store, cmd_backup, cmd_restore, cmd_version, cmd_help;

/* NULL when there is none of that name. */
const struct command *command_find(const char *name);

/* Prints "wick NAME: <text>" and a pointer to the help; returns EXIT_USAGE. */
int command_usage_error(const struct command *c, const char *fmt, ...) printf_like(2, 3);

/* Prints "wick NAME: <err>"; returns the status for `code`. */
int command_failed(const struct command *c, int code, const struct error *err);

/* How many of the inputs, up to a NULL, are standard input, which can be read
 * once. */
uint32_t command_count_stdin(const char *const *inputs);
