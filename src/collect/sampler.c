/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/sampler.h"

#include "base/file.h"
#include "collect/bpf_sampler.h"
#include "collect/cpu_list.h"
#include "collect/perf_sampler.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

struct sampler {
	struct bpf_sampler *bpf;   /* either this */
	struct perf_sampler *perf; /* or this */
	struct error no_bpf;	   /* why */
	double scale;
	int64_t busy_ns;      /* of the machine, at the last sampler_scale() */
	uint64_t busy_period; /* of our events, then */
};

/* What kernel.perf_event_paranoid is, for the message. */
static int read_paranoid(void)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(8192);
	if (file_read("/proc/sys/kernel/perf_event_paranoid", &text, NULL) < 0 || text.n == 0)
		return -2;
	buf_add_byte(&text, 0);
	return text.failed ? -2 : (int)strtol((const char *)text.data, NULL, 10);
}

static bool is_foreign(pid_t pid)
{
	char path[32];
	struct stat st;
	(void)snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid != geteuid();
}

static int refused(const struct sampler_options *o, struct error *err, const struct error *bpf,
		   const struct error *perf)
{
	int paranoid = read_paranoid();
	if (o->target != SAMPLE_ALL && is_foreign(o->pid))
		return error_set(err, -EPERM,
				 "process %d belongs to another user: run as root or with CAP_BPF and CAP_PERFMON",
				 (int)o->pid);
	if (paranoid > 2)
		return error_set(
			err, -EPERM,
			"the kernel lets this user sample nothing (kernel.perf_event_paranoid is %d): run as root "
			"or with CAP_BPF and CAP_PERFMON, or, for your own processes, "
			"`sysctl kernel.perf_event_paranoid=2`",
			paranoid);
	return error_set(err, -EPERM,
			 "this user may not sample here (%s; %s): run as root or with CAP_BPF and CAP_PERFMON; in a "
			 "container, allow bpf and perf_event_open in its seccomp profile",
			 bpf->text, perf->text);
}

int sampler_open(const struct sampler_options *o, struct sample_sink sink, struct sampler **ret, struct error *err)
{
	if (o->target != SAMPLE_ALL && kill(o->pid, 0) < 0 && errno == ESRCH)
		return error_set(err, -ESRCH, "there is no process %d", (int)o->pid);
	_cleanup_(sampler_free)
	struct sampler *s = calloc(1, sizeof(*s));
	struct error perf_error = { 0 };
	if (!s)
		return error_set(err, -ENOMEM, "no memory");
	s->scale = 1;
	int r = bpf_sampler_open(o, sink, &s->bpf, &s->no_bpf);
	if (r < 0)
		r = perf_sampler_open(o, sink, &s->perf, &perf_error);
	if (r == -EACCES || r == -EPERM)
		return refused(o, err, &s->no_bpf, &perf_error);
	if (r < 0)
		return error_set(err, r, "%s", perf_error.text);
	(void)sampler_scale(s);
	*ret = take_ptr(s);
	return 0;
}

void sampler_free(struct sampler **s)
{
	if (!*s)
		return;
	bpf_sampler_free(&(*s)->bpf);
	perf_sampler_free(&(*s)->perf);
	free(*s);
	*s = NULL;
}

int sampler_fd(const struct sampler *s)
{
	return s->bpf ? bpf_sampler_fd(s->bpf) : perf_sampler_fd(s->perf);
}

int sampler_drain(struct sampler *s)
{
	if (s->bpf)
		return bpf_sampler_drain(s->bpf);
	perf_sampler_drain(s->perf);
	return 0;
}

void sampler_set_window(struct sampler *s, uint32_t window)
{
	if (s->bpf)
		bpf_sampler_set_window(s->bpf, window);
	else
		perf_sampler_set_window(s->perf, window);
}

void sampler_rescan(struct sampler *s)
{
	if (s->bpf)
		bpf_sampler_rescan(s->bpf);
	else
		perf_sampler_rescan(s->perf);
}

void sampler_set_rate(struct sampler *s, uint32_t rate_hz)
{
	if (s->bpf)
		bpf_sampler_set_rate(s->bpf, rate_hz);
	else
		perf_sampler_set_rate(s->perf, rate_hz);
}

