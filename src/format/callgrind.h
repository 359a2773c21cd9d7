/* SPDX-License-Identifier: Apache-2.0 */
/* callgrind.h: Valgrind's profile format, version 1, both ways.
 *
 *   events: Ir Dr                 types Ir, Dr (self), calls, inclusive_Ir, inclusive_Dr
 *   fl=(1) main.c
 *   fn=(2) main
 *   12 400 100                    main, line 12          Ir 400, Dr 100
 *   cfn=(3) parse
 *   calls=7 40                    main -> parse          calls 7,
 *   13 9000 2000                                         inclusive_Ir 9000 ...
 *
 * The file has costs of functions and of calls, no stacks, and none are made
 * up: a cost line is a stack of one frame, a call is a stack of two with values
 * of its own types, so that the sum of `Ir` is the program's, nothing twice.
 * docs/decisions/0005-callgrind.md says why.
 *
 * Functions are told by file, name and object, as callgrind_annotate does:
 * code inlined from another file (fi=) is a function of that file. "???" is
 * no file or object. Lost: jumps, formulas of events. */
#pragma once

#include "base/buf.h"
#include "format/limits.h"
#include "format/salvage.h"
#include "model/calltree.h"
#include "model/profile.h"

bool callgrind_looks(struct slice bytes);

/* Decodes plain text into `p`, empty as for pprof_decode(); messages read
 * "line 3: ...". `totals:` lines must be the sums of their part. -ENODATA when
 * the file or a part of it ends early; `salvage` unless NULL: it gives the
 * costs of its whole lines. */
int callgrind_decode(struct slice text, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		     struct error *err) must_check;

/* Appends one value type, from a tree whose functions' lines stand apart
 * (calltree_view.lines): self cost per line, and per line and callee what the
 * stacks that hold the call sum up to, each stack once. How often was called
 * is unknown: `calls=1`, since callgrind_annotate takes what was called 0 times
 * for self cost. Calls of a function by itself are left out, since
 * readers add a function's calls to its self cost. Values of no stack are
 * those of a function "[unknown]". Same tree, same bytes.
 * -EDOM for negative values, -E2BIG past out->max, -ENOBUFS, -ENOMEM. */
int callgrind_encode(const struct calltree *t, const char *type, const char *unit, struct buf *out) must_check;
