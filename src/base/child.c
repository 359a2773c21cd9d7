/* SPDX-License-Identifier: Apache-2.0 */
#include "base/child.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define STEP_MS 200

static int set_files(posix_spawn_file_actions_t *files, const int *fds, unsigned n_fds)
{
	int e = 0;
	for (unsigned i = 0; !e && i < n_fds; i++) {
		assert(fds[i] == -1 || fds[i] > 2);
		if (fds[i] >= 0)
			e = posix_spawn_file_actions_adddup2(files, fds[i], (int)i);
	}
	return e;
}

int child_start(const char *program, char *const *argv, char *const *envp, const int *fds, unsigned n_fds, pid_t *ret)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int e = posix_spawn_file_actions_init(&files);
	if (e)
		return -e;
	e = posix_spawnattr_init(&attr);
	if (e) {
		(void)posix_spawn_file_actions_destroy(&files);
		return -e;
	}
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	e = set_files(&files, fds, n_fds);
	if (!e)
		e = posix_spawn(ret, program, &files, &attr, argv, envp);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return -e;
}

ssize_t child_read(int pipe, void *buf, size_t size, int64_t deadline_ns, const _Atomic bool *stop)
{
	for (;;) {
		int64_t left_ms = (deadline_ns - clock_mono_ns() + 999999) / 1000000;
		struct pollfd p = { .fd = pipe, .events = POLLIN };
		if (left_ms <= 0 || (stop && *stop))
			return -ETIME;
		int ready = poll(&p, 1, left_ms > STEP_MS ? STEP_MS : (int)left_ms);
		ssize_t n = ready > 0 ? read(pipe, buf, size) : ready;
		if (ready > 0 && n >= 0)
			return n;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

void child_end(pid_t pid, int *ret_status, int64_t *ret_cpu_ns)
{
	struct rusage u = { 0 };
	*ret_status = 0;
	(void)kill(pid, SIGKILL);
	while (wait4(pid, ret_status, 0, &u) < 0 && errno == EINTR)
		;
	*ret_cpu_ns = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * INT64_C(1000000000) +
		      (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * INT64_C(1000);
}
