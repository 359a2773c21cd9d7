/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/perf_sample.h"

#include <string.h>
#if defined(__x86_64__)
#include <asm/perf_regs.h>
#define REGISTERS (1ull << PERF_REG_X86_BP | 1ull << PERF_REG_X86_SP | 1ull << PERF_REG_X86_IP)
enum { REG_FP, REG_SP, REG_PC, N_REGS }; /* in the order of their numbers */
#elif defined(__aarch64__)
#include <asm/perf_regs.h>
#define REGISTERS                                                                                                      \
	(1ull << PERF_REG_ARM64_X29 | 1ull << PERF_REG_ARM64_LR | 1ull << PERF_REG_ARM64_SP | 1ull << PERF_REG_ARM64_PC)
enum { REG_FP, REG_LINK, REG_SP, REG_PC, N_REGS };
#else
#error "unknown machine"
#endif

/* What is left of a record. Reading past its end gives 0 and sticks. */
struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

static const void *take(struct cursor *c, uint64_t size)
{
	const uint8_t *at = c->at;
	if (c->failed || size > (uint64_t)(c->end - c->at)) {
		c->failed = true;
		return NULL;
	}
	c->at += size;
	return at;
}

static uint64_t take_u64(struct cursor *c)
{
	uint64_t v = 0;
	const void *at = take(c, sizeof(v));
	if (at)
		memcpy(&v, at, sizeof(v));
	return v;
}

void perf_sample_want_memory(struct perf_event_attr *attr)
{
	attr->sample_type |= PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER;
	attr->sample_regs_user = REGISTERS;
	attr->sample_stack_user = SAMPLER_MEMORY_MAX;
	attr->exclude_callchain_user = 1;
}

/* Splits a call chain at its PERF_CONTEXT_ markers. */
static void take_chain(struct cursor *c, struct perf_sample *s)
{
	uint64_t n = take_u64(c);
	struct record_stack *side = NULL;
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		uint64_t ip = take_u64(c);
		if (ip >= (uint64_t)PERF_CONTEXT_MAX)
			side = ip == (uint64_t)PERF_CONTEXT_KERNEL ? &s->kernel
			       : ip == (uint64_t)PERF_CONTEXT_USER ? &s->user
								   : NULL;
		else if (side && side->n_frames < SAMPLER_DEPTH_FP)
			side->frames[side->n_frames++] = ip;
	}
}

static void take_memory(struct cursor *c, struct perf_sample *s)
{
	uint64_t regs[N_REGS] = { 0 }, abi = take_u64(c);
	for (int i = 0; i < N_REGS && abi != PERF_SAMPLE_REGS_ABI_NONE; i++)
		regs[i] = take_u64(c);
	uint64_t size = take_u64(c);
	const void *words = take(c, size);
	uint64_t filled = size ? take_u64(c) : 0;
	struct record_memory *m = &s->memory;
	if (c->failed || abi != PERF_SAMPLE_REGS_ABI_64)
		return;
	m->walk = (struct walk){ .pc = regs[REG_PC], .sp = regs[REG_SP], .fp = regs[REG_FP], .how = HOW_REGISTER };
#if defined(__aarch64__)
	m->walk.link = regs[REG_LINK];
#endif
	/* A stack that does not begin at a word: left alone, as nobody has one. */
	m->size = filled <= size && filled <= sizeof(m->words) && (m->walk.sp & 7) == 0 ? (uint32_t)filled : 0;
	if (m->size)
		memcpy(m->words, words, m->size);
	m->stack_start = 0;
	s->has_memory = m->walk.pc != 0;
	s->user.n_frames = s->has_memory;
	s->user.frames[0] = m->walk.pc;
	s->user.end = STACK_END_NEW_PROCESS;
}

bool perf_sample_parse(const struct perf_event_header *record, bool has_memory, struct perf_sample *ret)
{
	struct cursor c = { (const uint8_t *)(record + 1), (const uint8_t *)record + record->size, false };
	uint64_t ids = take_u64(&c);
	ret->pid = (uint32_t)ids;
	ret->tid = (uint32_t)(ids >> 32);
	ret->time_ns = take_u64(&c);
	ret->cpu = (uint32_t)take_u64(&c);
	ret->period = take_u64(&c);
	ret->kernel.n_frames = ret->user.n_frames = 0;
	ret->kernel.end = STACK_GOES_ON;
	take_chain(&c, ret);
	ret->user.end = ret->user.n_frames == SAMPLER_DEPTH_FP ? STACK_END_DEPTH : STACK_END_FRAME_POINTERS;
	ret->has_memory = false;
	if (has_memory)
		take_memory(&c, ret);
	return !c.failed;
}
