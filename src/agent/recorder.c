/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/recorder.h"

#include "agent/intake.h"
#include "base/clock.h"

#include <errno.h>
#include <malloc.h>

#define MS		  1000000ll
#define DRAIN_MS	  500
#define DRAIN_OFTEN_MS	  50
#define RESTLESS_MS	  30000ll
#define EAGER_MS_PER_S	  2000.0
#define GRACE_MS	  100
#define WINDOW_MAX_SIZE	  ((size_t)16 << 20)
#define MAX_PROCESSES	  4096
#define FIRST_WINDOW_MS	  3000
#define MAX_BINARIES	  4096
#define MAX_OPEN_BINARIES 256
#define NAME_CACHE_SIZE	  ((size_t)1536 << 10)
/* 6 bytes each on their way: 0.7 MB a minute of a large machine. */
#define MOMENTS_PER_S 2000u

struct recorder {
	struct recorder_options options;
	struct recorder_sink sink;
	struct sampler *sampler;
	struct binary_table *binaries;
	struct process_table *processes;
	struct naming *naming;

	struct window windows[2];		  /* by number % 2 */
	uint32_t current;			  /* number of the window being filled */
	bool sealing;				  /* current - 1 waits for its last samples */
	int64_t window_end_ns, seal_ns, drain_ns; /* CLOCK_MONOTONIC: when each is due */
	/* Samples from between a replaced mapping and the next drain are of no use: where
	 * that happens, drain more often. */
	int64_t restless_until_ns;
	uint64_t n_replaced;
	size_t window_max; /* bytes of the next window */

	struct coverage coverage;
	struct sampler_stats counted;  /* up to here losses are in some window */
	uint64_t lost_later[N_LOSSES]; /* for the next window */
	double scale;
	uint32_t n_cpus;
	struct recorder_stats stats;
};

static struct window *window_of(struct recorder *r, uint32_t number)
{
	return &r->windows[number % 2];
}

static void on_stack(void *arg, const struct record_stack *s)
{
	struct recorder *r = arg;
	struct window *w = window_of(r, s->window);
	/* Without its body, its samples are counted as stack_missing. */
	if (w->number == s->window && window_add_stack(w, s) < 0)
		return;
}

static bool is_wanted(const struct recorder *r, const struct process *p)
{
	return !r->options.only_service || strcmp(p->service, r->options.only_service) == 0;
}

static void on_sample(void *arg, const struct record_sample *s, const struct record_memory *memory)
{
	struct recorder *r = arg;
	struct window *w = window_of(r, s->window);
	int64_t now = clock_mono_ns();
	/* It comes after its window was sealed. */
	if (w->number != s->window) {
		r->lost_later[LOSS_stack_missing]++;
		return;
	}
	struct process *p = process_get(r->processes, s, now);
	if (!p)
		w->info.lost[LOSS_window_full]++;
	else if (is_wanted(r, p))
		intake_sample(w, r->processes, p, s, memory, now);
}

static void on_changed(void *arg, const struct map_event *e)
{
	struct recorder *r = arg;
	process_table_changed(r->processes, e, clock_mono_ns());
}

static void catch_up(void *arg)
{
	struct recorder *r = arg;
	sampler_catch_up(r->sampler);
}

static int begin_window(struct recorder *r, uint32_t number)
{
	struct window *w = window_of(r, number);
	int e = window_init(w, number, clock_wall_ns(), r->window_max);
	w->start_mono_ns = clock_mono_ns();
	/* The first one is short: somebody waits for the page to show something. */
	uint32_t ms = number == 1 && r->options.window_ms > FIRST_WINDOW_MS ? FIRST_WINDOW_MS : r->options.window_ms;
	r->window_end_ns = w->start_mono_ns + ms * MS;
	if (r->options.sample_times)
		window_keep_moments(w, MOMENTS_PER_S * ms / 1000);
	return e;
}

/* However the wall clock is set meanwhile. */
static void end_window(struct window *w)
{
	w->end_ns = w->start_ns + clock_mono_ns() - w->start_mono_ns;
}

static void describe(const struct recorder *r, struct window_info *info)
{
	(void)snprintf(info->source, sizeof(info->source), "%s", sampler_source(r->sampler));
	(void)snprintf(info->unwind, sizeof(info->unwind), "%s", sampler_unwind_name(sampler_unwind(r->sampler)));
	info->n_cpus = r->n_cpus;
	info->rate_hz = r->options.sampler.rate_hz;
}

