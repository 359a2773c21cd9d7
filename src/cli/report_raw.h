/* SPDX-License-Identifier: Apache-2.0 */
/* report_raw.h: everything a profile holds, as text in the layout of
 * `pprof -raw`, or as JSON. */
#pragma once

#include "model/profile.h"

/* Samples in the order of the profile, their locations by numbers that are
 * given out in the order of use. 0 or -ENOMEM. */
int report_raw(const struct profile *p, bool json) must_check;
