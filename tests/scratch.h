/* SPDX-License-Identifier: Apache-2.0 */
/* scratch.h: a folder for the files of one test program, made by the group's
 * set-up and removed by its tear-down. */
#pragma once

#include "unit.h"

static char scratch[] = "/tmp/wick-test-XXXXXX";

/* A path in it, until the next call. */
static inline const char *in_scratch(const char *name)
{
	static char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", scratch, name);
	return path;
}

static inline int make_scratch(void **state)
{
	return mkdtemp(scratch) ? 0 : -1;
}

static inline int remove_scratch(void **state)
{
	char command[64];
	(void)snprintf(command, sizeof(command), "rm -r '%s'", scratch);
	return system(command);
}
