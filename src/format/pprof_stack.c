/* SPDX-License-Identifier: Apache-2.0 */
/* Where the time goes: nearly all bytes of a large profile are location ids.
 * A sample's become codes, the codes frames, and STACKWALK_BATCH stacks go
 * down the tree together. */
#include "format/pprof_decoder.h"
#include "format/varints.h"

#include <inttypes.h>

/* Lines of one location that are walked anew for each sample. */
#define SHORT_CHAIN 16

static struct pprof_callers *current(struct pprof_decoder *d)
{
	return &d->callers[d->n_stacks];
}

void pprof_begin_stack(struct pprof_decoder *d)
{
	d->frames.n = d->stack_from[d->n_stacks];
	d->stack_codes = 0;
	d->misses_location = false;
	d->cut_run = slice_of(NULL, 0);
	*current(d) = (struct pprof_callers){ 0 };
}

static int push_id(struct pprof_decoder *d, const uint8_t *at, uint64_t id)
{
	if (d->frames.n - d->stack_from[d->n_stacks] >= d->limits->depth)
		return pprof_fail_limit(d, at, "frames", d->limits->depth);
	int r = vec_reserve(d->p->budget, &d->frames, 1);
	if (r < 0)
		return pprof_fail_memory(d, at, r);
	uint32_t code = idtable_get(&d->locations, id);
	if (!code) {
		uint64_t n_missing = 0;
		r = pprof_miss(d, at, "location", id, &n_missing);
		d->misses_location = true;
		return r;
	}
	d->stack_codes |= code;
	d->frames.data[d->frames.n++] = code;
	return 0;
}

/* A packed run of small, known ids. 1, or 0 when it is not one of those or
 * something is wrong, which the slow way finds the words for. */
static int push_small_ids(struct pprof_decoder *d, struct slice ids)
{
	const uint8_t *end = d->bytes.data + d->bytes.size;
	uint32_t n_before = d->frames.n - d->stack_from[d->n_stacks];
	if (end - ids.data < VARINTS_SLACK || (size_t)(end - ids.data) - VARINTS_SLACK < ids.size ||
	    ids.size > d->limits->depth || n_before > d->limits->depth - ids.size)
		return 0;
	int r = vec_reserve(d->p->budget, &d->frames, ids.size);
	if (r < 0)
		return pprof_fail_memory(d, ids.data, r);
	uint32_t *out = d->frames.data + d->frames.n, n;
	if (!varints_read(ids, out, &n))
		return 0;
	const uint32_t *code_of = d->locations.direct;
	uint32_t n_direct = d->locations.n_direct, codes = d->stack_codes, n_missing = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t code = code_of[out[i] < n_direct ? out[i] : 0];
		n_missing += code == 0;
		codes |= code;
		out[i] = code;
	}
	if (n_missing)
		return 0;
	d->frames.n += n;
	d->stack_codes = codes;
	return 1;
}

/* Any packed run, id by id. */
static int push_ids(struct pprof_decoder *d, struct slice ids)
{
	struct pb_reader r = pb_reader_nested(ids);
	while (r.at < r.end) {
		const uint8_t *at = r.at;
		uint64_t id = 0;
		int k = pb_varint(&r, &id);
		if (k < 0)
			return pprof_fail_reader(d, &r, k);
		k = push_id(d, at, id);
		if (k < 0)
			return k;
	}
	return 0;
}

/* A run of small ids, up to where its callers are known. As push_small_ids(). */
static int push_with_memo(struct pprof_decoder *d, struct slice ids)
{
	size_t cut = d->memo.rows ? stackmemo_cut(ids) : 0;
	struct slice callers = slice_of(ids.data + cut, ids.size - cut);
	bool found = false;
	struct stackmemo_row *row = cut ? stackmemo_find(&d->memo, callers, &found) : NULL;
	if (!row)
		return push_small_ids(d, ids);
	int k = push_small_ids(d, slice_of(ids.data, cut));
	uint32_t n = d->frames.n - d->stack_from[d->n_stacks];
	if (found && k > 0 && n <= d->limits->depth - row->n_frames) {
		*current(d) = (struct pprof_callers){ .node = row->node, .n_frames = row->n_frames };
		d->cut_run = ids;
		return 1;
	}
	if (k > 0)
		k = push_small_ids(d, callers);
	if (k > 0)
		*current(d) = (struct pprof_callers){ .row = row, .bytes = callers, .n_up = n };
	return k;
}

/* More ids follow those read, so theirs are not the callers of all. */
static int forget_callers(struct pprof_decoder *d)
{
	struct slice run = d->cut_run;
	*current(d) = (struct pprof_callers){ 0 };
	if (run.size == 0)
		return 0;
	pprof_begin_stack(d);
	return push_ids(d, run);
}

int pprof_push_location(struct pprof_decoder *d, const uint8_t *at, uint64_t id)
{
	int r = forget_callers(d);
	return r < 0 ? r : push_id(d, at, id);
}

int pprof_push_locations(struct pprof_decoder *d, struct slice ids)
{
	bool first = d->frames.n == d->stack_from[d->n_stacks];
	int k = first ? 0 : forget_callers(d);
	uint32_t n_before = d->frames.n, codes = d->stack_codes;
	if (k == 0 && idtable_is_dense(&d->locations))
		k = first ? push_with_memo(d, ids) : push_small_ids(d, ids);
	if (k != 0)
		return k < 0 ? k : 0;
	d->frames.n = n_before;
	d->stack_codes = codes;
	return push_ids(d, ids);
}

static const uint32_t *chain_of(const struct pprof_decoder *d, uint32_t code, uint32_t *ret_n)
{
	const uint32_t *chain = d->chains.data + (code & ~PPROF_CHAIN);
	*ret_n = *chain;
	return chain + 1;
}

