/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/recording.h"
#include "base/clock.h"
#include "cli/command.h"
#include "cli/dwarf_lines.h"
#include "cli/launch.h"
#include "cli/number.h"
#include "cli/profile_save.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

struct record {
	struct recording_options options;
	const char *path, *to;
	struct output output;
	char **command;	     /* NULL: none */
	int64_t duration_ns; /* 0: until Ctrl-C, or the target's end */
	bool force;
	struct dwarf_options dwarf;

	int signals;
	struct launch launch;
	bool interrupted, command_ended;
	int command_status; /* as waitpid gives it */
	int64_t started_ns;
};

static int parse(struct record *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "pid", required_argument, NULL, 'p' },
		{ "service", required_argument, NULL, 's' },
		{ "all", no_argument, NULL, 'a' },
		{ "rate", required_argument, NULL, 'F' },
		{ "duration", required_argument, NULL, 'd' },
		{ "output", required_argument, NULL, 'o' },
		{ "to", required_argument, NULL, 'T' },
		{ "force", no_argument, NULL, 'f' },
		DWARF_OPTION_ROWS{ NULL, 0, NULL, 0 },
	};
	struct error err;
	struct recording_options *r = &o->options;
	uint64_t n;
	int c, n_targets = 0;
	opterr = 0;
	while ((c = getopt_long(argc, argv, "+p:aF:d:o:", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			if (!number_parse(optarg, 1, INT32_MAX, &n))
				return command_usage_error(&cmd_record, "-p wants a process id, not \"%s\"", optarg);
			r->target = RECORD_PID;
			r->pid = (pid_t)n;
			n_targets++;
			break;
		case 's':
			r->target = RECORD_SERVICE;
			r->service = optarg;
			n_targets++;
			break;
		case 'a':
			r->target = RECORD_ALL;
			n_targets++;
			break;
		case 'F':
			if (!number_parse(optarg, RECORD_RATE_MIN, RECORD_RATE_MAX, &n))
				return command_usage_error(&cmd_record,
							   "-F wants %d to %d samples a second, not \"%s\"",
							   RECORD_RATE_MIN, RECORD_RATE_MAX, optarg);
			r->rate_hz = (uint32_t)n;
			break;
		case 'd':
			if (!number_parse(optarg, 1, 86400, &n))
				return command_usage_error(&cmd_record, "-d wants 1 to 86400 seconds, not \"%s\"",
							   optarg);
			o->duration_ns = (int64_t)n * 1000000000;
			break;
		case 'o':
			o->path = optarg;
			break;
		case 'T':
			o->to = optarg;
			break;
		case 'f':
			o->force = true;
			break;
		default:
			if (!is_dwarf_option(c))
				return command_usage_error(&cmd_record, "unknown option or missing value: %s",
							   argv[optind - 1]);
			if (dwarf_options_set(&o->dwarf, c, optarg, &err) < 0)
				return command_usage_error(&cmd_record, "%s", err.text);
		}
	}
	if (optind < argc) {
		o->command = argv + optind;
		r->target = RECORD_TREE;
		n_targets++;
	}
	if (n_targets != 1)
		return command_usage_error(&cmd_record, "wants one of -p PID, --service NAME, -a, or -- CMD");
	if (!o->path)
		return command_usage_error(&cmd_record, "wants -o FILE");
	return 0;
}

/* ---- while it runs ----------------------------------------------------- */

static void take_signals(struct record *o)
{
	struct signalfd_siginfo info;
	while (read(o->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGCHLD) {
			o->interrupted = true;
			/* The terminal sent SIGINT to the command as well. */
			if (info.ssi_signo == SIGTERM && o->launch.pid > 0 && !o->command_ended)
				(void)kill(o->launch.pid, SIGTERM);
		} else if (o->launch.pid > 0 && !o->command_ended &&
			   waitpid(o->launch.pid, &o->command_status, WNOHANG) == o->launch.pid) {
			o->command_ended = true;
		}
	}
}

static void show_progress(const struct record *o, const struct recording *r)
{
	if (!isatty(STDERR_FILENO))
		return;
	struct recording_stats stats = recording_stats(r);
	(void)fprintf(stderr, "\rrecording: %" PRId64 " s, %" PRIu64 " samples ",
		      (clock_mono_ns() - o->started_ns) / 1000000000, stats.info.n_samples);
}

static bool is_over(const struct record *o, const struct recording *r)
{
	return o->interrupted || o->command_ended ||
	       (o->duration_ns && clock_mono_ns() - o->started_ns >= o->duration_ns) ||
	       (o->options.target == RECORD_PID && recording_target_ended(r));
}

/* Until the end, at most a second at a time for the progress line. */
static int sample(struct record *o, struct recording *r, struct error *err)
{
	int result = 0;
	while (result == 0 && !is_over(o, r)) {
		int64_t wait_ms = recording_timeout_ms(r);
		if (o->duration_ns) {
			int64_t left_ms = (o->started_ns + o->duration_ns - clock_mono_ns()) / 1000000 + 1;
			wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
		}
		if (wait_ms > 1000)
			wait_ms = 1000;
		struct pollfd fds[2] = { { .fd = recording_fd(r), .events = POLLIN },
					 { .fd = o->signals, .events = POLLIN } };
		if (poll(fds, 2, wait_ms < 0 ? 0 : (int)wait_ms) < 0 && errno != EINTR)
			return error_set(err, -errno, "poll: %s", strerror(errno));
		take_signals(o);
		result = recording_step(r, err);
		show_progress(o, r);
	}
	return result;
}

