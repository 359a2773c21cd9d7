/* SPDX-License-Identifier: Apache-2.0 */
/* bpf_sampler.h: the rungs of sampler.h that run bpf/sampler.bpf.c.
 *
 *   CPU 0  perf event -> program --+
 *   CPU 1  perf event -> program --+--> ring --> bpf_sampler_drain
 *
 * Wake-ups are rare: the ring is drained by a timer, so it has room for
 * several seconds of samples. */
#pragma once

#include "collect/sampler.h"

struct bpf_sampler;

/* -EPERM not privileged, -ENOENT no BTF, -EOPNOTSUPP: the kernel cannot run
 * the programs; err says which. */
int bpf_sampler_open(const struct sampler_options *o, struct sample_sink sink, struct bpf_sampler **ret,
		     struct error *err) must_check;
void bpf_sampler_free(struct bpf_sampler **s);

int bpf_sampler_fd(const struct bpf_sampler *s);
int bpf_sampler_drain(struct bpf_sampler *s) must_check;
void bpf_sampler_catch_up(struct bpf_sampler *s);
void bpf_sampler_set_window(struct bpf_sampler *s, uint32_t window);
void bpf_sampler_rescan(struct bpf_sampler *s);
void bpf_sampler_set_rate(struct bpf_sampler *s, uint32_t rate_hz);
void bpf_sampler_set_walk(struct bpf_sampler *s, bool walk);
uint64_t bpf_sampler_kernel_memory(const struct bpf_sampler *s);
void bpf_sampler_stop(struct bpf_sampler *s);
enum sampler_unwind bpf_sampler_unwind(const struct bpf_sampler *s);
struct unwinder *bpf_sampler_unwinder(const struct bpf_sampler *s);
bool bpf_sampler_counts_cycles(const struct bpf_sampler *s);
uint32_t bpf_sampler_n_cpus(const struct bpf_sampler *s);
void bpf_sampler_add_stats(const struct bpf_sampler *s, struct sampler_stats *stats);
