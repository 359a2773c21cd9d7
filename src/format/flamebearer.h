/* SPDX-License-Identifier: Apache-2.0 */
/* flamebearer.h: the flame graph JSON of Pyroscope, both ways.
 *
 *   flamebearer.names     what boxes say
 *   flamebearer.levels    levels[d]: boxes of depth d from left to right, four
 *                         numbers each: gap to the box before, total, self,
 *                         index into names; levels[0] is "total"
 *   metadata              format, units, sampleRate, name
 *
 * A box belongs to the one of the level above that covers it. The type is
 * metadata.name; units "samples" with a sampleRate are its time in
 * nanoseconds, "objects" and the like are counts, others are taken as they
 * are. A comparison ("format": "double") is not one profile and is refused.
 *
 * Lost on the way out: all that is not a name (files, lines, addresses,
 * binaries, kinds), labels, other types, time, period. */
#pragma once

#include "base/buf.h"
#include "format/limits.h"
#include "model/calltree.h"
#include "model/profile.h"

/* `p` as for pprof_decode(); `text` is plain. Messages read
 * "at byte 12: name 7 does not exist". */
int flamebearer_decode(struct slice text, const struct format_limits *limits, struct profile *p,
		       struct error *err) must_check;

/* Appends a tree. -EDOM when a value is negative, -E2BIG past out->max, -ENOMEM. */
int flamebearer_encode(const struct calltree *t, const char *type, const char *unit, struct buf *out) must_check;
