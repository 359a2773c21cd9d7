/* SPDX-License-Identifier: Apache-2.0 */
/* Heap, growth and fragmentation profiles, and Go's counts. */
#include "format/gperf_reader.h"

#include <inttypes.h>

static bool scan_value(struct scan *s, int64_t *ret)
{
	scan_blanks(s);
	return scan_i64(s, ret) == 0;
}

/* "13: 1595680 [47130736: 2584596557304] @" */
static bool scan_heap_values(struct scan *s, int64_t v[static 4])
{
	if (!scan_value(s, &v[0]) || !scan_byte(s, ':') || !scan_value(s, &v[1]))
		return false;
	scan_blanks(s);
	if (!scan_byte(s, '[') || !scan_value(s, &v[2]) || !scan_byte(s, ':') || !scan_value(s, &v[3]))
		return false;
	scan_blanks(s);
	if (!scan_byte(s, ']'))
		return false;
	scan_blanks(s);
	return scan_byte(s, '@');
}

struct heap_header {
	int64_t rate;	/* bytes; also the period */
	bool sampled;	/* values are to be scaled by it */
	bool has_alloc; /* the numbers in brackets say more than the first two */
};

static const struct {
	const char *name;
	bool sampled, is_plain;
	int divide; /* Go writes twice its rate */
} heap_kinds[] = {
	{ "heapz_v2", true, false, 1 },	      { "heap_v2", true, false, 1 },	   { "heap", true, false, 2 },
	{ "heapprofile", false, true, 1 },    { "growthz", false, true, 1 },	   { "growth", false, true, 1 },
	{ "fragmentationz", false, true, 1 }, { "fragmentation", false, true, 1 },
};

static int read_heap_header(struct gperf_reader *g, struct slice line, struct heap_header *ret)
{
	struct scan s = scan_of(line);
	int64_t v[4], rate = 0;
	(void)scan_text(&s, "heap profile:");
	if (!scan_heap_values(&s, v))
		return gperf_fail(g, -EBADMSG, "not \"heap profile: N: BYTES [N: BYTES] @ KIND\"");
	scan_blanks(&s);
	struct slice kind = scan_rest(&s);
	const uint8_t *slash = slice_first(kind, '/');
	if (slash) {
		struct scan number = { slash + 1, s.end };
		if (!scan_done(&number) && (scan_i64(&number, &rate) < 0 || !scan_done(&number) || rate < 0))
			return gperf_fail(g, -EBADMSG, "not a sampling rate: \"%.*s\"",
					  SLICE_FMT(slice_of(slash + 1, (size_t)(s.end - slash - 1))));
		kind.size = (size_t)(slash - kind.data);
	}
	for (size_t i = 0; i < ARRAY_SIZE(heap_kinds); i++) {
		if (!slice_eq(kind, slice_str(heap_kinds[i].name)))
			continue;
		ret->sampled = heap_kinds[i].sampled;
		ret->rate = heap_kinds[i].is_plain ? 1 : rate / heap_kinds[i].divide;
		ret->has_alloc =
			slice_has_prefix(kind, "heap") && ((v[2] != v[0] && v[2] != 0) || (v[3] != v[1] && v[3] != 0));
		return 0;
	}
	return gperf_fail(g, -EPROTONOSUPPORT, "a heap profile of kind \"%.*s\", which wick does not know",
			  SLICE_FMT(kind));
}

/* One count and its bytes, scaled back. */
static int take_pair(struct gperf_reader *g, const struct heap_header *h, int64_t pair[static 2], int64_t *block_size)
{
	if (pair[0] == 0 && pair[1] != 0)
		return gperf_fail(g, -EBADMSG, "%" PRId64 " bytes in 0 objects", pair[1]);
	if (pair[0] == 0)
		return 0;
	*block_size = pair[1] / pair[0];
	if (h->sampled)
		gperf_unsample(h->rate, &pair[0], &pair[1]);
	return 0;
}

static int read_heap_sample(struct gperf_reader *g, const struct heap_header *h, struct slice line)
{
	struct scan s = scan_of(line);
	int64_t v[4], block_size = 0;
	if (!scan_heap_values(&s, v))
		return gperf_fail(g, -EBADMSG, "not \"N: BYTES [N: BYTES] @ ADDRESSES\"");
	int r = h->has_alloc ? take_pair(g, h, &v[2], &block_size) : 0;
	if (r == 0)
		r = take_pair(g, h, &v[0], &block_size);
	/* Addresses lie behind the call. */
	if (r == 0)
		r = gperf_push_stack(g, &s, -1);
	if (r < 0)
		return r;
	int64_t both[] = { v[2], v[3], v[0], v[1] };
	r = gperf_add_sample(g, h->has_alloc ? both : v, h->has_alloc ? 4 : 2);
	if (r < 0)
		return r;
	struct gperf_sample *sample = &g->samples.data[g->samples.n - 1];
	sample->has_block_size = true;
	sample->block_size = block_size;
	return 0;
}

static int read_heap_samples(struct gperf_reader *g, const struct heap_header *h)
{
	struct slice line;
	while (gperf_next_line(g, &line)) {
		if (gperf_is_comment(line))
			continue;
		if (gperf_is_map_start(line))
			return gperf_read_map(g);
		int r = read_heap_sample(g, h, line);
		if (r < 0)
			return r;
	}
	return 0;
}

int gperf_heap_decode(struct gperf_reader *g)
{
	static const char *const both[][2] = { { "alloc_objects", "count" },
					       { "alloc_space", "bytes" },
					       { "inuse_objects", "count" },
					       { "inuse_space", "bytes" } };
	static const char *const one[][2] = { { "objects", "count" }, { "space", "bytes" } };
	struct heap_header h = { 0 };
	struct slice line = { 0 };
	while (gperf_next_line(g, &line) && gperf_is_comment(line))
		;
	int r = read_heap_header(g, line, &h);
	if (r == 0)
		r = gperf_period(g, "space", "bytes", h.rate);
	if (r == 0)
		r = h.has_alloc ? gperf_types(g, both, ARRAY_SIZE(both)) : gperf_types(g, one, ARRAY_SIZE(one));
	return r < 0 ? r : read_heap_samples(g, &h);
}

/* --- goroutine, threadcreate --- */

static int read_count(struct gperf_reader *g, struct slice line)
{
	struct scan s = scan_of(line);
	int64_t n;
	int r = gperf_number(g, &s, "the count", &n);
	if (r < 0)
		return r;
	if (!scan_text(&s, " @"))
		return gperf_fail(g, -EBADMSG, "not \"N @ ADDRESSES\"");
	r = gperf_push_stack(g, &s, -1);
	return r < 0 ? r : gperf_add_sample(g, &n, 1);
}

int gperf_count_decode(struct gperf_reader *g)
{
	struct slice line = { 0 };
	while (gperf_next_line(g, &line) && gperf_is_comment(line))
		;
	struct scan s = scan_of(line);
	struct slice kind = scan_word(&s);
	struct strtab *strings = &g->p->dict.strings;
	int r = profile_add_type(g->p, kind, slice_str("count"));
	if (r == 0)
		r = strtab_intern(strings, kind, &g->p->period_type.type);
	if (r == 0)
		r = strtab_intern_str(strings, "count", &g->p->period_type.unit);
	if (r < 0)
		return gperf_fail_memory(g, r);
	g->p->period = 1;
	while (r == 0 && gperf_next_line(g, &line)) {
		if (gperf_is_comment(line))
			continue;
		if (slice_has_prefix(line, "---"))
			return gperf_skip_to_map(g, line);
		r = read_count(g, line);
	}
	return r;
}
