/* SPDX-License-Identifier: Apache-2.0 */
/* sampler.h: where samples come from: the best way the kernel allows.
 *
 *   rung                 sees                           needs
 *   bpf:cycles           all processes, kernel          CAP_BPF + CAP_PERFMON, BTF, a cycle counter
 *   bpf:cpu-clock        the same                       CAP_BPF + CAP_PERFMON, BTF
 *   perf:cpu-clock       all processes, kernel          CAP_PERFMON, or perf_event_paranoid <= 0
 *   perf:cpu-clock:own   own processes, kernel          perf_event_paranoid <= 1
 *   perf:cpu-clock:user  own processes, their own code  perf_event_paranoid <= 2
 *
 * Samples and stacks have the form of bpf/abi.h whatever made them. Weights
 * are ns, for cycles after multiplying with sampler_scale().
 *
 * Single-threaded: the sink is called from sampler_drain() only. */
#pragma once

#include "base/error.h"
#include "bpf/abi.h"
#include "collect/map_event.h"
#include "model/window_info.h"

#include <sys/types.h>

enum sampler_target { SAMPLE_ALL, SAMPLE_PROCESS, SAMPLE_TREE };

/* How user stacks are walked, best first; what the kernel refuses is left out. */
enum sampler_unwind {
	UNWIND_LOOP,	 /* by unwind tables */
	UNWIND_TAIL,	 /* the same on kernels before 5.17 */
	UNWIND_FP,	 /* by frame pointers */
	UNWIND_RECORDED, /* without BPF: registers and stack are recorded, and walked here by tables */
	N_SAMPLER_UNWINDS
};

struct sampler_options {
	enum sampler_target target;
	pid_t pid;
	uint32_t rate_hz;
	enum sampler_unwind unwind; /* the best to try */
	size_t tables_max;	    /* bytes of unwind tables in the kernel */
};

/* Takes what was sampled. Both borrow for the call; a stack comes before the
 * first sample of its window that names it. */
struct sample_sink {
	void (*stack)(void *arg, const struct record_stack *s);
	void (*sample)(void *arg, const struct record_sample *s, const struct record_memory *memory); /* or NULL */
	/* Before any sample that was taken later; not every rung tells. */
	void (*changed)(void *arg, const struct map_event *e);
	void *arg;
};

struct sampler_stats {
	uint64_t run_ns; /* spent by our programs in the kernel */
	uint64_t n_runs;
	uint64_t busy_period;					       /* of all non-idle events */
	uint64_t n_ring_full;					       /* samples lost */
	uint64_t n_memory;					       /* samples that came with stack memory */
	uint64_t n_throttled;					       /* times the kernel paused an event */
	uint64_t n_not_followed;				       /* processes or threads over a limit */
	uint64_t walk_time[SAMPLER_TIMES], sample_time[SAMPLER_TIMES]; /* as in struct sampler_counters */
};

struct sampler;
struct unwinder;

/* -EPERM when every rung is refused: the text says what to change.
 * -ESRCH no such process; or what the kernel said. */
int sampler_open(const struct sampler_options *o, struct sample_sink sink, struct sampler **ret,
		 struct error *err) must_check;
void sampler_free(struct sampler **s); /* for _cleanup_ */

/* Becomes readable when draining should not wait for the timer. */
int sampler_fd(const struct sampler *s);

/* Hands on all that is in the rings. */
int sampler_drain(struct sampler *s) must_check;

/* Hands on the changes of mappings until now, before the samples of that time;
 * only where sampler_catches_up(). To be called from the sink, too. */
void sampler_catch_up(struct sampler *s);
bool sampler_catches_up(const struct sampler *s);

/* Samples from now on belong to this window; some of the one before may still
 * be on their way. */
void sampler_set_window(struct sampler *s, uint32_t window);

/* The unwind tables that the sampler reads, for process_table_set_unwinder();
 * NULL when it reads none. Lives as long as the sampler. */
struct unwinder *sampler_unwinder(const struct sampler *s);

/* Follows CPUs that came online, and processes and threads that appeared. */
void sampler_rescan(struct sampler *s);

/* Samples a second from now on, of existing events as far as the rung can. */
void sampler_set_rate(struct sampler *s, uint32_t rate_hz);
/* User stacks are walked, or only their leaves taken. */
void sampler_set_walk(struct sampler *s, bool walk);
/* Bytes of the kernel's that are ours: programs' maps and rings. */
uint64_t sampler_kernel_memory(const struct sampler *s);

/* No further samples; what is in the rings stays. */
void sampler_stop(struct sampler *s);

const char *sampler_source(const struct sampler *s); /* "bpf:cpu-clock" */
enum sampler_unwind sampler_unwind(const struct sampler *s);
const char *sampler_unwind_name(enum sampler_unwind u); /* "tables" */
/* Why it is not BPF; "" when it is. */
const char *sampler_downgrade(const struct sampler *s);
uint32_t sampler_n_cpus(const struct sampler *s);
bool sampler_user_only(const struct sampler *s);
bool sampler_only_own(const struct sampler *s);
/* The time in ns below which a share (0.5, 0.99) of the counts lie; 0 without any. */
uint64_t sampler_time(const uint64_t times[static SAMPLER_TIMES], double share);
struct sampler_stats sampler_stats(const struct sampler *s);

/* ns per unit of weight since the last call: 1 for clocks. A cycle counter
 * does not idle, so what it counted is the busy time of the CPUs. */
double sampler_scale(struct sampler *s);
