/* SPDX-License-Identifier: Apache-2.0 */
#include "base/membudget.h"

#include <errno.h>

bool membudget_charge(struct membudget *b, size_t size)
{
	if (!b)
		return true;
	if (size > b->max || b->used > b->max - size)
		return false;
	b->used += size;
	if (b->used > b->peak)
		b->peak = b->used;
	return true;
}

void membudget_release(struct membudget *b, size_t size)
{
	if (b)
		b->used -= size;
}

int vec_grow(struct membudget *b, void **data, uint32_t *cap, uint32_t need, uint32_t max, size_t elem_size)
{
	if (need <= *cap)
		return 0;
	if (need > max)
		return -ENOBUFS;
	uint64_t want = (uint64_t)*cap + *cap / 2 + 16;
	if (want < need)
		want = need;
	if (want > max)
		want = max;
	size_t old_size = (size_t)*cap * elem_size;
	size_t new_size;
	if (__builtin_mul_overflow((size_t)want, elem_size, &new_size))
		return -ENOBUFS;
	if (!membudget_charge(b, new_size - old_size)) {
		/* The half on top may be what does not fit. */
		want = need;
		if (__builtin_mul_overflow((size_t)want, elem_size, &new_size) ||
		    !membudget_charge(b, new_size - old_size))
			return -ENOBUFS;
	}
	void *p = realloc(*data, new_size);
	if (!p) {
		membudget_release(b, new_size - old_size);
		return -ENOMEM;
	}
	*data = p;
	*cap = (uint32_t)want;
	return 0;
}

void vec_free(struct membudget *b, void **data, uint32_t *cap, size_t elem_size)
{
	free(*data);
	membudget_release(b, (size_t)*cap * elem_size);
	*data = NULL;
	*cap = 0;
}
