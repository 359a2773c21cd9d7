/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_exec.c: `wick server` and `wick agent` become wick-server and
 * wick-agent, options and all. */
#include "cli/command.h"
#include "cli/sibling.h"

static int run_sibling(const struct command *c, const char *program, char **argv)
{
	struct error err;
	return command_failed(c, sibling_exec(program, argv, &err), &err);
}

static int run_server(int argc, char **argv)
{
	return run_sibling(&cmd_server, "wick-server", argv);
}

static int run_agent(int argc, char **argv)
{
	return run_sibling(&cmd_agent, "wick-agent", argv);
}

const struct command cmd_server = {
	.name = "server",
	.summary = "store profiles and show them (runs wick-server)",
	.usage = "wick server [options]\nRuns wick-server; its options: wick server --help\n",
	.run = run_server,
};

const struct command cmd_agent = {
	.name = "agent",
	.summary = "sample this machine for a server (runs wick-agent)",
	.usage = "wick agent [options]\nRuns wick-agent; its options: wick agent --help\n",
	.run = run_agent,
};