static void summarise(const struct record *o, const struct recording *r, const struct dwarf_stats *d)
{
	struct recording_stats s = recording_stats(r);
	uint64_t lost = 0;
	for (int i = 0; i < N_LOSSES; i++)
		if (loss_is_missing((enum loss)i))
			lost += s.info.lost[i];
	(void)fprintf(stderr, "%s%s: %" PRIu64 " samples of %" PRIu64 " processes at %" PRIu32 " Hz (%s)",
		      isatty(STDERR_FILENO) ? "\r" : "", o->path, s.info.n_samples, s.n_processes, s.info.rate_hz,
		      s.info.source);
	if (lost)
		(void)fprintf(stderr, ", %" PRIu64 " lost", lost);
	if (s.n_unnamed)
		(void)fprintf(stderr, ", %" PRIu64 " of %" PRIu64 " locations without a name", s.n_unnamed, s.n_frames);
	if (d->n_described)
		(void)fprintf(stderr, ", %" PRIu32 " of %" PRIu32 " user locations with file and line", d->n_lines,
			      d->n_frames);
	(void)fputs("\n", stderr);
	if (s.only_own)
		(void)fputs("only your own processes, without the kernel: run as root for all\n", stderr);
	else if (s.user_only)
		(void)fputs("without kernel frames: run as root to have them\n", stderr);
}

/* What was sampled is written even when sampling broke off. */
static int record_into(struct record *o, struct profile *p, struct error *err)
{
	_cleanup_(recording_free)
	struct recording *r = NULL;
	int status = recording_open(&o->options, p, &r, err);
	if (status < 0)
		return status;
	o->started_ns = clock_mono_ns();
	if (o->command)
		status = launch_go(&o->launch, o->command[0], err);
	if (status < 0)
		return status;
	status = sample(o, r, err);
	struct error finish_err;
	int finish = recording_finish(r, &finish_err);
	if (status == 0 && finish < 0) {
		status = finish;
		*err = finish_err;
	}
	struct dwarf_stats dwarf = { 0 };
	int lines = o->dwarf.off ? 0 : profile_add_lines(p, o->path, NULL, &o->dwarf, &dwarf);
	if (lines < 0)
		(void)fprintf(stderr, "wick: %s: no memory for lines and inlined functions\n", o->path);
	struct save_options options = { .type = profile_default_type(p) };
	int saved = profile_save(p, &o->output, &options, status < 0 ? &finish_err : err);
	if (saved == 0)
		summarise(o, r, &dwarf);
	return status < 0 ? status : saved;
}

static int record(struct record *o, struct error *err)
{
	int r = output_init(&o->output, o->path, o->to, o->force, OUTPUT_ANY, err);
	if (r < 0)
		return r;
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	o->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (o->signals < 0)
		return error_set(err, -errno, "signalfd: %s", strerror(errno));
	if (o->command)
		r = launch_prepare(o->command, &o->launch, err);
	if (r < 0)
		return r;
	o->options.pid = o->command ? o->launch.pid : o->options.pid;
	struct profile p;
	r = profile_init(&p, NULL);
	if (r == 0) {
		r = record_into(o, &p, err);
		profile_done(&p);
	} else {
		(void)error_set(err, r, "out of memory");
	}
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	return r;
}

static int run_record(int argc, char **argv)
{
	struct record o = {
		.options = { .rate_hz = RECORD_RATE_DEFAULT },
		.dwarf = dwarf_options_default(),
		.signals = -1,
		.launch = { .gate = -1, .failure = -1 },
	};
	int status = parse(&o, argc, argv);
	if (status)
		return status;
	struct error err;
	int r = record(&o, &err);
	bool started = o.command && o.launch.pid > 0 && o.launch.gate < 0;
	if (r < 0)
		status = command_failed(&cmd_record, r, &err);
	/* It may go on behind -d or Ctrl-C; its status is worth waiting for. */
	if (started && !o.command_ended)
		o.command_ended = waitpid(o.launch.pid, &o.command_status, 0) == o.launch.pid;
	launch_done(&o.launch);
	close_fd(&o.signals);
	if (r < 0 && o.command && !started && (r == -ENOENT || r == -EACCES) && o.launch.pid == 0)
		return r == -ENOENT ? 127 : 126;
	if (r == 0 && o.command_ended)
		status = WIFEXITED(o.command_status) ? WEXITSTATUS(o.command_status) : 128 + WTERMSIG(o.command_status);
	return status;
}

const struct command cmd_record = {
	.name = "record",
	.summary = "sample a process, a service, a command or everything into a file",
	.usage = "wick record [-p PID | --service NAME | -a | -- CMD...] [-F HZ] [-d SECONDS] [--force]\n"
		 "            [--to FORMAT] -o FILE\n"
		 "  -p PID          one process with all its threads\n"
		 "  --service NAME  the processes of one service (README: how services are named)\n"
		 "  -a              every process, kernel included (root)\n"
		 "  -- CMD          a command from before its exec, with its children; its status is passed on\n"
		 "  -F HZ           samples a second and CPU (100)\n"
		 "  -d SECONDS      how long; otherwise until Ctrl-C or the target's end\n"
		 "  -o FILE         .pb.gz .pprof .prof .pb .folded .svg .html ... (wick help convert lists all)\n"
		 "  --to FORMAT     the format, whatever FILE says (\"-\": standard output): pb.gz, folded ...\n"
		 "  --no-dwarf      no files, lines and inlined functions from debug information\n"
		 "  --debug-dir DIR look for debug information (by build id) there, too\n"
		 "  --dwarf-time S  read it for at most S seconds (30)\n",
	.run = run_record,
};
