/* SPDX-License-Identifier: Apache-2.0 */
/* replay.h: the log into the head, at start.
 *
 *   wal_next --copy--> thread: decode --head lock--> prepare, publish
 *   (one lock)         thread: decode
 *
 * Order does not matter: each record is a profile of its own. */
#pragma once

#include "store/store.h"

/* Uses options->decode_memory and ->n_threads. Fills all of `ret` but took_ns. */
int replay_run(struct wal *wal, struct head *head, const struct store_options *options, struct store_replay *ret,
	       struct error *err) must_check;
