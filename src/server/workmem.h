/* SPDX-License-Identifier: Apache-2.0 */
/* workmem.h: memory that requests borrow while they are worked on.
 *
 *   pool  |== decode ==|===== query =====|      free       |
 *
 * A request borrows what it is expected to need, once, and waits while others
 * have it: each ends by itself, so nobody waits for ever. One that needed
 * more than expected asks again for the whole pool, and then has it alone. */
#pragma once

#include "base/cleanup.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct workmem {
	pthread_mutex_t lock; /* used */
	pthread_cond_t returned;
	size_t max, used;
};

int workmem_init(struct workmem *w, size_t max) must_check;
void workmem_done(struct workmem *w);

/* Borrows min(size, max) bytes, returned as *ret_size. False when they did
 * not come free within `timeout_ms`. */
bool workmem_take(struct workmem *w, size_t size, int timeout_ms, size_t *ret_size) must_check;
void workmem_give(struct workmem *w, size_t size);
