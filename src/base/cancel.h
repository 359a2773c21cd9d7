/* SPDX-License-Identifier: Apache-2.0 */
/* cancel.h: whether anybody still wants what is being worked out.
 *
 * Asked often, from any thread of the work; `ask` itself is called at most
 * every CANCEL_POLL_NS. Once it said so, it stays so. */
#pragma once

#include "base/clock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define CANCEL_POLL_NS INT64_C(5000000)

struct cancel {
	bool (*ask)(void *arg); /* true: nobody does */
	void *arg;
	_Atomic int64_t next_ns; /* when it is asked again */
	_Atomic bool is_cancelled;
};

/* NULL: it is always wanted. */
static inline bool cancel_asked(struct cancel *c)
{
	if (!c || c->is_cancelled)
		return c != NULL;
	int64_t now = clock_mono_ns();
	if (now < c->next_ns)
		return false;
	c->next_ns = now + CANCEL_POLL_NS;
	if (c->ask(c->arg))
		c->is_cancelled = true;
	return c->is_cancelled;
}
