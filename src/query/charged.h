/* SPDX-License-Identifier: Apache-2.0 */
/* charged.h: calloc() charged to a budget. */
#pragma once

#include "base/membudget.h"

#include <errno.h>
#include <stdlib.h>

struct charged {
	void *data;
	size_t size;
	struct membudget *budget;
};

static inline void charged_done(struct charged *c)
{
	free(c->data);
	membudget_release(c->budget, c->size);
	*c = (struct charged){ 0 };
}

/* Room for one element more than n. -ENOBUFS, -ENOMEM. */
static inline int must_check charged_init(struct charged *c, struct membudget *budget, size_t n, size_t elem_size)
{
	size_t size;
	if (__builtin_mul_overflow(n + 1, elem_size, &size) || !membudget_charge(budget, size))
		return -ENOBUFS;
	*c = (struct charged){ .data = calloc(n + 1, elem_size), .size = size, .budget = budget };
	return c->data ? 0 : -ENOMEM;
}
