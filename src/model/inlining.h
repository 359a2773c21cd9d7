/* SPDX-License-Identifier: Apache-2.0 */
/* inlining.h: which functions of a call tree were inlined into their callers.
 *
 * A call tree joins the frames of a function; this says what they had in
 * common. The frame nearest the root has no caller to be inlined into and
 * says nothing. */
#pragma once

#include "model/calltree.h"
#include "model/profile.h"

enum inlining { INLINED_NEVER, INLINED_PARTLY, INLINED_ALWAYS };

/* (*ret)[func] for the tree of one type of `p`, made by `lines` or not.
 * *ret is malloc()ed, or NULL when nothing in the profile is inlined. -ENOMEM. */
int inlining_find(const struct profile *p, uint32_t type, const struct calltree *t, bool lines,
		  uint8_t **ret) must_check;
