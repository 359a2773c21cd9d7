/* SPDX-License-Identifier: Apache-2.0 */
/* perf_sample.h: samples as perf_event_open(2) writes them, into the records
 * of bpf/abi.h.
 *
 *   call chain     kernel frames, user frames by frame pointers
 *   registers and  what our own walk needs (src/unwind/replay.h); with them the
 *   user stack     user frames of the chain are not asked for
 */
#pragma once

#include "bpf/abi.h"

#include <linux/perf_event.h>

#define PERF_SAMPLE_FIELDS                                                                                             \
	(PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN)
/* Ends every other record: the fields of PERF_SAMPLE_FIELDS that sample_id_all repeats. */
#define PERF_SAMPLE_TRAILER 24

struct perf_sample {
	uint32_t pid, tid, cpu;
	uint64_t time_ns, period;
	struct record_stack kernel, user; /* user: by frame pointers, or the leaf alone */
	bool has_memory;
	struct record_memory memory;
};

/* Asks for the registers and the stack of user code. */
void perf_sample_want_memory(struct perf_event_attr *attr);

/* False: not a record of this kind. Large: *ret belongs into memory of its own. */
bool perf_sample_parse(const struct perf_event_header *record, bool has_memory, struct perf_sample *ret);
