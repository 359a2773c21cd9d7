/* SPDX-License-Identifier: Apache-2.0 */
/* svg.h: a flame graph as one static picture.
 *
 *   title, total                                       24 + 18 px
 *   [ all                                        ]     root on top,
 *   [ main                    ][ start_thread    ]     17 px a row
 *   [ parse     ][ read ][....][ run ]                 .... = smaller ones
 *
 * Readable without script: names are cut to their boxes, <title> carries the
 * full name, value and share. Hue tells the kind of code, so that it also
 * reads in a dark viewer: warm = user, blue = kernel, green = JIT and
 * runtimes, grey = no name known.
 *
 * A comparison instead: width = share of B; orange = more than in A, blue =
 * less, the stronger the larger part of it changed; grey = not significant.
 * What is gone has no width in B, hence a picture of its own below, in which
 * width = share of A on the same scale, gone frames hatched. */
#pragma once

#include "base/buf.h"
#include "model/calltree.h"
#include "model/diff.h"

struct svg_options {
	const char *title;
	const char *unit;	 /* of the values: "nanoseconds", "bytes", "count" ... */
	double width;		 /* px; 0 = 1200 */
	double min_width;	 /* px; narrower boxes are left out and counted; 0 = 0.3 */
	uint32_t max_rows;	 /* deeper frames are left out and counted; 0 = 512 */
	const struct diff *diff; /* the tree is diff->tree; NULL = no comparison */
};

/* Valid XML whatever the names hold. -E2BIG past out->max, -ENOMEM. */
int svg_render(const struct calltree *t, const struct svg_options *options, struct buf *out) must_check;
