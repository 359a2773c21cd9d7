/* SPDX-License-Identifier: Apache-2.0 */
/* fetcher.h: asks debuginfod servers for the debug files that profiles lack.
 *
 *   builds without a file, those with most frames first --> one request at a time --> debug store --> namer
 *
 * Only with --debuginfod, since it tells others which builds run here. At most
 * a request a second; what no server has is asked for again after an hour, what
 * failed after five minutes, and after a failure everything waits a minute. */
#pragma once

#include "base/error.h"

#include <stdint.h>

struct server;
struct fetcher;

struct fetcher_stats {
	uint64_t n_fetched, n_missing, n_failed; /* since start */
};

/* *ret stays NULL without --debuginfod. The namer runs already. */
int fetcher_start(struct server *s, struct fetcher **ret, struct error *err) must_check;
/* NULL is fine for all of these. Stopped, its thread has ended. */
void fetcher_stop(struct fetcher *f);
void fetcher_free(struct fetcher **f); /* for _cleanup_ */
void fetcher_get_stats(const struct fetcher *f, struct fetcher_stats *ret);
