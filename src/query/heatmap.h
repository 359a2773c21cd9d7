/* SPDX-License-Identifier: Apache-2.0 */
/* heatmap.h: a question's value in cells of time down to 1 ms, for sub-second
 * heat maps (FlameScope, Gregg and Spier 2018): a column of cells is a second or so.
 *
 * A sample counts in the cell in which it was taken. What has no time of its own
 * (a producer that sends none, sums of old profiles) is spread over its profile
 * in proportion, and how much that is is told. */
#pragma once

#include "query/select.h"

#define HEATMAP_MAX_CELLS 400000

struct heatmap {
	int64_t from_ms, cell_ms;
	uint32_t n;
	double *cells;	      /* [i] = value within [from + i * cell, from + (i + 1) * cell) */
	double timed, spread; /* value in cells by time of sample, and spread */
	struct membudget *budget;
};

/* -ENOBUFS, -ENOMEM. `h` needs heatmap_done() on success. */
int heatmap_init(struct heatmap *h, int64_t from_ms, int64_t cell_ms, uint32_t n, struct membudget *budget) must_check;
void heatmap_done(struct heatmap *h);
/* Adds a part. */
int heatmap_add(struct heatmap *h, const struct selection *s) must_check;
