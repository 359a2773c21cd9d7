/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_exec.c: `wick server` becomes wick-server, options and all. */
#include "cli/command.h"
#include "cli/sibling.h"

static int run_server(int argc, char **argv)
{
	struct error err;
	return command_failed(&cmd_server, sibling_exec("wick-server", argv, &err), &err);
}

const struct command cmd_server = {
	.name = "server",
	.summary = "store profiles and show them (runs wick-server)",
	.usage = "wick server [options]\nRuns wick-server; its options: wick server --help\n",
	.run = run_server,
};
