/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/recording.h"

#include "agent/recorder.h"
#include "base/clock.h"

#include <errno.h>
#include <signal.h>

#define TABLES_MAX   ((size_t)64 << 20)
#define WINDOW_MS    10000
#define COMPACT_ROWS 65536u

struct recording {
	struct recording_options options;
	struct recorder *recorder;
	struct profile *into;
	int64_t start_mono_ns;
	uint32_t n_compact; /* rows after the last compaction */
	int sink_error;	    /* of merging, reported by the step it happened in */
};

static int put_series(void *arg, const struct window *w, uint32_t series, const struct window_info *info)
{
	struct recording *r = arg;
	/* One profile for all series: samples differ by their labels. */
	int e = recorder_profile(r->recorder, w, series, r->into);
	if (e < 0)
		r->sink_error = e;
	return e;
}

static enum sampler_target target_of(enum recording_target t)
{
	switch (t) {
	case RECORD_PID:
		return SAMPLE_PROCESS;
	case RECORD_TREE:
		return SAMPLE_TREE;
	case RECORD_ALL:
	case RECORD_SERVICE:
		break;
	}
	return SAMPLE_ALL;
}

int recording_open(const struct recording_options *o, struct profile *into, struct recording **ret, struct error *err)
{
	if (o->rate_hz < RECORD_RATE_MIN || o->rate_hz > RECORD_RATE_MAX)
		return error_set(err, -EINVAL, "rate %u Hz: from %d to %d", o->rate_hz, RECORD_RATE_MIN,
				 RECORD_RATE_MAX);
	_cleanup_(recording_free)
	struct recording *r = calloc(1, sizeof(*r));
	if (!r)
		return error_set(err, -ENOMEM, "no memory");
	r->options = *o;
	r->into = into;
	r->start_mono_ns = clock_mono_ns();
	int64_t now = clock_wall_ns();
	int e = profile_begin(into, o->rate_hz, now, now);
	if (e < 0)
		return error_set(err, e, "no memory for the profile");
	struct recorder_options options = {
		.sampler = { .target = target_of(o->target),
			     .pid = o->pid,
			     .rate_hz = o->rate_hz,
			     .tables_max = TABLES_MAX },
		.eager_tables = o->target != RECORD_ALL,
		.window_ms = WINDOW_MS,
		.own_service = "wick",
		.only_service = o->target == RECORD_SERVICE ? o->service : NULL,
		.label_service = true,
	};
	e = recorder_open(&options, (struct recorder_sink){ put_series, NULL, r }, &r->recorder, err);
	if (e < 0)
		return e;
	*ret = take_ptr(r);
	return 0;
}

void recording_free(struct recording **r)
{
	if (!*r)
		return;
	recorder_free(&(*r)->recorder);
	free(*r);
	*r = NULL;
}

int recording_fd(const struct recording *r)
{
	return recorder_fd(r->recorder);
}

int recording_timeout_ms(const struct recording *r)
{
	return recorder_timeout_ms(r->recorder);
}

static int take_sink_error(struct recording *r, struct error *err)
{
	int e = r->sink_error;
	r->sink_error = 0;
	return e < 0 ? error_set(err, e, "the profile is full: %s", strerror(-e)) : 0;
}

/* Every window adds rows for stacks that are there already. */
static int compact(struct recording *r, struct error *err)
{
	if (profile_n_samples(r->into) < 2 * r->n_compact + COMPACT_ROWS)
		return 0;
	int e = profile_compact(r->into);
	r->n_compact = profile_n_samples(r->into);
	return e < 0 ? error_set(err, e, "the profile is full: %s", strerror(-e)) : 0;
}

int recording_step(struct recording *r, struct error *err)
{
	int e = recorder_step(r->recorder, err);
	if (e == 0)
		e = take_sink_error(r, err);
	return e < 0 ? e : compact(r, err);
}

static int complete(struct recording *r, struct error *err)
{
	_cleanup_(buf_done)
	struct buf comment = buf_of(4096);
	struct window_info info = recording_stats(r).info;
	window_info_format(&info, &comment);
	r->into->duration_ns = clock_mono_ns() - r->start_mono_ns;
	int e = comment.failed ? -ENOMEM : profile_add_comment(r->into, slice_of(comment.data, comment.n));
	if (e == 0)
		e = profile_compact(r->into);
	return e < 0 ? error_set(err, e, "the profile is full: %s", strerror(-e)) : 0;
}

int recording_finish(struct recording *r, struct error *err)
{
	int e = recorder_finish(r->recorder, err);
	int full = take_sink_error(r, e < 0 ? NULL : err);
	int whole = complete(r, e < 0 || full < 0 ? NULL : err);
	return e < 0 ? e : full < 0 ? full : whole;
}

bool recording_target_ended(const struct recording *r)
{
	return r->options.target == RECORD_PID && kill(r->options.pid, 0) < 0 && errno == ESRCH;
}

struct recording_stats recording_stats(const struct recording *r)
{
	struct recorder_stats stats = recorder_stats(r->recorder);
	const struct sampler *sampler = recorder_sampler(r->recorder);
	return (struct recording_stats){
		.info = stats.info,
		.n_processes = stats.processes.n_read,
		.n_frames = stats.naming.n_places,
		.n_unnamed = stats.naming.n_unnamed,
		.user_only = sampler_user_only(sampler),
		.only_own = r->options.target == RECORD_ALL && sampler_only_own(sampler),
	};
}
