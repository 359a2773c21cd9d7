/* SPDX-License-Identifier: Apache-2.0 */
/* recording.h: samples of this machine, or a part of it, as one profile in
 * the caller's hands: what `wick record` is made of.
 *
 *   recording_open --> poll(recording_fd, recording_timeout_ms)
 *                   \-> recording_step, again and again
 *                       recording_finish --> the profile is whole
 *                       recording_free
 *
 * The profile has the one type cpu/nanoseconds. Stacks run from the root
 * (_start) over user frames to kernel frames; every sample carries the labels
 * pid, thread_id, thread_name and service. How it was taken is said by a
 * wick.window comment (model/window_info.h).
 *
 * Every 10 s what was collected is named and merged, so that processes which
 * end during a long recording still have their names, and memory follows the
 * number of distinct stacks, not the time.
 *
 * A command: fork a child that waits on a pipe before its exec, open the
 * recording with RECORD_TREE and the child's pid, then let the child go. It
 * and all its children are sampled from before the exec on (with perf_event
 * alone, from the exec on).
 *
 * Not thread-safe. */
#pragma once

#include "model/profile.h"
#include "model/window_info.h"

#include <sys/types.h>

enum recording_target {
	RECORD_ALL,	/* every process; without privilege: the user's own */
	RECORD_PID,	/* one process, all its threads */
	RECORD_SERVICE, /* the processes whose service has this name */
	RECORD_TREE,	/* one process and what it forks from now on */
};

#define RECORD_RATE_MIN	    1
#define RECORD_RATE_MAX	    1000
#define RECORD_RATE_DEFAULT 100

struct recording_options {
	enum recording_target target;
	pid_t pid;	     /* RECORD_PID, RECORD_TREE */
	const char *service; /* RECORD_SERVICE; outlives the recording */
	uint32_t rate_hz;    /* samples a second and CPU */
};

struct recording_stats {
	struct window_info info;      /* source, CPUs, rate, samples kept, losses by reason */
	uint64_t n_processes;	      /* looked at */
	uint64_t n_frames, n_unnamed; /* locations, once for each of the 10 s they were met in; those without a name */
	bool user_only;		      /* the kernel did not let us see kernel frames */
	bool only_own;		      /* RECORD_ALL, but only processes of this user */
};

struct recording;

/* `into` is initialised, empty, outlives the recording and is touched by
 * recording_step and recording_finish.
 * -EINVAL  rate out of range
 * -ESRCH   no such process
 * -EPERM   the kernel refuses every way of sampling: the text names the
 *          setting and the remedy */
int recording_open(const struct recording_options *o, struct profile *into, struct recording **ret,
		   struct error *err) must_check;
void recording_free(struct recording **r); /* for _cleanup_ */

/* Becomes readable when there is something to do before the timeout. The fd
 * stays the recording's. */
int recording_fd(const struct recording *r);
/* Milliseconds until recording_step has to be called at the latest. */
int recording_timeout_ms(const struct recording *r);

/* Takes what is there; never blocks on the sampled processes. -ENOBUFS when
 * `into` has no room left (finish still gives what there is). */
int recording_step(struct recording *r, struct error *err) must_check;

/* Stops sampling, takes the rest, names and merges it and completes `into`.
 * Once. After a failure `into` holds what was merged before. */
int recording_finish(struct recording *r, struct error *err) must_check;

/* True once the target of RECORD_PID has ended. */
bool recording_target_ended(const struct recording *r);

struct recording_stats recording_stats(const struct recording *r);
