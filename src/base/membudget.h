/* SPDX-License-Identifier: Apache-2.0 */
/* membudget.h: a hard cap on what a piece of work may allocate.
 *
 * Every growing container of base/ and model/ charges a budget, so that a
 * hostile input or a full store ends in -ENOBUFS, not in the OOM killer.
 * One budget belongs to one thread at a time. NULL means uncapped. */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct membudget {
	size_t used;
	size_t peak;
	size_t max;
};

static inline struct membudget membudget_of(size_t max)
{
	return (struct membudget){ .max = max };
}

/* False, nothing charged, when `size` more bytes would pass the cap. */
bool membudget_charge(struct membudget *b, size_t size) must_check;
void membudget_release(struct membudget *b, size_t size);

/* realloc() of an array of `*cap` elements to at least `need`, growing by
 * half; the size is charged. 0, -ENOBUFS (budget, or more than `max`
 * elements) or -ENOMEM; on failure nothing changed. */
int vec_grow(struct membudget *b, void **data, uint32_t *cap, uint32_t need, uint32_t max, size_t elem_size) must_check;
void vec_free(struct membudget *b, void **data, uint32_t *cap, size_t elem_size);

/* A growing array: VEC(struct frame) frames; */
#define VEC(type)                                                                                                      \
	struct {                                                                                                       \
		type *data;                                                                                            \
		uint32_t n, cap;                                                                                       \
	}
#define VEC_MAX (UINT32_MAX / 2)

/* Makes room for `more` further elements: 0 or negative errno. */
#define vec_reserve(b, v, more)                                                                                        \
	((uint64_t)(v)->n + (uint64_t)(more) <= (v)->cap                                                               \
		 ? 0                                                                                                   \
		 : vec_grow(b, (void **)&(v)->data, &(v)->cap,                                                         \
			    (uint64_t)(v)->n + (uint64_t)(more) > VEC_MAX ? UINT32_MAX : (uint32_t)((v)->n + (more)),  \
			    VEC_MAX, sizeof(*(v)->data)))
#define vec_done(b, v) ((v)->n = 0, vec_free(b, (void **)&(v)->data, &(v)->cap, sizeof(*(v)->data)))
