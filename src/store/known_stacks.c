/* SPDX-License-Identifier: Apache-2.0 */
#include "store/known_stacks.h"

#include <errno.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int known_stacks_init(struct known_stacks *k, struct membudget *budget)
{
	*k = (struct known_stacks){ .budget = budget };
	u64map_init(&k->ids, budget);
	return getrandom(&k->seed, sizeof(k->seed), 0) == (ssize_t)sizeof(k->seed) ? 0 : -EIO;
}

void known_stacks_done(struct known_stacks *k)
{
	u64map_done(&k->ids);
	vec_done(k->budget, &k->rows);
}

/* ---- hashes of rows ---- */

/* Of each row of a profile's tables. */
struct hashes {
	uint64_t seed;
	XXH128_hash_t *all; /* strings, functions, mappings, frames, nodes: one behind the other */
	XXH128_hash_t *string, *function, *mapping, *frame, *node;
};

static void hashes_done(struct hashes *h)
{
	free(h->all);
}

static int hashes_init(struct hashes *h, const struct dict *d, uint64_t seed)
{
	size_t n = (size_t)strtab_count(&d->strings) + d->functions.n + d->mappings.n + d->frames.n + dict_n_nodes(d);
	*h = (struct hashes){ .seed = seed, .all = malloc(n * sizeof(*h->all)) };
	if (!h->all)
		return -ENOMEM;
	h->string = h->all;
	h->function = h->string + strtab_count(&d->strings);
	h->mapping = h->function + d->functions.n;
	h->frame = h->mapping + d->mappings.n;
	h->node = h->frame + d->frames.n;
	return 0;
}

static void hash_names(struct hashes *h, const struct dict *d)
{
	for (uint32_t i = 0; i < strtab_count(&d->strings); i++) {
		struct slice s = strtab_get(&d->strings, (struct str_id){ i });
		h->string[i] = XXH3_128bits_withSeed(s.data, s.size, h->seed);
	}
	for (uint32_t i = 0; i < d->functions.n; i++) {
		const struct function *f = &d->functions.data[i];
		struct {
			XXH128_hash_t name, system_name, file;
			uint64_t start_line;
		} row = { h->string[f->name.v], h->string[f->system_name.v], h->string[f->file.v], f->start_line };
		h->function[i] = XXH3_128bits_withSeed(&row, sizeof(row), h->seed);
	}
	for (uint32_t i = 0; i < d->mappings.n; i++) {
		const struct mapping *m = &d->mappings.data[i];
		struct {
			XXH128_hash_t path, build_id;
			uint64_t start, limit, offset, flags;
		} row = { h->string[m->path.v], h->string[m->build_id.v], m->start, m->limit, m->offset, m->flags };
		h->mapping[i] = XXH3_128bits_withSeed(&row, sizeof(row), h->seed);
	}
}

static void hash_nodes(struct hashes *h, const struct dict *d)
{
	for (uint32_t i = 0; i < d->frames.n; i++) {
		const struct frame *f = &d->frames.data[i];
		struct {
			XXH128_hash_t function, mapping;
			uint64_t address;
			uint32_t line, column, kind, found_flags;
		} row = { h->function[f->function.v],
			  h->mapping[f->mapping.v],
			  f->address,
			  f->line,
			  f->column,
			  f->kind,
			  (uint32_t)f->found << 8 | f->flags };
		h->frame[i] = XXH3_128bits_withSeed(&row, sizeof(row), h->seed);
	}
	h->node[0] = (XXH128_hash_t){ 0, 0 };
	for (uint32_t i = 1; i < dict_n_nodes(d); i++) {
		struct {
			XXH128_hash_t parent, frame;
		} row = { h->node[d->node_parent.data[i].v], h->frame[d->node_frame.data[i].v] };
		h->node[i] = XXH3_128bits_withSeed(&row, sizeof(row), h->seed);
	}
}

/* ---- stacks ---- */

/* Its row + 1, or 0 and where it would stand. */
static uint32_t find(const struct known_stacks *k, XXH128_hash_t hash, uint64_t *ret_at)
{
	for (uint64_t at = hash.low64;; at++) {
		uint32_t row = u64map_get(&k->ids, at);
		*ret_at = at;
		if (!row || k->rows.data[row - 1].high == hash.high64)
			return row;
	}
}

static int add(struct known_stacks *k, XXH128_hash_t hash, struct node_id node)
{
	uint64_t at;
	if (find(k, hash, &at))
		return 0;
	int r = vec_reserve(k->budget, &k->rows, 1);
	if (r < 0)
		return r;
	uint32_t *slot = u64map_put(&k->ids, at);
	if (!slot)
		return -ENOBUFS;
	k->rows.data[k->rows.n++] = (struct known_stack){ hash.high64, node };
	*slot = k->rows.n;
	return 0;
}

enum { NOT_LOOKED_AT, KNOWN, NEW };

/* state[node of a sample]; the number of new ones. */
static uint32_t look_up(const struct known_stacks *k, const struct profile *p, const struct hashes *h,
			struct node_id *node_map, uint8_t *state)
{
	uint32_t n_new = 0;
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		u64map_prefetch(&k->ids, h->node[p->node.data[i].v].low64);
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		uint32_t node = p->node.data[i].v;
		uint64_t at;
		if (state[node] != NOT_LOOKED_AT)
			continue;
		uint32_t row = node ? find(k, h->node[node], &at) : 0;
		state[node] = row || !node ? KNOWN : NEW;
		node_map[node].v = row ? k->rows.data[row - 1].node.v : 0;
		n_new += state[node] == NEW;
	}
	return n_new;
}

static int import_new(struct known_stacks *k, struct dict *dst, const struct profile *p, const struct hashes *h,
		      struct node_id *node_map, const uint8_t *state)
{
	const struct dict *d = &p->dict;
	uint32_t n = dict_n_nodes(d);
	_cleanup_(free_ptr)
	uint8_t *wanted = calloc(n, 1);
	_cleanup_(free_ptr)
	struct node_id *map = malloc((size_t)n * sizeof(*map));
	if (!wanted || !map)
		return -ENOMEM;
	for (uint32_t i = n - 1; i > 0; i--) {
		wanted[i] |= state[i] == NEW;
		wanted[d->node_parent.data[i].v] |= wanted[i];
	}
	int r = dict_import_some(dst, d, wanted, map);
	for (uint32_t i = 1; r == 0 && i < n; i++) {
		if (state[i] != NEW)
			continue;
		node_map[i] = map[i];
		r = add(k, h->node[i], map[i]);
	}
	return r;
}

int known_stacks_import(struct known_stacks *k, struct dict *dst, const struct profile *p, struct node_id *node_map)
{
	_cleanup_(hashes_done)
	struct hashes h;
	_cleanup_(free_ptr)
	uint8_t *state = calloc(dict_n_nodes(&p->dict), 1);
	int r = hashes_init(&h, &p->dict, k->seed);
	if (r < 0 || !state)
		return -ENOMEM;
	hash_names(&h, &p->dict);
	hash_nodes(&h, &p->dict);
	return look_up(k, p, &h, node_map, state) ? import_new(k, dst, p, &h, node_map, state) : 0;
}
