/* SPDX-License-Identifier: Apache-2.0 */
/* What a command costs: measure_run ROUNDS COMMAND [ARG...]
 *
 *   wall_s=0.412 cpu_s=0.401 peak_mb=151.2
 *
 * of the best round by each (other work on the machine only adds); cpu is user
 * and system time. The command's standard output goes nowhere. Exit status 1
 * when a round fails. */
#include "base/clock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct cost {
	double wall_s, cpu_s, peak_mb;
};

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void become(char **command)
{
	int fd = open("/dev/null", O_WRONLY);
	if (fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0)
		(void)execvp(command[0], command);
	_exit(127);
}

static bool run(char **command, struct cost *ret)
{
	int64_t start = clock_mono_ns();
	pid_t pid = fork();
	if (pid == 0)
		become(command);
	int status;
	struct rusage usage;
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return false;
	*ret = (struct cost){
		.wall_s = (double)(clock_mono_ns() - start) / 1e9,
		.cpu_s = seconds(usage.ru_utime) + seconds(usage.ru_stime),
		.peak_mb = (double)usage.ru_maxrss * 1024 / 1e6,
	};
	return true;
}

static double lesser(double a, double b)
{
	return a < b ? a : b;
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[1]) : 0;
	struct cost best = { 1e9, 1e9, 1e9 }, cost;
	for (int i = 0; i < n; i++) {
		if (!run(argv + 2, &cost)) {
			(void)fprintf(stderr, "measure_run: %s failed\n", argv[2]);
			return 1;
		}
		best.wall_s = lesser(best.wall_s, cost.wall_s);
		best.cpu_s = lesser(best.cpu_s, cost.cpu_s);
		best.peak_mb = lesser(best.peak_mb, cost.peak_mb);
	}
	(void)printf("wall_s=%.3f cpu_s=%.3f peak_mb=%.1f\n", best.wall_s, best.cpu_s, best.peak_mb);
	return n <= 0;
}
