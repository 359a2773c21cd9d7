/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>

#define MS		INT64_C(1000000)
#define QUEUE_MAX_BYTES ((size_t)4 << 20)
#define COST_EVERY_NS	(60000 * MS)
#define BUDGET_EVERY_NS (1000 * MS)
#define WARM_UP_NS	(15000 * MS)
#define STOP_EVERY_NS	(250 * MS)
#define STOP_MS		4000
#define MAPS_RESERVE	((uint64_t)2 << 20) /* of the kernel memory: all that is not segments */

/* ---- figures ------------------------------------------------------------- */

static void add_stats(struct recorder_stats *to, const struct recorder_stats *from)
{
	window_info_add(&to->info, &from->info);
	to->sampler.run_ns += from->sampler.run_ns;
	to->sampler.n_runs += from->sampler.n_runs;
	to->sampler.n_memory += from->sampler.n_memory;
	for (int i = 0; i < SAMPLER_TIMES; i++) {
		to->sampler.walk_time[i] += from->sampler.walk_time[i];
		to->sampler.sample_time[i] += from->sampler.sample_time[i];
	}
	to->unwinder.build_ns += from->unwinder.build_ns;
	to->n_windows += from->n_windows;
}

struct recorder_stats agent_stats(const struct agent *a)
{
	struct recorder_stats stats = a->before;
	if (a->recorder) {
		stats = recorder_stats(a->recorder);
		add_stats(&stats, &a->before);
	}
	return stats;
}

