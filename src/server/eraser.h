/* SPDX-License-Identifier: Apache-2.0 */
/* eraser.h: deletes what was asked to be deleted, in the background.
 *
 *   POST deletions -> meta.db (on disk: acknowledged) -> thread: store_erase() -> applied
 *
 * A request that is pending when the server ends is carried out after the next
 * start. One that fails is tried again each minute. */
#pragma once

#include "meta/deletions.h"

struct server;
struct eraser;

int eraser_start(struct server *s, struct eraser **ret, struct error *err) must_check;
void eraser_stop(struct eraser *e);
/* There is one more. From any thread. */
void eraser_poke(struct eraser *e);