void sampler_set_walk(struct sampler *s, bool walk)
{
	if (s->bpf)
		bpf_sampler_set_walk(s->bpf, walk);
	else
		perf_sampler_set_walk(s->perf, walk);
}

uint64_t sampler_kernel_memory(const struct sampler *s)
{
	return s->bpf ? bpf_sampler_kernel_memory(s->bpf) : perf_sampler_kernel_memory(s->perf);
}

void sampler_stop(struct sampler *s)
{
	if (s->bpf)
		bpf_sampler_stop(s->bpf);
	else
		perf_sampler_stop(s->perf);
}

const char *sampler_source(const struct sampler *s)
{
	if (s->bpf)
		return bpf_sampler_counts_cycles(s->bpf) ? "bpf:cycles" : "bpf:cpu-clock";
	if (perf_sampler_user_only(s->perf))
		return "perf:cpu-clock:user";
	return perf_sampler_only_own(s->perf) ? "perf:cpu-clock:own" : "perf:cpu-clock";
}

const char *sampler_downgrade(const struct sampler *s)
{
	return s->bpf ? "" : s->no_bpf.text;
}

enum sampler_unwind sampler_unwind(const struct sampler *s)
{
	return s->bpf ? bpf_sampler_unwind(s->bpf) : perf_sampler_unwind(s->perf);
}

const char *sampler_unwind_name(enum sampler_unwind u)
{
	static const char *const names[N_SAMPLER_UNWINDS] = {
		[UNWIND_LOOP] = "tables",
		[UNWIND_TAIL] = "tables:tail-calls",
		[UNWIND_FP] = "frame-pointers",
		[UNWIND_RECORDED] = "recorded",
	};
	return names[u];
}

void sampler_catch_up(struct sampler *s)
{
	if (s->bpf)
		bpf_sampler_catch_up(s->bpf);
}

bool sampler_catches_up(const struct sampler *s)
{
	return s->bpf;
}

struct unwinder *sampler_unwinder(const struct sampler *s)
{
	return s->bpf ? bpf_sampler_unwinder(s->bpf) : perf_sampler_unwinder(s->perf);
}

uint32_t sampler_n_cpus(const struct sampler *s)
{
	return s->bpf ? bpf_sampler_n_cpus(s->bpf) : perf_sampler_n_cpus(s->perf);
}

bool sampler_user_only(const struct sampler *s)
{
	return s->perf && perf_sampler_user_only(s->perf);
}

bool sampler_only_own(const struct sampler *s)
{
	return s->perf && perf_sampler_only_own(s->perf);
}

struct sampler_stats sampler_stats(const struct sampler *s)
{
	struct sampler_stats stats = { 0 };
	if (s->bpf)
		bpf_sampler_add_stats(s->bpf, &stats);
	else
		perf_sampler_add_stats(s->perf, &stats);
	return stats;
}

uint64_t sampler_time(const uint64_t times[static SAMPLER_TIMES], double share)
{
	uint64_t n = 0, below = 0;
	for (int i = 0; i < SAMPLER_TIMES; i++)
		n += times[i];
	for (int i = 0; i < SAMPLER_TIMES && n; i++) {
		below += times[i];
		if ((double)below >= share * (double)n)
			return i < SAMPLER_FINE_TIMES
				       ? (uint64_t)(i + 1) * 256
				       : SAMPLER_FINE_TIMES * 256 + (uint64_t)(i + 1 - SAMPLER_FINE_TIMES) * 2048;
	}
	return 0;
}

/* A CPU runs between 0.4 and 10 GHz: anything else is a short window's noise. */
#define SCALE_MIN 0.1
#define SCALE_MAX 2.5

double sampler_scale(struct sampler *s)
{
	int64_t busy_ns;
	if (!s->bpf || !bpf_sampler_counts_cycles(s->bpf) || !busy_time_read(sampler_n_cpus(s), &busy_ns))
		return s->scale;
	uint64_t busy_period = sampler_stats(s).busy_period;
	if (busy_period > s->busy_period && s->busy_ns && busy_ns > s->busy_ns) {
		double scale = (double)(busy_ns - s->busy_ns) / (double)(busy_period - s->busy_period);
		if (scale >= SCALE_MIN && scale <= SCALE_MAX)
			s->scale = scale;
	}
	s->busy_ns = busy_ns;
	s->busy_period = busy_period;
	return s->scale;
}
