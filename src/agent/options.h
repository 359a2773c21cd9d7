/* SPDX-License-Identifier: Apache-2.0 */
/* options.h: what wick-agent is told, by arguments or else by environment.
 * option.def lists it all; --help and the messages are made from that. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define LABEL_VALUE_SIZE 257
#define AGENT_PATH_SIZE	 4096

struct agent_options {
	const char *server; /* points into argv or the environment */
	uint32_t rate_hz, window_s;
	double cpu_budget;		/* percent of one core */
	uint64_t memory, kernel_memory; /* bytes */
	bool frame_pointers;
	char stop_file[AGENT_PATH_SIZE], socket[AGENT_PATH_SIZE], spool[AGENT_PATH_SIZE]; /* "" = none */
	uint64_t spool_limit;								  /* bytes */
	char host[LABEL_VALUE_SIZE], region[LABEL_VALUE_SIZE], zone[LABEL_VALUE_SIZE];
	bool help, version;
};

/* -EINVAL says which setting is wrong and why. */
int agent_options_parse(struct agent_options *o, int argc, char **argv, struct error *err) must_check;
void agent_options_usage(FILE *out);
