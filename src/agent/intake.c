/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/intake.h"

#include <errno.h>

/* Walks one user stack, leaf first, and adds it root first. */
struct user_walk {
	struct window *w;
	struct process_table *processes;
	struct process *process;
	int64_t now_ns;
	uint32_t n;
	uint32_t places[SAMPLER_DEPTH];
	bool is_broken;
	bool is_unsure; /* the maps may not be up to date: not worth remembering */
};

static int add_synthetic(struct window *w, enum synthetic what, uint32_t *node)
{
	uint32_t object, place;
	int r = window_object_of_kind(w, OBJECT_SYNTHETIC, &object);
	if (r == 0)
		r = window_place(w, object, what, &place);
	return r < 0 ? r : window_node(w, *node, place, node);
}

static int place_in_map(struct user_walk *u, const struct process_map *m, uint64_t addr, uint32_t *ret)
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
	return r < 0 ? r : window_place(u->w, object, vaddr, ret);
}

static int walk_user(struct user_walk *u, const uint64_t *addrs, uint32_t n)
{
	for (uint32_t i = 0; i < n && !u->is_broken; i++) {
		/* A return address may stand behind the end of its function. */
		uint64_t addr = i == 0 ? addrs[i] : addrs[i] - 1;
		const struct process_map *m = process_find_map(u->processes, u->process, addr, i == 0, u->now_ns);
		int r = 0;
		if (m)
			r = place_in_map(u, m, addr, &u->places[u->n++]);
		else if (i == 0)
			r = window_place(u->w, 0, addr, &u->places[u->n++]);
		else
			u->is_broken = true;
		u->is_unsure |= !m;
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_user_stack(struct user_walk *u, const struct window_stack *stack, bool is_cut, uint32_t *node)
{
	struct window *w = u->w;
	if (u->process->is_gone)
		return add_synthetic(w, SYNTHETIC_GONE, node);
	uint64_t addrs[SAMPLER_DEPTH];
	memcpy(addrs, w->addresses.data + stack->off, stack->n * sizeof(addrs[0]));
	int r = walk_user(u, addrs, stack->n);
	if (r == 0 && (u->is_broken || is_cut))
		r = add_synthetic(w, u->is_broken ? SYNTHETIC_INCOMPLETE : SYNTHETIC_CUT, node);
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
		r = window_place(w, object, i == 1 ? addr : addr - 1, &place);
		if (r == 0)
			r = window_node(w, *node, place, node);
	}
	return r;
}

/* -ENOENT: a stack's body is missing. */
static int find_node(struct user_walk *u, const struct record_sample *s, uint32_t *ret)
{
	struct window *w = u->w;
	uint32_t node = 0;
	int r = 0;
	if (s->user) {
		const struct window_stack *stack = window_find_stack(w, s->user);
		uint32_t known = window_recall(w, u->process->serial, s->user);
		if (!stack)
			return -ENOENT;
		if (known)
			node = known;
		else
			r = add_user_stack(u, stack, s->flags & SAMPLE_USER_CUT, &node);
		if (r == 0 && !known && node && !u->is_unsure)
			r = window_remember(w, u->process->serial, s->user, node);
	}
	if (r == 0 && s->kernel) {
		const struct window_stack *stack = window_find_stack(w, s->kernel);
		uint64_t below = (uint64_t)1 << 63 | node;
		uint32_t known = window_recall(w, below, s->kernel);
		if (!stack)
			return -ENOENT;
		if (known)
			node = known;
		else
			r = add_kernel_stack(w, stack, &node);
		if (r == 0 && !known)
			r = window_remember(w, below, s->kernel, node);
	}
	*ret = node;
	return r;
}

void intake_sample(struct window *w, struct process_table *processes, struct process *p, const struct record_sample *s,
		   int64_t now_ns)
{
	struct user_walk walk = { .w = w, .processes = processes, .process = p, .now_ns = now_ns };
	uint32_t thread, node;
	int r = find_node(&walk, s, &node);
	if (r == 0)
		r = window_thread(w, p, s->tid, s->comm, &thread);
	if (r == 0)
		r = window_add_weight(w, thread, node, s->weight);
	if (r == -ENOENT)
		w->info.lost[LOSS_stack_missing]++;
	else if (r < 0)
		w->info.lost[LOSS_window_full]++;
	if (r < 0)
		return;
	w->info.lost[LOSS_stack_error] += (s->flags & (SAMPLE_USER_ERROR | SAMPLE_KERNEL_ERROR)) != 0;
	w->info.lost[LOSS_truncated] += (s->flags & (SAMPLE_USER_CUT | SAMPLE_KERNEL_CUT)) != 0;
}
