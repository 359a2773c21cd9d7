/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cost.h"

#include "base/clock.h"
#include "base/file.h"

#include <inttypes.h>
#include <sys/resource.h>

/* Resident bytes: the second number of statm, in pages. */
static uint64_t resident(void)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(16 << 10);
	if (file_read("/proc/self/statm", &text, NULL) < 0)
		return 0;
	buf_add_byte(&text, 0);
	const char *space = text.failed ? NULL : strchr((const char *)text.data, ' ');
	return space ? strtoull(space, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static uint64_t time_ns(struct timeval t)
{
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

struct cost cost_now(const struct recorder_stats *stats, uint64_t n_lost, uint64_t n_sent_bytes)
{
	struct rusage usage = { 0 };
	(void)getrusage(RUSAGE_SELF, &usage); /* cannot fail */
	return (struct cost){
		.since_ns = clock_mono_ns(),
		.bpf_ns = stats->sampler.run_ns,
		.user_ns = time_ns(usage.ru_utime) + time_ns(usage.ru_stime),
		.tables_ns = stats->unwinder.build_ns,
		.n_samples = stats->info.n_samples,
		.n_lost = n_lost,
		.n_sent_bytes = n_sent_bytes,
		.memory = resident(),
		.kernel_memory = stats->kernel_memory,
	};
}

double cost_percent(const struct cost *from, const struct cost *to, uint64_t ns)
{
	int64_t elapsed_ns = to->since_ns - from->since_ns;
	return elapsed_ns > 0 ? 100.0 * (double)ns / (double)elapsed_ns : 0;
}

/* "VmHWM:\t    5120 kB". (ru_maxrss counts from before the exec.) */
uint64_t cost_memory_peak(void)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(16 << 10);
	if (file_read("/proc/self/status", &text, NULL) < 0)
		return 0;
	buf_add_byte(&text, 0);
	const char *line = text.failed ? NULL : strstr((const char *)text.data, "VmHWM:");
	return line ? strtoull(line + strlen("VmHWM:"), NULL, 10) * 1024 : 0;
}

void cost_format(const struct cost *from, const struct cost *to, struct buf *out)
{
	double bpf = cost_percent(from, to, to->bpf_ns - from->bpf_ns);
	double user = cost_percent(from, to, to->user_ns - from->user_ns);
	buf_printf(out,
		   "cost cpu_percent=%.3f bpf_percent=%.3f user_percent=%.3f rss_kb=%" PRIu64 " peak_kb=%" PRIu64
		   " kernel_kb=%" PRIu64 " samples=%" PRIu64 " lost=%" PRIu64,
		   bpf + user, bpf, user, to->memory / 1024, cost_memory_peak() / 1024, to->kernel_memory / 1024,
		   to->n_samples - from->n_samples, to->n_lost - from->n_lost);
}