int recorder_open(const struct recorder_options *o, struct recorder_sink sink, struct recorder **ret, struct error *err)
{
	_cleanup_(recorder_free)
	struct recorder *r = calloc(1, sizeof(*r));
	if (!r)
		return error_set(err, -ENOMEM, "no memory");
	r->options = *o;
	r->sink = sink;
	r->current = 1;
	r->scale = 1;
	r->window_max = WINDOW_MAX_SIZE;
	const char *temp_dir = getenv("TMPDIR");
	r->binaries = binary_table_new(MAX_BINARIES, MAX_OPEN_BINARIES);
	r->processes = r->binaries ? process_table_new(MAX_PROCESSES, o->own_service, r->binaries) : NULL;
	r->naming = naming_new(NAME_CACHE_SIZE, temp_dir ? temp_dir : "/var/tmp");
	if (!r->processes || !r->naming || begin_window(r, r->current) < 0)
		return error_set(err, -ENOMEM, "no memory");
	int e = sampler_open(&o->sampler, (struct sample_sink){ on_stack, on_sample, on_changed, r }, &r->sampler, err);
	if (e < 0)
		return e;
	if (sampler_catches_up(r->sampler))
		process_table_set_watch(r->processes, (struct process_watch){ catch_up, r });
	process_table_set_unwinder(r->processes, sampler_unwinder(r->sampler), o->eager_tables);
	if (o->eager_tables)
		unwinder_set_speed(sampler_unwinder(r->sampler), EAGER_MS_PER_S);
	r->n_cpus = sampler_n_cpus(r->sampler);
	describe(r, &r->stats.info);
	*ret = take_ptr(r);
	return 0;
}

void recorder_free(struct recorder **r)
{
	if (!*r)
		return;
	for (size_t i = 0; i < ARRAY_SIZE((*r)->windows); i++)
		window_done(&(*r)->windows[i]);
	coverage_done(&(*r)->coverage);
	naming_free(&(*r)->naming);
	/* Its lists are in the sampler's tables. */
	process_table_free(&(*r)->processes);
	sampler_free(&(*r)->sampler);
	binary_table_free(&(*r)->binaries);
	free(*r);
	*r = NULL;
}

int recorder_fd(const struct recorder *r)
{
	return sampler_fd(r->sampler);
}

int recorder_timeout_ms(const struct recorder *r)
{
	int64_t due = r->drain_ns < r->window_end_ns ? r->drain_ns : r->window_end_ns;
	if (r->sealing && r->seal_ns < due)
		due = r->seal_ns;
	int64_t left = due - clock_mono_ns();
	return left <= 0 ? 0 : (int)((left + MS - 1) / MS);
}

/* What the sampler lost since the last window was described. */
static void take_losses(struct recorder *r, struct window_info *info)
{
	struct sampler_stats now = sampler_stats(r->sampler);
	info->lost[LOSS_ring_full] += now.n_ring_full - r->counted.n_ring_full;
	info->lost[LOSS_throttled] += now.n_throttled - r->counted.n_throttled;
	r->counted = now;
	for (int i = 0; i < N_LOSSES; i++) {
		info->lost[i] += r->lost_later[i];
		r->lost_later[i] = 0;
	}
}

static uint32_t largest_series(const struct window *w)
{
	uint32_t largest = 0;
	for (uint32_t i = 1; i < w->series.n; i++)
		if (w->series.data[i].weight > w->series.data[largest].weight)
			largest = i;
	return largest;
}

/* The series did not get through: its samples and the losses it was to carry
 * go with the next window. */
static void carry_over(struct recorder *r, const struct window_info *info)
{
	for (int i = 0; i < N_LOSSES; i++) {
		r->lost_later[i] += info->lost[i];
		r->stats.info.lost[i] -= info->lost[i];
	}
	r->lost_later[LOSS_upload_dropped] += info->n_samples;
}

static void emit(struct recorder *r, struct window *w)
{
	uint32_t largest = largest_series(w);
	for (uint32_t i = 0; i < w->series.n; i++) {
		struct window_info info = w->info;
		info.n_samples = w->series.data[i].n_samples;
		if (i != largest)
			memset(info.lost, 0, sizeof(info.lost));
		if (r->sink.series(r->sink.arg, w, i, &info) < 0)
			carry_over(r, &info);
	}
}

/* Names what is in the window and hands it on. Where there is no room for a
 * name, or for the empty series of our own, the rest still counts. */
