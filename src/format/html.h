/* SPDX-License-Identifier: Apache-2.0 */
/* html.h: a flame graph that needs no server.
 *
 *   viewer (web/, one file)   ... @@WICK_TITLE@@ ... @@WICK_SLAB@@ ...
 *                                   escaped            base64
 */
#pragma once

#include "base/buf.h"

/* Appends `viewer` with each placeholder replaced. -EINVAL when the viewer has
 * no place for the slab, -E2BIG past out->max. */
int html_render(struct slice viewer, const char *title, struct slice slab, struct buf *out) must_check;
