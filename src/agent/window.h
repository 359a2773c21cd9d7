/* SPDX-License-Identifier: Apache-2.0 */
/* window.h: what was sampled in one window of time, as dense columns.
 *
 *   stacks    hash -> raw addresses, as they came
 *   objects   binary | kernel | generated code of a process
 *   places    { object, address, how found }      a location, once
 *   nodes     { parent, place }   parent < child  root first: user frames,
 *                                                 kernel frames above them
 *   series    { service, container }              one profile each
 *   processes { pid, series }, threads { process, tid, name }
 *   samples   { thread, node, why it ends } -> weight, count
 *   moments   { sample, when, weight }   where they are wanted and have room
 *
 * All rows are interned; id 0 of nodes is the root, of places and objects
 * "none". Everything dies with the window; what it needs of processes and
 * binaries it holds by reference. Memory is capped: what does not fit is
 * counted as window_full. */
#pragma once

#include "collect/process.h"
#include "model/window_info.h"
#include "base/strtab.h"
#include "base/u64map.h"

enum object_kind {
	OBJECT_NONE,	  /* an address that is in no mapping */
	OBJECT_SYNTHETIC, /* place.addr is an enum stack_end: the root of a stack that is not whole */
	OBJECT_FILE,
	OBJECT_KERNEL,
	OBJECT_CODE, /* generated at run time */
};

struct window_object {
	enum object_kind kind;
	struct binary *binary;	 /* OBJECT_FILE */
	struct process *process; /* OBJECT_CODE */
};

struct window_place {
	uint32_t object;
	uint64_t addr; /* FILE: the ELF's virtual address; else the process's. Callers: return address - 1 */
	uint8_t how;   /* enum frame_how */
	/* Filled by naming: */
	struct str_id name, system_name, module;
};

struct window_node {
	uint32_t parent, place;
};

struct window_series {
	struct str_id service, container;
	uint64_t weight, n_samples;
};

struct window_process {
	pid_t pid;
	uint32_t series;
};

struct window_thread {
	uint32_t process;
	uint32_t tid;
	char comm[SAMPLER_COMM];
};

struct window_sample {
	uint32_t thread, node;
	uint32_t end; /* enum stack_end */
	uint32_t n;
	uint64_t weight;
};

/* One observation of a sample. */
struct window_moment {
	uint32_t sample;
	uint32_t offset_us; /* after start_mono_ns */
	uint32_t weight;    /* its part of the sample's */
};

struct window_stack {
	uint32_t off, n; /* in addresses */
	uint32_t end;	 /* enum stack_end */
};

struct window {
	uint32_t number;
	int64_t start_ns, end_ns; /* CLOCK_REALTIME at the start; and so much later as it took */
	int64_t start_mono_ns;
	uint32_t moments_max;	/* 0: nobody wants them */
	uint32_t moments_shift; /* one of 2^shift samples has its moment kept */
	uint32_t moments_seen;
	struct window_info info;

	struct strtab strings;
	struct u64map ids; /* of all the rows below, by a hash of what makes them equal */
	VEC(uint64_t) addresses;
	VEC(struct window_stack) stacks;
	VEC(struct window_object) objects;
	VEC(struct window_place) places;
	VEC(struct window_node) nodes;
	VEC(struct window_series) series;
	VEC(struct window_process) processes;
	VEC(struct window_thread) threads;
	VEC(struct window_sample) samples;
	VEC(struct window_moment) moments;
	struct membudget budget;
};

/* Empty, at most max_size bytes. -ENOMEM. window_done() gives all back. */
int window_init(struct window *w, uint32_t number, int64_t start_ns, size_t max_size) must_check;
void window_done(struct window *w);

/* All of these: 0 or negative errno when the window is full. */
int window_add_stack(struct window *w, const struct record_stack *s) must_check;
/* NULL when its body did not arrive. */
const struct window_stack *window_find_stack(const struct window *w, uint64_t hash);

int window_object_of_file(struct window *w, struct binary *b, uint32_t *ret) must_check;
int window_object_of_code(struct window *w, struct process *p, uint32_t *ret) must_check;
int window_object_of_kind(struct window *w, enum object_kind kind, uint32_t *ret) must_check;
int window_place(struct window *w, uint32_t object, uint64_t addr, enum frame_how how, uint32_t *ret) must_check;
int window_node(struct window *w, uint32_t parent, uint32_t place, uint32_t *ret) must_check;
int window_thread(struct window *w, const struct process *p, uint32_t tid, const char *comm, uint32_t *ret) must_check;
int window_series(struct window *w, const char *service, const char *container, uint32_t *ret) must_check;
int window_add_weight(struct window *w, uint32_t thread, uint32_t node, enum stack_end end, uint64_t weight,
		      int64_t mono_ns) must_check;

/* From now on samples keep when they were: at most `max`, and what a quarter of
 * max_size holds. Of more, every second one keeps it, then every fourth ...; the
 * others keep their weight. */
void window_keep_moments(struct window *w, uint32_t max);
/* Moments by sample, for each in the order they came. */
void window_sort_moments(struct window *w);

/* Remembers under two numbers which node a stack became. 0 = not known. */
uint32_t window_recall(const struct window *w, uint64_t a, uint64_t b);
int window_remember(struct window *w, uint64_t a, uint64_t b, uint32_t value) must_check;
