/* SPDX-License-Identifier: Apache-2.0 */
/* child.h: programs that do one thing for us and may be killed at any time.
 *
 *   child_start    with nothing of ours but a few descriptors
 *   child_read     what it says on a pipe, until a deadline or until we stop
 *   child_end      kills it if it still runs, and takes its status */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Starts `program`: fds[i], of a number above 2, becomes its descriptor i, -1
 * leaves that one as ours is. Signals are as they are at a start; the
 * environment is `envp`. Other descriptors of ours are closed if they are
 * close-on-exec. Negative errno: it was not started (-ENOENT: there is no such
 * program). */
int child_start(const char *program, char *const *argv, char *const *envp, const int *fds, unsigned n_fds,
		pid_t *ret) must_check;

/* Bytes read; 0: it closed the pipe; -ETIME: the deadline (clock_mono_ns())
 * passed, or *stop (may be NULL) became true a fifth of a second ago. */
ssize_t child_read(int pipe, void *buf, size_t size, int64_t deadline_ns, const _Atomic bool *stop) must_check;

/* As waitpid() has the status; CPU time it took. */
void child_end(pid_t pid, int *ret_status, int64_t *ret_cpu_ns);
