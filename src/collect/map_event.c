/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/map_event.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

/* How what ends every record but those of samples begins. */
struct trailer {
	uint32_t pid, tid;
	uint64_t time;
};

static bool read_trailer(const struct perf_event_header *h, size_t head_size, size_t trailer_size,
			 struct map_event *ret)
{
	struct trailer t;
	if (h->size < head_size + trailer_size || trailer_size < sizeof(t))
		return false;
	memcpy(&t, (const char *)h + h->size - trailer_size, sizeof(t));
	ret->time_ns = (int64_t)t.time;
	return true;
}

static bool parse_mmap(const struct perf_event_header *h, size_t trailer_size, struct map_event *ret)
{
	const struct {
		struct perf_event_header header;
		uint32_t pid, tid;
		uint64_t addr, len, pgoff;
		uint32_t major, minor;
		uint64_t inode, generation;
		uint32_t prot, flags;
	} *e = (const void *)h;
	if (!read_trailer(h, sizeof(*e), trailer_size, ret) || !(e->prot & PROT_EXEC))
		return false;
	ret->kind = MAP_EVENT_MAPPED;
	ret->pid = (pid_t)e->pid;
	ret->start = e->addr;
	ret->offset = e->pgoff;
	ret->inode = e->inode;
	ret->device = e->inode ? makedev(e->major, e->minor) : 0;
	return !__builtin_add_overflow(e->addr, e->len, &ret->end);
}

static bool parse_comm(const struct perf_event_header *h, size_t trailer_size, struct map_event *ret)
{
	const struct {
		struct perf_event_header header;
		uint32_t pid, tid;
	} *e = (const void *)h;
	if (!(h->misc & PERF_RECORD_MISC_COMM_EXEC) || !read_trailer(h, sizeof(*e), trailer_size, ret))
		return false;
	ret->kind = MAP_EVENT_EXEC;
	ret->pid = (pid_t)e->pid;
	return true;
}

bool map_event_parse(const struct perf_event_header *record, size_t trailer_size, struct map_event *ret)
{
	struct map_event e = { 0 };
	bool known = false;
	switch (record->type) {
	case PERF_RECORD_MMAP2:
		known = parse_mmap(record, trailer_size, &e);
		break;
	case PERF_RECORD_COMM:
		known = parse_comm(record, trailer_size, &e);
		break;
	case PERF_RECORD_LOST:
		e.kind = MAP_EVENT_LOST;
		known = true;
		break;
	default:
		break;
	}
	if (known)
		*ret = e;
	return known;
}
