/* SPDX-License-Identifier: Apache-2.0 */
/* filter_profile.h: a filter applied to a profile, in place.
 *
 * Samples that do not count go; stacks lose the frames that do not show. Of
 * an inlined chain that lost its outer frame, the outermost left stands for
 * the location. Rows of the dict that nothing leads to any more stay; the
 * encoders of format/ write what samples lead to. */
#pragma once

#include "model/filter.h"

/* `f` NULL = no terms. -E2BIG: see `failure`; -ENOBUFS, -ENOMEM: the
 * profile's samples are unchanged. */
int filter_profile(const struct filter *f, struct profile *p, struct filter_failure *failure) must_check;
