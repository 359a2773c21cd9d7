/* SPDX-License-Identifier: Apache-2.0 */
/* wick.c: picks the subcommand. */
#include "cli/command.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {
	&cmd_up,    &cmd_record, &cmd_report,  &cmd_convert, &cmd_merge, &cmd_diff,    &cmd_debuginfo,
	&cmd_store, &cmd_backup, &cmd_restore, &cmd_server,  &cmd_agent, &cmd_version, &cmd_help,
};

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

int command_usage_error(const struct command *c, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)fprintf(stderr, "wick %s: %s\nTry: wick help %s\n", c->name, text, c->name);
	return EXIT_USAGE;
}

int command_failed(const struct command *c, int code, const struct error *err)
{
	(void)fprintf(stderr, "wick %s: %s\n", c->name, err->text);
	return error_exit_status(code);
}

uint32_t command_count_stdin(const char *const *inputs)
{
	uint32_t n = 0;
	for (; *inputs; inputs++)
		n += strcmp(*inputs, "-") == 0;
	return n;
}

static int run_version(int argc, char **argv)
{
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	if (argc > 1 && !json)
		return command_usage_error(&cmd_version, "unexpected argument %s", argv[1]);
	(void)printf(json ? "{\"version\":\"%s\"}\n" : "wick %s\n", WICK_VERSION);
	return 0;
}

const struct command cmd_version = {
	.name = "version",
	.summary = "print the version",
	.usage = "wick version [--json]\n",
	.run = run_version,
};

static int run_help(int argc, char **argv)
{
	if (argc > 1) {
		const struct command *c = command_find(argv[1]);
		if (!c)
			return command_usage_error(&cmd_help, "no command \"%s\"", argv[1]);
		(void)fputs(c->usage, stdout);
		return 0;
	}
	(void)printf("wick %s: continuous profiler\n\n", WICK_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		(void)printf("  wick %-9s %s\n", commands[i]->name, commands[i]->summary);
	(void)printf("\nwick help COMMAND says more.\n");
	return 0;
}

const struct command cmd_help = {
	.name = "help",
	.summary = "list the commands, or say more about one",
	.usage = "wick help [COMMAND]\n",
	.run = run_help,
};

int main(int argc, char **argv)
{
	if (argc < 2)
		return run_help(1, argv);
	const char *name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	if (strcmp(name, "--version") == 0)
		name = "version";
	const struct command *c = command_find(name);
	if (!c) {
		(void)fprintf(stderr, "wick: no command \"%s\"\nTry: wick help\n", name);
		return EXIT_USAGE;
	}
	if (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0) && c != &cmd_server &&
	    c != &cmd_agent) {
		(void)fputs(c->usage, stdout);
		return 0;
	}
	/* A large column is a map of its own, which grows without a copy left
	 * behind. (Left to itself, malloc puts them on the heap once one was freed.) */
	(void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
	int status = c->run(argc - 1, argv + 1);
	/* A full disk shows when the last bytes leave. */
	if (fflush(stdout) != 0 && status == 0) {
		perror("wick: standard output");
		status = 1;
	}
	return status;
}
