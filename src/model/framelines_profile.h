/* SPDX-License-Identifier: Apache-2.0 */
/* framelines_profile.h: lines written into a profile, in place.
 *
 * A frame with lines becomes one frame for each, of the same mapping and
 * address; those behind the outermost are FRAME_INLINED. Rows of the dict that
 * nothing leads to any more stay; the encoders of format/ write what samples
 * lead to. */
#pragma once

#include "model/framelines.h"
#include "model/profile.h"

/* -ENOBUFS, -ENOMEM: the profile's samples are unchanged. */
int framelines_apply(const struct framelines *l, struct profile *p) must_check;
