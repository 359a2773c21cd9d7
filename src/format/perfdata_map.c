/* SPDX-License-Identifier: Apache-2.0 */
#include "format/perfdata_map.h"

#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int map_pool_init(struct map_pool *p, uint64_t seed, uint32_t max, struct membudget *budget)
{
	*p = (struct map_pool){ .seed = seed, .max = max, .budget = budget };
	int r = vec_reserve(budget, &p->nodes, 1);
	if (r == 0)
		p->nodes.data[p->nodes.n++] = (struct map_node){ 0 };
	return r;
}

void map_pool_done(struct map_pool *p)
{
	vec_done(p->budget, &p->nodes);
}

static void renew(struct map_pool *p, struct map_space *s)
{
	s->owner = ++p->n_owners;
	s->version = s->owner;
}

void map_space_init(struct map_pool *p, struct map_space *s)
{
	s->root = 0;
	renew(p, s);
}

void map_space_fork(struct map_pool *p, struct map_space *parent, struct map_space *child)
{
	child->root = parent->root;
	renew(p, child);
	/* What was the parent's alone is now shared. */
	renew(p, parent);
}

static uint32_t add_node(struct map_pool *p, const struct map_node *node)
{
	if (p->error)
		return 0;
	if (p->nodes.n > p->max)
		p->error = -E2BIG;
	else
		p->error = vec_reserve(p->budget, &p->nodes, 1);
	if (p->error)
		return 0;
	p->nodes.data[p->nodes.n] = *node;
	return p->nodes.n++;
}

/* `node` itself, or the owner's copy of it. 0: no memory, sticky. */
static uint32_t own(struct map_pool *p, uint32_t owner, uint32_t node)
{
	if (p->nodes.data[node].owner == owner)
		return node;
	struct map_node copy = p->nodes.data[node];
	copy.owner = owner;
	return add_node(p, &copy);
}

/* Where a subtree hangs: the root when `node` is 0. */
struct hook {
	uint32_t node;
	bool is_right;
};

static void hang(struct map_pool *p, const struct hook *h, uint32_t *root, uint32_t tree)
{
	if (h->node == 0)
		*root = tree;
	else if (h->is_right)
		p->nodes.data[h->node].right = tree;
	else
		p->nodes.data[h->node].left = tree;
}

/* Those that start before `at` go left, the others right. */
static void split(struct map_pool *p, uint32_t owner, uint32_t tree, uint64_t at, uint32_t *ret_left,
		  uint32_t *ret_right)
{
	struct hook left = { 0 }, right = { 0 };
	while (tree && (tree = own(p, owner, tree)) != 0) {
		const struct map_node *n = &p->nodes.data[tree];
		if (n->start < at) {
			uint32_t next = n->right;
			hang(p, &left, ret_left, tree);
			left = (struct hook){ tree, true };
			tree = next;
		} else {
			uint32_t next = n->left;
			hang(p, &right, ret_right, tree);
			right = (struct hook){ tree, false };
			tree = next;
		}
	}
	hang(p, &left, ret_left, 0);
	hang(p, &right, ret_right, 0);
}

/* All of `a` lies before all of `b`. */
static uint32_t merge(struct map_pool *p, uint32_t owner, uint32_t a, uint32_t b)
{
	struct hook hook = { 0 };
	uint32_t root = 0;
	while (a && b) {
		bool takes_a = p->nodes.data[a].priority > p->nodes.data[b].priority;
		uint32_t top = own(p, owner, takes_a ? a : b);
		if (top == 0)
			return 0;
		hang(p, &hook, &root, top);
		hook = (struct hook){ top, takes_a };
		if (takes_a)
			a = p->nodes.data[top].right;
		else
			b = p->nodes.data[top].left;
	}
	hang(p, &hook, &root, a ? a : b);
	return root;
}

static uint32_t last_of(const struct map_pool *p, uint32_t tree)
{
	while (tree && p->nodes.data[tree].right)
		tree = p->nodes.data[tree].right;
	return tree;
}

/* Ends the last range of `tree`, all of whose path the owner owns, at `end`. */
static void cut_last(struct map_pool *p, uint32_t tree, uint64_t end)
{
	uint32_t last = last_of(p, tree);
	if (last && p->nodes.data[last].end > end)
		p->nodes.data[last].end = end;
}

static uint32_t new_node(struct map_pool *p, uint32_t owner, uint64_t start, uint64_t end, uint32_t area)
{
	uint64_t n = p->nodes.n;
	struct map_node node = { .start = start, .end = end, .owner = owner, .area = area };
	node.priority = (uint32_t)XXH3_64bits_withSeed(&n, sizeof(n), p->seed);
	return add_node(p, &node);
}

static void replace(struct map_pool *p, struct map_space *s, uint64_t start, uint64_t end, uint32_t area)
{
	uint32_t before, within, behind, rest = 0;
	split(p, s->owner, s->root, start, &before, &within);
	split(p, s->owner, within, end, &within, &behind);
	if (p->error)
		return;
	/* The range that reaches over `end` is the last that starts before it. */
	uint32_t last = last_of(p, within ? within : before);
	if (last && p->nodes.data[last].end > end)
		rest = new_node(p, s->owner, end, p->nodes.data[last].end, p->nodes.data[last].area);
	cut_last(p, before, start);
	if (area)
		before = merge(p, s->owner, before, new_node(p, s->owner, start, end, area));
	before = merge(p, s->owner, before, rest);
	s->root = merge(p, s->owner, before, behind);
	s->version = ++p->n_owners;
}

void map_space_put(struct map_pool *p, struct map_space *s, uint64_t start, uint64_t end, uint32_t area)
{
	if (start < end)
		replace(p, s, start, end, area);
}

void map_space_drop(struct map_pool *p, struct map_space *s, uint64_t start, uint64_t end)
{
	if (start < end)
		replace(p, s, start, end, 0);
}

uint32_t map_space_find(const struct map_pool *p, const struct map_space *s, uint64_t address)
{
	uint32_t at = s->root;
	while (at) {
		const struct map_node *n = &p->nodes.data[at];
		if (address < n->start)
			at = n->left;
		else if (address >= n->end)
			at = n->right;
		else
			return n->area;
	}
	return 0;
}
