/* SPDX-License-Identifier: Apache-2.0 */
/* Where threads wait for locks, and what they stand at. */
#include "format/gperf_reader.h"

#include "base/saturate.h"

#include <inttypes.h>

#define NS_PER_MS 1000000

struct contention_header {
	int64_t cycles_per_second; /* 0: delays are not in cycles */
	int64_t period;
};

/* "sampling period = 100"; 1 when the line is of this form, else 0. */
static int read_attribute(struct gperf_reader *g, struct slice line, struct contention_header *h)
{
	const uint8_t *equals = slice_first(line, '=');
	if (!equals)
		return 0;
	size_t at = (size_t)(equals - line.data);
	struct slice key = slice_trimmed(slice_of(line.data, at));
	struct slice text = slice_trimmed(slice_of(line.data + at + 1, line.size - at - 1));
	struct scan s = scan_of(text);
	int64_t ms = 0, *number = NULL;
	if (slice_eq(key, slice_str("cycles/second")))
		number = &h->cycles_per_second;
	else if (slice_eq(key, slice_str("sampling period")))
		number = &h->period;
	else if (slice_eq(key, slice_str("ms since reset")))
		number = &ms;
	else if (!slice_eq(key, slice_str("discarded samples")))
		return gperf_fail(g, -EBADMSG, "unknown attribute \"%.*s\"", SLICE_FMT(key));
	if (number) {
		int r = gperf_number(g, &s, "the value", number);
		if (r < 0)
			return r;
	}
	if (number == &ms && __builtin_mul_overflow(ms, NS_PER_MS, &g->p->duration_ns))
		return gperf_fail(g, -EBADMSG, "%" PRId64 " ms do not fit into 63 bits of nanoseconds", ms);
	return 1;
}

/* "CYCLES TIMES @ ADDRESSES" */
static int read_sample(struct gperf_reader *g, struct slice line, const struct contention_header *h)
{
	struct scan s = scan_of(line);
	int64_t delay, times;
	int r = gperf_number(g, &s, "the delay", &delay);
	if (r == 0)
		r = gperf_number(g, &s, "the number of contentions", &times);
	if (r < 0)
		return r;
	scan_blanks(&s);
	if (!scan_byte(&s, '@'))
		return gperf_fail(g, -EBADMSG, "not \"DELAY TIMES @ ADDRESSES\"");
	if (h->period > 0) {
		if (h->cycles_per_second > 0)
			delay = gperf_to_i64((double)delay * (double)h->period / ((double)h->cycles_per_second / 1e9));
		if (__builtin_mul_overflow(times, h->period, &times))
			return gperf_fail(g, -EBADMSG, "contentions times the period do not fit into 63 bits");
	}
	r = gperf_push_stack(g, &s, -1);
	return r < 0 ? r : gperf_add_sample(g, (int64_t[]){ times, delay }, 2);
}

int gperf_contention_decode(struct gperf_reader *g)
{
	static const char *const types[][2] = { { "contentions", "count" }, { "delay", "nanoseconds" } };
	struct contention_header h = { .period = 1 };
	struct slice line;
	bool in_header = true;
	int r = gperf_types(g, types, ARRAY_SIZE(types));
	while (r == 0 && gperf_next_line(g, &line) && gperf_is_comment(line))
		;
	while (r == 0 && gperf_next_line(g, &line)) {
		if (gperf_is_comment(line))
			continue;
		if (slice_has_prefix(line, "---")) {
			r = gperf_skip_to_map(g, line);
			break;
		}
		int is_attribute = in_header ? read_attribute(g, line, &h) : 0;
		in_header = is_attribute == 1;
		r = is_attribute < 0 ? is_attribute : is_attribute == 0 ? read_sample(g, line, &h) : 0;
	}
	return r < 0 ? r : gperf_period(g, "contentions", "count", h.period);
}

/* --- threads --- */

static bool is_thread(struct slice line)
{
	return slice_has_prefix(line, "--- Thread ") && slice_contains(line, " stack: ---");
}

/* All "0x1f" of a line, between whatever names stand there. */
static int push_addresses(struct gperf_reader *g, struct slice line, bool *is_leaf)
{
	struct scan s = scan_of(line);
	while (!scan_done(&s)) {
		uint64_t address;
		if (!scan_text(&s, "0x")) {
			s.at++;
			continue;
		}
		int r = scan_u64(&s, 16, &address);
		if (r == -ERANGE)
			return gperf_fail(g, -EBADMSG, "an address of more than 64 bits");
		if (r < 0)
			continue;
		/* The leaf is where the thread is, not behind a call. */
		r = gperf_push(g, address - !*is_leaf);
		if (r < 0)
			return r;
		*is_leaf = false;
	}
	return 0;
}

/* The lines of one thread; the first behind them is *line, or there is none. */
static int read_thread(struct gperf_reader *g, struct slice *line, bool *more)
{
	bool is_leaf = true, same = false;
	int r = 0;
	while (r == 0 && (*more = gperf_next_line(g, line)) && !slice_has_prefix(*line, "---")) {
		if (slice_contains(*line, "same as previous thread"))
			same = true;
		else
			r = push_addresses(g, *line, &is_leaf);
	}
	if (r < 0 || (!same && is_leaf && g->samples.n == 0))
		return r;
	if (!same && !is_leaf)
		return gperf_add_sample(g, (int64_t[]){ 1 }, 1);
	if (g->samples.n == 0)
		return gperf_fail(g, -EBADMSG, "same as a previous thread, but there is none");
	int64_t *n = g->samples.data[g->samples.n - 1].value;
	*n = i64_add_saturating(*n, 1);
	return 0;
}

int gperf_thread_decode(struct gperf_reader *g)
{
	static const char *const types[][2] = { { "thread", "count" } };
	struct slice line = { 0 };
	int r = gperf_types(g, types, ARRAY_SIZE(types));
	if (r == 0)
		r = gperf_period(g, "thread", "count", 1);
	bool more = true;
	while (more && gperf_is_comment(line))
		more = gperf_next_line(g, &line);
	/* Comments may stand between the title and the first thread. */
	if (more && slice_has_prefix(line, "--- threadz "))
		while ((more = gperf_next_line(g, &line)) && !slice_has_prefix(line, "-"))
			;
	while (r == 0 && more && !gperf_is_map_start(line) && !slice_has_prefix(line, "---- no stack trace for")) {
		if (!is_thread(line))
			return gperf_fail(g, -EBADMSG, "not \"--- Thread ID (name: NAME/ID) stack: ---\"");
		r = read_thread(g, &line, &more);
	}
	if (r == 0 && more)
		r = gperf_skip_to_map(g, line);
	if (r == 0)
		gperf_drop_double_leaf(g);
	return r;
}
