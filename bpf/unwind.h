/* SPDX-License-Identifier: Apache-2.0 */
/* unwind.h: walks a user stack by the tables of pool.h. Compiled twice, as
 * walk.h is.
 *
 *   registers -> [ mapping -> table -> page -> row -> rule -> caller ] ...
 *
 * Looking all this up for each frame would be slow, so the last mapping and
 * page are remembered, and the stack is read in chunks. Searches are written
 * without branches: for the processor a bounded number of steps, for the
 * kernel's verifier one path.
 *
 * Whoever includes this provides, under exactly these names,
 *
 *   static bool read_user(struct user_walk *u, void *to, uint32_t size, uint64_t addr);
 *   static const uint32_t *segment_of(struct user_walk *u, uint32_t word);      or NULL
 *   static const struct pool_table *table_of(struct user_walk *u, uint32_t slot);
 *   static const struct unwind_rule *rule_of(struct user_walk *u, uint32_t rule);
 *
 * and, to remember what was found (which may do nothing), by a number that no
 * other place has while its table is there,
 *
 *   static const struct unwind_rule *known_rule(struct user_walk *u, uint64_t place);     or NULL
 *   static void know_rule(struct user_walk *u, uint64_t place, const struct unwind_rule *rule); */
#pragma once

#include "user_walk.h"
#include "walk.h"

#include <stddef.h>

#define START_FRAMES_MAX 256 /* bytes */
#define ROWS_FEW	 128 /* in 4 KiB of code there are rarely more */

static bool read_user(struct user_walk *u, void *to, uint32_t size, uint64_t addr);
static const uint32_t *segment_of(struct user_walk *u, uint32_t word);
static const struct pool_table *table_of(struct user_walk *u, uint32_t slot);
static const struct unwind_rule *rule_of(struct user_walk *u, uint32_t rule);
static const struct unwind_rule *known_rule(struct user_walk *u, uint64_t place);
static void know_rule(struct user_walk *u, uint64_t place, const struct unwind_rule *rule);

/* A chunk ends with its page at the latest: what follows may not be mapped. */
static bool walk_read(struct walk *w, uint64_t addr, uint64_t *ret)
{
	struct user_walk *u = (struct user_walk *)w;
	uint64_t off = addr - u->chunk;
	if (addr & 7)
		return read_user(u, ret, 8, addr);
	if (off >= u->chunk_size) {
		uint32_t size = 4096 - ((uint32_t)addr & 4095);
		if (size > sizeof(u->words))
			size = sizeof(u->words);
		u->chunk = addr;
		u->chunk_size = 0;
		off = 0;
		if (!read_user(u, u->words, size, addr))
			return read_user(u, ret, 8, addr); /* recorded memory may end in between */
		u->chunk_size = size;
	}
	*ret = u->words[(off >> 3) & (CHUNK_WORDS - 1)];
	return true;
}

static __always_inline uint32_t word_at(const uint32_t *segment, uint32_t word)
{
	return segment[word & (POOL_SEGMENT_WORDS - 1)];
}

/* All ones when a <= b, else 0; both below 2^63. Without the empty assembly
 * the compiler makes a branch of it. */
static __always_inline uint32_t at_most(uint64_t a, uint64_t b)
{
	int64_t left = (int64_t)(b - a);
	__asm__ volatile("" : "+r"(left));
	return ~(uint32_t)(left >> 63);
}

static __always_inline const struct pool_mapping *mapping_at(const uint32_t *segment, uint32_t list, uint32_t i)
{
	uint32_t word = list + i * (uint32_t)(sizeof(struct pool_mapping) / 4);
	return (const struct pool_mapping *)(segment + (word & (POOL_SEGMENT_WORDS - 1) & ~7u));
}

/* The mapping that holds `addr`, and its table, into *u. */
static __always_inline bool find_mapping(struct user_walk *u, uint64_t addr)
{
	if (addr - u->mapping.start < u->mapping.end - u->mapping.start)
		return true;
	const uint32_t *segment = u->n_mappings ? segment_of(u, u->list) : NULL;
	uint32_t n = 0; /* that start at or below addr */
	if (!segment)
		return false;
#pragma GCC unroll 16
	for (uint32_t step = POOL_MAX_MAPPINGS; step > 0; step /= 2) {
		uint32_t next = n + step;
		uint32_t fits = at_most(next, u->n_mappings);
		n += step & fits & at_most(mapping_at(segment, u->list, next - 1)->start, addr);
	}
	if (!n)
		return false;
	const struct pool_mapping *m = mapping_at(segment, u->list, n - 1);
	if (addr >= m->end)
		return false;
	u->mapping = *m;
	u->table.n_pages = u->table.pages = 0;
	u->page_number = UINT64_MAX;
	if (m->slot >= TABLE_FIRST) {
		const struct pool_table *t = table_of(u, m->slot);
		if (t)
			u->table = *t;
	}
	return true;
}

