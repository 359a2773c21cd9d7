/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the fields is the kernel's (perf_event_open(2)). Those behind
 * the call chain hold nothing a profile has, but must fit all the same: a
 * chain in a record that does not add up is not to be believed. */
#include "format/perfdata_reader.h"

/* `n` entries of `size` bytes. */
static void skip_n(struct perf_bytes *b, uint64_t n, uint64_t size)
{
	uint64_t total;
	perf_skip(b, __builtin_mul_overflow(n, size, &total) ? UINT64_MAX : total);
}

/* Of a group: its size, times, then { value, id, lost } of each member; else
 * value, times, id, lost. All but the values are there as `format` says. */
static void read_values(struct perf_bytes *b, uint64_t format, struct perf_sample *s)
{
	uint64_t n_times = (uint64_t)__builtin_popcountll(format & (READ_TIME_ENABLED | READ_TIME_RUNNING));
	uint64_t n_more = (uint64_t)__builtin_popcountll(format & (READ_ID | READ_LOST));
	uint64_t n = format & READ_GROUP ? perf_u64(b) : 1;
	if (format & READ_GROUP)
		skip_n(b, n_times, 8);
	s->values = b->at;
	s->n_values = format & READ_ID ? n : 0;
	if (!(format & READ_GROUP))
		skip_n(b, n_times, 8);
	skip_n(b, n, 8 * (1 + n_more));
}

static void skip_branches(struct perf_bytes *b, uint64_t type)
{
	uint64_t n = perf_u64(b);
	if (type & BRANCH_HW_INDEX)
		perf_skip(b, 8);
	skip_n(b, n, 24 + (type & BRANCH_COUNTERS ? 8 : 0));
}

static void skip_registers(struct perf_bytes *b, uint32_t n)
{
	uint64_t abi = perf_u64(b);
	if (abi)
		skip_n(b, n, 8);
}

/* Bytes of the user's stack, and how many of them are filled. */
static bool skip_user_stack(struct perf_bytes *b)
{
	uint64_t size = perf_u64(b);
	perf_skip(b, size);
	return size && perf_u64(b) > 0;
}

/* Name of the first that does not fit, or NULL. */
static const char *skip_rest(const struct perf_attr *a, struct perf_bytes *b, struct perf_sample *s)
{
	uint64_t type = a->sample_type;
	if (type & SAMPLE_RAW)
		perf_skip(b, perf_u32(b));
	if (b->failed)
		return "raw data";
	if (type & SAMPLE_BRANCH_STACK)
		skip_branches(b, a->branch_sample_type);
	if (b->failed)
		return "branch stack";
	if (type & SAMPLE_REGS_USER)
		skip_registers(b, a->n_regs_user);
	if (type & SAMPLE_STACK_USER)
		s->has_user_stack = skip_user_stack(b);
	if (b->failed)
		return "user stack";
	uint64_t fixed = SAMPLE_WEIGHT | SAMPLE_WEIGHT_STRUCT | SAMPLE_DATA_SRC | SAMPLE_TRANSACTION;
	skip_n(b, (uint64_t)__builtin_popcountll(type & fixed), 8);
	if (type & SAMPLE_REGS_INTR)
		skip_registers(b, a->n_regs_intr);
	fixed = SAMPLE_PHYS_ADDR | SAMPLE_CGROUP | SAMPLE_DATA_PAGE_SIZE | SAMPLE_CODE_PAGE_SIZE;
	skip_n(b, (uint64_t)__builtin_popcountll(type & fixed), 8);
	if (type & SAMPLE_AUX)
		perf_skip(b, perf_u64(b));
	return b->failed ? "last fields" : NULL;
}

const char *perfdata_sample_parse(const struct perf_attr *a, struct perf_bytes b, struct perf_sample *ret)
{
	uint64_t type = a->sample_type;
	struct perf_sample s = { .pid = UINT32_MAX, .tid = UINT32_MAX, .period = a->sample_period };
	if (type & SAMPLE_IDENTIFIER)
		perf_skip(&b, 8);
	if (type & SAMPLE_IP)
		s.ip = perf_u64(&b);
	if (type & SAMPLE_TID) {
		s.pid = perf_u32(&b);
		s.tid = perf_u32(&b);
	}
	if (type & SAMPLE_TIME)
		s.time = perf_u64(&b);
	uint64_t fixed = SAMPLE_ADDR | SAMPLE_ID | SAMPLE_STREAM_ID | SAMPLE_CPU;
	skip_n(&b, (uint64_t)__builtin_popcountll(type & fixed), 8);
	if (type & SAMPLE_PERIOD)
		s.period = perf_u64(&b);
	if (b.failed)
		return "head";
	if (type & SAMPLE_READ)
		read_values(&b, a->read_format, &s);
	if (b.failed)
		return "counter values";
	if (type & SAMPLE_CALLCHAIN) {
		s.n_chain = perf_u64(&b);
		s.chain = b.at;
		skip_n(&b, s.n_chain, 8);
	}
	if (b.failed)
		return "call chain";
	/* Fields of later kernels come last: nothing can be said of them. */
	const char *field = type & ~(uint64_t)SAMPLE_KNOWN ? NULL : skip_rest(a, &b, &s);
	*ret = s;
	return field;
}
