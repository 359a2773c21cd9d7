/* SPDX-License-Identifier: Apache-2.0 */
/* stackcollapse.h: folded lines as FlameGraph's stackcollapse-perf.pl makes
 * them of `perf script`, for those whose tools and eyes are used to them.
 *
 *   java-24636/25607;start_thread;[libjvm.so];org/a/Foo:.bar_[j];read_[k] 42
 *   thread  pid tid               no name     rewritten
 *
 * One event only. Root is the thread's name, blanks as '_'. A frame without
 * name is its module's; what follows a "(" goes, except Go's ".(*T)." and
 * "(anonymous namespace)"; so do quotes and, in threads "java..." shown
 * without numbers, the 'L' of signatures (with numbers too since 2017, but
 * not in the results recorded beside that tool, which are followed);
 * "a->b" are two frames, b "_[i]"; frames that begin with "(" are left out.
 *
 * Two things that tool does are not followed: a tracepoint or a header
 * without time passes its event filter, and of "(/a/lib.so (deleted))" it
 * takes "/a/lib.so" for a part of the name. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "model/profile.h"

struct stackcollapse_options {
	const char *event; /* NULL: the first sample's */
	bool kernel;	   /* annotate with _[k] */
	bool jit;	   /* annotate with _[j] */
	bool pid;	   /* comm-pid */
	bool tid;	   /* comm-pid/tid */
	bool addrs;	   /* [libc.so.6 <7f12>] */
};

/* Appends the lines in the order of their bytes. Needs the labels that
 * perfscript_decode() gives; samples without `event` weigh by the default
 * type. -ENOENT: no sample of the event; -E2BIG past out->max, -ENOBUFS,
 * -ENOMEM. */
int stackcollapse_encode(const struct profile *p, const struct stackcollapse_options *o, struct buf *out,
			 struct error *err) must_check;
