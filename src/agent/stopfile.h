/* SPDX-License-Identifier: Apache-2.0 */
/* stopfile.h: the kill switch. While the file is there, nothing is sampled.
 *
 *   touch FILE, or SIGUSR1     stops within a second; nothing of ours is left in the kernel
 *   rm FILE, or SIGUSR2        goes on
 *
 * A file, so that it works without a server, can be spread by whatever
 * manages a fleet's files, and outlives the agent. Where it cannot be read,
 * that means stop, too. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

struct stopfile {
	const char *path;
	bool is_stopped;
	bool in_memory; /* the file could not be made: the stop ends with the agent */
};

/* The file an agent of this user looks at: /var/lib/wick/stop, or below the
 * user's own state folder. Empty: there is no such folder. */
void stopfile_default_path(char *ret, size_t size);

/* Makes the file's folder, so that `touch` works. */
void stopfile_init(struct stopfile *s, const char *path);

/* Looks at the file. True: stopped. */
bool stopfile_check(struct stopfile *s);

/* Makes the file, or removes it. On failure, which `err` explains, a stop
 * still holds for this agent; a removal did not happen. */
int stopfile_set(struct stopfile *s, bool stop, struct error *err) must_check;
