/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: wick-agent. One thread around one poll(2):
 *
 *   signals | the sampler's ring | the upload's socket | the control socket | what is due
 *
 * SIGTERM and SIGINT seal the last window, give the server a few seconds to
 * take what is queued and end with status 0. SIGUSR1 stops sampling, SIGUSR2
 * goes on with it (stopfile.h). */
#include "agent/agent.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

static int open_signals(struct error *err)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGUSR1, SIGUSR2 };
	sigset_t set;
	(void)sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		(void)sigaddset(&set, numbers[i]);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? error_set(err, -errno, "signalfd: %s", strerror(errno)) : fd;
}

/* True: it is time to end. */
static bool take_signals(struct agent *a, int signals)
{
	struct signalfd_siginfo s;
	while (read(signals, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		if (s.ssi_signo != SIGUSR1 && s.ssi_signo != SIGUSR2)
			return true;
		agent_set_stop(a, s.ssi_signo == SIGUSR1);
	}
	return false;
}

static int run(struct agent *a, int signals, struct error *err)
{
	for (;;) {
		struct pollfd fds[AGENT_FDS + 1];
		agent_poll(a, fds);
		fds[AGENT_FDS] = (struct pollfd){ .fd = signals, .events = POLLIN };
		int n = poll(fds, ARRAY_SIZE(fds), agent_timeout_ms(a));
		if (n <= 0)
			for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
				fds[i].revents = 0;
		if (fds[AGENT_FDS].revents && take_signals(a, signals))
			return 0;
		int r = agent_step(a, fds, err);
		if (r < 0)
			return r;
	}
}

int main(int argc, char **argv)
{
	struct agent_options options;
	struct error err = { .text = "" };
	log_name("wick-agent");
	/* One arena, whose top goes back to the system. */
	(void)mallopt(M_ARENA_MAX, 1);
	(void)mallopt(M_TRIM_THRESHOLD, 128 << 10);
	(void)mallopt(M_MMAP_THRESHOLD, 128 << 10);
	if (agent_options_parse(&options, argc, argv, &err) < 0) {
		(void)fprintf(stderr, "wick-agent: %s\n", err.text);
		return 2;
	}
	if (options.help || options.version) {
		if (options.help)
			agent_options_usage(stdout);
		else
			(void)printf("wick-agent %s\n", WICK_VERSION);
		return 0;
	}
	/* A limit on file sizes is an error of write(), not the end. */
	(void)signal(SIGXFSZ, SIG_IGN);
	struct agent a = { 0 };
	int signals = open_signals(&err), r = signals;
	if (r >= 0)
		r = agent_start(&a, &options, &err);
	if (r == 0) {
		r = run(&a, signals, &err);
		if (r == 0)
			r = agent_stop(&a, &err);
	}
	if (r < 0)
		log_error("%s", err.text);
	agent_done(&a);
	close_fd(&signals);
	return r < 0 ? error_exit_status(r) : 0;
}
