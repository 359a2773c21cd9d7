/* SPDX-License-Identifier: Apache-2.0 */
/* process_table.h: what process.c (who runs) and process_maps.c (what is
 * mapped) share. */
#pragma once

#include "collect/map_history.h"
#include "collect/process.h"
#include "collect/unwinder.h"

#define PROCESS_BUCKETS 1024u
#define SECOND		1000000000ll

struct process_table {
	uint32_t max;
	const char *own_service;
	struct binary_table *binaries;
	struct unwinder *unwinder; /* may be NULL */
	bool is_eager;
	bool is_watched; /* process_table_changed() hears of every change */
	struct process_watch watch;
	struct map_history history;
	struct membudget budget; /* of the mappings */
	struct process_table_stats stats;
	struct process *buckets[PROCESS_BUCKETS];
};

/* Reads the executable mappings; what is over a limit is left out, so its
 * frames stay without a name. -errno: it cannot be read. */
int process_maps_read(struct process_table *t, struct process *p, int64_t now_ns);
/* Of a process that is being looked at. */
void process_maps_init(struct process *p);
/* Builds the unwind tables of all that is mapped. */
void process_maps_load(struct process_table *t, struct process *p, int64_t now_ns);
void process_maps_forget(struct process_table *t, struct process *p);

bool process_start_time(pid_t pid, uint64_t *ret);
