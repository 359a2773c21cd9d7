/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: wick-agent. One thread around one poll(2):
 *
 *   signals | the sampler's ring | the upload's socket | what is due
 *
 * SIGTERM and SIGINT seal the last window, give the server STOP_MS to take
 * what is queued and end with status 0. */
#include "agent/cost.h"
#include "agent/options.h"
#include "agent/shipper.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#define QUEUE_MAX_BYTES ((size_t)4 << 20)
#define TABLES_MAX	((size_t)24 << 20)
#define COST_EVERY_NS	(60ll * 1000000000)
#define STOP_MS		4000

struct agent {
	struct recorder *recorder;
	struct upload *upload;
	struct shipper shipper;
	int signals;
	struct cost cost_at_start, cost_at_line;
	struct log_gate upload_gate;
	bool kernel_problem_told, server_is_away;
};

static struct cost own_cost(const struct agent *a)
{
	struct recorder_stats stats = recorder_stats(a->recorder);
	uint64_t lost = upload_stats(a->upload).n_samples_lost;
	for (int i = 0; i < N_LOSSES; i++)
		if (loss_is_missing((enum loss)i) && i != LOSS_upload_dropped)
			lost += stats.info.lost[i];
	return cost_now(stats.sampler.run_ns, stats.info.n_samples, lost);
}

static void tell_cost(const struct cost *from, const struct cost *to)
{
	_cleanup_(buf_done)
	struct buf line = buf_of(4096);
	cost_format(from, to, &line);
	buf_add_byte(&line, 0);
	if (!line.failed)
		log_info("%s", (const char *)line.data);
}

static void tell_kernel_problem(struct agent *a)
{
	const char *problem = recorder_kernel_problem(a->recorder);
	if (problem && !a->kernel_problem_told) {
		log_warn("kernel frames have no names: %s", problem);
		a->kernel_problem_told = true;
	}
}

static void tell_upload(struct agent *a, bool ok, const struct error *err)
{
	struct upload_stats stats = upload_stats(a->upload);
	if (!ok) {
		log_warn_every(&a->upload_gate, 60, "upload failed: %s queued=%u queued_bytes=%zu", err->text,
			       stats.n_queued, stats.queued_bytes);
		a->server_is_away = true;
	} else if (a->server_is_away && stats.n_queued == 0) {
		log_info("upload works again sent=%" PRIu64, stats.n_sent);
		a->server_is_away = false;
		a->upload_gate = (struct log_gate){ 0 };
	}
}

static void step_upload(struct agent *a)
{
	struct error err = { 0 };
	bool ok = upload_step(a->upload, &err);
	tell_upload(a, ok, &err);
	shipper_report_lost(&a->shipper);
}

static int shorter(int a_ms, int b_ms)
{
	if (a_ms < 0 || b_ms < 0)
		return a_ms < 0 ? b_ms : a_ms;
	return a_ms < b_ms ? a_ms : b_ms;
}

/* Returns true when a signal says to stop. */
static bool wait_for_work(struct agent *a)
{
	struct pollfd fds[] = {
		{ .fd = a->signals, .events = POLLIN },
		{ .fd = recorder_fd(a->recorder), .events = POLLIN },
		{ .fd = -1 },
	};
	fds[2].fd = upload_fd(a->upload, &fds[2].events);
	int timeout = shorter(recorder_timeout_ms(a->recorder), upload_timeout_ms(a->upload));
	int n = poll(fds, ARRAY_SIZE(fds), timeout);
	return n > 0 && fds[0].revents != 0;
}

static int run(struct agent *a, struct error *err)
{
	int r = 0;
	while (r == 0 && !wait_for_work(a)) {
		r = recorder_step(a->recorder, err);
		step_upload(a);
		tell_kernel_problem(a);
		if (clock_mono_ns() - a->cost_at_line.since_ns >= COST_EVERY_NS) {
			struct cost now = own_cost(a);
			tell_cost(&a->cost_at_line, &now);
			a->cost_at_line = now;
		}
	}
	return r;
}

/* The last window, and a bounded time for what is queued. */
static int stop(struct agent *a, struct error *err)
{
	int64_t deadline = clock_mono_ns() + STOP_MS * 1000000ll;
	int r = recorder_finish(a->recorder, err);
	upload_hurry(a->upload);
	while (upload_stats(a->upload).n_queued) {
		struct error failed;
		int64_t left_ms = (deadline - clock_mono_ns()) / 1000000;
		if (left_ms <= 0 || !upload_step(a->upload, &failed))
			break;
		struct pollfd p = { .fd = -1 };
		p.fd = upload_fd(a->upload, &p.events);
		if (p.fd >= 0)
			(void)poll(&p, 1, (int)left_ms);
	}
	struct upload_stats stats = upload_stats(a->upload);
	if (stats.n_queued)
		log_warn("not sent: profiles=%u", stats.n_queued);
	struct cost now = own_cost(a);
	tell_cost(&a->cost_at_start, &now);
	return r;
}

static int open_signals(struct error *err)
{
	sigset_t set;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? error_set(err, -errno, "signalfd: %s", strerror(errno)) : fd;
}

static int start(struct agent *a, const struct agent_options *o, struct error *err)
{
	struct upload_labels labels = { .host = o->host, .region = o->region, .zone = o->zone };
	struct recorder_options recorder = {
		.sampler = { .target = SAMPLE_ALL, .rate_hz = o->rate_hz, .tables_max = TABLES_MAX },
		.window_ms = o->window_s * 1000,
		.own_service = "wick-agent",
		.always_own = true,
	};
	a->signals = open_signals(err);
	if (a->signals < 0)
		return a->signals;
	int r = upload_new(o->server, &labels, QUEUE_MAX_BYTES, &a->upload, err);
	if (r < 0)
		return r;
	a->shipper.upload = a->upload;
	r = recorder_open(&recorder, (struct recorder_sink){ shipper_series, &a->shipper }, &a->recorder, err);
	if (r < 0)
		return r;
	a->shipper.recorder = a->recorder;
	const struct sampler *s = recorder_sampler(a->recorder);
	log_info("sampling source=%s unwind=%s cpus=%u rate_hz=%u window_s=%u server=%s", sampler_source(s),
		 sampler_unwind_name(sampler_unwind(s)), sampler_n_cpus(s), o->rate_hz, o->window_s, o->server);
	if (sampler_downgrade(s)[0])
		log_warn("%s%s", sampler_only_own(s) ? "only processes of this user are sampled: " : "",
			 sampler_downgrade(s));
	a->cost_at_start = a->cost_at_line = own_cost(a);
	return 0;
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
	struct agent a = { .signals = -1 };
	int r = start(&a, &options, &err);
	if (r == 0) {
		r = run(&a, &err);
		if (r == 0)
			r = stop(&a, &err);
	}
	if (r < 0)
		log_error("%s", err.text);
	recorder_free(&a.recorder);
	upload_free(&a.upload);
	close_fd(&a.signals);
	return r < 0 ? error_exit_status(r) : 0;
}
