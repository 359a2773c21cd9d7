/* SPDX-License-Identifier: Apache-2.0 */
/* perf_ring.h: the ring of one CPU that perf_event_open(2) events write to.
 *
 *   [ control page: data_head data_tail | 2^n pages of records ]
 *
 * A dummy event owns the mapping, so that the events that write to it
 * (PERF_EVENT_IOC_SET_OUTPUT) may come and go with their threads. */
#pragma once

#include "base/error.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct perf_ring {
	int fd; /* of the dummy event; -1 = none */
	uint32_t cpu;
	struct perf_event_mmap_page *control; /* NULL = not mapped */
	size_t data_size;
};

/* What the event itself writes to the ring: nothing, or mappings that become
 * executable and programs that are started, of all processes on the CPU. */
#define PERF_RING_TRAILER 16 /* bytes of TID | TIME behind each of those */
enum perf_ring_events { PERF_RING_NONE, PERF_RING_MAPS };

/* 0 or -errno; -EPERM when the limit on locked memory is reached. */
int perf_ring_open(struct perf_ring *ret, uint32_t cpu, enum perf_ring_events events, size_t data_size) must_check;
void perf_ring_close(struct perf_ring *r);

/* Takes one record, whole and 8-byte aligned, for the call. */
struct perf_record_sink {
	void (*put)(void *arg, const struct perf_event_header *record);
	void *arg;
};

void perf_ring_drain(struct perf_ring *r, struct perf_record_sink sink);
/* Whether there is something to drain. */
bool perf_ring_has_records(const struct perf_ring *r);
