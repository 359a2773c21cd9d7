/* SPDX-License-Identifier: Apache-2.0 */
/* filter_tag.h: one tag expression: which sets of labels it chooses.
 *
 *   [KEY=] RANGE       a number label (of KEY) lies within the range
 *   KEY=RE[,RE...]     a text label KEY has a value that one RE matches
 *   RE[,RE...]         each RE matches some text label, read as "key:value"
 *
 *   RANGE   N  N:  :N  N:N      both ends count
 *   N       [+-] digits [unit]
 *   unit    b kb mb gb tb pb (1024), ns us ms s min h (hr, hour); long names and a plural s, any case
 *
 * A range without a unit looks at the number as it stands. One with a unit
 * converts what the label says: its unit, else its key where that is a unit
 * ("bytes"), else bytes for the keys "alignment" and "request" (as pprof
 * does); any other label does not match. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "model/pattern.h"
#include "model/profile.h"

#define FILTER_TAG_MAX_PATTERNS 32

struct filter_tag;

/* -EINVAL: a bad pattern (with its place) or range, -E2BIG, -ENOMEM. */
int filter_tag_new(struct slice text, struct filter_tag **ret, struct error *err) must_check;
void filter_tag_free(struct filter_tag **t); /* for _cleanup_ */

/* 1: the set of `n` labels is chosen, 0: it is not; pattern_match()'s errors.
 * `scratch` is overwritten. */
int filter_tag_match(const struct filter_tag *t, const struct strtab *strings, const struct label *set, uint32_t n,
		     struct pattern_work *w, struct buf *scratch, struct error *err) must_check;
