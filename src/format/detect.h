/* SPDX-License-Identifier: Apache-2.0 */
/* detect.h: what a file is, by what is in it, never by its name. */
#pragma once

#include "base/buf.h"
#include "format/inflate.h"
#include "format/limits.h"
#include "format/salvage.h"
#include "model/profile.h"

enum format {
	FORMAT_UNKNOWN,
	FORMAT_PPROF,
	FORMAT_OTLP,
	FORMAT_FOLDED,
	FORMAT_PERFDATA,
	FORMAT_PERFSCRIPT,
	FORMAT_SPEEDSCOPE,
	FORMAT_FLAMEBEARER,
	FORMAT_V8_CPU,
	FORMAT_V8_HEAP,
	FORMAT_GPERF,
	FORMAT_CALLGRIND,
};

/* "pprof", "OTLP profiles", "perf script", ..., "unknown" */
const char *format_name(enum format f);

/* Looks at plain (inflated) bytes. */
enum format format_detect(struct slice bytes);

/* What unknown bytes look like: "PNG", "an ELF binary", "text", "nothing: it is empty" ... */
const char *format_looks_like(struct slice bytes);

/* Inflates, detects and decodes into `p` (as for pprof_decode()). -EBADMSG
 * "not a profile wick knows; looks like PNG". ret_format may be NULL. */
int format_decode(struct slice bytes, const struct format_limits *limits, struct profile *p, enum format *ret_format,
		  struct error *err) must_check;

/* The same; with `salvage` half a file gives what stands before its end, when
 * that is wanted, or else a message that says where it ends and what --salvage
 * keeps: "ends in the middle of line 4, at byte 30, after 3 samples; --salvage
 * keeps them". Half of a JSON document says nothing: the message says why. */
int format_salvage(struct slice bytes, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		   enum format *ret_format, struct error *err) must_check;

/* Its two halves, for a caller who lets go of compressed input in between.
 * *ret = the plain bytes: `bytes` themselves or `inflated`, as for
 * inflate_bytes(); half a file's beginning with `salvage`, where that is noted. */
int format_inflate(struct slice bytes, const struct format_limits *limits, struct salvage *salvage,
		   struct buf *inflated, struct slice *ret, struct error *err) must_check;
int format_decode_plain(struct slice plain, enum codec codec, const struct format_limits *limits,
			struct salvage *salvage, struct profile *p, enum format *ret_format,
			struct error *err) must_check;
