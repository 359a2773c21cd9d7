/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake.h"

#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Turns one user stack, leaf first, into nodes, root first. */
struct user_walk {
	struct window *w;
	struct process_table *processes;
	struct process *process;
	int64_t now_ns, time_ns; /* of the sample */
	bool maps_are_good;	 /* those of the sample's moment */
	enum stack_end end;
	uint32_t n;
	uint32_t places[SAMPLER_DEPTH];
	bool is_unsure; /* the maps may not be up to date: not worth remembering */
};

static int add_synthetic(struct window *w, enum stack_end what, uint32_t *node)
{
	uint32_t object, place;
	int r = window_object_of_kind(w, OBJECT_SYNTHETIC, &object);
	if (r == 0)
		r = window_place(w, object, what, HOW_UNKNOWN, &place);
	return r < 0 ? r : window_node(w, *node, place, node);
}

static int place_in_map(struct user_walk *u, const struct process_map *m, uint64_t addr, enum frame_how how,
			uint32_t *ret)
{
	uint32_t object;
	uint64_t vaddr = addr;
	struct binary *b = m->binary;
	int r;
	if (b && b->is_elf && binary_vaddr(b, addr - m->start + m->offset, &vaddr)) {
		r = window_object_of_file(u->w, b, &object);
	} else if (b && !b->is_elf && m->kind == MAP_FILE && b->size == 0) {
		/* It could not be opened: its offset is all that is known. */
		vaddr = addr - m->start + m->offset;
		r = window_object_of_file(u->w, b, &object);
	} else if (m->kind == MAP_FILE && !b) {
		r = window_object_of_kind(u->w, OBJECT_NONE, &object);
	} else {
		/* Anonymous, or a file that is no ELF file: generated code. */
		r = window_object_of_code(u->w, u->process, &object);
		/* Later it may be gone. */
		(void)process_perfmap(u->process, u->now_ns);
	}
	return r < 0 ? r : window_place(u->w, object, vaddr, how, ret);
}

/* A leaf, and what a signal interrupted, has its pc; a caller has a return
 * address, which may stand behind the end of its function. */
static bool is_exact(uint32_t i, enum frame_how how)
{
	return i == 0 || how == HOW_SIGNAL;
}

/* The kernel's own walk does not say how it found a frame. */
static enum frame_how how_of(const struct user_walk *u, uint32_t i, uint64_t frame)
{
	enum frame_how how = (enum frame_how)(frame >> FRAME_HOW_SHIFT);
	if (how >= N_FRAME_HOWS)
		return HOW_UNKNOWN;
	return how != HOW_UNKNOWN ? how : i == 0 ? HOW_REGISTER : HOW_FP;
}

static int walk_user(struct user_walk *u, const uint64_t *frames, uint32_t n)
{
	const struct process_map *m = NULL;
	for (uint32_t i = 0; i < n; i++) {
		enum frame_how how = how_of(u, i, frames[i]);
		uint64_t addr = (frames[i] & FRAME_ADDRESS) - !is_exact(i, how);
		m = process_find_map(u->processes, u->process, addr, i == 0, u->now_ns);
		u->is_unsure |= !m;
		/* What was there before is not known, nor where it would have led. */
		if (m && m->since_ns > u->time_ns) {
			u->end = STACK_END_MAPS_CHANGED;
			u->is_unsure = true;
			break;
		}
		/* A frame pointer that leads nowhere was none. */
		if (!m && how == HOW_FP) {
			u->end = STACK_END_ASTRAY;
			break;
		}
		int r = m ? place_in_map(u, m, addr, how, &u->places[u->n])
			  : window_place(u->w, 0, addr, how, &u->places[u->n]);
		if (r < 0)
			return r;
		u->n++;
	}
	if (u->end == STACK_END_TABLE_PENDING && m)
		process_want_table(u->processes, m, u->now_ns);
	return 0;
}

/* Ends that need no root of their own to be seen. */
static bool is_whole(enum stack_end end)
{
	return end == STACK_GOES_ON || end == STACK_END_ROOT || end == STACK_END_FRAME_POINTERS;
}

static int add_user_stack(struct user_walk *u, const struct window_stack *stack, uint32_t *node)
{
	struct window *w = u->w;
	if (u->process->is_gone) {
		u->end = STACK_END_GONE;
		return add_synthetic(w, STACK_END_GONE, node);
	}
	uint64_t frames[SAMPLER_DEPTH];
	memcpy(frames, w->addresses.data + stack->off, stack->n * sizeof(frames[0]));
	if (!u->maps_are_good) {
		u->end = STACK_END_MAPS_CHANGED;
		u->is_unsure = true;
		return add_synthetic(w, u->end, node);
	}
	u->end = (enum stack_end)stack->end;
	int r = walk_user(u, frames, stack->n);
	if (r == 0 && !is_whole(u->end))
		r = add_synthetic(w, u->end, node);
	for (uint32_t i = u->n; i > 0 && r == 0; i--)
		r = window_node(w, *node, u->places[i - 1], node);
	return r;
}

