/* SPDX-License-Identifier: Apache-2.0 */
/* gperf.h: the older forms of profiles, of gperftools, Go and Java, as
 * google/pprof still reads them.
 *
 *   CPU         words 0 3 0 period 0, then { count, n, address * n },
 *               0 1 0, /proc/PID/maps; 32 or 64 bits, either byte order
 *   heap        "heap profile: 1: 16 [2: 32] @ heap_v2/524288", also growthz
 *               and fragmentationz
 *   contention  "--- contentionz", "--- mutex:", "--- contention:"
 *   counts      "goroutine profile: total 7"
 *   threads     "--- threadz 1 ---", "--- Thread 7f00 (name: main/12) stack: ---"
 *   Java        the third word of CPU is 1, "format = java" in heapz and
 *               contentionz: samples of ids, then "0x1f name (file:line)"
 *
 * Values are scaled as there: heap samples by 1 / (1 - exp(-size / rate)),
 * contentions by their period, delays from cycles to nanoseconds. Addresses
 * behind a call are moved into it by -1, all but a CPU sample's and a thread's
 * leaf. Frames are mappings and addresses without names, but for Java. The
 * time of the profile is in none of them. */
#pragma once

#include "base/error.h"
#include "format/limits.h"
#include "format/salvage.h"
#include "model/profile.h"

bool gperf_looks(struct slice bytes);

/* Decodes plain bytes into `p`, empty as for pprof_decode(). Messages read
 * "line 3: ..." or, for CPU profiles, "at byte 40: sample 2: ...". -ENODATA
 * when the file ends early; `salvage` unless NULL: it gives its whole samples
 * and lines. */
int gperf_decode(struct slice bytes, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		 struct error *err) must_check;
