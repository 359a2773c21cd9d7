/* SPDX-License-Identifier: Apache-2.0 */
/* cost.h: what the agent itself uses.
 *
 *   cost cpu_percent=0.312 bpf_percent=0.118 user_percent=0.194 rss_kb=5120 peak_kb=14720 kernel_kb=3200
 *        samples=11988 lost=0
 *
 * Percent of one CPU. cpu = bpf (time inside our kernel programs, by their
 * own clock) + user (this process, its system calls included). Memory: of the
 * process, and of the kernel's on our behalf (maps, programs, rings). */
#pragma once

#include "agent/recorder.h"
#include "base/buf.h"

struct cost {
	int64_t since_ns; /* CLOCK_MONOTONIC */
	/* Since the agent began: */
	uint64_t bpf_ns, user_ns;
	uint64_t tables_ns; /* the part of user_ns in building unwind tables */
	uint64_t n_samples, n_lost, n_sent_bytes;
	/* Now: */
	uint64_t memory, kernel_memory; /* bytes */
};

/* `stats` may be that of a recorder gone since: sums go on. */
struct cost cost_now(const struct recorder_stats *stats, uint64_t n_lost, uint64_t n_sent_bytes);

static inline uint64_t cost_cpu_ns(const struct cost *c)
{
	return c->bpf_ns + c->user_ns;
}

/* Percent of one CPU that `ns` were of the time between the two. */
double cost_percent(const struct cost *from, const struct cost *to, uint64_t ns);

/* The largest size the process ever had, in bytes; 0 = not known. */
uint64_t cost_memory_peak(void);

/* Appends the line for what happened between the two. */
void cost_format(const struct cost *from, const struct cost *to, struct buf *out);
