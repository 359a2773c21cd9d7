/* SPDX-License-Identifier: Apache-2.0 */
/* recorder.h: samples in, named profiles out, window after window.
 *
 *   sampler -> intake -> window n      (being filled)
 *                        window n - 1  (its last samples may still be on their way)
 *                           '-> naming -> one profile per series -> sink
 *
 * At the end of a window the sampler gets the next number, and GRACE later,
 * when what was in flight has arrived, the one before is sealed. One thread;
 * nothing is called but from recorder_step() and recorder_finish(). */
#pragma once

#include "agent/coverage.h"
#include "agent/naming.h"
#include "agent/window_profile.h"
#include "collect/unwinder.h"
#include "collect/sampler.h"

struct recorder_options {
	struct sampler_options sampler;
	uint32_t window_ms;
	const char *own_service;  /* of this process */
	bool always_own;	  /* a profile of own_service even when there is no sample */
	const char *only_service; /* NULL = all */
	bool label_service;
	bool sample_times; /* profiles say when each sample was */
	bool eager_tables; /* unwind tables of all a process maps, whatever that costs */
};

/* Takes the sealed windows. */
struct recorder_sink {
	/* Series by series. `info` says how the series was taken; the losses of
	 * the window stand in that of the largest series only. Negative: the
	 * series is lost, and its samples count with the next window as
	 * upload_dropped. */
	int (*series)(void *arg, const struct window *w, uint32_t series, const struct window_info *info);
	void (*window)(void *arg, const struct window *w); /* after the last; may be NULL */
	void *arg;
};

struct recorder_stats {
	struct window_info info; /* of all windows sealed */
	struct sampler_stats sampler;
	struct process_table_stats processes;
	struct naming_stats naming;
	struct unwinder_stats unwinder;
	uint64_t kernel_memory;
	uint64_t n_windows;
	uint64_t n_incomplete; /* windows without room for all names */
};

struct recorder;

int recorder_open(const struct recorder_options *o, struct recorder_sink sink, struct recorder **ret,
		  struct error *err) must_check;
void recorder_free(struct recorder **r); /* for _cleanup_ */

int recorder_fd(const struct recorder *r);
int recorder_timeout_ms(const struct recorder *r);

/* Drains the rings and seals the window that is due. */
int recorder_step(struct recorder *r, struct error *err) must_check;

/* Stops sampling and seals all that is there. Once. */
int recorder_finish(struct recorder *r, struct error *err) must_check;

/* Adds samples that were lost on their way after sealing to the next window. */
void recorder_add_lost(struct recorder *r, enum loss reason, uint64_t n);

/* From the governor. Weights are those of what was really sampled. */
void recorder_set_rate(struct recorder *r, uint32_t rate_hz);
/* ... without building unwind tables; without walking user stacks. */
void recorder_set_features(struct recorder *r, bool tables, bool walk);
/* How hard to do without memory, 0 to 3: what is cached goes, then less is kept
 * at a time. */
void recorder_relieve(struct recorder *r, uint32_t level);

/* A profile of one series, for the sink. */
int recorder_profile(struct recorder *r, const struct window *w, uint32_t series, struct profile *p) must_check;

struct recorder_stats recorder_stats(const struct recorder *r);
const struct coverage *recorder_coverage(const struct recorder *r);
const struct sampler *recorder_sampler(const struct recorder *r);
const char *recorder_kernel_problem(const struct recorder *r);