struct cost agent_cost(const struct agent *a)
{
	struct recorder_stats stats = agent_stats(a);
	struct upload_stats upload = upload_stats(a->upload);
	uint64_t lost = upload.n_samples_lost;
	for (int i = 0; i < N_LOSSES; i++)
		if (loss_is_missing((enum loss)i) && i != LOSS_upload_dropped)
			lost += stats.info.lost[i];
	return cost_now(&stats, lost, upload.n_bytes);
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

/* ---- sampling ------------------------------------------------------------ */

static int put_series(void *arg, const struct window *w, uint32_t series, const struct window_info *info)
{
	struct agent *a = arg;
	return shipper_series(&a->shipper, w, series, info);
}

/* A window goes with what the agent used during it. */
static void put_window(void *arg, const struct window *w)
{
	struct agent *a = arg;
	struct cost now = agent_cost(a);
	shipper_cost(&a->shipper, w, &a->cost_at_window, &now);
	a->cost_at_window = now;
}

static void apply(struct agent *a)
{
	const struct governor_state *s = &a->governor.state;
	recorder_set_rate(a->recorder, s->rate_hz);
	recorder_set_features(a->recorder, s->feature == FEATURE_ALL, s->feature != FEATURE_LEAVES);
	recorder_relieve(a->recorder, s->relief);
}

static int begin_sampling(struct agent *a, struct error *err)
{
	const struct agent_options *o = a->options;
	struct recorder_options recorder = {
		.sampler = { .target = SAMPLE_ALL,
			     .rate_hz = o->rate_hz,
			     .unwind = o->frame_pointers ? UNWIND_FP : UNWIND_LOOP,
			     .tables_max = o->kernel_memory > MAPS_RESERVE ? o->kernel_memory - MAPS_RESERVE : 0 },
		.window_ms = o->window_s * 1000,
		.own_service = "wick-agent",
		.always_own = true,
		.sample_times = true,
	};
	int r = recorder_open(&recorder, (struct recorder_sink){ put_series, put_window, a }, &a->recorder, err);
	if (r < 0)
		return r;
	a->shipper.recorder = a->recorder;
	const struct sampler *s = recorder_sampler(a->recorder);
	log_info("sampling source=%s unwind=%s cpus=%u rate_hz=%u window_s=%u server=%s", sampler_source(s),
		 sampler_unwind_name(sampler_unwind(s)), sampler_n_cpus(s), o->rate_hz, o->window_s, o->server);
	if (sampler_downgrade(s)[0])
		log_warn("%s%s", sampler_only_own(s) ? "only processes of this user are sampled: " : "",
			 sampler_downgrade(s));
	apply(a);
	return 0;
}

static int end_sampling(struct agent *a, struct error *err)
{
	int r = recorder_finish(a->recorder, err);
	a->before = agent_stats(a);
	a->before.kernel_memory = 0;
	a->shipper.recorder = NULL;
	recorder_free(&a->recorder);
	(void)malloc_trim(0);
	return r;
}

/* The stop file came or went. */
static int follow_stop(struct agent *a, struct error *err)
{
	bool stop = stopfile_check(&a->stop);
	if (stop == !a->recorder)
		return 0;
	if (!stop)
		return begin_sampling(a, err);
	log_warn("sampling stopped by=%s", a->stop.in_memory ? "signal" : a->stop.path);
	return end_sampling(a, err);
}

void agent_set_stop(struct agent *a, bool stop)
{
	struct error err;
	if (stopfile_set(&a->stop, stop, &err) < 0)
		log_warn("%s", err.text);
	a->stop_ns = 0;
}

/* ---- budget -------------------------------------------------------------- */

static void follow_budget(struct agent *a, int64_t now_ns)
{
	const char *why;
	struct cost now = agent_cost(a);
	struct governor_state was = a->governor.state;
	struct governor_input in = { .now_ns = now_ns, .cpu_ns = cost_cpu_ns(&now), .memory = now.memory };
	if (!governor_step(&a->governor, &in, &why))
		return;
	const struct governor_state *s = &a->governor.state;
	(void)snprintf(a->last_change, sizeof(a->last_change), "%s", why);
	a->last_change_ns = clock_wall_ns();
	log_warn_every(&a->budget_gate, 10, "budget: %s: rate_hz=%u->%u features=%d->%d relief=%u->%u", why,
		       was.rate_hz, s->rate_hz, (int)was.feature, (int)s->feature, was.relief, s->relief);
	if (a->recorder)
		apply(a);
}

/* ---- the rest ------------------------------------------------------------ */

static void tell_kernel_problem(struct agent *a)
{
	const char *problem = a->recorder ? recorder_kernel_problem(a->recorder) : NULL;
	if (problem && !a->kernel_problem_told) {
		log_warn("kernel frames have no names: %s", problem);
		a->kernel_problem_told = true;
	}
}

static struct spool_stats spooled(const struct agent *a)
{
	return a->spool ? spool_stats(a->spool) : (struct spool_stats){ 0 };
}

static void tell_upload(struct agent *a, bool ok, const struct error *err)
{
	struct upload_stats stats = upload_stats(a->upload);
	struct spool_stats spool = spooled(a);
	if (!ok) {
		log_warn_every(&a->upload_gate, 60,
			       "upload failed: %s queued=%u queued_bytes=%zu spooled=%u spooled_bytes=%" PRIu64
			       " dropped=%" PRIu64,
			       err->text, stats.n_queued, stats.queued_bytes, spool.n_files, spool.bytes,
			       stats.n_dropped);
		a->server_is_away = true;
	} else if (a->server_is_away && !stats.is_away && stats.n_queued == 0) {
		log_info("upload works again sent=%" PRIu64 " spooled=%u dropped=%" PRIu64, stats.n_sent, spool.n_files,
			 stats.n_dropped);
		a->server_is_away = false;
		a->upload_gate = (struct log_gate){ 0 };
	}
	if (upload_spool_problem(a->upload)[0])
		log_warn_every(&a->spool_gate, 60, "spool: %s: profiles stay in memory",
			       upload_spool_problem(a->upload));
}

static void step_upload(struct agent *a)
{
	struct error err = { 0 };
	bool ok = upload_step(a->upload, &err);
	tell_upload(a, ok, &err);
	shipper_report_lost(&a->shipper);
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int shorter(int a_ms, int b_ms)
{
	if (a_ms < 0 || b_ms < 0)
		return a_ms < 0 ? b_ms : a_ms;
	return a_ms < b_ms ? a_ms : b_ms;
}

int agent_timeout_ms(const struct agent *a)
{
	int64_t left = earlier(a->budget_ns, a->stop_ns) - clock_mono_ns();
	int own = left <= 0 ? 0 : (int)((left + MS - 1) / MS);
	int timeout = shorter(own, upload_timeout_ms(a->upload));
	return a->recorder ? shorter(timeout, recorder_timeout_ms(a->recorder)) : timeout;
}

void agent_poll(const struct agent *a, struct pollfd fds[static AGENT_FDS])
{
	control_poll(a->control, fds);
	fds[CONTROL_FDS] = (struct pollfd){ .fd = a->recorder ? recorder_fd(a->recorder) : -1, .events = POLLIN };
	fds[CONTROL_FDS + 1] = (struct pollfd){ .fd = -1 };
	fds[CONTROL_FDS + 1].fd = upload_fd(a->upload, &fds[CONTROL_FDS + 1].events);
}

int agent_step(struct agent *a, const struct pollfd fds[static AGENT_FDS], struct error *err)
{
	int r = a->recorder ? recorder_step(a->recorder, err) : 0;
	int64_t now = clock_mono_ns();
	step_upload(a);
	control_step(a->control, fds, now);
	tell_kernel_problem(a);
	if (r == 0 && now >= a->stop_ns) {
		a->stop_ns = now + STOP_EVERY_NS;
		r = follow_stop(a, err);
	}
	if (r == 0 && now >= a->budget_ns) {
		a->budget_ns = now + BUDGET_EVERY_NS;
		follow_budget(a, now);
	}
	if (now - a->cost_at_line.since_ns >= COST_EVERY_NS) {
		struct cost cost = agent_cost(a);
		tell_cost(&a->cost_at_line, &cost);
		a->cost_at_line = cost;
	}
	return r;
}

/* Without a spool a server that is away for long costs profiles. */
static void open_spool(struct agent *a)
{
	struct error err;
	const struct agent_options *o = a->options;
	if (!o->spool[0]) {
		log_info("no spool: while the server is away profiles are kept in memory only");
		return;
	}
	if (spool_open(o->spool, o->spool_limit, &a->spool, &err) < 0) {
		log_warn("no spool: %s; while the server is away profiles are kept in memory only", err.text);
		return;
	}
	struct spool_stats stats = spool_stats(a->spool);
	if (stats.n_files || stats.n_dropped || stats.n_torn)
		log_info("spool left by an earlier run files=%u bytes=%" PRIu64 " dropped=%" PRIu64 " torn=%" PRIu64,
			 stats.n_files, stats.bytes, stats.n_dropped, stats.n_torn);
}

/* Without a socket it can be worked with all the same. */
static void open_control(struct agent *a)
{
	struct error err;
	const char *path = a->options->socket;
	if (path[0] && control_open(path, (struct control_handler){ status_answer, a }, &a->control, &err) < 0)
		log_warn("no status: %s", err.text);
}

int agent_start(struct agent *a, const struct agent_options *o, struct error *err)
{
	struct upload_labels labels = { .host = o->host, .region = o->region, .zone = o->zone };
	struct governor_budget budget = { .cpu = o->cpu_budget / 100, .memory = o->memory, .rate_hz = o->rate_hz };
	a->options = o;
	open_spool(a);
	int r = upload_new(o->server, &labels, QUEUE_MAX_BYTES, a->spool, &a->upload, err);
	if (r < 0)
		return r;
	a->shipper.upload = a->upload;
	a->shipper.labels = labels;
	governor_init(&a->governor, &budget);
	/* Loading programs, reading the kernel's symbols, the first unwind tables. */
	a->budget_ns = clock_mono_ns() + WARM_UP_NS;
	stopfile_init(&a->stop, o->stop_file);
	a->cost_at_start = a->cost_at_line = a->cost_at_window = agent_cost(a);
	if (stopfile_check(&a->stop))
		log_warn("not sampling: %s is there", o->stop_file);
	else
		r = begin_sampling(a, err);
	if (r == 0)
		open_control(a);
	return r;
}

int agent_stop(struct agent *a, struct error *err)
{
	int64_t deadline = clock_mono_ns() + STOP_MS * MS;
	int r = a->recorder ? end_sampling(a, err) : 0;
	upload_hurry(a->upload);
	while (upload_stats(a->upload).n_queued) {
		struct error failed;
		int64_t left_ms = (deadline - clock_mono_ns()) / MS;
		if (left_ms <= 0 || !upload_step(a->upload, &failed))
			break;
		struct pollfd p = { .fd = -1 };
		p.fd = upload_fd(a->upload, &p.events);
		if (p.fd >= 0)
			(void)poll(&p, 1, (int)left_ms);
	}
	upload_spill(a->upload);
	struct upload_stats stats = upload_stats(a->upload);
	if (stats.n_queued)
		log_warn("not sent: profiles=%u", stats.n_queued);
	if (spooled(a).n_files)
		log_info("kept for the next run: spooled=%u folder=%s", spooled(a).n_files, spool_folder(a->spool));
	struct cost now = agent_cost(a);
	tell_cost(&a->cost_at_start, &now);
	return r;
}

void agent_done(struct agent *a)
{
	control_free(&a->control);
	recorder_free(&a->recorder);
	upload_free(&a->upload);
	spool_free(&a->spool);
}
