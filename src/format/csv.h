/* SPDX-License-Identifier: Apache-2.0 */
/* csv.h: one row per function and sample type, as RFC 4180 has it: a head
 * line, CR LF, quotes where a cell needs them.
 *
 *   type,unit,function,file,module,self,total,self_percent,total_percent
 *   cpu,nanoseconds,main,main.c,/bin/server,0,60000000,0.0000,100.0000
 *
 * Rows of a type stand by falling self value; a function that calls itself
 * counts once per stack in `total`. Percent are of the type's total.
 *
 * A text that begins with = + - @, a tab or a line break gets an apostrophe in
 * front: a spreadsheet would run it as a formula, and names come from the
 * program that was profiled. Bytes that are no UTF-8 become U+FFFD. */
#pragma once

#include "base/buf.h"
#include "model/profile.h"

/* All types, or only `type` unless it is CSV_ALL_TYPES. -E2BIG past out->max,
 * -ENOBUFS, -ENOMEM. */
#define CSV_ALL_TYPES UINT32_MAX
int csv_encode(const struct profile *p, uint32_t type, struct buf *out) must_check;
