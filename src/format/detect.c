/* SPDX-License-Identifier: Apache-2.0 */
#include "format/detect.h"

#include "format/callgrind.h"
#include "format/flamebearer.h"
#include "format/folded.h"
#include "format/gperf.h"
#include "format/inflate.h"
#include "format/jsonr.h"
#include "format/otlp.h"
#include "format/perfdata.h"
#include "format/perfscript.h"
#include "format/perfscript_line.h"
#include "format/pprof.h"
#include "format/speedscope.h"
#include "format/v8.h"

#include <errno.h>
#include <inttypes.h>

#define LOOK	      4096 /* bytes that tell text from binary */
#define CONTROL_SHARE 8	   /* of text not more than one byte in that many is a control character */
#define TEXT_FIELDS   16   /* fields of a Profile that no text begins with */

const char *format_name(enum format f)
{
	switch (f) {
	case FORMAT_PPROF:
		return "pprof";
	case FORMAT_OTLP:
		return "OTLP profiles";
	case FORMAT_FOLDED:
		return "folded";
	case FORMAT_PERFDATA:
		return "perf.data";
	case FORMAT_PERFSCRIPT:
		return "perf script";
	case FORMAT_SPEEDSCOPE:
		return "speedscope";
	case FORMAT_FLAMEBEARER:
		return "flamebearer";
	case FORMAT_V8_CPU:
		return "cpuprofile";
	case FORMAT_V8_HEAP:
		return "heapprofile";
	case FORMAT_GPERF:
		return "gperftools";
	case FORMAT_CALLGRIND:
		return "callgrind";
	case FORMAT_UNKNOWN:
		break;
	}
	return "unknown";
}

/* Names may hold anything: a few control characters do not make text binary,
 * a NUL does. */
static bool is_text(struct slice bytes)
{
	size_t n = bytes.size < LOOK ? bytes.size : LOOK, n_control = 0;
	for (size_t i = 0; i < n; i++) {
		if (bytes.data[i] == 0)
			return false;
		n_control += bytes.data[i] < 0x20 && !memchr("\t\n\r\f\x1b", bytes.data[i], 5);
	}
	return n_control <= n / CONTROL_SHARE;
}

static enum format text_format(struct slice text)
{
	if (callgrind_looks(text))
		return FORMAT_CALLGRIND;
	if (perfscript_looks(text))
		return FORMAT_PERFSCRIPT;
	return folded_looks(text) ? FORMAT_FOLDED : FORMAT_UNKNOWN;
}

/* The object that comes next has that key. */
static bool object_has_key(struct jsonr *r, const char *key)
{
	struct slice found;
	int k = jsonr_object(r);
	while (k == 0 && (k = jsonr_key(r, &found)) == 1) {
		if (jsonr_is(found, key))
			return true;
		k = jsonr_skip(r);
	}
	return false;
}

/* The value that comes next is such an object or, `in_array`, the first of an
 * array of them. `r` stays where it is. */
static bool next_has_key(const struct jsonr *r, bool in_array, const char *key)
{
	if (r->at == r->end)
		return false;
	struct jsonr ahead = jsonr_at_section(r, (size_t)(r->at - r->from));
	ahead.err = NULL;
	bool found =
		(!in_array || (jsonr_array(&ahead) == 0 && jsonr_next(&ahead) == 1)) && object_has_key(&ahead, key);
	jsonr_done(&ahead);
	return found;
}

