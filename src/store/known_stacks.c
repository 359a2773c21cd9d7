/* SPDX-License-Identifier: Apache-2.0 */
#include "store/known_stacks.h"

#include <errno.h>
#include <sys/random.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

int known_stacks_init(struct known_stacks *k, struct membudget *budget)
{
	*k = (struct known_stacks){ .budget = budget };
	u64map_init(&k->stacks.ids, budget);
	u64map_init(&k->frames.ids, budget);
	return getrandom(k->seed, sizeof(k->seed), 0) == (ssize_t)sizeof(k->seed) ? 0 : -EIO;
}

void known_stacks_done(struct known_stacks *k)
{
	u64map_done(&k->stacks.ids);
	u64map_done(&k->frames.ids);
	vec_done(k->budget, &k->stacks.rows);
	vec_done(k->budget, &k->frames.rows);
}

/* ---- hashes of rows ---- */

/* Of each row of a profile's tables. */
struct hashes {
	const uint64_t *seed;
	XXH128_hash_t *all; /* strings, functions, mappings, frames, nodes: one behind the other */
	XXH128_hash_t *string, *function, *mapping, *frame, *node;
};

static void hashes_done(struct hashes *h)
{
	free(h->all);
}

static int hashes_init(struct hashes *h, const struct dict *d, const uint64_t *seed)
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

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;
	return (uint64_t)(m >> 64) ^ (uint64_t)m;
}

/* Takes 128 bits more into a hash. The halves are two hashes of 64 bits, each of its own seed and each the step of
 * wyhash (public domain, Wang Yi): a row has few words, and a hash of bytes takes two to three times as long. */
static inline XXH128_hash_t mix(const struct hashes *h, XXH128_hash_t hash, XXH128_hash_t with)
{
	return (XXH128_hash_t){
		.low64 = fold(with.low64 ^ h->seed[0], with.high64 ^ hash.low64),
		.high64 = fold(with.high64 ^ h->seed[1], with.low64 ^ hash.high64),
	};
}

static inline XXH128_hash_t mix_words(const struct hashes *h, XXH128_hash_t hash, uint64_t a, uint64_t b)
{
	return mix(h, hash, (XXH128_hash_t){ a, b });
}

static void hash_names(struct hashes *h, const struct dict *d)
{
	for (uint32_t i = 0; i < strtab_count(&d->strings); i++) {
		struct slice s = strtab_get(&d->strings, (struct str_id){ i });
		h->string[i] = XXH3_128bits_withSeed(s.data, s.size, h->seed[0]);
	}
	for (uint32_t i = 0; i < d->functions.n; i++) {
		const struct function *f = &d->functions.data[i];
		XXH128_hash_t hash = mix(h, h->string[f->name.v], h->string[f->system_name.v]);
		hash = mix(h, hash, h->string[f->file.v]);
		h->function[i] = mix_words(h, hash, f->start_line, 0);
	}
	for (uint32_t i = 0; i < d->mappings.n; i++) {
		const struct mapping *m = &d->mappings.data[i];
		XXH128_hash_t hash = mix(h, h->string[m->path.v], h->string[m->build_id.v]);
		hash = mix_words(h, hash, m->start, m->limit);
		h->mapping[i] = mix_words(h, hash, m->offset, m->flags);
	}
}

static void hash_nodes(struct hashes *h, const struct dict *d)
{
	for (uint32_t i = 0; i < d->frames.n; i++) {
		const struct frame *f = &d->frames.data[i];
		XXH128_hash_t hash = mix(h, h->mapping[f->mapping.v], h->function[f->function.v]);
		hash = mix_words(h, hash, f->address, (uint64_t)f->line << 32 | f->column);
		h->frame[i] = mix_words(h, hash, (uint32_t)f->kind << 16 | (uint32_t)f->found << 8 | f->flags, 0);
	}
	h->node[0] = (XXH128_hash_t){ 0, 0 };
	for (uint32_t i = 1; i < dict_n_nodes(d); i++)
		h->node[i] = mix(h, h->node[d->node_parent.data[i].v], h->frame[d->node_frame.data[i].v]);
}

/* ---- what is known ---- */

/* Its row + 1, or 0 and where it would stand. */
static uint32_t find(const struct known_rows *k, XXH128_hash_t hash, uint64_t *ret_at)
{
	for (uint64_t at = hash.low64;; at++) {
		uint32_t row = u64map_get(&k->ids, at);
		*ret_at = at;
		if (!row || k->rows.data[row - 1].high == hash.high64)
			return row;
	}
}

static int add(struct known_rows *k, struct membudget *budget, XXH128_hash_t hash, uint32_t id)
{
	uint64_t at;
	if (find(k, hash, &at))
		return 0;
	int r = vec_reserve(budget, &k->rows, 1);
	if (r < 0)
		return r;
	uint32_t *slot = u64map_put(&k->ids, at);
	if (!slot)
		return -ENOBUFS;
	k->rows.data[k->rows.n++] = (struct known_row){ hash.high64, id };
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
		u64map_prefetch(&k->stacks.ids, h->node[p->node.data[i].v].low64);
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		uint32_t node = p->node.data[i].v;
		uint64_t at;
		if (state[node] != NOT_LOOKED_AT)
			continue;
		uint32_t row = node ? find(&k->stacks, h->node[node], &at) : 0;
		state[node] = row || !node ? KNOWN : NEW;
		node_map[node].v = row ? k->stacks.rows.data[row - 1].id : 0;
		n_new += state[node] == NEW;
	}
	return n_new;
}

/* The same of the frames of wanted nodes. */
static void look_up_frames(const struct known_stacks *k, const struct dict *d, const struct hashes *h,
			   const uint8_t *wanted, struct frame_id *frame_map, uint8_t *state)
{
	uint64_t at;
	state[0] = KNOWN;
	for (uint32_t i = 1; i < dict_n_nodes(d); i++)
		if (wanted[i])
			u64map_prefetch(&k->frames.ids, h->frame[d->node_frame.data[i].v].low64);
	for (uint32_t i = 1; i < dict_n_nodes(d); i++) {
		uint32_t frame = d->node_frame.data[i].v;
		if (!wanted[i] || state[frame] != NOT_LOOKED_AT)
			continue;
		uint32_t row = find(&k->frames, h->frame[frame], &at);
		state[frame] = row ? KNOWN : NEW;
		frame_map[frame].v = row ? k->frames.rows.data[row - 1].id : 0;
	}
}

static int import_wanted(struct known_stacks *k, struct dict *dst, const struct dict *d, const struct hashes *h,
			 const uint8_t *wanted, struct node_id *map)
{
	uint32_t n = d->frames.n;
	_cleanup_(free_ptr)
	struct frame_id *frame_map = calloc(n, sizeof(*frame_map));
	_cleanup_(free_ptr)
	uint8_t *state = calloc(n, 1);
	if (!frame_map || !state)
		return -ENOMEM;
	look_up_frames(k, d, h, wanted, frame_map, state);
	int r = dict_import_some(dst, d, wanted, frame_map, map);
	for (uint32_t i = 1; r == 0 && i < n; i++)
		if (state[i] == NEW)
			r = add(&k->frames, k->budget, h->frame[i], frame_map[i].v);
	return r;
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
	int r = import_wanted(k, dst, d, h, wanted, map);
	for (uint32_t i = 1; r == 0 && i < n; i++) {
		if (state[i] != NEW)
			continue;
		node_map[i] = map[i];
		r = add(&k->stacks, k->budget, h->node[i], map[i].v);
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
