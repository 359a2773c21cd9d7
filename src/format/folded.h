/* SPDX-License-Identifier: Apache-2.0 */
/* folded.h: one stack per line, as stackcollapse scripts write it.
 *
 *   java;start_thread;GCTaskThread::run;read;sys_read_[k] 42
 *   root first, names may hold spaces; the last word is the weight
 *
 * `_[k]` kernel, `_[j]` JIT compiled and `_[i]` inlined are taken off the
 * name and put back on the way out. What the line format cannot say (files,
 * lines, addresses, labels, further types) is lost on the way out; so are
 * ';', line breaks and control characters within names (written as ':', ' '
 * and '?') and empty names ("[unknown]").
 *
 * A byte order mark and lines that begin with '#' (but not "#!") may stand
 * in front. */
#pragma once

#include "base/sink.h"
#include "format/limits.h"
#include "model/profile.h"

/* The last of the comments. folded_write() begins with it where the stacks
 * would be taken for something else: comments, a compressed file, prose. */
#define FOLDED_MARK "# folded stacks\n"

bool folded_is_marked(struct slice text);

/* Most of the first lines are stacks, by what they say: ';' in one of them, or
 * all with a number behind them and mostly no blank before it. */
bool folded_looks(struct slice text);

/* Type samples:count, one sample per line. `p` as for pprof_decode(); input
 * may be compressed. Weights are numbers >= 0 without an exponent; what
 * rounding takes from one of "1.5" is added to the next, so that the sum is
 * right to one. Messages read "line 3: ...". */
int folded_decode(struct slice bytes, const struct format_limits *limits, struct profile *p,
		  struct error *err) must_check;

/* Writes the values of one type, piece by piece: equal stacks summed, in the
 * order of nodes, which is as first seen, but a stack before those that go on
 * from it. Stacks of value 0 are left out; what has no stack at all is a frame
 * "[unknown]". -ENOBUFS, -ENOMEM, or what the sink says. */
int folded_write(const struct profile *p, uint32_t type, const struct sink *sink) must_check;

/* The same, appended. -E2BIG past out->max. */
int folded_encode(const struct profile *p, uint32_t type, struct buf *out) must_check;