/* The first key that only one format has; what V8 calls its own is common. */
static enum format json_format(struct slice bytes)
{
	static const struct {
		const char *key;
		enum format format;
	} keys[] = {
		{ "profiles", FORMAT_SPEEDSCOPE },
		{ "shared", FORMAT_SPEEDSCOPE },
		{ "flamebearer", FORMAT_FLAMEBEARER },
	};
	struct jsonr r;
	struct slice key, text;
	jsonr_init(&r, bytes, 64, NULL);
	enum format found = FORMAT_UNKNOWN;
	bool has_nodes = false, has_start = false;
	int k = jsonr_object(&r);
	while (k == 0 && !found && (k = jsonr_key(&r, &key)) == 1) {
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (jsonr_is(key, keys[i].key))
				found = keys[i].format;
		has_nodes = has_nodes || jsonr_is(key, "nodes");
		has_start = has_start || jsonr_is(key, "startTime");
		if ((has_nodes && has_start) || (jsonr_is(key, "nodes") && next_has_key(&r, true, "callFrame")))
			found = FORMAT_V8_CPU;
		if (jsonr_is(key, "head") && next_has_key(&r, false, "callFrame"))
			found = FORMAT_V8_HEAP;
		if (jsonr_is(key, "$schema") && jsonr_peek(&r) == JSONR_STRING) {
			k = jsonr_str(&r, &text);
			if (k == 0 && memmem(text.data, text.size, "speedscope", 10))
				found = FORMAT_SPEEDSCOPE;
		} else if (!found) {
			k = jsonr_skip(&r);
		}
	}
	jsonr_done(&r);
	return found;
}

static const struct {
	uint32_t at, size;
	const char *magic, *name;
} known[] = {
	{ 0, 4, "\x89PNG", "PNG" },
	{ 0, 3, "\xff\xd8\xff", "JPEG" },
	{ 0, 4, "GIF8", "GIF" },
	{ 0, 5, "%PDF-", "PDF" },
	{ 0, 4,
	  "\x7f"
	  "ELF",
	  "an ELF binary" },
	{ 0, 4, "PK\x03\x04", "a zip archive" },
	{ 0, 6,
	  "\xfd"
	  "7zXZ",
	  "xz-compressed data" },
	{ 0, 3, "BZh", "bzip2-compressed data" },
	{ 0, 2, "\x1f\x8b", "gzip inside gzip" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "zstd inside another compression" },
	{ 257, 5, "ustar", "a tar archive" },
	{ 0, 8, "wickslab", "a wick slab" },
	{ 0, 4, "FLR", "a Java flight recording" },
	{ 0, 16, "SQLite format 3", "an SQLite database" },
	{ 0, 4, "<svg", "SVG" },
	{ 0, 5, "<?xml", "XML" },
	{ 0, 9, "<!DOCTYPE", "HTML" },
	{ 0, 9, "<!doctype", "HTML" },
	{ 0, 5, "<html", "HTML" },
	{ 0, 2, "#!", "a script" },
	{ 0, 1, "{", "JSON" },
	{ 0, 1, "[", "JSON" },
};

/* The name of the kind whose magic bytes these are, or NULL. */
static const char *known_kind(struct slice bytes)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (bytes.size >= known[i].at + known[i].size &&
		    memcmp(bytes.data + known[i].at, known[i].magic, known[i].size) == 0)
			return known[i].name;
	return NULL;
}

enum format format_detect(struct slice bytes)
{
	if (bytes.size == 0)
		return FORMAT_UNKNOWN;
	if (folded_is_marked(bytes))
		return FORMAT_FOLDED;
	if (perfdata_looks(bytes))
		return FORMAT_PERFDATA;
	if (gperf_looks(bytes))
		return FORMAT_GPERF;
	/* JSON first: it may be one line of a gigabyte, through which others look. */
	bool may_be_text = is_text(bytes);
	enum format format = json_format(bytes);
	if (!format && may_be_text)
		format = text_format(bytes);
	if (format || known_kind(bytes))
		return format;
	/* Long lists of small numbers may look like text, but not on and on. */
	if (otlp_looks_like(bytes))
		return FORMAT_OTLP;
	return pprof_looks(bytes, may_be_text ? TEXT_FIELDS : 1) ? FORMAT_PPROF : FORMAT_UNKNOWN;
}

const char *format_looks_like(struct slice bytes)
{
	if (bytes.size == 0)
		return "nothing: it is empty";
	const char *name = known_kind(bytes);
	if (name)
		return name;
	return is_text(bytes) ? "text" : "binary data of no kind wick has heard of";
}

/* --- decoding --- */

/* What a file turned out to be. */
struct source {
	enum format format;
	struct slice plain;
	const struct format_limits *limits;
};

