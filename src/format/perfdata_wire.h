/* SPDX-License-Identifier: Apache-2.0 */
/* perfdata_wire.h: the numbers of perf.data and how to read fields of either
 * byte order.
 *
 * Sources: perf_event_open(2), Linux' include/uapi/linux/perf_event.h and
 * tools/perf/Documentation/perf.data-file-format.txt. */
#pragma once

#include "base/slice.h"

enum perf_record {
	RECORD_MMAP = 1,
	RECORD_LOST = 2,
	RECORD_COMM = 3,
	RECORD_EXIT = 4,
	RECORD_THROTTLE = 5,
	RECORD_UNTHROTTLE = 6,
	RECORD_FORK = 7,
	RECORD_SAMPLE = 9,
	RECORD_MMAP2 = 10,
	RECORD_LOST_SAMPLES = 13,
	RECORD_KSYMBOL = 17,
	RECORD_KERNEL_LAST = 63, /* what the kernel writes; the rest is perf's own */
	RECORD_HEADER_ATTR = 64,
	RECORD_HEADER_TRACING_DATA = 66,
	RECORD_HEADER_BUILD_ID = 67,
	RECORD_AUXTRACE = 71,
	RECORD_EVENT_UPDATE = 78,
	RECORD_HEADER_FEATURE = 80,
	RECORD_COMPRESSED = 81,
	RECORD_COMPRESSED2 = 83,
	RECORD_LAST = 84, /* known to us: those not named here say nothing a profile holds */
};

enum {
	MISC_CPU_MODE = 7, /* mask */
	MISC_KERNEL = 1,
	MISC_USER = 2,
	MISC_HYPERVISOR = 3,
	MISC_GUEST_KERNEL = 4,
	MISC_GUEST_USER = 5,
	MISC_MMAP_DATA = 1 << 13,     /* of MMAP */
	MISC_COMM_EXEC = 1 << 13,     /* of COMM */
	MISC_FORK_EXEC = 1 << 13,     /* of FORK: made up by perf, copies nothing */
	MISC_MMAP_BUILD_ID = 1 << 14, /* of MMAP2 */
	MISC_BUILD_ID_SIZE = 1 << 15, /* of HEADER_BUILD_ID */
};

enum {
	SAMPLE_IP = 1 << 0,
	SAMPLE_TID = 1 << 1,
	SAMPLE_TIME = 1 << 2,
	SAMPLE_ADDR = 1 << 3,
	SAMPLE_READ = 1 << 4,
	SAMPLE_CALLCHAIN = 1 << 5,
	SAMPLE_ID = 1 << 6,
	SAMPLE_CPU = 1 << 7,
	SAMPLE_PERIOD = 1 << 8,
	SAMPLE_STREAM_ID = 1 << 9,
	SAMPLE_RAW = 1 << 10,
	SAMPLE_BRANCH_STACK = 1 << 11,
	SAMPLE_REGS_USER = 1 << 12,
	SAMPLE_STACK_USER = 1 << 13,
	SAMPLE_WEIGHT = 1 << 14,
	SAMPLE_DATA_SRC = 1 << 15,
	SAMPLE_IDENTIFIER = 1 << 16,
	SAMPLE_TRANSACTION = 1 << 17,
	SAMPLE_REGS_INTR = 1 << 18,
	SAMPLE_PHYS_ADDR = 1 << 19,
	SAMPLE_AUX = 1 << 20,
	SAMPLE_CGROUP = 1 << 21,
	SAMPLE_DATA_PAGE_SIZE = 1 << 22,
	SAMPLE_CODE_PAGE_SIZE = 1 << 23,
	SAMPLE_WEIGHT_STRUCT = 1 << 24,
	SAMPLE_KNOWN = (1 << 25) - 1,
};

enum {
	READ_TIME_ENABLED = 1 << 0,
	READ_TIME_RUNNING = 1 << 1,
	READ_ID = 1 << 2,
	READ_GROUP = 1 << 3,
	READ_LOST = 1 << 4,
};

