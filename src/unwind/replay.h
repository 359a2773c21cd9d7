/* SPDX-License-Identifier: Apache-2.0 */
/* replay.h: the walk of bpf/unwind.h in this process, over memory that was
 * recorded: what the kernel copied of a stack, or a test's.
 *
 *   a frame, [sp .. sp + n) of the stack, list of mappings  ->  frames, why they end
 *
 * The same source as in the kernel, so tests and the fuzzer try that, too. */
#pragma once

#include "base/slice.h"
#include "bpf/abi.h"
#include "unwind/pool.h"

#include <sys/types.h>

struct replay {
	struct pool *pool;
	uint32_t list, n_mappings; /* as in struct pool_space */
	uint64_t memory_start;	   /* address of the first byte of */
	struct slice memory;
	uint64_t stack_start; /* of the main thread; 0 = not known */
	pid_t pid;	      /* whose code may be read while it lives; 0 = none */
};

/* Walks from `from` to the end; *ret has that frame and its callers as the
 * kernel's records do, but no hash. Segments of the pool stay mapped: see
 * pool_settle(). */
void replay_stack(const struct replay *r, const struct walk *from, struct record_stack *ret);

/* The rule for an address, NULL: there is none. */
const struct unwind_rule *replay_rule(const struct replay *r, uint64_t addr);
