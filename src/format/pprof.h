/* SPDX-License-Identifier: Apache-2.0 */
/* pprof.h: google/pprof's profile.proto, both ways.
 *
 *   Location { mapping, address, line[] }  ->  one frame per line, the caller
 *       line[0]  innermost, inlined             first; all but the first are
 *       line[n]  the physical function          FRAME_INLINED
 *
 * Everything the format holds survives decode + encode, except: the numbers
 * chosen for ids, rows nothing refers to but equal to another, the order of
 * labels within one sample, and locations no sample uses. A negative line
 * (some producers' "unknown") becomes 0. A frame's kind is that of its
 * mapping's path (frame_kind_of_path()); kernel, JIT and synthetic frames that
 * have no mapping are given one that says so. */
#pragma once

#include "base/buf.h"
#include "format/limits.h"
#include "format/salvage.h"
#include "model/profile.h"

/* The first fields are a Profile's, at least `least` of them rows or strings. */
bool pprof_looks(struct slice bytes, uint32_t least);

/* Decodes `bytes` (raw, gzip'd or zstd) into `p`, which the caller has
 * initialised and which is still empty; on failure it may be half filled and
 * only profile_done() makes sense.
 *
 * Two walks over the bytes: strings, mappings, functions and locations may
 * follow the samples that use them. Samples become rows at once, in the
 * order of the file.
 *
 * -EBADMSG malformed, -ENODATA ends early, -E2BIG over a limit, -ENOBUFS
 * over the profile's budget. Messages read
 * "at byte 123: sample 12: location 99 does not exist". */
int pprof_decode(struct slice bytes, const struct format_limits *limits, struct profile *p,
		 struct error *err) must_check;

/* The same of plain bytes. With `salvage`, unless NULL, a file that ends early
 * gives what is whole: samples whose locations are behind the end are left
 * out, names and labels whose strings are go missing, all counted in
 * salvage->lost. -ENODATA when nothing can be kept. Whoever cut compressed
 * input says so in salvage->end beforehand. */
int pprof_salvage(struct slice plain, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		  struct error *err) must_check;

/* Appends the profile, uncompressed. Same profile, same bytes. -E2BIG past
 * out->max, -ENOMEM. */
int pprof_encode(const struct profile *p, struct buf *out) must_check;

/* The same through gzip_compress(). */
int pprof_encode_gz(const struct profile *p, struct buf *out) must_check;
