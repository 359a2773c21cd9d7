/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.h: a question's value over time, in equal steps.
 *
 *   profile  |--------100--------|
 *   steps  |     |     |     |     |
 *            40    30    30    -       spread in proportion to time
 *
 * A step is measured when a window of a selected host meets it. */
#pragma once

#include "query/select.h"

#define TIMELINE_MAX_STEPS 20000

struct timeline_step {
	double value;
	double covered_ms; /* time that windows of any selected host cover */
	uint32_t n_cpus;   /* of the hosts that reported; 0 = unknown */
	bool measured;	   /* false: nobody reported, value means nothing */
};

struct timeline;

/* Steps [from + i * step, from + (i + 1) * step) for i < n. NULL: no memory. */
struct timeline *timeline_new(int64_t from_ms, int64_t step_ms, uint32_t n, struct membudget *budget);
void timeline_free(struct timeline **t); /* for _cleanup_ */

/* Adds a part. -ENOBUFS, -ENOMEM. */
int timeline_add(struct timeline *t, const struct selection *s) must_check;

/* The n steps; they are the timeline's. */
const struct timeline_step *timeline_finish(struct timeline *t);
