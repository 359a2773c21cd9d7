/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pathcache.h"

#include <errno.h>

#define MIN_ENTRIES (1u << 6)
#define MAX_ENTRIES (1u << 17)

static size_t size_of(const struct pathcache *c)
{
	return ((size_t)c->mask + 1) * sizeof(*c->entries);
}

int pathcache_init(struct pathcache *c, struct membudget *budget, size_t input_size)
{
	uint32_t n = MIN_ENTRIES;
	while (n < MAX_ENTRIES && n * sizeof(struct path_entry) < input_size / 8)
		n *= 2;
	*c = (struct pathcache){ .mask = n - 1, .budget = budget };
	if (!membudget_charge(budget, size_of(c)))
		return -ENOBUFS;
	c->entries = calloc(n, sizeof(*c->entries));
	if (c->entries)
		return 0;
	membudget_release(budget, size_of(c));
	return -ENOMEM;
}

void pathcache_done(struct pathcache *c)
{
	if (c->entries)
		membudget_release(c->budget, size_of(c));
	free(c->entries);
	c->entries = NULL;
}