enum {
	BRANCH_HW_INDEX = 1 << 17,
	BRANCH_COUNTERS = 1 << 19,
};

#define ATTR_INHERIT	   (UINT64_C(1) << 1)
#define ATTR_SAMPLE_ID_ALL (UINT64_C(1) << 18)
#define PROT_EXECUTE	   4u
#define KSYMBOL_GONE	   1u

enum perf_feature {
	FEATURE_BUILD_ID = 2,
	FEATURE_HOSTNAME = 3,
	FEATURE_OSRELEASE = 4,
	FEATURE_VERSION = 5,
	FEATURE_ARCH = 6,
	FEATURE_CMDLINE = 11,
	FEATURE_EVENT_DESC = 12,
	N_FEATURES = 256,
};

/* In a call chain: what follows was met in this mode. */
#define CONTEXT_MAX	     ((uint64_t)-4095) /* at and above: a mark, no address */
#define CONTEXT_HYPERVISOR   ((uint64_t)-32)
#define CONTEXT_KERNEL	     ((uint64_t)-128)
#define CONTEXT_USER	     ((uint64_t)-512)
#define CONTEXT_GUEST	     ((uint64_t)-2048)
#define CONTEXT_GUEST_KERNEL ((uint64_t)-2176)
#define CONTEXT_GUEST_USER   ((uint64_t)-2560)

/* Bytes read forward. `failed` sticks once something was asked for that is
 * not there; numbers are 0 from then on. */
struct perf_bytes {
	const uint8_t *at, *end;
	bool is_big, failed;
};

static inline size_t perf_left(const struct perf_bytes *b)
{
	return (size_t)(b->end - b->at);
}

static inline void perf_skip(struct perf_bytes *b, uint64_t size)
{
	if (size > perf_left(b)) {
		b->failed = true;
		b->at = b->end;
	} else {
		b->at += size;
	}
}

static inline uint64_t perf_u64_at(const uint8_t *at, bool is_big)
{
	uint64_t v;
	memcpy(&v, at, sizeof(v));
	if (is_big == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__))
		v = __builtin_bswap64(v);
	return v;
}

static inline uint32_t perf_u32_at(const uint8_t *at, bool is_big)
{
	uint32_t v;
	memcpy(&v, at, sizeof(v));
	if (is_big == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__))
		v = __builtin_bswap32(v);
	return v;
}

static inline uint64_t perf_u64(struct perf_bytes *b)
{
	const uint8_t *at = b->at;
	perf_skip(b, 8);
	return b->failed ? 0 : perf_u64_at(at, b->is_big);
}

static inline uint32_t perf_u32(struct perf_bytes *b)
{
	const uint8_t *at = b->at;
	perf_skip(b, 4);
	return b->failed ? 0 : perf_u32_at(at, b->is_big);
}

static inline uint16_t perf_u16(struct perf_bytes *b)
{
	const uint8_t *at = b->at;
	perf_skip(b, 2);
	if (b->failed)
		return 0;
	return (uint16_t)(b->is_big ? at[0] << 8 | at[1] : at[1] << 8 | at[0]);
}

/* The text before the first NUL in the next `size` bytes. */
static inline struct slice perf_text(struct perf_bytes *b, uint64_t size)
{
	const uint8_t *at = b->at;
	perf_skip(b, size);
	return slice_of(at, b->failed ? 0 : strnlen((const char *)at, (size_t)size));
}

#define RECORD_HEADER_SIZE 8

struct record_header {
	uint32_t type;
	uint16_t misc, size; /* size: of the whole record */
};

/* `at` has RECORD_HEADER_SIZE bytes. */
static inline struct record_header record_header_at(const uint8_t *at, bool is_big)
{
	struct perf_bytes b = { at, at + RECORD_HEADER_SIZE, is_big, false };
	struct record_header h;
	h.type = perf_u32(&b);
	h.misc = perf_u16(&b);
	h.size = perf_u16(&b);
	return h;
}
