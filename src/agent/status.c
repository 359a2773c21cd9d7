/* SPDX-License-Identifier: Apache-2.0 */
/* status.c: what the control socket answers. docs/cli.md has the fields. */
#include "agent/agent.h"
#include "base/jsonw.h"

#include <string.h>
#include <time.h>

static const char *const feature_names[] = {
	[FEATURE_ALL] = "all",
	[FEATURE_NO_NEW_TABLES] = "no new unwind tables",
	[FEATURE_LEAVES] = "no user stacks",
};

static void put_times(struct jsonw *w, const char *key, const uint64_t times[static SAMPLER_TIMES])
{
	jsonw_object(w, key);
	jsonw_u64(w, "p50", sampler_time(times, 0.5));
	jsonw_u64(w, "p99", sampler_time(times, 0.99));
	jsonw_end(w, '}');
}

static void put_sampling(struct jsonw *w, const struct agent *a)
{
	jsonw_object(w, "sampling");
	jsonw_cstr(w, "state", a->recorder ? "on" : "stopped");
	if (a->recorder) {
		const struct sampler *s = recorder_sampler(a->recorder);
		jsonw_cstr(w, "source", sampler_source(s));
		jsonw_cstr(w, "unwind", sampler_unwind_name(sampler_unwind(s)));
		jsonw_cstr(w, "why_not_bpf", sampler_downgrade(s));
		jsonw_u64(w, "cpus", sampler_n_cpus(s));
	} else {
		jsonw_cstr(w, "stopped_by", a->stop.in_memory ? "signal" : a->stop.path);
	}
	jsonw_u64(w, "rate_hz", a->governor.state.rate_hz);
	jsonw_cstr(w, "features", feature_names[a->governor.state.feature]);
	jsonw_u64(w, "relief", a->governor.state.relief);
	if (a->last_change[0]) {
		char time[32];
		time_t seconds = a->last_change_ns / 1000000000;
		struct tm tm;
		(void)strftime(time, sizeof(time), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
		jsonw_cstr(w, "last_change", a->last_change);
		jsonw_cstr(w, "last_change_at", time);
	}
	jsonw_end(w, '}');
}

static void put_budget(struct jsonw *w, const struct agent *a)
{
	jsonw_object(w, "budget");
	jsonw_f64(w, "cpu_percent", a->options->cpu_budget);
	jsonw_u64(w, "memory_bytes", a->options->memory);
	jsonw_u64(w, "kernel_memory_bytes", a->options->kernel_memory);
	jsonw_u64(w, "rate_hz", a->options->rate_hz);
	jsonw_end(w, '}');
}

static void put_cost(struct jsonw *w, const char *key, const struct cost *from, const struct cost *to)
{
	jsonw_object(w, key);
	jsonw_f64(w, "seconds", (double)(to->since_ns - from->since_ns) / 1e9);
	jsonw_f64(w, "cpu_percent", cost_percent(from, to, cost_cpu_ns(to) - cost_cpu_ns(from)));
	jsonw_f64(w, "bpf_percent", cost_percent(from, to, to->bpf_ns - from->bpf_ns));
	jsonw_f64(w, "user_percent", cost_percent(from, to, to->user_ns - from->user_ns));
	jsonw_f64(w, "tables_percent", cost_percent(from, to, to->tables_ns - from->tables_ns));
	jsonw_u64(w, "sent_bytes", to->n_sent_bytes - from->n_sent_bytes);
	jsonw_end(w, '}');
}

static void put_memory(struct jsonw *w, const struct cost *now)
{
	jsonw_object(w, "memory");
	jsonw_u64(w, "resident_bytes", now->memory);
	jsonw_u64(w, "peak_bytes", cost_memory_peak());
	jsonw_u64(w, "kernel_bytes", now->kernel_memory);
	jsonw_end(w, '}');
}

static void put_samples(struct jsonw *w, const struct recorder_stats *s)
{
	jsonw_object(w, "samples");
	jsonw_u64(w, "taken", s->info.n_samples);
	jsonw_u64(w, "with_memory", s->sampler.n_memory);
	for (int i = 0; i < N_LOSSES; i++)
		jsonw_u64(w, loss_name((enum loss)i), s->info.lost[i]);
	put_times(w, "walk_ns", s->sampler.walk_time);
	put_times(w, "sample_ns", s->sampler.sample_time);
	jsonw_end(w, '}');
}

static void put_tables(struct jsonw *w, const struct unwinder_stats *u)
{
	jsonw_object(w, "tables");
	jsonw_u64(w, "binaries", u->n_tables);
	jsonw_u64(w, "rows", u->n_rows);
	jsonw_u64(w, "rows_unsupported", u->n_unsupported);
	jsonw_u64(w, "rules", u->pool.n_rules);
	jsonw_u64(w, "used_bytes", u->pool.n_used_words * 4);
	jsonw_u64(w, "processes", u->n_lists);
	jsonw_u64(w, "built", u->n_built);
	jsonw_u64(w, "evicted", u->n_evicted);
	jsonw_u64(w, "postponed", u->n_postponed);
	jsonw_u64(w, "no_room", u->n_no_room);
	jsonw_u64(w, "failed", u->n_failed);
	jsonw_end(w, '}');
}

static void put_spool(struct jsonw *w, const struct agent *a)
{
	struct spool_stats s = spool_stats(a->spool);
	jsonw_object(w, "spool");
	jsonw_cstr(w, "folder", spool_folder(a->spool));
	jsonw_u64(w, "files", s.n_files);
	jsonw_u64(w, "bytes", s.bytes);
	jsonw_u64(w, "limit_bytes", spool_limit(a->spool));
	jsonw_u64(w, "written", s.n_written);
	jsonw_u64(w, "dropped", s.n_dropped);
	jsonw_u64(w, "torn", s.n_torn);
	jsonw_u64(w, "failed", s.n_failed);
	jsonw_u64(w, "samples_lost", s.n_samples_lost);
	jsonw_cstr(w, "problem", upload_spool_problem(a->upload));
	jsonw_end(w, '}');
}

static void put_upload(struct jsonw *w, const struct agent *a)
{
	struct upload_stats u = upload_stats(a->upload);
	jsonw_object(w, "upload");
	jsonw_cstr(w, "server", a->options->server);
	jsonw_u64(w, "sent", u.n_sent);
	jsonw_u64(w, "failed", u.n_failed);
	jsonw_u64(w, "refused", u.n_refused);
	jsonw_u64(w, "dropped", u.n_dropped);
	jsonw_u64(w, "queued", u.n_queued);
	jsonw_cstr(w, "protocol", u.sends_pprof ? "pprof" : "otlp");
	if (a->spool)
		put_spool(w, a);
	jsonw_end(w, '}');
}

static void put_status(struct jsonw *w, const struct agent *a)
{
	struct recorder_stats stats = agent_stats(a);
	struct cost now = agent_cost(a);
	jsonw_object(w, NULL);
	jsonw_cstr(w, "version", WICK_VERSION);
	jsonw_u64(w, "pid", (uint64_t)getpid());
	put_sampling(w, a);
	put_budget(w, a);
	put_cost(w, "cost_since_line", &a->cost_at_line, &now);
	put_cost(w, "cost_since_start", &a->cost_at_start, &now);
	put_memory(w, &now);
	put_samples(w, &stats);
	put_tables(w, &stats.unwinder);
	put_upload(w, a);
	jsonw_end(w, '}');
}

static void put_ends(struct jsonw *w, const uint64_t ends[static N_STACK_ENDS])
{
	jsonw_object(w, "ends");
	for (int i = 1; i < N_STACK_ENDS; i++)
		if (ends[i])
			jsonw_u64(w, stack_end_name((enum stack_end)i), ends[i]);
	jsonw_end(w, '}');
}

static void put_row(struct jsonw *w, const struct coverage_row *row)
{
	if (row->n == 0)
		return;
	jsonw_object(w, NULL);
	jsonw_cstr(w, "path", row->path);
	jsonw_cstr(w, "build_id", row->build_id);
	jsonw_u64(w, "frames", row->n);
	jsonw_object(w, "found");
	for (int i = 0; i < N_FRAME_HOWS; i++)
		if (row->n_found[i])
			jsonw_u64(w, frame_how_name((enum frame_how)i), row->n_found[i]);
	jsonw_end(w, '}');
	put_ends(w, row->n_ends);
	jsonw_end(w, '}');
}

static void put_unwind(struct jsonw *w, const struct agent *a)
{
	const struct coverage *c = a->recorder ? recorder_coverage(a->recorder) : NULL;
	jsonw_object(w, NULL);
	jsonw_object(w, "texts");
	for (int i = 1; i < N_STACK_ENDS; i++)
		jsonw_cstr(w, stack_end_name((enum stack_end)i), stack_end_text((enum stack_end)i));
	jsonw_end(w, '}');
	if (c)
		put_ends(w, c->n_ends);
	jsonw_array(w, "binaries");
	for (uint32_t i = 0; c && i < c->n_rows; i++)
		put_row(w, &c->rows[i]);
	jsonw_end(w, ']');
	jsonw_end(w, '}');
}

bool status_answer(void *arg, struct slice request, struct buf *out)
{
	const struct agent *a = arg;
	struct jsonw w = { .out = out };
	if (slice_eq(request, slice_str("status")))
		put_status(&w, a);
	else if (slice_eq(request, slice_str("unwind")))
		put_unwind(&w, a);
	else
		return false;
	buf_add_byte(out, '\n');
	return true;
}