static int add_kernel_stack(struct window *w, const struct window_stack *stack, uint32_t *node)
{
	uint32_t object, place;
	int r = window_object_of_kind(w, OBJECT_KERNEL, &object);
	for (uint32_t i = stack->n; i > 0 && r == 0; i--) {
		uint64_t addr = w->addresses.data[stack->off + i - 1];
		r = window_place(w, object, i == 1 ? addr : addr - 1, HOW_UNKNOWN, &place);
		if (r == 0)
			r = window_node(w, *node, place, node);
	}
	return r;
}

/* What window_remember() keeps of a user stack. */
#define KNOWN_NODE_BITS 27
_Static_assert(N_STACK_ENDS < 1 << (32 - KNOWN_NODE_BITS), "an end fits beside a node");

static int find_user_node(struct user_walk *u, const struct record_sample *s, uint32_t *node)
{
	struct window *w = u->w;
	const struct window_stack *stack = window_find_stack(w, s->user);
	uint64_t whose = u->process->serial << 32 | u->process->n_replaced;
	uint32_t known = window_recall(w, whose, s->user);
	if (!stack)
		return -ENOENT;
	if (known && u->maps_are_good && u->process->newest_ns <= u->time_ns) {
		*node = known & ((1u << KNOWN_NODE_BITS) - 1);
		u->end = (enum stack_end)(known >> KNOWN_NODE_BITS);
		return 0;
	}
	int r = add_user_stack(u, stack, node);
	if (r == 0 && *node && *node >> KNOWN_NODE_BITS == 0 && !u->is_unsure)
		r = window_remember(w, whose, s->user, *node | (uint32_t)u->end << KNOWN_NODE_BITS);
	return r;
}

static int find_kernel_node(struct window *w, const struct record_sample *s, uint32_t *node)
{
	const struct window_stack *stack = window_find_stack(w, s->kernel);
	uint64_t below = (uint64_t)1 << 63 | *node;
	uint32_t known = window_recall(w, below, s->kernel);
	if (!stack)
		return -ENOENT;
	if (known) {
		*node = known;
		return 0;
	}
	int r = add_kernel_stack(w, stack, node);
	return r < 0 ? r : window_remember(w, below, s->kernel, *node);
}

/* -ENOENT: a stack's body is missing. */
static int find_node(struct user_walk *u, const struct record_sample *s, uint32_t *ret)
{
	uint32_t node = 0;
	int r = s->user ? find_user_node(u, s, &node) : 0;
	if (r == 0 && s->kernel)
		r = find_kernel_node(u->w, s, &node);
	*ret = node;
	return r;
}

static void count_end(struct window *w, const struct record_sample *s, enum stack_end end)
{
	bool is_error = s->flags & (SAMPLE_USER_ERROR | SAMPLE_KERNEL_ERROR);
	bool is_cut = end == STACK_END_DEPTH || s->flags & SAMPLE_KERNEL_CUT;
	w->info.lost[LOSS_stack_error] += is_error;
	w->info.lost[LOSS_truncated] += is_cut;
	w->info.lost[LOSS_incomplete] += !is_error && !is_cut && !is_whole(end);
}

/* A walk that the kernel could not finish: its frames, then ours. */
static int finish_stack(struct user_walk *u, const struct record_memory *memory, uint64_t *hash)
{
	struct window *w = u->w;
	struct record_stack stack, rest;
	const struct window_stack *begun = window_find_stack(w, *hash);
	/* The frame at hand is the last of the one and the first of the other. */
	uint32_t n_twice = begun && begun->end != STACK_END_ASTRAY;
	if (!begun || begun->n < n_twice || u->process->is_gone)
		return 0;
	process_replay(u->processes, u->process, memory, u->now_ns, &rest);
	stack.n_frames = begun->n - n_twice;
	memcpy(stack.frames, w->addresses.data + begun->off, stack.n_frames * sizeof(stack.frames[0]));
	for (uint32_t i = 0; i < rest.n_frames && stack.n_frames < SAMPLER_DEPTH; i++)
		stack.frames[stack.n_frames++] = rest.frames[i];
	stack.end = rest.end;
	stack.hash = XXH3_64bits_withSeed(stack.frames, stack.n_frames * sizeof(stack.frames[0]), stack.end);
	*hash = stack.hash;
	return window_add_stack(w, &stack);
}

void intake_sample(struct window *w, struct process_table *processes, struct process *p, const struct record_sample *s,
		   const struct record_memory *memory, int64_t now_ns)
{
	struct user_walk walk = {
		.w = w, .processes = processes, .process = p, .now_ns = now_ns, .time_ns = (int64_t)s->time_ns
	};
	struct record_sample sample = *s;
	uint32_t thread, node;
	walk.maps_are_good = process_check_maps(processes, p, s, now_ns);
	int r = memory && walk.maps_are_good ? finish_stack(&walk, memory, &sample.user) : 0;
	if (r == 0)
		r = find_node(&walk, &sample, &node);
	if (r == 0)
		r = window_thread(w, p, s->tid, s->comm, &thread);
	if (r == 0)
		r = window_add_weight(w, thread, node, walk.end, s->weight, walk.time_ns);
	if (r == -ENOENT)
		w->info.lost[LOSS_stack_missing]++;
	else if (r < 0)
		w->info.lost[LOSS_window_full]++;
	else
		count_end(w, s, walk.end);
}
