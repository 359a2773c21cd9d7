/* SPDX-License-Identifier: Apache-2.0 */
#include "format/gperf_reader.h"

#include "base/saturate.h"

#include <inttypes.h>
#include <stdarg.h>

#define HEADER_WORDS 5
#define NS_PER_MICRO 1000
#define STRIP_FRAMES 2	/* at most that many are taken away below the leaf */
#define STRIP_SHARE  32 /* one sample in that many may differ */

struct words {
	uint32_t size; /* 4 or 8 */
	bool big_endian;
};

static uint64_t load(const struct words *w, const uint8_t *at)
{
	uint64_t v = 0;
	for (uint32_t i = 0; i < w->size; i++)
		v |= (uint64_t)at[w->big_endian ? w->size - 1 - i : i] << (8 * i);
	return v;
}

struct cpu_header {
	struct words words;
	bool is_java;
	uint64_t period_us;
};

static bool read_header(struct slice bytes, struct cpu_header *ret)
{
	static const struct words forms[] = { { 4, false }, { 4, true }, { 8, false }, { 8, true } };
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		uint64_t w[HEADER_WORDS];
		if (bytes.size < (size_t)forms[i].size * HEADER_WORDS)
			continue;
		for (uint32_t k = 0; k < HEADER_WORDS; k++)
			w[k] = load(&forms[i], bytes.data + (size_t)k * forms[i].size);
		if (w[0] == 0 && w[1] == 3 && w[2] <= 1 && w[3] > 0 && w[4] == 0) {
			*ret = (struct cpu_header){ forms[i], w[2] == 1, w[3] };
			return true;
		}
	}
	return false;
}

bool gperf_cpu_looks(struct slice bytes)
{
	struct cpu_header unused;
	return read_header(bytes, &unused);
}

static int fail_at(const struct gperf_reader *g, size_t at, int code, const char *fmt, ...) printf_like(4, 5);

static int fail_at(const struct gperf_reader *g, size_t at, int code, const char *fmt, ...)
{
	char what[128];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return error_set(g->err, code, "at byte %zu: sample %" PRIu32 ": %s", at, g->samples.n + 1, what);
}

/* The count of a sample and of its frames. */
static bool next_head(struct gperf_reader *g, const struct words *w, uint64_t *ret_count, uint64_t *ret_n)
{
	if (g->bytes.size - g->at < 2 * (size_t)w->size)
		return false;
	*ret_count = load(w, g->bytes.data + g->at);
	*ret_n = load(w, g->bytes.data + g->at + w->size);
	g->at += 2 * (size_t)w->size;
	return true;
}

static int add_sample(struct gperf_reader *g, size_t at, uint64_t count)
{
	int64_t values[2], period = g->p->period;
	if (count > INT64_MAX)
		return fail_at(g, at, -EBADMSG, "count %" PRIu64 " does not fit into 63 bits", count);
	values[0] = (int64_t)count;
	if (__builtin_mul_overflow(values[0], period, &values[1]))
		return fail_at(g, at, -EBADMSG, "count %" PRIu64 " times the period does not fit into 63 bits", count);
	int r = gperf_add_sample(g, values, 2);
	if (r < 0)
		error_prefix(g->err, "at byte %zu", at);
	return r;
}

/* `adjust`: callers are the addresses behind their calls. */
static int read_stack(struct gperf_reader *g, const struct words *w, uint64_t n, bool adjust)
{
	size_t from = g->at;
	if (n > g->limits->depth)
		return fail_at(g, from - w->size, -E2BIG, "more than %" PRIu32 " frames", g->limits->depth);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t address = load(w, g->bytes.data + g->at);
		g->at += w->size;
		int r = gperf_push(g, address - (adjust && i > 0));
		if (r < 0) {
			error_prefix(g->err, "at byte %zu: sample %" PRIu32, from, g->samples.n + 1);
			return r;
		}
	}
	return 0;
}