/* How many frames the current stack's first `n_codes` codes stand for;
 * *ret_longest: the most that one of them does. */
static uint64_t count_frames(const struct pprof_decoder *d, uint32_t n_codes, uint32_t *ret_longest)
{
	const uint32_t *codes = d->frames.data + d->stack_from[d->n_stacks];
	uint64_t n_frames = 0;
	*ret_longest = 1;
	for (uint32_t i = 0; i < n_codes; i++) {
		uint32_t code = codes[i], n = 1;
		if (code & PPROF_CHAIN)
			(void)chain_of(d, code, &n);
		n_frames += n;
		if (*ret_longest < n)
			*ret_longest = n;
	}
	return n_frames;
}

/* In place, from the back. */
static int expand_chains(struct pprof_decoder *d, const uint8_t *at, uint32_t n_frames)
{
	uint32_t from = d->stack_from[d->n_stacks], n_codes = d->frames.n - from;
	int r = vec_reserve(d->p->budget, &d->frames, n_frames - n_codes);
	if (r < 0)
		return pprof_fail_memory(d, at, r);
	uint32_t *frames = d->frames.data + from, to = n_frames;
	for (uint32_t i = n_codes; i-- > 0;) {
		uint32_t code = frames[i], n = 1;
		const uint32_t *chain = code & PPROF_CHAIN ? chain_of(d, code, &n) : &code;
		for (uint32_t k = 0; k < n; k++)
			frames[--to] = chain[k];
	}
	d->frames.n = from + n_frames;
	return 0;
}

/* A location of thousands of lines is two bytes in each sample that uses it:
 * remembering where it led keeps the work in proportion to the input. */
static int walk_code(struct pprof_decoder *d, uint32_t code, uint32_t *node)
{
	if (!(code & PPROF_CHAIN))
		return dict_step(&d->p->dict, node, code);
	uint32_t n;
	const uint32_t *chain = chain_of(d, code, &n);
	if (n <= SHORT_CHAIN)
		return dict_chain(&d->p->dict, node, chain, n, 1);
	uint32_t *last = u64map_put(&d->long_chains, (uint64_t)*node << 32 | code);
	if (!last)
		return -ENOBUFS;
	if (*last) {
		*node = *last;
		return 0;
	}
	int r = dict_chain(&d->p->dict, node, chain, n, 1);
	*last = r < 0 ? 1 : *node;
	return r;
}

static void learn_callers(const struct pprof_decoder *d, const struct pprof_callers *c, uint32_t n_frames,
			  struct node_id node)
{
	for (uint32_t i = 0; i < c->n_up; i++)
		node = d->p->dict.node_parent.data[node.v];
	c->row->at = c->bytes.data;
	c->row->size = (uint32_t)c->bytes.size;
	c->row->n_frames = n_frames - c->n_up;
	c->row->node = node.v;
}

/* Gives the rows of the stacks before the current one their nodes. */
static int walk_waiting(struct pprof_decoder *d, const uint8_t *at)
{
	struct stack_frames stacks[STACKWALK_BATCH];
	struct node_id nodes[STACKWALK_BATCH];
	uint32_t n = d->n_stacks;
	const uint32_t *from = d->stack_from;
	if (n == 0)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		stacks[i] = stack_leaf_first(d->frames.data, from[i], from[i + 1] - from[i]);
		stacks[i].from = d->callers[i].node;
	}
	int r = stackwalk(&d->p->dict, stacks, n, nodes);
	if (r < 0)
		return pprof_fail_memory(d, at, r);
	memcpy(d->p->node.data + d->first_waiting, nodes, n * sizeof(*nodes));
	for (uint32_t i = 0; i < n; i++)
		if (d->callers[i].row)
			learn_callers(d, &d->callers[i], from[i + 1] - from[i], nodes[i]);
	d->n_stacks = 0;
	return 0;
}

/* The way of a stack with a location of very many lines. */
static int walk_codes(struct pprof_decoder *d, const uint8_t *at)
{
	uint32_t from = d->stack_from[d->n_stacks], node = current(d)->node;
	int r = walk_waiting(d, at);
	if (r < 0)
		return r;
	for (uint32_t i = d->frames.n; i-- > from;) {
		r = walk_code(d, d->frames.data[i], &node);
		if (r < 0)
			return pprof_fail_memory(d, at, r);
	}
	d->p->node.data[d->p->node.n - 1].v = node;
	return 0;
}

int pprof_end_stack(struct pprof_decoder *d, const uint8_t *at)
{
	if (d->stack_codes & PPROF_CHAIN) {
		uint32_t longest;
		struct pprof_callers *c = current(d);
		c->n_up = (uint32_t)count_frames(d, c->n_up, &longest);
		uint64_t n_frames = count_frames(d, d->frames.n - d->stack_from[d->n_stacks], &longest);
		if (n_frames > d->limits->depth - c->n_frames)
			return pprof_fail_limit(d, at, "frames", d->limits->depth);
		int r = longest > SHORT_CHAIN ? walk_codes(d, at) : expand_chains(d, at, (uint32_t)n_frames);
		if (r < 0 || longest > SHORT_CHAIN)
			return r;
	}
	if (d->n_stacks == 0)
		d->first_waiting = d->p->node.n - 1;
	d->stack_from[++d->n_stacks] = d->frames.n;
	return d->n_stacks < STACKWALK_BATCH ? 0 : walk_waiting(d, at);
}

int pprof_end_stacks(struct pprof_decoder *d)
{
	return walk_waiting(d, d->bytes.data + d->sections[PROFILE_SAMPLE].end);
}
