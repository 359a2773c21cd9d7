/* SPDX-License-Identifier: Apache-2.0 */
/* signals raised|timer|altstack SECONDS: work in a signal handler, which was
 * raised by a call, interrupted some code, or has a stack of its own. */
#include "busy.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

static FUNCTION void in_handler(void)
{
	busy(0.002);
}

static FUNCTION void handler(int number)
{
	in_handler();
	(void)number;
}

static FUNCTION void interrupted(void)
{
	busy(0.004);
}

static FUNCTION void raising(void)
{
	(void)raise(SIGUSR1);
}

int main(int argc, char **argv)
{
	static char stack[256 << 10];
	begin(argc, argv, 2);
	int is_timer = strcmp(argv[1], "timer") == 0;
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	if (strcmp(argv[1], "altstack") == 0) {
		const stack_t other = { .ss_sp = stack, .ss_size = sizeof(stack) };
		(void)sigaltstack(&other, NULL);
		action.sa_flags |= SA_ONSTACK;
	}
	(void)sigaction(is_timer ? SIGALRM : SIGUSR1, &action, NULL);
	if (is_timer) {
		const struct itimerval often = { { 0, 5000 }, { 0, 5000 } };
		(void)setitimer(ITIMER_REAL, &often, NULL);
	}
	while (!time_is_up()) {
		if (is_timer)
			interrupted();
		else
			raising();
	}
}
