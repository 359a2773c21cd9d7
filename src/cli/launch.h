/* SPDX-License-Identifier: Apache-2.0 */
/* launch.h: a command held before its exec until somebody is ready to watch
 * it.
 *
 *   child: fork, wait on `gate`, exec ──▶ `failure` closes; on failure it carries errno */
#pragma once

#include "base/error.h"

#include <sys/types.h>

struct launch {
	pid_t pid;
	int gate;    /* one byte lets the child go; closing it ends the child */
	int failure; /* EOF: the exec succeeded */
};

/* Forks; signals blocked by us are unblocked in the child. */
int launch_prepare(char **argv, struct launch *ret, struct error *err) must_check;
/* Lets it go. -ENOENT, -EACCES ...: the exec failed and the child is reaped. */
int launch_go(struct launch *l, const char *name, struct error *err) must_check;
/* Ends a child that was not let go, and releases the pipes. */
void launch_done(struct launch *l);
