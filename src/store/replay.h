/* SPDX-License-Identifier: Apache-2.0 */
/* replay.h: the log into memory, at start.
 *
 *   wal_next --copy--> thread: decode --head lock--> prepare, publish
 *   (one lock)         thread: decode
 *
 * Order does not matter: each record is a profile of its own. What blocks hold
 * is passed over. Memory has room for what the log held when the store ran; where
 * it has not (a smaller --memory-limit), one thread does it all again in order and
 * writes blocks on the way. */
#pragma once

#include "store/store.h"

/* Opens the log in folder `dir`, sets s->wal and s->active. Fills `ret` but took_ns. */
int replay_run(struct store *s, const char *dir, struct store_replay *ret, struct error *err) must_check;
