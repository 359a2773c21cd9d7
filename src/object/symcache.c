/* SPDX-License-Identifier: Apache-2.0 */
#include "object/symcache.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define MIN_SIZE ((size_t)64 << 10)
#define MAX_SIZE ((size_t)1 << 30)

/* Treap: a search tree by (object, start) and a heap by a random priority,
 * which keeps it balanced whatever order ranges come in (Seidel, Aragon 1996).
 * Children are node numbers from 1. */
struct node {
	uint64_t object, start, end;
	uint32_t left, right;
	uint32_t priority;
	uint32_t name_off; /* in the block; the module follows the name */
	uint16_t name_size, module_size;
	uint32_t pad;
};

struct generation {
	uint8_t *block; /* nodes from the front, bytes of names from the back */
	uint32_t n;
	uint32_t root;
	size_t names_off; /* where the names begin */
};

struct symcache {
	struct generation young, old;
	size_t block_size;
	uint64_t random;
	struct symcache_stats stats;
	struct membudget *budget;
};

static struct node *node_at(const struct generation *g, uint32_t i)
{
	return (struct node *)(void *)g->block + (i - 1);
}

static void generation_reset(struct generation *g, size_t block_size)
{
	g->n = g->root = 0;
	g->names_off = block_size;
}

static int order(const struct node *n, uint64_t object, uint64_t start)
{
	if (n->object != object)
		return n->object < object ? -1 : 1;
	return n->start < start ? -1 : n->start > start;
}

/* Node with the greatest start <= addr of that object, 0 for none. */
static uint32_t find_at_or_below(const struct generation *g, uint64_t object, uint64_t addr)
{
	uint32_t best = 0;
	for (uint32_t i = g->root; i;) {
		const struct node *n = node_at(g, i);
		if (order(n, object, addr) <= 0) {
			best = i;
			i = n->right;
		} else {
			i = n->left;
		}
	}
	return best && node_at(g, best)->object == object ? best : 0;
}

/* Links node `x`, whose key is new: down to where its priority belongs, then
 * the tree below is split around its key. */
static void link_node(struct generation *g, uint32_t x)
{
	struct node *new = node_at(g, x);
	uint32_t *link = &g->root;
	while (*link && node_at(g, *link)->priority >= new->priority) {
		struct node *n = node_at(g, *link);
		link = order(n, new->object, new->start) < 0 ? &n->right : &n->left;
	}
	uint32_t below = *link;
	uint32_t *less = &new->left, *more = &new->right;
	*link = x;
	while (below) {
		struct node *n = node_at(g, below);
		if (order(n, new->object, new->start) < 0) {
			*less = below;
			less = &n->right;
			below = n->right;
		} else {
			*more = below;
			more = &n->left;
			below = n->left;
		}
	}
	*less = *more = 0;
}

/* xorshift64 (Marsaglia 2003), seeded per cache so that no profiled process
 * can choose addresses that unbalance the tree. */
static uint32_t next_random(struct symcache *c)
{
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return (uint32_t)(c->random >> 32);
}

static struct slice cut(struct slice s)
{
	return slice_of(s.data, s.size < SYMBOL_NAME_MAX ? s.size : SYMBOL_NAME_MAX);
}

/* False when the block is full. */
static bool generation_add(struct symcache *c, struct generation *g, uint64_t object, const struct symrange *range)
{
	struct slice name = cut(range->name), module = cut(range->module);
	uint32_t same = find_at_or_below(g, object, range->start);
	if (same && node_at(g, same)->start != range->start)
		same = 0;
	size_t need = name.size + module.size + (same ? 0 : sizeof(struct node));
	if (need > g->names_off - g->n * sizeof(struct node))
		return false;

	g->names_off -= name.size + module.size;
	if (name.size)
		memcpy(g->block + g->names_off, name.data, name.size);
	if (module.size)
		memcpy(g->block + g->names_off + name.size, module.data, module.size);
	uint32_t i = same ? same : ++g->n;
	struct node *n = node_at(g, i);
	if (!same)
		*n = (struct node){ .object = object, .start = range->start, .priority = next_random(c) };
	n->end = range->end;
	n->name_off = (uint32_t)g->names_off;
	n->name_size = (uint16_t)name.size;
	n->module_size = (uint16_t)module.size;
	if (!same)
		link_node(g, i);
	return true;
}

