/* SPDX-License-Identifier: Apache-2.0 */
/* profile_pick.h: some rows of a profile as a profile of its own. */
#pragma once

#include "model/profile.h"

/* Adds `n` rows of `src` to `dst`, which is initialised and empty, with what
 * they refer to and nothing else; of the value types those of the mask (bit t =
 * type t). What describes the profile is copied, but times and comments.
 * -ENOBUFS, -ENOMEM; the work follows what is picked. */
int profile_pick(struct profile *dst, const struct profile *src, const uint32_t *rows, uint32_t n,
		 uint32_t types) must_check;