/* The file ends in the middle of a sample. */
static int ends_early(struct gperf_reader *g, size_t at, const char *what)
{
	if (!g->salvage)
		return fail_at(g, at, -ENODATA, "%s", what);
	salvage_end(g->salvage, g->bytes.size, "sample %" PRIu32, g->samples.n + 1);
	g->at = g->bytes.size;
	return 0;
}

/* Up to the end marker: no times a stack of one frame 0. */
static int read_samples(struct gperf_reader *g, const struct words *w, bool adjust)
{
	for (;;) {
		size_t at = g->at;
		uint64_t count = 0, n = 0;
		if (!next_head(g, w, &count, &n))
			return ends_early(g, g->bytes.size, "the file ends before the end marker");
		if (n > (g->bytes.size - g->at) / w->size)
			return ends_early(g, at + w->size, "the file ends before its frames");
		if (count == 0 && n == 1 && load(w, g->bytes.data + g->at) == 0) {
			g->at += w->size;
			return 0;
		}
		int r = read_stack(g, w, n, adjust);
		if (r == 0)
			r = add_sample(g, at, count);
		if (r < 0)
			return r;
	}
}

/* The address that nearly all samples have below their leaf, or UINT32_MAX. */
static int common_caller(const struct gperf_reader *g, uint32_t *ret)
{
	_cleanup_(free_ptr)
	uint32_t *count = calloc((size_t)g->addresses.n + 1, sizeof(*count));
	if (!count)
		return -ENOMEM;
	uint32_t most = UINT32_MAX;
	for (uint32_t i = 0; i < g->samples.n; i++) {
		const struct gperf_sample *s = &g->samples.data[i];
		if (s->n < 2)
			continue;
		uint32_t second = g->stacks.data[s->first + 1];
		count[second]++;
		if (most == UINT32_MAX || count[second] > count[most])
			most = second;
	}
	uint32_t enough = g->samples.n - g->samples.n / STRIP_SHARE;
	*ret = most != UINT32_MAX && count[most] >= enough ? most : UINT32_MAX;
	return 0;
}

/* The profiler's own signal handler stands below the leaf of every sample. */
static int strip_handler(struct gperf_reader *g)
{
	for (int i = 0; i < STRIP_FRAMES; i++) {
		uint32_t handler;
		int r = common_caller(g, &handler);
		if (r < 0)
			return gperf_fail_memory(g, r);
		for (uint32_t k = 0; handler != UINT32_MAX && k < g->samples.n; k++) {
			struct gperf_sample *s = &g->samples.data[k];
			uint32_t *stack = g->stacks.data + s->first;
			if (s->n < 2 || stack[1] != handler)
				continue;
			stack[1] = stack[0];
			s->first++;
			s->n--;
		}
	}
	return 0;
}

int gperf_cpu_decode(struct gperf_reader *g)
{
	static const char *const types[][2] = { { "samples", "count" }, { "cpu", "nanoseconds" } };
	struct cpu_header h;
	if (!read_header(g->bytes, &h))
		return error_set(g->err, -EBADMSG, "at byte 0: not the header of a CPU profile");
	int64_t period;
	if (__builtin_mul_overflow(h.period_us, NS_PER_MICRO, &period))
		return error_set(g->err, -EBADMSG, "at byte %zu: a period of %" PRIu64 " microseconds",
				 (size_t)h.words.size * 3, h.period_us);
	g->at = (size_t)h.words.size * HEADER_WORDS;
	g->has_words = true;
	int r = gperf_types(g, types, ARRAY_SIZE(types));
	if (r == 0)
		r = gperf_period(g, "cpu", "nanoseconds", period);
	if (r == 0)
		r = read_samples(g, &h.words, !h.is_java);
	if (r < 0)
		return r;
	/* Lines are counted from where text begins. */
	if (h.is_java)
		return gperf_java_names(g, slice_of("", 0));
	r = strip_handler(g);
	if (r == 0)
		r = gperf_read_map(g);
	if (r == 0)
		gperf_drop_double_leaf(g);
	return r;
}
