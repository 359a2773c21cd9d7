/* SPDX-License-Identifier: Apache-2.0 */
/* cost.h: what the agent itself uses, since the last time it was asked.
 *
 *   cost cpu_percent=0.312 bpf_percent=0.118 user_percent=0.194 rss_kb=5120 peak_kb=14720 samples=11988 lost=0
 *
 * Percent of one CPU. cpu = bpf (time inside our kernel programs, by their
 * own clock) + user (this process, its system calls included). */
#pragma once

#include "base/buf.h"

struct cost {
	int64_t since_ns; /* CLOCK_MONOTONIC */
	uint64_t bpf_ns, user_ns, n_samples, n_lost;
};

struct cost cost_now(uint64_t bpf_ns, uint64_t n_samples, uint64_t n_lost);

/* Appends the line for what happened between the two. */
void cost_format(const struct cost *from, const struct cost *to, struct buf *out);
