/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_agent.c: `wick agent` runs wick-agent; `wick agent status` asks the one
 * that runs here. */
#include "cli/agent_status.h"
#include "cli/command.h"
#include "cli/sibling.h"

#include "agent/control.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>

#define ANSWER_MAX ((size_t)4 << 20)

static const char usage[] = "wick agent [options]\n"
			    "Runs wick-agent; its options: wick agent --help\n"
			    "\n"
			    "wick agent status [--unwind] [--json] [--socket FILE]\n"
			    "What the agent on this machine does and costs.\n"
			    "  --unwind       per binary: how frames were found, and why stacks end in it\n"
			    "  --json         the agent's answer as it is\n"
			    "  --socket FILE  /run/wick/agent.sock, or the user's own\n";

struct request {
	bool unwind, json;
	const char *socket;
};

static int parse(int argc, char **argv, struct request *q)
{
	static const struct option options[] = {
		{ "unwind", no_argument, NULL, 'u' },
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int o;
	optind = 1;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'u')
			q->unwind = true;
		else if (o == 'j')
			q->json = true;
		else if (o == 's')
			q->socket = optarg;
		else if (o == 'h')
			return 1;
		else
			return command_usage_error(&cmd_agent, "status: unknown option %s", argv[optind - 1]);
	}
	return optind < argc ? command_usage_error(&cmd_agent, "status: unexpected argument %s", argv[optind]) : 0;
}

static void json_free(json_t **j)
{
	json_decref(*j);
}

static int show(const struct request *q, const struct buf *answer)
{
	if (q->json) {
		(void)fwrite(answer->data, 1, answer->n, stdout);
		return 0;
	}
	_cleanup_(json_free)
	json_t *j = json_loadb((const char *)answer->data, answer->n, 0, NULL);
	if (!j || json_object_get(j, "detail")) {
		(void)fprintf(stderr, "wick agent: the agent does not understand this: is it of another version?\n");
		return 1;
	}
	if (q->unwind)
		agent_status_unwind(j);
	else
		agent_status(j);
	return 0;
}

static int run_status(int argc, char **argv)
{
	char path[4096];
	struct request q = { 0 };
	struct error err;
	control_default_path(path, sizeof(path));
	q.socket = path;
	int r = parse(argc, argv, &q);
	if (r == 1)
		(void)fputs(usage, stdout);
	if (r != 0)
		return r == 1 ? 0 : r;
	_cleanup_(buf_done)
	struct buf answer = buf_of(ANSWER_MAX);
	r = control_ask(q.socket, q.unwind ? "unwind\n" : "status\n", &answer, &err);
	return r < 0 ? command_failed(&cmd_agent, r, &err) : show(&q, &answer);
}

static int run_agent(int argc, char **argv)
{
	struct error err;
	if (argc > 1 && strcmp(argv[1], "status") == 0)
		return run_status(argc - 1, argv + 1);
	return command_failed(&cmd_agent, sibling_exec("wick-agent", argv, &err), &err);
}

const struct command cmd_agent = {
	.name = "agent",
	.summary = "sample this machine for a server (runs wick-agent); agent status",
	.usage = usage,
	.run = run_agent,
};
