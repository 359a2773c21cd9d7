/* SPDX-License-Identifier: Apache-2.0 */
/* flame.h: boxes of a flame graph for a given width.
 *
 * Boxes narrower than min_width are left out with all that stands above
 * them; since children stand by falling total, the first one that is too
 * narrow ends its row. x and width are in the caller's unit. */
#pragma once

#include "model/calltree.h"

struct flame_box {
	uint32_t node;
	uint32_t depth;
	double x, width;
};

struct flame {
	struct flame_box *boxes; /* preorder */
	uint32_t n;
	uint32_t n_left_out;
	uint32_t max_depth;
};

/* Lays out the subtree of `root` over [0, width). */
int flame_layout(const struct calltree *t, uint32_t root, double width, double min_width, struct flame *ret) must_check;
void flame_done(struct flame *f);
