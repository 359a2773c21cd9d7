/* SPDX-License-Identifier: Apache-2.0 */
/* Java's forms: samples of ids, then what each id is called.
 *
 *           14     1 @ 0x0000000d 0x0000000e
 *
 *    0x000000d com.example.f (source.java:13)
 *    0x000000e memcpy (/lib/libc.so)
 *    0x000000f GC                                                            */
#include "format/gperf_reader.h"

#include <inttypes.h>

#define HEAP_RATE 524288 /* the sampling rate of all of them, bytes */
#define NS_PER_MS 1000000

struct java_header {
	bool is_heap;
	struct slice resolution;
	int64_t period;
};

/* "resolution = bytes"; 1 when the line is of this form, else 0. */
static int read_attribute(struct gperf_reader *g, struct slice line, struct java_header *h)
{
	const uint8_t *equals = slice_first(line, '=');
	if (!equals)
		return 0;
	size_t at = (size_t)(equals - line.data);
	struct slice key = slice_trimmed(slice_of(line.data, at));
	struct slice text = slice_trimmed(slice_of(line.data + at + 1, line.size - at - 1));
	struct scan s = scan_of(text);
	int64_t ms;
	if (slice_eq(key, slice_str("format"))) {
		if (!slice_eq(text, slice_str("java")))
			return gperf_fail(g, -EBADMSG, "format \"%.*s\" is not java", SLICE_FMT(text));
	} else if (slice_eq(key, slice_str("resolution"))) {
		h->resolution = text;
	} else if (!h->is_heap && slice_eq(key, slice_str("sampling period"))) {
		int r = gperf_number(g, &s, "the sampling period", &h->period);
		if (r < 0)
			return r;
	} else if (!h->is_heap && slice_eq(key, slice_str("ms since reset"))) {
		int r = gperf_number(g, &s, "the time", &ms);
		if (r < 0)
			return r;
		if (__builtin_mul_overflow(ms, NS_PER_MS, &g->p->duration_ns))
			return gperf_fail(g, -EBADMSG, "%" PRId64 " ms do not fit into 63 bits of nanoseconds", ms);
	} else {
		return gperf_fail(g, -EBADMSG, "unknown attribute \"%.*s\"", SLICE_FMT(key));
	}
	return 1;
}

static int add_types(struct gperf_reader *g, const struct java_header *h)
{
	if (h->resolution.size == 0)
		return gperf_fail(g, -EBADMSG, "no resolution before the first sample");
	int r = profile_add_type(g->p, slice_str(h->is_heap ? "inuse_objects" : "contentions"), slice_str("count"));
	if (r == 0)
		r = profile_add_type(g->p, slice_str(h->is_heap ? "inuse_space" : "delay"), h->resolution);
	if (r < 0)
		return gperf_fail_memory(g, r);
	return h->is_heap || !h->period ? 0 : gperf_period(g, "contentions", "count", h->period);
}

/* "BYTES OBJECTS @ IDS" or "DELAY TIMES @ IDS" */
static int read_sample(struct gperf_reader *g, struct scan *s, const struct java_header *h)
{
	int64_t count, size, block_size = 0;
	int r = gperf_number(g, s, "the first value", &size);
	if (r == 0)
		r = gperf_number(g, s, "the second value", &count);
	if (r < 0)
		return r;
	scan_blanks(s);
	if (!scan_byte(s, '@'))
		return gperf_fail(g, -EBADMSG, "not \"BYTES OBJECTS @ IDS\"");
	if (h->is_heap) {
		if (count == 0)
			return gperf_fail(g, -EBADMSG, "%" PRId64 " bytes in 0 objects", size);
		block_size = size / count;
		gperf_unsample(HEAP_RATE, &count, &size);
	} else if (h->period && (__builtin_mul_overflow(count, h->period, &count) ||
				 __builtin_mul_overflow(size, h->period, &size))) {
		return gperf_fail(g, -EBADMSG, "a value times the period does not fit into 63 bits");
	}
	r = gperf_push_stack(g, s, 0);
	if (r == 0)
		r = gperf_add_sample(g, (int64_t[]){ count, size }, 2);
	if (r == 0 && h->is_heap) {
		g->samples.data[g->samples.n - 1].has_block_size = true;
		g->samples.data[g->samples.n - 1].block_size = block_size;
	}
	return r;
}

