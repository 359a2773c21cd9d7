/* SPDX-License-Identifier: Apache-2.0 */
/* window_info.h: how a window was taken, carried as one pprof comment so that
 * it survives files, merges and other tools:
 *
 *   wick.window source=bpf:cpu-clock unwind=tables cpus=2 rate_hz=100 samples=1999 ring_full=3
 *
 * Unknown keys are skipped; absent counters are 0. */
#pragma once

#include "base/buf.h"
#include "base/slice.h"

enum loss {
#define LOSS(name, missing, text) LOSS_##name,
#include "model/loss.def"
#undef LOSS
	N_LOSSES
};

struct window_info {
	char source[32]; /* "bpf:cycles", "bpf:cpu-clock", "perf:cpu-clock" ... */
	char unwind[32]; /* how user stacks were walked: "tables", "frame-pointers" ...; "" = unknown */
	uint32_t n_cpus; /* online CPUs of the host; 0 = unknown */
	uint32_t rate_hz;
	uint64_t n_samples;
	uint64_t lost[N_LOSSES];
};

const char *loss_name(enum loss l); /* "ring_full" */
const char *loss_text(enum loss l);
bool loss_is_missing(enum loss l); /* the sample itself, not only its stack */

void window_info_format(const struct window_info *w, struct buf *out);
/* False when `comment` is not a window line. */
bool window_info_parse(struct slice comment, struct window_info *ret);
/* Adds counters of `src`; cpus and rate become the larger. */
void window_info_add(struct window_info *dst, const struct window_info *src);
