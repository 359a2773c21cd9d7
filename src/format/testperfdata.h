/* SPDX-License-Identifier: Apache-2.0 */
/* testperfdata.h: for this folder's tests: a perf.data, written number by
 * number and record by record in either byte order, and its decoding. */
#pragma once

#include "unit.h"

#include "base/buf.h"
#include "format/perfdata.h"
#include "format/perfdata_wire.h"

#include <string.h>

struct maker {
	struct buf out;
	bool is_big;
};

static inline void put(struct maker *m, uint64_t value, size_t size)
{
	uint8_t bytes[8];
	for (size_t i = 0; i < size; i++)
		bytes[m->is_big ? size - 1 - i : i] = (uint8_t)(value >> (8 * i));
	buf_add(&m->out, bytes, size);
}

static inline void put32(struct maker *m, uint32_t value)
{
	put(m, value, 4);
}

static inline void put64(struct maker *m, uint64_t value)
{
	put(m, value, 8);
}

/* A record; what it returns is for end(). */
static inline size_t begin(struct maker *m, uint32_t type, uint32_t misc)
{
	size_t at = m->out.n;
	put32(m, type);
	put(m, misc, 2);
	put(m, 0, 2);
	return at;
}

static inline void end(struct maker *m, size_t at)
{
	size_t size = m->out.n - at;
	m->out.data[at + 6] = (uint8_t)(m->is_big ? size >> 8 : size);
	m->out.data[at + 7] = (uint8_t)(m->is_big ? size : size >> 8);
}

/* Of the two events there may be. */
#define ATTR_SIZE 112
#define FIRST_ID  71
#define SECOND_ID 82

static inline void put_attr(struct maker *m, uint64_t config, uint64_t sample_type)
{
	size_t at = m->out.n;
	put32(m, 1); /* software */
	put32(m, ATTR_SIZE);
	put64(m, config);
	put64(m, 999);
	put64(m, sample_type);
	put64(m, 0);
	uint64_t flags = ATTR_SAMPLE_ID_ALL | 1 << 10, mirrored = 0;
	for (unsigned i = 0; i < 64; i++)
		mirrored |= (flags >> i & 1) << (63 - i);
	put64(m, m->is_big ? mirrored : flags);
	while (m->out.n < at + ATTR_SIZE)
		put32(m, 0);
}

/* In place of what was put at that offset. */
static inline void patch64(struct maker *m, size_t at, uint64_t value)
{
	struct maker one = { .out = buf_of(8), .is_big = m->is_big };
	put64(&one, value);
	memcpy(m->out.data + at, one.out.data, 8);
	buf_done(&one.out);
}

static inline void put_attr_record(struct maker *m, uint64_t config, uint64_t sample_type, uint64_t id)
{
	size_t at = begin(m, RECORD_HEADER_ATTR, 0);
	put_attr(m, config, sample_type);
	put64(m, id);
	end(m, at);
}

static inline struct slice made(struct maker *m)
{
	return slice_of(m->out.data, m->out.n);
}

static inline int decode(struct slice bytes, struct salvage *salvage, struct profile *p, struct error *err)
{
	assert_int_equal(profile_init(p, NULL), 0);
	return perfdata_decode(bytes, &format_limits_default, salvage, p, err);
}