/* --- names --- */

struct java_name {
	struct slice function, file;
	uint32_t line;
	bool is_native;
};

/* "f (source.java:12)", "memcpy (/lib/libc.so)", "generated stub/JIT", "GC" */
static struct java_name split_name(struct slice text)
{
	struct java_name n = { .function = text };
	if (slice_contains(text, "generated stub/JIT") && text.data[text.size - 1] != ')') {
		n.function = slice_str("STUB");
		return n;
	}
	const uint8_t *open = text.size && text.data[text.size - 1] == ')' ? slice_last(text, '(') : NULL;
	if (!open || open == text.data || !scan_is_blank(open[-1]))
		return n;
	n.function = slice_trimmed(slice_of(text.data, (size_t)(open - text.data)));
	n.file = slice_of(open + 1, (size_t)(text.data + text.size - 1 - (open + 1)));
	const uint8_t *colon = slice_last(n.file, ':');
	int64_t line;
	if (colon && colon > n.file.data) {
		struct scan s = { colon + 1, n.file.data + n.file.size };
		if (scan_i64(&s, &line) == 0 && scan_done(&s)) {
			n.line = line > 0 && line <= UINT32_MAX ? (uint32_t)line : 0;
			n.file.size = (size_t)(colon - n.file.data);
			return n;
		}
	}
	const uint8_t *slash = slice_last(n.file, '/');
	if (slash)
		n.file = slice_of(slash + 1, (size_t)(n.file.data + n.file.size - slash - 1));
	n.is_native = true;
	return n;
}

/* Ids are not addresses: they mean nothing outside of the file. */
static int name_id(struct gperf_reader *g, struct gperf_address *id, struct slice text)
{
	struct dict *dict = &g->p->dict;
	struct java_name n = split_name(text);
	struct function function = { 0 };
	struct frame frame = { .line = n.line, .kind = n.is_native ? FRAME_USER : FRAME_JVM };
	struct frame_id frame_id;
	int r = strtab_intern(&dict->strings, n.function, &function.name);
	if (r == 0)
		r = strtab_intern(&dict->strings, n.file, &function.file);
	function.system_name = function.name;
	if (r == 0)
		r = dict_function(dict, &function, &frame.function);
	if (r == 0)
		r = dict_frame(dict, &frame, &frame_id);
	if (r < 0)
		return gperf_fail_memory(g, r);
	id->frame = frame_id.v;
	return 0;
}

static int read_name(struct gperf_reader *g, struct slice line)
{
	struct scan s = scan_of(line);
	uint64_t value;
	if (!scan_text(&s, "0x") || scan_u64(&s, 16, &value) < 0 || !scan_blanks(&s) || scan_done(&s))
		return 0;
	uint32_t id = u64map_get(&g->address_ids, value);
	return id ? name_id(g, &g->addresses.data[id - 1], scan_rest(&s)) : 0;
}

int gperf_java_names(struct gperf_reader *g, struct slice line)
{
	uint32_t max_strings = gperf_max_strings(g);
	int r;
	do {
		r = read_name(g, line);
		if (r == 0)
			r = gperf_check_strings(g, max_strings);
	} while (r == 0 && gperf_next_line(g, &line));
	return r;
}

int gperf_java_decode(struct gperf_reader *g)
{
	struct java_header h = { 0 };
	struct slice line = { 0 };
	bool in_header = true;
	int r = 0;
	while (gperf_next_line(g, &line) && gperf_is_comment(line))
		;
	h.is_heap = slice_has_prefix(line, "--- heapz");
	while (r == 0 && gperf_next_line(g, &line)) {
		if (line.size == 0)
			continue;
		int is_attribute = in_header ? read_attribute(g, line, &h) : 0;
		if (is_attribute < 0)
			return is_attribute;
		if (is_attribute)
			continue;
		if (in_header)
			r = add_types(g, &h);
		in_header = false;
		struct scan s = scan_of(line);
		if (r == 0 && slice_has_prefix(line, "0x"))
			return gperf_java_names(g, line);
		if (r == 0)
			r = read_sample(g, &s, &h);
	}
	return r == 0 && in_header ? add_types(g, &h) : r;
}
