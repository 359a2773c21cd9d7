/* SPDX-License-Identifier: Apache-2.0 */
/* crew.h: work that several CPUs share.
 *
 *   crew_run(n, work, arg)   work(arg, 0) here, work(arg, 1) ... work(arg, n - 1) in threads of their own
 *
 * `work` takes pieces until none are left, so that it is done whole by however
 * many came. Helpers of all calls together are one fewer than CPUs: while they
 * are busy a caller works alone. */
#pragma once

#define CREW_MAX 16

/* How many may work on one thing: CPUs, at most CREW_MAX. */
unsigned crew_size(void);

/* Returns when all that were started have ended. `work` with 0 is always run. */
void crew_run(unsigned n, void (*work)(void *arg, unsigned worker), void *arg);
