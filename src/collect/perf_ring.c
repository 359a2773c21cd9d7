/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/perf_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#define RECORD_MAX 65536 /* header.size has 16 bits */

int perf_ring_open(struct perf_ring *ret, uint32_t cpu, enum perf_ring_events events, size_t data_size)
{
	bool maps = events == PERF_RING_MAPS;
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_DUMMY,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		.mmap = maps,
		.mmap2 = maps,
		.comm = maps,
		.comm_exec = maps,
		.sample_id_all = maps,
		.watermark = 1,
		.wakeup_watermark = (uint32_t)data_size / 4,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = (int)syscall(SYS_perf_event_open, &attr, maps ? -1 : 0, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	void *at = mmap(NULL, page + data_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		int r = -errno;
		(void)close(fd);
		return r;
	}
	*ret = (struct perf_ring){ .fd = fd, .cpu = cpu, .control = at, .data_size = data_size };
	return 0;
}

void perf_ring_close(struct perf_ring *r)
{
	if (r->control)
		(void)munmap(r->control, (size_t)sysconf(_SC_PAGESIZE) + r->data_size);
	if (r->fd >= 0)
		(void)close(r->fd);
	*r = (struct perf_ring){ .fd = -1 };
}

bool perf_ring_has_records(const struct perf_ring *r)
{
	return r->control && __atomic_load_n(&r->control->data_head, __ATOMIC_ACQUIRE) != r->control->data_tail;
}

void perf_ring_drain(struct perf_ring *r, struct perf_record_sink sink)
{
	_Alignas(8) char wrapped[RECORD_MAX];
	const char *data = (const char *)r->control + sysconf(_SC_PAGESIZE);
	uint64_t head = __atomic_load_n(&r->control->data_head, __ATOMIC_ACQUIRE);
	uint64_t tail = r->control->data_tail;
	while (head - tail >= sizeof(struct perf_event_header)) {
		size_t at = tail % r->data_size;
		const struct perf_event_header *record = (const void *)(data + at);
		size_t size = record->size;
		if (size < sizeof(*record) || size > head - tail)
			break; /* the kernel does not write such records */
		if (at + size > r->data_size) {
			size_t first = r->data_size - at;
			memcpy(wrapped, data + at, first);
			memcpy(wrapped + first, data, size - first);
			record = (const void *)wrapped;
		}
		sink.put(sink.arg, record);
		tail += size;
	}
	__atomic_store_n(&r->control->data_tail, tail, __ATOMIC_RELEASE);
}
