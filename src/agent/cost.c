/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cost.h"

#include "base/clock.h"
#include "base/file.h"

#include <inttypes.h>
#include <sys/resource.h>

struct cost cost_now(uint64_t bpf_ns, uint64_t n_samples, uint64_t n_lost)
{
	struct rusage usage = { 0 };
	(void)getrusage(RUSAGE_SELF, &usage); /* cannot fail */
	return (struct cost){
		.since_ns = clock_mono_ns(),
		.bpf_ns = bpf_ns,
		.user_ns = ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) * 1000000000 +
			   ((uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec) * 1000,
		.n_samples = n_samples,
		.n_lost = n_lost,
	};
}

/* "VmRSS:\t    5120 kB" -> 5120; 0 when it is not there. */
static uint64_t status_kb(const struct buf *status, const char *name)
{
	if (!status->data)
		return 0;
	const char *line = strstr((const char *)status->data, name);
	return line ? strtoull(line + strlen(name), NULL, 10) : 0;
}

void cost_format(const struct cost *from, const struct cost *to, struct buf *out)
{
	_cleanup_(buf_done)
	struct buf status = buf_of(16 << 10);
	/* Without it the sizes are 0. */
	if (file_read("/proc/self/status", &status, NULL) < 0)
		status.n = 0;
	buf_add_byte(&status, 0);
	double elapsed_ns = (double)(to->since_ns - from->since_ns), per = elapsed_ns > 0 ? 100.0 / elapsed_ns : 0;
	double bpf = (double)(to->bpf_ns - from->bpf_ns) * per, user = (double)(to->user_ns - from->user_ns) * per;
	buf_printf(out,
		   "cost cpu_percent=%.3f bpf_percent=%.3f user_percent=%.3f rss_kb=%" PRIu64 " peak_kb=%" PRIu64
		   " samples=%" PRIu64 " lost=%" PRIu64,
		   bpf + user, bpf, user, status_kb(&status, "VmRSS:"), status_kb(&status, "VmHWM:"),
		   to->n_samples - from->n_samples, to->n_lost - from->n_lost);
}
