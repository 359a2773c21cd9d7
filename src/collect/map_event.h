/* SPDX-License-Identifier: Apache-2.0 */
/* map_event.h: what perf_event_open(2) tells of mappings and programs.
 *
 *   MMAP2, of executable memory     a mapping, new or in place of others
 *   COMM with the exec flag         a program, in place of another
 *   LOST                            some of these; which is not known
 *
 * What is unmapped is not told: code can be in no mapping that is gone, so
 * only what comes in its place matters. */
#pragma once

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum map_event_kind { MAP_EVENT_MAPPED, MAP_EVENT_EXEC, MAP_EVENT_LOST };

struct map_event {
	enum map_event_kind kind;
	pid_t pid;
	int64_t time_ns; /* CLOCK_MONOTONIC */
	/* MAPPED: */
	uint64_t start, end, offset;
	uint64_t device, inode; /* 0, 0: no file */
};

/* False: a record of another kind, or one that is too short. */
/* `trailer_size`: of what sample_id_all adds, which begins with TID | TIME. */
bool map_event_parse(const struct perf_event_header *record, size_t trailer_size, struct map_event *ret);
