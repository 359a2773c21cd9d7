/* SPDX-License-Identifier: Apache-2.0 */
/* map_history.h: since when a mapping of now is there.
 *
 *   the last changes, as they were told -> latest of a process and a range
 *
 * /proc/PID/maps says what is mapped when it is read, which may be something
 * else than what was there at a sample a few milliseconds before. */
#pragma once

#include "collect/map_event.h"

#define MAP_HISTORY_SIZE 1024u /* a power of two */

struct map_change {
	int64_t time_ns;
	uint64_t start, end; /* of MAP_EVENT_MAPPED */
	pid_t pid;
	enum map_event_kind kind;
};

/* All zero: nothing is told, so everything was there for ever. */
struct map_history {
	uint32_t n;	      /* ever; the last are in changes[n % MAP_HISTORY_SIZE] */
	int64_t forgotten_ns; /* changes until then are not known any more */
	struct map_change changes[MAP_HISTORY_SIZE];
};

/* MAP_EVENT_LOST: what came before `now_ns` is not known. */
void map_history_add(struct map_history *h, const struct map_event *e, int64_t now_ns);

/* The latest change within a range of a process; that of the earliest time
 * that is known when there was none, 0 when nothing is forgotten. */
int64_t map_history_since(const struct map_history *h, pid_t pid, uint64_t start, uint64_t end);

/* When the last program was started in `pid`; 0: not lately. */
int64_t map_history_last_exec(const struct map_history *h, pid_t pid);
