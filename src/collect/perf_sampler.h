/* SPDX-License-Identifier: Apache-2.0 */
/* perf_sampler.h: the rungs of sampler.h that use perf_event_open(2) alone.
 *
 *   whole machine   one event per CPU
 *   own processes   one event per thread and CPU, inherited by what the thread
 *                   creates; threads that appear otherwise are found by
 *                   sampler_rescan()
 *   a command       the same for one process, starting at its exec
 *
 * Every CPU has one ring. The kernel walks its own side; of user code it copies
 * registers and stack, which are walked here by unwind tables. Where it does not, it
 * follows frame pointers. */
#pragma once

#include "collect/sampler.h"

struct perf_sampler;

/* -EPERM or -EACCES: not even user code of own processes may be sampled.
 * -ESRCH no such process. */
int perf_sampler_open(const struct sampler_options *o, struct sample_sink sink, struct perf_sampler **ret,
		      struct error *err) must_check;
void perf_sampler_free(struct perf_sampler **s);

int perf_sampler_fd(const struct perf_sampler *s);
void perf_sampler_drain(struct perf_sampler *s);
void perf_sampler_set_window(struct perf_sampler *s, uint32_t window);
void perf_sampler_rescan(struct perf_sampler *s);
void perf_sampler_set_rate(struct perf_sampler *s, uint32_t rate_hz);
void perf_sampler_set_walk(struct perf_sampler *s, bool walk);
uint64_t perf_sampler_kernel_memory(const struct perf_sampler *s);
void perf_sampler_stop(struct perf_sampler *s);
enum sampler_unwind perf_sampler_unwind(const struct perf_sampler *s);
struct unwinder *perf_sampler_unwinder(const struct perf_sampler *s);
uint32_t perf_sampler_n_cpus(const struct perf_sampler *s);
bool perf_sampler_user_only(const struct perf_sampler *s);
bool perf_sampler_only_own(const struct perf_sampler *s);
void perf_sampler_add_stats(const struct perf_sampler *s, struct sampler_stats *stats);