static void seal(struct recorder *r, struct window *w)
{
	int64_t now = clock_mono_ns();
	uint32_t own;
	describe(r, &w->info);
	take_losses(r, &w->info);
	window_info_add(&r->stats.info, &w->info);
	r->scale = sampler_scale(r->sampler);
	if (r->options.always_own && window_series(w, r->options.own_service, "", &own) < 0)
		r->stats.n_incomplete++;
	if (naming_window(r->naming, w, now) < 0)
		r->stats.n_incomplete++;
	if (coverage_add(&r->coverage, w) < 0)
		r->stats.n_incomplete++;
	window_sort_moments(w);
	emit(r, w);
	if (r->sink.window)
		r->sink.window(r->sink.arg, w);
	window_done(w);
	*w = (struct window){ 0 };
	process_table_end_window(r->processes, now);
	unwinder_end_window(sampler_unwinder(r->sampler), now);
	binary_table_end_window(r->binaries, now);
	r->stats.n_windows++;
	/* Encoding and naming are over: what they took goes back. */
	(void)malloc_trim(0);
}

static void seal_previous(struct recorder *r)
{
	r->sealing = false;
	seal(r, window_of(r, r->current - 1));
	sampler_rescan(r->sampler);
	r->n_cpus = sampler_n_cpus(r->sampler);
}

/* From now on samples go to the next window. */
static int turn(struct recorder *r, int64_t now)
{
	if (r->sealing)
		seal_previous(r);
	end_window(window_of(r, r->current));
	int e = begin_window(r, r->current + 1);
	if (e < 0)
		return e;
	sampler_set_window(r->sampler, ++r->current);
	r->sealing = true;
	r->seal_ns = now + GRACE_MS * MS;
	return 0;
}

int recorder_step(struct recorder *r, struct error *err)
{
	int e = sampler_drain(r->sampler);
	int64_t now = clock_mono_ns();
	uint64_t n_replaced = process_table_stats(r->processes).n_replaced;
	if (n_replaced != r->n_replaced)
		r->restless_until_ns = now + RESTLESS_MS * MS;
	r->n_replaced = n_replaced;
	r->drain_ns = now + (now < r->restless_until_ns ? DRAIN_OFTEN_MS : DRAIN_MS) * MS;
	if (e == 0 && r->sealing && now >= r->seal_ns)
		seal_previous(r);
	if (e == 0 && now >= r->window_end_ns)
		e = turn(r, now);
	return e < 0 ? error_set(err, e, "recording: %s", strerror(-e)) : 0;
}

int recorder_finish(struct recorder *r, struct error *err)
{
	sampler_stop(r->sampler);
	int e = sampler_drain(r->sampler);
	/* Whatever the last drain said, what was taken is there. */
	if (r->sealing)
		seal_previous(r);
	struct window *w = window_of(r, r->current);
	end_window(w);
	seal(r, w);
	return e < 0 ? error_set(err, e, "recording: %s", strerror(-e)) : 0;
}

void recorder_set_rate(struct recorder *r, uint32_t rate_hz)
{
	sampler_set_rate(r->sampler, rate_hz);
	r->options.sampler.rate_hz = rate_hz;
}

void recorder_set_features(struct recorder *r, bool tables, bool walk)
{
	unwinder_set_speed(sampler_unwinder(r->sampler), tables ? UNWINDER_SPEED_MS : 0);
	sampler_set_walk(r->sampler, walk);
}

void recorder_relieve(struct recorder *r, uint32_t level)
{
	r->window_max = WINDOW_MAX_SIZE >> 2 * level;
	process_table_limit(r->processes, MAX_PROCESSES >> 2 * level);
	if (level > 0)
		naming_forget(r->naming);
	(void)malloc_trim(0);
}

void recorder_add_lost(struct recorder *r, enum loss reason, uint64_t n)
{
	r->lost_later[reason] += n;
}

int recorder_profile(struct recorder *r, const struct window *w, uint32_t series, struct profile *p)
{
	struct window_profile_options o = {
		.scale = r->scale,
		.kernel_build_id = naming_kernel_build_id(r->naming),
		.label_service = r->options.label_service,
	};
	return window_profile(w, series, &o, p);
}

struct recorder_stats recorder_stats(const struct recorder *r)
{
	struct recorder_stats stats = r->stats;
	stats.sampler = sampler_stats(r->sampler);
	stats.processes = process_table_stats(r->processes);
	stats.naming = naming_stats(r->naming);
	stats.unwinder = unwinder_stats(sampler_unwinder(r->sampler));
	stats.kernel_memory = sampler_kernel_memory(r->sampler);
	return stats;
}

const struct coverage *recorder_coverage(const struct recorder *r)
{
	return &r->coverage;
}

const struct sampler *recorder_sampler(const struct recorder *r)
{
	return r->sampler;
}

const char *recorder_kernel_problem(const struct recorder *r)
{
	return naming_kernel_problem(r->naming);
}
