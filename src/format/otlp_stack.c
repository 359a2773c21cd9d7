/* SPDX-License-Identifier: Apache-2.0 */
/* A stack is a list of locations, leaf first, each of which is a frame or a
 * chain of inlined ones (a "code"). It is cut into pieces from its end:
 *
 *   location_indices  [......tail......] [piece 1: 24 bytes] [piece 0: 24 bytes]
 *   nodes                             90 <-               17 <-              0
 *
 * Pieces that have been walked before are not even read (pathcache.h); the
 * others and the tail are the stack's rest. A batch of stacks waits for its
 * rests to be walked together. */
#include "format/otlp_decoder.h"

#define LONG_CHAIN 16 /* frames of one location */

static const uint32_t *chain_of(const struct otlp_decoder *d, uint32_t code)
{
	return code & OTLP_CHAIN ? d->chains.data + (code & ~OTLP_CHAIN) : NULL;
}

/* --- one code at a time --- */

static int walk_frames(struct otlp_decoder *d, const uint32_t *frames, uint32_t n, uint32_t *node)
{
	for (uint32_t i = 0; i < n; i++) {
		int r = dict_step(&d->p->dict, node, frames[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A location of thousands of lines is two bytes in each stack that has it:
 * remembering where it led keeps the work in proportion to the input. */
static int walk_chain(struct otlp_decoder *d, uint32_t code, uint32_t *node)
{
	const uint32_t *chain = chain_of(d, code);
	if (*chain <= LONG_CHAIN)
		return walk_frames(d, chain + 1, *chain, node);
	uint32_t *last = u64map_put(&d->long_chains, (uint64_t)*node << 32 | code);
	if (!last)
		return -ENOBUFS;
	if (*last) {
		*node = *last;
		return 0;
	}
	int r = walk_frames(d, chain + 1, *chain, node);
	*last = r < 0 ? 1 : *node;
	return r;
}

/* From *node, `depth` frames deep, along the codes from d->stack[from] on,
 * the last one first. */
static int walk_codes(struct otlp_decoder *d, const uint8_t *at, uint32_t from, uint32_t depth, uint32_t *node)
{
	for (uint32_t i = d->stack.n; i-- > from;) {
		uint32_t code = d->stack.data[i];
		const uint32_t *chain = chain_of(d, code);
		uint32_t size = chain ? *chain : 1;
		if (size > d->limits->depth - depth)
			return otlp_fail_limit(d, at, "frames", d->limits->depth);
		depth += size;
		int r = chain ? walk_chain(d, code, node) : dict_step(&d->p->dict, node, code);
		if (r < 0)
			return otlp_fail_memory(d, at, r);
	}
	return 0;
}

static int push_code(struct otlp_decoder *d, const uint8_t *at, uint64_t index, uint32_t from)
{
	if (d->stack.n - from >= d->limits->depth)
		return otlp_fail_limit(d, at, "frames", d->limits->depth);
	if (index >= d->locations.n)
		return otlp_fail_index(d, at, "location", index);
	int r = vec_reserve(d->p->budget, &d->stack, 1);
	if (r < 0)
		return otlp_fail_memory(d, at, r);
	d->stack.data[d->stack.n++] = d->locations.data[index];
	return 0;
}

static int push_codes(struct otlp_decoder *d, const struct pb_field *f, uint32_t from)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t index = 0;
	int k;
	while ((k = otlp_repeated_next(&r, f, &index)) > 0) {
		k = push_code(d, f->at, index, from);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

int otlp_walk_locations(struct otlp_decoder *d, const uint8_t *at, const uint32_t *indices, uint64_t n,
			struct node_id *ret)
{
	uint32_t node = 0;
	int r = 0;
	d->stack.n = 0;
	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = push_code(d, at, indices[i], 0);
	if (r == 0)
		r = walk_codes(d, at, 0, 0, &node);
	ret->v = node;
	return r;
}

/* --- a batch of stacks --- */

/* Cuts a piece of the last bytes before `end`, of which there are more than
 * it can hold. False when no index ends where one must. */
static bool cut_piece(const uint8_t *end, struct path_piece *ret)
{
	uint64_t before;
	memcpy(ret->word, end - PATHCACHE_BYTES, PATHCACHE_BYTES);
	memcpy(&before, end - PATHCACHE_BYTES - 1, sizeof(before));
	/* It begins behind the first byte that ends an index. */
	uint64_t ends = ~before & 0x8080808080808080;
	if (!ends || end[-1] >= 0x80)
		return false;
	uint32_t n_before = (uint32_t)__builtin_ctzll(ends) / 8;
	ret->word[0] &= ~UINT64_C(0) << 8 * n_before;
	ret->size = PATHCACHE_BYTES - n_before;
	return true;
}

static void cut_stack(const struct otlp_decoder *d, struct slice indices, struct otlp_stack *s)
{
	const uint8_t *end = indices.data + indices.size;
	uint64_t hash = 0;
	s->indices = indices;
	for (s->n_pieces = 0; s->n_pieces < OTLP_MAX_PIECES && end - indices.data > PATHCACHE_BYTES; s->n_pieces++) {
		struct otlp_piece *piece = &s->pieces[s->n_pieces];
		if (!cut_piece(end, &piece->bytes))
			break;
		end -= piece->bytes.size;
		hash = pathcache_hash(hash, &piece->bytes);
		piece->from = end;
		piece->place = pathcache_place(&d->paths, hash);
		__builtin_prefetch(piece->place);
	}
}

/* Along the pieces that are known. */
static void follow_pieces(struct otlp_stack *s)
{
	s->node = s->depth = 0;
	for (s->n_known = 0; s->n_known < s->n_pieces; s->n_known++) {
		struct otlp_piece *piece = &s->pieces[s->n_known];
		piece->bytes.from = s->node;
		if (!pathcache_holds(piece->place, &piece->bytes))
			break;
		s->node = piece->place->node;
		s->depth = piece->place->depth;
	}
}

/* Pushes the frames of some indices, leaf first; no more than d->stack[end].
 * 1: there is a long chain. */
static int push_frames(struct otlp_decoder *d, struct slice indices, uint64_t end)
{
	struct pb_reader r = pb_reader_nested(indices);
	while (r.at < r.end) {
		const uint8_t *at = r.at;
		uint64_t index = 0;
		int k = pb_varint(&r, &index);
		if (k < 0)
			return otlp_fail_reader(d, &r, k);
		if (index >= d->locations.n)
			return otlp_fail_index(d, at, "location", index);
		uint32_t code = d->locations.data[index];
		const uint32_t *chain = chain_of(d, code);
		uint32_t size = chain ? *chain : 1;
		if (size > LONG_CHAIN)
			return 1;
		if (size > end - d->stack.n)
			return otlp_fail_limit(d, at, "frames", d->limits->depth);
		k = vec_reserve(d->p->budget, &d->stack, size);
		if (k < 0)
			return otlp_fail_memory(d, at, k);
		for (uint32_t i = 0; i < size; i++)
			d->stack.data[d->stack.n++] = chain ? chain[size - i] : code;
	}
	return 0;
}

static const uint8_t *end_of_rest(const struct otlp_stack *s)
{
	return s->n_known ? s->pieces[s->n_known - 1].from : s->indices.data + s->indices.size;
}

static int read_rest(struct otlp_decoder *d, struct otlp_stack *s)
{
	s->first_frame = d->stack.n;
	uint64_t end = (uint64_t)d->stack.n + d->limits->depth - s->depth;
	const uint8_t *at = s->indices.data;
	for (uint32_t i = s->n_pieces;; i--) {
		const uint8_t *stop = i > s->n_known ? s->pieces[i - 1].from : end_of_rest(s);
		uint32_t before = d->stack.n;
		int r = push_frames(d, slice_of(at, (size_t)(stop - at)), end);
		if (r < 0)
			return r;
		if (r > 0)
			break;
		if (i < s->n_pieces)
			s->pieces[i].n_frames = d->stack.n - before;
		if (i == s->n_known) {
			s->n_frames = d->stack.n - s->first_frame;
			s->is_long = false;
			return 0;
		}
		at = stop;
	}
	s->is_long = true;
	d->stack.n = s->first_frame;
	return 0;
}

/* The pieces that had to be read, for the stacks to come. `leaf` is where
 * the stack ends. */
static void remember_pieces(const struct otlp_decoder *d, const struct otlp_stack *s, uint32_t leaf)
{
	const struct node_id *parent = d->p->dict.node_parent.data;
	uint32_t n_read = 0, node = leaf, depth = s->depth + s->n_frames;
	for (uint32_t i = s->n_known; i < s->n_pieces; i++)
		n_read += s->pieces[i].n_frames;
	for (uint32_t i = n_read; i < s->n_frames; i++, depth--)
		node = parent[node].v;
	for (uint32_t i = s->n_pieces; i-- > s->n_known;) {
		const struct otlp_piece *piece = &s->pieces[i];
		struct path_entry entry = { piece->bytes, node, depth };
		for (uint32_t k = 0; k < piece->n_frames; k++, depth--)
			node = parent[node].v;
		entry.piece.from = node;
		*piece->place = entry;
	}
}

/* The stack `first` and those behind it up to one with a long chain. */
static int walk_rests(struct otlp_decoder *d, uint32_t first, uint32_t *ret_end)
{
	const struct otlp_stack *s = d->waiting;
	struct stack_frames rests[STACKWALK_BATCH];
	struct node_id leaves[STACKWALK_BATCH];
	uint32_t n = 0;
	do {
		const struct otlp_stack *at = &s[first + n];
		rests[n] = stack_leaf_first(d->stack.data, at->first_frame, at->n_frames);
		rests[n++].from = at->node;
	} while (first + n < d->n_waiting && !s[first + n].is_long);
	int r = stackwalk(&d->p->dict, rests, n, leaves);
	if (r < 0)
		return otlp_fail_memory(d, s[first].indices.data, r);
	for (uint32_t i = 0; i < n; i++) {
		if (s[first + i].n_known < s[first + i].n_pieces)
			remember_pieces(d, &s[first + i], leaves[i].v);
		d->stacks.data[d->stacks.n++] = leaves[i];
	}
	*ret_end = first + n;
	return 0;
}

static int walk_long(struct otlp_decoder *d, const struct otlp_stack *s)
{
	uint32_t from = d->stack.n, node = s->node;
	const uint8_t *at = s->indices.data;
	struct pb_field rest = { .wire = PB_BYTES, .bytes = slice_of(at, (size_t)(end_of_rest(s) - at)), .at = at };
	int r = push_codes(d, &rest, from);
	if (r == 0)
		r = walk_codes(d, at, from, s->depth, &node);
	d->stack.n = from;
	d->stacks.data[d->stacks.n++].v = node;
	return r;
}

static int walk_waiting(struct otlp_decoder *d)
{
	uint64_t row = d->row;
	d->stack.n = 0;
	int r = vec_reserve(d->p->budget, &d->stacks, d->n_waiting);
	if (r < 0)
		return otlp_fail_memory(d, d->dictionary.data, r);
	for (uint32_t i = 0; r == 0 && i < d->n_waiting; i++) {
		d->row = d->stacks.n + i;
		follow_pieces(&d->waiting[i]);
		r = read_rest(d, &d->waiting[i]);
	}
	for (uint32_t i = 0; r == 0 && i < d->n_waiting;) {
		d->row = d->stacks.n;
		r = d->waiting[i].is_long ? walk_long(d, &d->waiting[i++]) : walk_rests(d, i, &i);
	}
	d->n_waiting = 0;
	d->row = row;
	return r;
}

/* Several fields, or single numbers. */
static int take_fields(struct otlp_decoder *d, const struct pb_field *message)
{
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	uint32_t node = 0;
	int k;
	d->stack.n = 0;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != STACK_LOCATION_INDICES)
			continue;
		k = f.wire == PB_BYTES ? 0 : otlp_expect_wire(d, &f, PB_VARINT, "location_indices");
		if (k == 0)
			k = push_codes(d, &f, 0);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	k = walk_codes(d, message->at, 0, 0, &node);
	if (k == 0 && (k = vec_reserve(d->p->budget, &d->stacks, 1)) < 0)
		return otlp_fail_memory(d, message->at, k);
	if (k == 0)
		d->stacks.data[d->stacks.n++].v = node;
	return k;
}

int otlp_take_stack(struct otlp_decoder *d, const struct pb_field *message)
{
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k = pb_next(&r, &f);
	if (k > 0 && f.number == STACK_LOCATION_INDICES && f.wire == PB_BYTES && r.at == r.end) {
		cut_stack(d, f.bytes, &d->waiting[d->n_waiting++]);
		return d->n_waiting == STACKWALK_BATCH ? walk_waiting(d) : 0;
	}
	k = walk_waiting(d);
	return k < 0 ? k : take_fields(d, message);
}

int otlp_end_stacks(struct otlp_decoder *d)
{
	return walk_waiting(d);
}