static bool generation_find(const struct generation *g, uint64_t object, uint64_t addr, struct symrange *ret)
{
	uint32_t i = find_at_or_below(g, object, addr);
	if (!i || addr >= node_at(g, i)->end)
		return false;
	const struct node *n = node_at(g, i);
	*ret = (struct symrange){
		.start = n->start,
		.end = n->end,
		.name = slice_of(g->block + n->name_off, n->name_size),
		.module = slice_of(g->block + n->name_off + n->name_size, n->module_size),
	};
	return true;
}

/* The young generation becomes the old one; what was in the old is gone. */
static void turn_over(struct symcache *c)
{
	struct generation empty = c->old;
	c->stats.n_evictions += empty.n;
	generation_reset(&empty, c->block_size);
	c->old = c->young;
	c->young = empty;
}

struct symcache *symcache_new(size_t max_size, struct membudget *budget)
{
	if (max_size < MIN_SIZE || max_size > MAX_SIZE || !membudget_charge(budget, max_size))
		return NULL;
	struct symcache *c = calloc(1, sizeof(*c));
	/* mmap, not malloc: untouched pages must not become resident. */
	void *blocks = mmap(NULL, max_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!c || blocks == MAP_FAILED) {
		if (blocks != MAP_FAILED)
			(void)munmap(blocks, max_size);
		free(c);
		membudget_release(budget, max_size);
		return NULL;
	}
	c->budget = budget;
	c->block_size = max_size / 2 & ~(size_t)15;
	c->young.block = blocks;
	c->old.block = c->young.block + c->block_size;
	generation_reset(&c->young, c->block_size);
	generation_reset(&c->old, c->block_size);
	c->stats.size = max_size;
	if (getrandom(&c->random, sizeof(c->random), GRND_NONBLOCK) != sizeof(c->random) || c->random == 0)
		c->random = (uint64_t)(uintptr_t)blocks | 1;
	return c;
}

void symcache_free(struct symcache **c)
{
	if (!*c)
		return;
	uint8_t *a = (*c)->young.block, *b = (*c)->old.block;
	(void)munmap(a < b ? a : b, (*c)->stats.size);
	membudget_release((*c)->budget, (*c)->stats.size);
	free(take_ptr(*c));
}

bool symcache_find(struct symcache *c, uint64_t object, uint64_t addr, struct symrange *ret)
{
	if (generation_find(&c->young, object, addr, ret)) {
		c->stats.n_hits++;
		return true;
	}
	if (!generation_find(&c->old, object, addr, ret)) {
		c->stats.n_misses++;
		return false;
	}
	c->stats.n_hits++;
	/* Moves up, so that it survives the next turnover. A full young
	 * generation would drop the old one under these very bytes: then it
	 * stays where it is. */
	if (generation_add(c, &c->young, object, ret))
		return generation_find(&c->young, object, addr, ret);
	return true;
}

void symcache_clear(struct symcache *c)
{
	struct generation *both[] = { &c->young, &c->old };
	for (size_t i = 0; i < ARRAY_SIZE(both); i++) {
		c->stats.n_evictions += both[i]->n;
		generation_reset(both[i], c->block_size);
		(void)madvise(both[i]->block, c->block_size, MADV_DONTNEED);
	}
}

void symcache_put(struct symcache *c, uint64_t object, const struct symrange *range)
{
	if (generation_add(c, &c->young, object, range))
		return;
	turn_over(c);
	/* Fits: an empty generation has at least MIN_SIZE / 2 bytes. */
	(void)generation_add(c, &c->young, object, range);
}

struct symcache_stats symcache_stats(const struct symcache *c)
{
	struct symcache_stats s = c->stats;
	size_t names = 2 * c->block_size - c->young.names_off - c->old.names_off;
	s.n_ranges = c->young.n + c->old.n;
	s.size = s.n_ranges * sizeof(struct node) + names;
	return s;
}
