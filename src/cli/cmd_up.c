/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_up.c: server and agent of this machine together, until Ctrl-C.
 *
 *   wick up --+-- wick-server --ready-fd 3    writes "http://ADDRESS\n" when it answers
 *             +-- wick-agent --server URL     started then
 *
 * When one of them ends, so does the other, and its status is ours. */
#include "cli/command.h"
#include "cli/sibling.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define STOP_TIMEOUT_MS 10000

struct up {
	pid_t server, agent; /* 0 = not running */
	int signals;	     /* signalfd: SIGINT SIGTERM SIGCHLD */
	int status;	     /* exit status to end with */
	bool stopping;
};

static pid_t spawn(const struct up *up, const char *program, char **argv)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	sigset_t none;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)close(up->signals);
	/* Ctrl-C is ours to pass on: the agent first, the server after it. */
	(void)setpgid(0, 0);
	/* Nothing outlives a `wick up` that was killed. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	struct error err;
	int r = sibling_exec(program, argv, &err);
	(void)fprintf(stderr, "wick up: %s\n", err.text);
	_exit(error_exit_status(r));
}

static void stop(struct up *up)
{
	up->stopping = true;
	if (up->agent)
		(void)kill(up->agent, SIGTERM);
	/* The server goes last: the agent's final window is still to come. */
	else if (up->server)
		(void)kill(up->server, SIGTERM);
}

static void reap(struct up *up)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		const char *name = pid == up->server ? "wick-server" : "wick-agent";
		if (pid == up->server)
			up->server = 0;
		else if (pid == up->agent)
			up->agent = 0;
		else
			continue;
		if (!up->stopping) {
			(void)fprintf(stderr, "wick up: %s ended with status %d\n", name, code);
			up->status = code ? code : 1;
		}
		stop(up);
	}
}

/* Waits for a signal or for `fd` (-1: none); true when `fd` can be read. */
static bool wait_event(struct up *up, int fd, int timeout_ms)
{
	struct pollfd fds[2] = { { .fd = up->signals, .events = POLLIN }, { .fd = fd, .events = POLLIN } };
	int n = poll(fds, 2, timeout_ms);
	if (n == 0 && up->stopping) {
		(void)fprintf(stderr, "wick up: killing what did not stop within %d s\n", STOP_TIMEOUT_MS / 1000);
		if (up->agent)
			(void)kill(up->agent, SIGKILL);
		if (up->server)
			(void)kill(up->server, SIGKILL);
		up->status = 1;
	}
	if (n > 0 && fds[0].revents) {
		struct signalfd_siginfo info;
		if (read(up->signals, &info, sizeof(info)) == (ssize_t)sizeof(info) && info.ssi_signo != SIGCHLD)
			stop(up);
		reap(up);
	}
	return n > 0 && fds[1].revents;
}

/* Reads the line the server writes when it is ready into `url`. */
static bool wait_ready(struct up *up, int fd, char *url, size_t size)
{
	size_t n = 0;
	while (up->server && !up->stopping) {
		if (!wait_event(up, fd, -1))
			continue;
		ssize_t k = read(fd, url + n, size - 1 - n);
		if (k <= 0) {
			/* It ended: the signal says how. */
			while (up->server)
				(void)wait_event(up, -1, -1);
			return false;
		}
		n += (size_t)k;
		url[n] = 0;
		char *newline = strchr(url, '\n');
		if (newline) {
			*newline = 0;
			return true;
		}
		if (n == size - 1)
			return false;
	}
	return false;
}

static int supervise(struct up *up, char **server_argv, int ready[2], char **agent_argv, char *url, size_t url_size)
{
	up->server = spawn(up, "wick-server", server_argv);
	(void)close(ready[1]);
	bool is_ready = up->server > 0 && wait_ready(up, ready[0], url, url_size);
	(void)close(ready[0]);
	if (is_ready) {
		up->agent = spawn(up, "wick-agent", agent_argv);
		if (up->agent > 0) {
			(void)printf("%s\n", url);
			(void)fflush(stdout);
		}
	}
	if (up->server < 0 || up->agent < 0) {
		perror("wick up: fork");
		up->server = up->server < 0 ? 0 : up->server;
		up->agent = 0;
		up->status = 1;
		stop(up);
	}
	while (up->server || up->agent)
		(void)wait_event(up, -1, up->stopping ? STOP_TIMEOUT_MS : -1);
	return up->status;
}

static int run_up(int argc, char **argv)
{
	static const struct option options[] = {
		{ "listen", required_argument, NULL, 'l' },	  { "data", required_argument, NULL, 'd' },
		{ "memory-limit", required_argument, NULL, 'm' }, { "disk-limit", required_argument, NULL, 'k' },
		{ "rate", required_argument, NULL, 'r' },	  { NULL, 0, NULL, 0 },
	};
	char *server_argv[16] = { NULL }, *agent_argv[8] = { NULL };
	int n_server = 1, n_agent = 1, o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (o) {
		case 'l':
			server_argv[n_server++] = "--listen";
			break;
		case 'd':
			server_argv[n_server++] = "--data";
			break;
		case 'm':
			server_argv[n_server++] = "--memory-limit";
			break;
		case 'k':
			server_argv[n_server++] = "--disk-limit";
			break;
		case 'r':
			agent_argv[n_agent++] = "--rate";
			agent_argv[n_agent++] = optarg;
			continue;
		default:
			return command_usage_error(&cmd_up, "unknown option or missing value: %s", argv[optind - 1]);
		}
		server_argv[n_server++] = optarg;
		if (n_server > 10 || n_agent > 4)
			return command_usage_error(&cmd_up, "an option is given twice");
	}
	if (optind < argc)
		return command_usage_error(&cmd_up, "unexpected argument %s", argv[optind]);

	struct up up = { .signals = -1 };
	int ready[2];
	if (pipe(ready) < 0) {
		perror("wick up: pipe");
		return 1;
	}
	char ready_fd[16], url[256] = "";
	(void)snprintf(ready_fd, sizeof(ready_fd), "%d", ready[1]);
	server_argv[n_server++] = "--ready-fd";
	server_argv[n_server++] = ready_fd;
	agent_argv[n_agent++] = "--server";
	agent_argv[n_agent++] = url;
	/* They come and go together, and what another agent has left is for its server. */
	agent_argv[n_agent++] = "--spool";
	agent_argv[n_agent++] = "none";

	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	up.signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (up.signals < 0) {
		perror("wick up: signalfd");
		return 1;
	}
	int status = supervise(&up, server_argv, ready, agent_argv, url, sizeof(url));
	(void)close(up.signals);
	return status;
}

const struct command cmd_up = {
	.name = "up",
	.summary = "server and agent of this machine together; prints the page's address",
	.usage =
		"wick up [--listen ADDRESS:PORT] [--data DIR] [--memory-limit SIZE] [--disk-limit SIZE] [--rate HZ]\n"
		"Starts wick-server and wick-agent and stays until Ctrl-C. Prints the page's address when it answers.\n"
		"As root all processes and the kernel are sampled, otherwise your own processes.\n",
	.run = run_up,
};