/* Word of the page's heads, 0 = none. */
static __always_inline uint32_t find_page(struct user_walk *u, uint64_t off)
{
	uint64_t number = off >> ROW_PAGE_BITS;
	if (number == u->page_number)
		return u->page;
	uint32_t page = 0, word = u->table.pages + (uint32_t)number;
	if (number < u->table.n_pages) {
		const uint32_t *segment = segment_of(u, word);
		page = segment ? word_at(segment, word) : 0;
	}
	u->page_number = number;
	u->page = page;
	return page;
}

/* All ones when the i-th of n rows, at `word`, is at or below `low`. */
static __always_inline uint32_t row_at_most(const uint32_t *segment, uint32_t word, uint32_t i, uint32_t n,
					    uint32_t low)
{
	return at_most(i, n) & at_most(word_at(segment, word) & 0xffff, low);
}

static __always_inline const struct unwind_rule *search_rule(struct user_walk *u, uint64_t off)
{
	uint32_t page = find_page(u, off);
	const uint32_t *segment = page ? segment_of(u, page) : NULL;
	if (!segment)
		return NULL;
	uint32_t head = word_at(segment, page + ((uint32_t)(off >> ROW_HEAD_BITS) & (ROW_HEADS - 1)));
	uint32_t before = head & 0xffff, n_rows = head >> 16, low = off & 0xffff;
	uint32_t first = page + ROW_HEADS + before, n = 0; /* rows at or below addr */
	if (n_rows >= ROWS_FEW) {
#pragma GCC unroll 16
		for (uint32_t step = 1u << ROW_HEAD_BITS; step >= ROWS_FEW; step /= 2)
			n += step & row_at_most(segment, first + n + step - 1, n + step, n_rows, low);
	}
#pragma GCC unroll 16
	for (uint32_t step = ROWS_FEW / 2; step > 0; step /= 2)
		n += step & row_at_most(segment, first + n + step - 1, n + step, n_rows, low);
	return before + n ? rule_of(u, word_at(segment, first + n - 1) >> 16) : NULL;
}

/* The rule for an address in the mapping at hand; NULL: there is none. */
static __always_inline const struct unwind_rule *find_rule(struct user_walk *u, uint64_t addr)
{
	uint64_t off = addr - u->mapping.bias, place = (uint64_t)u->table.pages << 32 | (off & UINT32_MAX);
	const struct unwind_rule *rule = known_rule(u, place);
	if (rule)
		return rule;
	rule = search_rule(u, off);
	if (rule)
		know_rule(u, place, rule);
	return rule;
}

static __always_inline void put_frame(struct user_walk *u)
{
	uint64_t frame = (u->walk.pc & FRAME_ADDRESS) | (uint64_t)u->walk.how << FRAME_HOW_SHIFT;
	uint32_t n = u->stack.n_frames;
	u->stack.frames[n & (SAMPLER_DEPTH - 1)] = frame;
	u->stack.n_frames = n + 1;
	uint64_t h = (u->hash ^ frame) * 0x9e3779b97f4a7c15ull;
	u->hash = h ^ h >> 32;
}

/* Where a C library has no unwind information (musl), a main thread's stack ends
 * in what called main(). That lies right below the arguments, where the
 * kernel put the first stack pointer: nothing of interest is missing. */
static __always_inline enum stack_end judge_end(const struct user_walk *u, uint64_t stack_start)
{
	enum stack_end end = (enum stack_end)u->stack.end;
	bool is_outermost = u->walk.is_call && stack_start - u->walk.sp <= START_FRAMES_MAX;
	bool is_lost = end == STACK_END_NO_UNWIND_INFO || end == STACK_END_ASTRAY;
	return is_lost && is_outermost ? STACK_END_ROOT : end;
}

/* From the thread's registers in u->walk; the mappings are set by the caller. */
static __always_inline void begin_user_walk(struct user_walk *u, uint64_t seed)
{
	u->walk.is_call = u->walk.fp_lost = false;
	u->walk.how = HOW_REGISTER;
	u->mapping.start = u->mapping.end = 0;
	u->chunk_size = 0;
	u->hash = seed;
	u->stack.n_frames = 0;
}

/* Takes down the frame at hand and goes to its caller. */
static __always_inline enum stack_end next_frame(struct user_walk *u)
{
	uint64_t addr = u->walk.pc - u->walk.is_call;
	if (!find_mapping(u, addr)) {
		/* Unwind information knows its return addresses; a guess that lies nowhere was
		 * wrong, unless something was mapped there just now. */
		if (u->walk.how == HOW_FP || u->walk.how == HOW_HEURISTIC)
			return STACK_END_ASTRAY;
		put_frame(u);
		return STACK_END_NO_MAPPING;
	}
	put_frame(u);
	if (u->stack.n_frames >= SAMPLER_DEPTH)
		return STACK_END_DEPTH;
	uint32_t slot = u->mapping.slot;
	if (slot == TABLE_PENDING || (slot >= TABLE_FIRST && !u->table.pages))
		return STACK_END_TABLE_PENDING;
	const struct unwind_rule *rule = slot >= TABLE_FIRST ? find_rule(u, addr) : NULL;
	enum stack_end end = rule ? walk_step(&u->walk, rule) : walk_without_rule(&u->walk);
	return slot == TABLE_JIT && end != STACK_GOES_ON && end != STACK_END_ROOT ? STACK_END_JIT : end;
}