static int decode_as(const struct source *s, struct salvage *salvage, struct profile *p, struct error *err)
{
	switch (s->format) {
	case FORMAT_PPROF:
		return pprof_salvage(s->plain, s->limits, salvage, p, err);
	case FORMAT_OTLP:
		return otlp_salvage(s->plain, s->limits, salvage, p, err);
	case FORMAT_FOLDED:
		return folded_decode(s->plain, s->limits, p, err);
	case FORMAT_GPERF:
		return gperf_decode(s->plain, s->limits, salvage, p, err);
	case FORMAT_CALLGRIND:
		return callgrind_decode(s->plain, s->limits, salvage, p, err);
	case FORMAT_PERFDATA:
		return perfdata_decode(s->plain, s->limits, salvage, p, err);
	case FORMAT_PERFSCRIPT:
		return perfscript_decode(s->plain, s->limits, p, err);
	case FORMAT_SPEEDSCOPE:
		return speedscope_decode(s->plain, s->limits, p, err);
	case FORMAT_FLAMEBEARER:
		return flamebearer_decode(s->plain, s->limits, p, err);
	case FORMAT_V8_CPU:
		return v8_cpu_decode(s->plain, s->limits, p, err);
	case FORMAT_V8_HEAP:
		return v8_heap_decode(s->plain, s->limits, p, err);
	case FORMAT_UNKNOWN:
		break;
	}
	return error_set(err, s->plain.size ? -EBADMSG : -ENODATA, "not a profile wick knows; looks like %s",
			 format_looks_like(s->plain));
}

/* --- half files --- */

/* Why half of a file of that format says nothing; NULL: it may say something. */
static const char *why_all_is_needed(enum format format)
{
	switch (format) {
	case FORMAT_SPEEDSCOPE:
		return "weights stand behind the samples they are of";
	case FORMAT_FLAMEBEARER:
		return "what its numbers count stands at its end";
	case FORMAT_V8_CPU:
		return "samples and times stand at its end";
	case FORMAT_V8_HEAP:
		return "half of the tree has other shares than the whole";
	default:
		return NULL;
	}
}

/* Text is cut behind its last whole line, call chains behind the empty line
 * after them. Of a number that stands last, nobody knows whether it is all. */
static struct slice cut_text(const struct source *s, struct salvage *salvage)
{
	struct slice text = s->plain;
	bool has_samples = s->format == FORMAT_PERFSCRIPT;
	size_t end = text.size;
	if (!has_samples && s->format != FORMAT_FOLDED)
		return text;
	bool has_chains = has_samples && memmem(text.data, text.size, "\n\t", 2);
	while (end > 0 && !(text.data[end - 1] == '\n' && (!has_chains || (end > 1 && text.data[end - 2] == '\n'))))
		end--;
	if (end == text.size)
		return text;
	uint64_t line = 1;
	for (size_t i = 0; i + 1 < text.size; i++)
		line += text.data[i] == '\n';
	salvage_end(salvage, text.size, has_samples ? "a sample, in line %" PRIu64 : "line %" PRIu64, line);
	return slice_of(text.data, end);
}

static const char *plural(const struct profile *p)
{
	return profile_n_samples(p) == 1 ? "sample" : "samples";
}

/* Decodes as much as there is. 0: all of it, or half, with salvage->end set. */
static int decode_half(const struct source *s, struct salvage *salvage, struct profile *p, struct error *err)
{
	struct source half = *s;
	struct error why = { "" };
	half.plain = cut_text(s, salvage);
	int r = half.plain.size || !s->plain.size ? decode_as(&half, salvage, p, &why)
						  : error_set(&why, -ENODATA, "no line is whole");
	const char *end = salvage->end.text, *needs_all = why_all_is_needed(s->format);
	if (r == -ENODATA && needs_all)
		return error_set(err, r, "%s; nothing can be kept: %s", *end ? end : why.text, needs_all);
	if (!*end)
		return r < 0 ? error_set(err, r, "%s", why.text) : 0;
	if (r < 0 && r != -ENODATA)
		return error_set(err, r, "%s: %s", end, why.text);
	if (r < 0 || profile_n_samples(p) == 0)
		return error_set(err, -ENODATA, "%s; nothing can be kept: %s", end,
				 r < 0 ? why.text : "no sample stands before that");
	error_append(&salvage->end, ", after %" PRIu32 " %s", profile_n_samples(p), plural(p));
	return 0;
}

