/* SPDX-License-Identifier: Apache-2.0 */
/* speedscope.h: speedscope's own file format, both ways.
 *
 *   shared.frames[]  { name, file, line, col }
 *   profiles[]       "sampled": samples[i] = frames root first, weights[i]
 *                    "evented": frames opened and closed at a time
 *
 * Units become sample types: the four of time are "time:nanoseconds", bytes
 * "space:bytes", none "samples:count"; profiles of one unit share a type. Of
 * several profiles each puts its name on its samples as label "profile". In
 * files that wick has written the profiles are the types, by name, and no
 * label is added.
 *
 * Values are whole numbers in the model: what rounding takes from one weight
 * is added to the next, so that a profile's sum is right to one unit.
 *
 * Lost on the way in: names and order of events, time between samples, the
 * file's name. On the way out: everything that is not name, file, line and
 * column of a frame (addresses, binaries, kinds), labels, and of units all
 * but those above ("none"). */
#pragma once

#include "base/buf.h"
#include "format/limits.h"
#include "model/profile.h"

/* `p` as for pprof_decode(); `text` is plain. Messages read
 * "at byte 12: frame 7 does not exist". */
int speedscope_decode(struct slice text, const struct format_limits *limits, struct profile *p,
		      struct error *err) must_check;

/* Appends one sampled profile per type, equal stacks summed. -EDOM when a
 * value is negative, -E2BIG past out->max, -ENOBUFS, -ENOMEM. */
int speedscope_encode(const struct profile *p, struct buf *out) must_check;
