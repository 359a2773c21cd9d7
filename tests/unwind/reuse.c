/* SPDX-License-Identifier: Apache-2.0 */
/* reuse PROGRAM... SECONDS: runs one after the other, all as the same pid. */
#define _GNU_SOURCE
#include "busy.h"

#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t clone_as(pid_t pid)
{
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .set_tid = pid ? (uint64_t)(uintptr_t)&pid : 0,
				   .set_tid_size = pid ? 1 : 0 };
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

int main(int argc, char **argv)
{
	begin(argc, argv, argc - 1);
	pid_t pid = 0;
	int n = 0;
	for (int i = 1; !time_is_up(); i = i % (argc - 2) + 1) {
		pid_t child = clone_as(pid);
		if (child == 0) {
			(void)execl(argv[i], argv[i], (char *)NULL);
			_exit(127);
		}
		if (child < 0 && errno == EEXIST) /* another took it in between */
			return 3;
		if (child < 0) {
			perror("clone3");
			return 1;
		}
		pid = child;
		int status;
		if (waitpid(child, &status, 0) != child || status != 0)
			return 1;
		n++;
	}
	(void)printf("%d runs\n", n);
}
