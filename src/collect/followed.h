/* SPDX-License-Identifier: Apache-2.0 */
/* followed.h: which threads have events of ours, and which events may go.
 *
 *   thread 10 -+            events of group 1: one per CPU, opened for thread 10
 *   thread 11 -+- group 1   and inherited by what it creates
 *   thread 20 --- group 2
 *
 * Closing an event takes it away from those who inherited it, too: a group's
 * events close when its last thread has ended. Bounded. */
#pragma once

#include "base/membudget.h"

#include <sys/types.h>

struct followed_thread {
	pid_t tid;
	uint32_t group; /* index */
};

struct followed_group {
	uint32_t n_threads; /* 0 = free */
	uint32_t n_fds;
	int *fds;
};

struct followed {
	VEC(struct followed_thread) threads; /* by tid */
	VEC(struct followed_group) groups;
	uint32_t n_fds, max_fds;
};

void followed_done(struct followed *f);

bool followed_has(const struct followed *f, pid_t tid);

/* Takes over `fds` (malloc()ed, closed and freed with the group): the events
 * of thread `tid`. On failure they stay the caller's. */
int followed_add(struct followed *f, pid_t tid, int *fds, uint32_t n_fds) must_check;

/* `child` inherited what `parent` has; nothing when that is not followed. */
int followed_inherit(struct followed *f, pid_t parent, pid_t child) must_check;
void followed_remove(struct followed *f, pid_t tid);
