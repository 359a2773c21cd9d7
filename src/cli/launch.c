/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

_Noreturn static void child(char **argv, int gate, int failure)
{
	sigset_t none;
	char go;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	ssize_t n;
	do
		n = read(gate, &go, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1) {
		(void)execvp(argv[0], argv);
		int code = errno;
		(void)!write(failure, &code, sizeof(code));
	}
	_exit(127);
}

int launch_prepare(char **argv, struct launch *ret, struct error *err)
{
	int gate[2], failure[2];
	if (pipe2(gate, O_CLOEXEC) < 0)
		return error_set(err, -errno, "pipe: %s", strerror(errno));
	if (pipe2(failure, O_CLOEXEC) < 0) {
		int r = -errno;
		(void)close(gate[0]);
		(void)close(gate[1]);
		return error_set(err, r, "pipe: %s", strerror(-r));
	}
	pid_t pid = fork();
	if (pid == 0) {
		(void)close(gate[1]);
		child(argv, gate[0], failure[1]);
	}
	int r = pid < 0 ? -errno : 0;
	(void)close(gate[0]);
	(void)close(failure[1]);
	*ret = (struct launch){ .pid = pid, .gate = gate[1], .failure = failure[0] };
	if (r < 0) {
		launch_done(ret);
		return error_set(err, r, "fork: %s", strerror(-r));
	}
	return 0;
}

int launch_go(struct launch *l, const char *name, struct error *err)
{
	int code = 0;
	if (write(l->gate, "g", 1) != 1)
		code = errno;
	(void)close(take_fd(l->gate));
	ssize_t n;
	do
		n = read(l->failure, &code, sizeof(code));
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	(void)waitpid(l->pid, NULL, 0);
	l->pid = 0;
	return error_set(err, -code, "cannot run %s: %s", name, strerror(code));
}

void launch_done(struct launch *l)
{
	if (l->gate >= 0) {
		(void)close(take_fd(l->gate));
		if (l->pid > 0)
			(void)waitpid(l->pid, NULL, 0);
	}
	if (l->failure >= 0)
		(void)close(take_fd(l->failure));
}
