/* SPDX-License-Identifier: Apache-2.0 */
/* testprofile.h: for this folder's tests: a small profile with one of
 * everything, and equality that ignores how ids were given out. */
#pragma once

#include "format/limits.h"
#include "model/profile.h"

/* Two types, three samples: inlined frames, a frame without name, kernel,
 * labels of both kinds, all header fields. */
void testprofile_fill(struct profile *p);

/* Fails the running test at the first difference. */
void testprofile_assert_same(const struct profile *a, const struct profile *b);
