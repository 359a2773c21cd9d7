/* SPDX-License-Identifier: Apache-2.0 */
/* svg_diff.h: how a comparison colours and describes the boxes of svg.h.
 *
 * Blue and orange stay apart for every kind of colour blindness; what a
 * colour says also stands in the box's title. */
#pragma once

#include "base/buf.h"
#include "model/diff.h"

void svg_diff_put_colour(struct buf *out, const struct diff *d, uint32_t node);
/* In the picture of what is gone: the hatch, or grey for the way to it. */
void svg_diff_put_gone_colour(struct buf *out, const struct diff *d, uint32_t node);
/* " (A 30.00 %, B 38.18 %, +8.18 points, 95 % +4.12 to +12.19, significant)" */
void svg_diff_put_facts(struct buf *out, const struct diff *d, uint32_t node);
/* A line that ends at x = right, and the hatch's definition. */
void svg_diff_put_legend(struct buf *out, const struct diff *d, double right);
