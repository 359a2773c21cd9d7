/* SPDX-License-Identifier: Apache-2.0 */
/* observed.h: how many samples stand behind a question's value, for those who
 * test a difference (model/diffstat.h).
 *
 * A sample with a time of its own is stored as one observation. n of them with
 * the values v count as (sum v)^2 / sum v^2 (L. Kish, Survey Sampling, 1965):
 * as n where all weigh the same. Only single profiles have observations; what
 * is not looked at makes the number too small, so a test too careful. */
#pragma once

#include "query/select.h"

#define OBSERVED_MAX 4000000 /* no more are read: as many tell any difference worth a look */

struct observed {
	uint64_t n, n_profiles;
	double sum, squares; /* of the values of samples with a time */
	double looked_at;    /* value of the profiles that were read */
};

/* Adds a part. -ECANCELED, -ENOBUFS, -ENOMEM. */
int observed_add(struct observed *o, const struct selection *s) must_check;

/* Effective number of samples; 0: not known, as more than a tenth of what was
 * looked at has no time. */
double observed_samples(const struct observed *o);
