/* SPDX-License-Identifier: Apache-2.0 */
/* process.h: who runs what: processes that were sampled, with the facts that
 * have to be read while they are alive.
 *
 *   pid -> process { start time, image, command name
 *                    service, container      from environment, cgroup, name
 *                    executable mappings     from maps, sorted
 *                    perf map                its fd, once JIT code was met }
 *
 * A process is (pid, start time); after an exec (another image) everything is
 * read again. The table is bounded: those sampled least recently leave first;
 * windows keep what they use by reference. Nothing is read for kernel
 * threads, whose service is "kernel". Not thread-safe. */
#pragma once

#include "bpf/abi.h"
#include "collect/binary.h"
#include "collect/map_event.h"
#include "base/membudget.h"

#define SERVICE_NAME_SIZE 257
#define PROCESS_MAX_MAPS  8192

enum map_kind {
	MAP_FILE,
	MAP_VDSO,
	MAP_CODE, /* anonymous: generated at run time */
};

struct process_map {
	uint64_t start, end, offset;
	uint64_t device, inode;
	enum map_kind kind;
	int64_t since_ns;      /* there, and nothing else in its place */
	uint32_t slot;	       /* enum pool_slot; its binary's, from unwinder_publish() */
	struct binary *binary; /* NULL until the first sample in it */
};

struct process {
	uint32_t refs;
	pid_t pid;
	uint32_t image;	      /* record_sample.image it was read for */
	uint64_t serial;      /* unique; shared with binaries */
	uint64_t start_time;  /* clock ticks since boot; 0 = not known */
	uint64_t stack_start; /* of the main thread; 0 = not known */
	bool is_kthread;
	bool is_gone; /* it could not be read: all that is known is its name */
	char comm[SAMPLER_COMM];
	char *service;
	char *container; /* "" = none */

	VEC(struct process_map) maps;
	struct pool_space space; /* for the unwinder; list 0: none */
	int64_t seen_ns, maps_read_ns;
	int64_t leaf_wait_ns, caller_wait_ns; /* before maps are read again on a miss */
	/* Since they were read: */
	int64_t changed_ns;    /* when the last mapping was added; 0 = none was */
	int64_t replaced_ns;   /* when the first took the place of another; 0 = none did */
	int64_t valid_from_ns; /* they say nothing about samples before */
	int64_t newest_ns;     /* when the youngest of them was made */
	uint32_t n_replaced;   /* stacks of before may mean something else now */
	int64_t gone_until_ns; /* is_gone holds for samples before */

	int perfmap_fd; /* -1 = none */
	int64_t perfmap_tried_ns;
	uint64_t perfmap_size;	/* when it was last searched */
	uint32_t perfmap_epoch; /* raised when cached ranges are void */
	uint64_t perfmap_epoch_size;

	struct process *next;
};

struct process_table;
struct unwinder;

struct process_table_stats {
	uint32_t n;
	uint64_t n_read; /* processes looked at */
	uint64_t n_evicted;
	uint64_t n_gone;     /* that ended before they could be read */
	uint64_t n_replaced; /* times a mapping took another's place */
};

/* `own_service`: what this very process is called. */
struct process_table *process_table_new(uint32_t max, const char *own_service, struct binary_table *binaries);
void process_table_free(struct process_table **t); /* for _cleanup_ */

/* Hands on to process_table_changed() all that happened until now. */
struct process_watch {
	void (*catch_up)(void *arg);
	void *arg;
};

void process_table_set_watch(struct process_table *t, struct process_watch watch);

/* From now on mappings are made known to `u`, which must outlive the table.
 * `eagerly`: tables are built when a process is first seen and not when one is
 * missed: for a short look at one program. */
void process_table_set_unwinder(struct process_table *t, struct unwinder *u, bool eagerly);

/* The process of a sample, looked at if it is new or has exec'd. Borrowed;
 * valid until the next call. NULL: no memory. */
struct process *process_get(struct process_table *t, const struct record_sample *s, int64_t now_ns);

/* Something was mapped, or a program started. Who hears of one hears of all. */
void process_table_changed(struct process_table *t, const struct map_event *e, int64_t now_ns);

/* Whether the mappings of p are those of the moment of the sample; they are
 * read again if they changed before it. */
bool process_check_maps(struct process_table *t, struct process *p, const struct record_sample *s, int64_t now_ns);

struct process *process_ref(struct process *p);
void process_unref(struct process *p);

/* The executable mapping that holds `addr`, its binary opened; NULL: none.
 * Maps are read again on a miss, at growing intervals; `is_leaf` addresses are
 * certainly code, so they wait less. */
const struct process_map *process_find_map(struct process_table *t, struct process *p, uint64_t addr, bool is_leaf,
					   int64_t now_ns);

/* Reads its mappings again. False: it is gone, or they are what they were. */
bool process_reread(struct process_table *t, struct process *p, int64_t now_ns);

/* A stack ended in this mapping, as its unwind table is not there: builds it,
 * if that may be now. */
void process_want_table(struct process_table *t, const struct process_map *m, int64_t now_ns);

/* The frames from where the kernel's walk ended (unwinder_replay). */
void process_replay(struct process_table *t, struct process *p, const struct record_memory *memory, int64_t now_ns,
		    struct record_stack *ret);

/* fd of its perf map, which is looked for at most once a second; -1: none.
 * Stays open as long as the process is in the table or a window. */
int process_perfmap(struct process *p, int64_t now_ns);

/* Drops what was not sampled for a minute. */
void process_table_end_window(struct process_table *t, int64_t now_ns);

/* At most `max` from now on; those sampled least recently go at once. */
void process_table_limit(struct process_table *t, uint32_t max);

struct process_table_stats process_table_stats(const struct process_table *t);
