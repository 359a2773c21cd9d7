/* SPDX-License-Identifier: Apache-2.0 */
/* v8.h: the profiles of V8: Node's --cpu-prof and --heap-prof, Chrome's
 * developer tools.
 *
 *   .cpuprofile    nodes[] { id, callFrame, hitCount, children[] of ids },
 *                  samples[] of ids, timeDeltas[] in microseconds
 *   .heapprofile   head { callFrame, selfSize, children[] of the same }
 *
 * A CPU profile becomes samples:count and wall:nanoseconds. A sample's time
 * is that until the next one, of the last one that until endTime; a clock that
 * steps back adds nothing. Without samples the counts are hitCount, and the
 * time from startTime to endTime is shared out by them. A heap profile becomes
 * inuse_space:bytes, by selfSize.
 *
 * "(root)" is not a frame; a function without name is "(anonymous)". Lines
 * and columns count from 1 and are those of the function, for V8 does not say
 * more of a stack. Lost: order of samples, script ids, positionTicks, and of
 * heap profiles the list of single allocations. */
#pragma once

#include "format/limits.h"
#include "model/profile.h"

/* `p` as for pprof_decode(); `text` is plain. Messages read
 * "at byte 12: node 7 does not exist". */
int v8_cpu_decode(struct slice text, const struct format_limits *limits, struct profile *p,
		  struct error *err) must_check;
int v8_heap_decode(struct slice text, const struct format_limits *limits, struct profile *p,
		   struct error *err) must_check;
