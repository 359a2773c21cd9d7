/* SPDX-License-Identifier: Apache-2.0 */
/* window_profile.h: one series of a named window as a profile.
 *
 * Frames keep the ELF's own virtual address; mappings start at 0 and carry
 * path and build id, so that windows of many processes merge. */
#pragma once

#include "agent/window.h"
#include "model/profile.h"

struct window_profile_options {
	double scale;		     /* ns per unit of weight */
	const char *kernel_build_id; /* "" = not known */
	bool label_service;	     /* put the service among the labels */
};

/* Adds the samples of `series` to `p`, which is initialised; types, period
 * and times are set when it has none yet. Comments are the caller's. */
int window_profile(const struct window *w, uint32_t series, const struct window_profile_options *o,
		   struct profile *p) must_check;

/* Type cpu/nanoseconds, period of the rate, no sample. */
int profile_begin(struct profile *p, uint32_t rate_hz, int64_t start_ns, int64_t end_ns) must_check;
