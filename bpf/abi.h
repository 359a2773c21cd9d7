/* SPDX-License-Identifier: Apache-2.0 */
/* abi.h: what the sampler's kernel and user halves exchange. The only header
 * that bpf/ and src/ share.
 *
 *   ring   [stack A][sample A A'][sample A B?]...      one ring for all CPUs
 *
 * A stack's addresses are sent once per window; samples refer to them by
 * hash. On one ring, a stack always stands before the first sample that names
 * it, since "seen" is marked only after its space was reserved. The window is
 * a number that user space raises; both record types carry it.
 *
 * A frame of a user stack says in its upper bits how it was found (enum
 * frame_how); user addresses leave them free. */
#pragma once

#include <stdint.h>

#include "pool.h"
#include "stack.h"

#define SAMPLER_DEPTH	    1024	/* frames of a user stack; a power of two */
#define SAMPLER_DEPTH_FP    127		/* where the kernel walks: its own stacks, and by frame pointers */
#define SAMPLER_MEMORY_MAX  (16u << 10) /* a power of two */
#define SAMPLER_COMM	    16
#define SAMPLER_TIMES	    64
#define SAMPLER_FINE_TIMES  40
#define SAMPLER_SEEN_SLOTS  16384 /* power of two */
#define SAMPLER_KNOWN_SLOTS 4096  /* power of two */
#define SAMPLER_MAX_TARGETS 8192  /* processes of one tree */

enum record_type {
	RECORD_STACK = 1,
	RECORD_SAMPLE = 2, /* then perhaps a struct record_memory */
};

enum sample_flags {
	SAMPLE_KTHREAD = 1 << 0,
	SAMPLE_USER_ERROR = 1 << 1, /* the user stack could not be read */
	SAMPLE_KERNEL_ERROR = 1 << 2,
	SAMPLE_KERNEL_CUT = 1 << 3, /* as deep as the limit: there was probably more */
	SAMPLE_HAS_MEMORY = 1 << 4, /* a struct record_memory stands behind it */
};

#define FRAME_HOW_SHIFT 60
#define FRAME_ADDRESS	((UINT64_C(1) << FRAME_HOW_SHIFT) - 1)

struct record_stack {
	uint32_t type;
	uint32_t window;
	uint64_t hash;
	uint32_t n_frames;
	uint32_t end;			/* enum stack_end; STACK_GOES_ON for kernel stacks */
	uint64_t frames[SAMPLER_DEPTH]; /* leaf first; the record ends after n_frames */
};

struct record_sample {
	uint32_t type;
	uint32_t window;
	uint64_t time_ns;      /* CLOCK_MONOTONIC */
	uint64_t user, kernel; /* hashes of stacks; 0 = none */
	uint64_t weight;       /* the event's period: ns, or cycles */
	uint32_t tgid, tid;
	uint32_t image; /* another for each program that a process runs; 0 = not known */
	uint32_t cpu;
	uint32_t flags;		 /* enum sample_flags */
	char comm[SAMPLER_COMM]; /* of the thread */
	uint32_t generation;	 /* of the list of mappings; 0: there was none */
	uint32_t pad;
};

/* Where a walk could not go on for want of tables, and the stack from there,
 * so that user space can: words[0] is at walk.sp, rounded down to 8. The last
 * frame of the sample's stack is the one at hand, but when it went astray. */
struct record_memory {
	struct walk walk;
	uint64_t stack_start; /* mm->start_stack */
	uint32_t size;	      /* bytes of words */
	uint32_t pad;
	uint64_t words[SAMPLER_MEMORY_MAX / 8];
};

/* One per CPU; only ever grow. */
struct sampler_counters {
	uint64_t run_ns; /* spent in our programs */
	uint64_t n_runs;
	uint64_t n_samples;	 /* put into the ring */
	uint64_t busy_period;	 /* sum of the periods of all non-idle events, wanted or not */
	uint64_t n_ring_full;	 /* samples lost */
	uint64_t n_memory;	 /* samples sent with memory */
	uint64_t n_targets_full; /* children of the tree that are not followed */
	/* How long one took: SAMPLER_FINE_TIMES steps of 256 ns, then of 2048; the last
	 * has no end. */
	uint64_t walk_time[SAMPLER_TIMES];   /* the user stack by tables */
	uint64_t sample_time[SAMPLER_TIMES]; /* a whole sample */
};
