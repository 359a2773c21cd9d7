/* SPDX-License-Identifier: Apache-2.0 */
/* unwinder.h: keeps unwind tables in step with the processes that are sampled.
 *
 *   process looked at        -> its mappings become a list in the pool
 *   stack ends at a binary   -> the binary's table is built, once for all
 *     without a table           processes that run it
 *   not met for long, or     -> table and list go
 *     memory is short
 *
 * A binary is known by device and inode; it has a slot from the first list
 * that names it to the last, and a table when one was needed. Building costs
 * CPU time, of which there is so much a second (unwinder_set_speed): what is
 * over that waits, and its stacks end with table_pending meanwhile.
 *
 * Not thread-safe. Everything accepts NULL as "there are no tables". */
#pragma once

#include "collect/process.h"
#include "unwind/pool.h"
#include "unwind/replay.h"

struct unwinder;

struct unwinder_stats {
	uint32_t n_tables, n_lists;
	uint64_t n_rows; /* of the tables there are */
	uint64_t n_built, n_evicted;
	uint64_t n_failed;	/* files that could not be read */
	uint64_t n_no_room;	/* times the memory did not suffice */
	uint64_t n_postponed;	/* times there was no CPU time left */
	uint64_t n_unsupported; /* rows of the tables there are that DWARF describes and a rule cannot */
	uint64_t build_ns;	/* CPU time spent */
	struct pool_stats pool;
};

/* `maps` and `spaces_fd` are the kernel's, or NULL and -1: stacks are walked
 * here, by unwinder_replay(). At most `max_size` bytes of segments. */
int unwinder_new(const struct pool_maps *maps, int spaces_fd, size_t max_size, struct unwinder **ret) must_check;
void unwinder_free(struct unwinder **u); /* for _cleanup_ */

/* Replays run there from now on: `program` works on `area`. */
struct replay_area;
void unwinder_set_replay(struct unwinder *u, int program_fd, struct replay_area *area);

/* Milliseconds of CPU a second for building tables; 0 = none is built. */
#define UNWINDER_SPEED_MS 20.0
void unwinder_set_speed(struct unwinder *u, double ms_per_s);

/* The mappings of p are new or have changed: gives each a slot, and p a list. */
void unwinder_publish(struct unwinder *u, struct process *p);
/* No list of p any more. */
void unwinder_withdraw(struct unwinder *u, struct process *p);
/* Gives back the slot of a mapping that is no longer in a list. */
void unwinder_forget(struct unwinder *u, const struct process_map *m);

/* A frame lies in this mapping of p, whose binary is open. `wanted`: its table
 * was missed. True when there is one now. */
bool unwinder_use(struct unwinder *u, const struct process_map *m, bool wanted, int64_t now_ns);

/* Goes on with a walk in p that ended for want of tables, building what it
 * needs; *ret begins with the frame at which it ended. */
void unwinder_replay(struct unwinder *u, struct process_table *t, struct process *p, const struct record_memory *memory,
		     int64_t now_ns, struct record_stack *ret);

/* After a batch of samples: gives mapped memory back. */
void unwinder_settle(struct unwinder *u);
/* Drops tables that were not used for long. */
void unwinder_end_window(struct unwinder *u, int64_t now_ns);

struct unwinder_stats unwinder_stats(const struct unwinder *u);
