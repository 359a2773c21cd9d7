/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/replay.h"

#include "bpf/unwind.h"

#include <string.h>
#include <sys/uio.h>

struct native_walk {
	struct user_walk user; /* first: what the functions below are given */
	const struct replay *replay;
};

/* Code does not change, unlike a stack, so it can be read later than the rest. */
static bool read_code(const struct replay *r, void *to, uint32_t size, uint64_t addr)
{
	const uint32_t *segment = pool_segment(r->pool, r->list >> POOL_SEGMENT_BITS);
	uint32_t low = 0, high = segment && r->pid ? r->n_mappings : 0;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct pool_mapping *m = mapping_at(segment, r->list, middle);
		if (addr < m->start) {
			high = middle;
		} else if (addr >= m->end) {
			low = middle + 1;
		} else {
			struct iovec ours = { to, size }, theirs = { (void *)(uintptr_t)addr, size };
			return size <= m->end - addr &&
			       process_vm_readv(r->pid, &ours, 1, &theirs, 1, 0) == (ssize_t)size;
		}
	}
	return false;
}

static bool read_user(struct user_walk *u, void *to, uint32_t size, uint64_t addr)
{
	const struct replay *r = ((struct native_walk *)u)->replay;
	uint64_t off = addr - r->memory_start;
	if (addr < r->memory_start || off >= r->memory.size)
		return read_code(r, to, size, addr);
	if (r->memory.size - (size_t)off < size)
		return false;
	memcpy(to, r->memory.data + off, size);
	return true;
}

static const uint32_t *segment_of(struct user_walk *u, uint32_t word)
{
	const struct replay *r = ((struct native_walk *)u)->replay;
	return pool_segment(r->pool, word >> POOL_SEGMENT_BITS);
}

static const struct pool_table *table_of(struct user_walk *u, uint32_t slot)
{
	const struct replay *r = ((struct native_walk *)u)->replay;
	return slot < POOL_MAX_TABLES ? &pool_tables(r->pool)[slot] : NULL;
}

static const struct unwind_rule *rule_of(struct user_walk *u, uint32_t rule)
{
	const struct replay *r = ((struct native_walk *)u)->replay;
	return &pool_rules(r->pool)[rule & (POOL_MAX_RULES - 1)];
}

static const struct unwind_rule *known_rule(struct user_walk *u, uint64_t place)
{
	return NULL;
}

static void know_rule(struct user_walk *u, uint64_t place, const struct unwind_rule *rule)
{
}

static void begin(struct native_walk *w, const struct replay *r)
{
	w->replay = r;
	w->user.list = r->list;
	w->user.n_mappings = r->n_mappings;
	begin_user_walk(&w->user, 0);
}

void replay_stack(const struct replay *r, const struct walk *from, struct record_stack *ret)
{
	struct native_walk w;
	begin(&w, r);
	w.user.walk = *from;
	do {
		w.user.stack.end = next_frame(&w.user);
	} while (w.user.stack.end == STACK_GOES_ON);
	*ret = (struct record_stack){
		.type = RECORD_STACK,
		.n_frames = w.user.stack.n_frames,
		.end = judge_end(&w.user, r->stack_start),
	};
	memcpy(ret->frames, w.user.stack.frames, ret->n_frames * sizeof(ret->frames[0]));
}

const struct unwind_rule *replay_rule(const struct replay *r, uint64_t addr)
{
	struct native_walk w;
	begin(&w, r);
	return find_mapping(&w.user, addr) ? find_rule(&w.user, addr) : NULL;
}