/* Refuses half a file, with what --salvage would make of it. */
static int refuse_half(const struct source *s, struct salvage *salvage, struct profile *p, struct error *err)
{
	int r = decode_half(s, salvage, p, err);
	if (r < 0 || !salvage_is_half(salvage))
		return r;
	return error_set(err, -ENODATA, "%s; --salvage keeps %s", salvage->end.text,
			 profile_n_samples(p) == 1 ? "it" : "them");
}

/* Of a file that was refused with `code` and `err`: what --salvage would keep. */
static int advise(const struct source *s, int code, struct salvage *salvage, struct profile *p, struct error *err)
{
	struct error half = { "" };
	struct membudget *budget = p->budget;
	/* Cut between two rows, a pprof file lacks what others refer to. */
	bool may_be_cut = code == -EBADMSG && s->format == FORMAT_PPROF;
	if (code != -ENODATA && !may_be_cut)
		return code;
	profile_done(p);
	int r = profile_init(p, budget);
	if (r == 0)
		r = refuse_half(s, salvage, p, &half);
	if (r == -ENODATA && may_be_cut && profile_n_samples(p))
		error_append(err, "; --salvage keeps what is whole: %" PRIu32 " %s", profile_n_samples(p), plural(p));
	else if (r == -ENODATA && !may_be_cut && err)
		*err = half;
	return code;
}

int format_inflate(struct slice bytes, const struct format_limits *limits, struct salvage *salvage,
		   struct buf *inflated, struct slice *ret, struct error *err)
{
	int r = inflate_bytes(bytes, limits, inflated, ret, err);
	if (r != -ENODATA || !salvage || inflated->n == 0)
		return r;
	(void)error_set(&salvage->end, 0, "ends at byte %zu (%zu decompressed)", bytes.size, inflated->n);
	*ret = slice_of(inflated->data, inflated->n);
	return 0;
}

int format_decode_plain(struct slice plain, enum codec codec, const struct format_limits *limits,
			struct salvage *salvage, struct profile *p, enum format *ret_format, struct error *err)
{
	/* What has been inflated may be larger than what may arrive. */
	struct format_limits inner = *limits;
	if (inner.input_size < plain.size)
		inner.input_size = plain.size;
	struct source s = { format_detect(plain), plain, &inner };
	bool is_cut = salvage && salvage_is_half(salvage);
	int r;
	if (salvage && salvage->is_wanted)
		r = decode_half(&s, salvage, p, err);
	else if (is_cut)
		r = refuse_half(&s, salvage, p, err);
	else
		r = decode_as(&s, NULL, p, err);
	if (r < 0 && salvage && !salvage->is_wanted && !is_cut)
		r = advise(&s, r, salvage, p, err);
	if (r < 0 && s.format != FORMAT_UNKNOWN) {
		if (codec != CODEC_RAW && !is_cut)
			error_prefix(err, "decompressed");
		error_prefix(err, "%s", format_name(s.format));
	}
	if (r == 0 && ret_format)
		*ret_format = s.format;
	return r;
}

int format_salvage(struct slice bytes, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		   enum format *ret_format, struct error *err)
{
	_cleanup_(buf_done)
	struct buf inflated = buf_of(0);
	struct slice plain;
	int r = format_inflate(bytes, limits, salvage, &inflated, &plain, err);
	return r < 0 ? r : format_decode_plain(plain, codec_of(bytes), limits, salvage, p, ret_format, err);
}

int format_decode(struct slice bytes, const struct format_limits *limits, struct profile *p, enum format *ret_format,
		  struct error *err)
{
	return format_salvage(bytes, limits, NULL, p, ret_format, err);
}
