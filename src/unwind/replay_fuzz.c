/* SPDX-License-Identifier: Apache-2.0 */
/* An input is a struct walk, a few rules, and the memory of a stack: whatever
 * they say, a walk ends, with a reason and frames that lie in code. */
#include "unwind/replay.h"

#include <assert.h>
#include <string.h>

#define CODE	0x400000
#define N_RULES 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct head {
	struct unwind_rule rule[N_RULES];
	uint32_t pc, sp, fp;
	uint8_t is_call, fp_lost;
};

static bool take(const uint8_t **data, size_t *size, void *to, size_t n)
{
	if (*size < n)
		return false;
	memcpy(to, *data, n);
	*data += n;
	*size -= n;
	return true;
}

/* Rule i holds from CODE + i * 0x1000 on. */
static uint32_t put_table(struct pool *p, const struct unwind_rule *rule)
{
	uint32_t word, pages, n = ROW_HEADS + N_RULES;
	if (pool_alloc(p, n, &word) < 0 || pool_alloc(p, 1, &pages) < 0)
		return 0;
	uint32_t *w = pool_words(p, word, n);
	for (uint32_t i = 0; i < ROW_HEADS; i++)
		w[i] = i < N_RULES ? i | 1u << 16 : N_RULES;
	for (uint32_t i = 0; i < N_RULES; i++)
		w[ROW_HEADS + i] = i << 12 | (uint32_t)pool_rule(p, &rule[i]) << 16;
	*pool_words(p, pages, 1) = word;
	uint32_t slot = pool_new_slot(p);
	pool_set_table(p, slot, &(struct pool_table){ pages, 1 });
	return slot;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct record_stack stack;
	struct head h;
	struct pool *p;
	uint32_t list;
	if (!take(&data, &size, &h, sizeof(h)) || pool_new(NULL, 1, &p) < 0)
		return 0;
	for (uint32_t i = 0; i < N_RULES; i++)
		h.rule[i].cfa %= RULE_PLT + 1;
	const struct pool_mapping maps[] = {
		{ CODE, CODE + 0x10000, CODE, put_table(p, h.rule), 0 },
		{ CODE + 0x10000, CODE + 0x20000, 0, TABLE_JIT, 0 },
		{ CODE + 0x20000, CODE + 0x30000, 0, TABLE_ABSENT, 0 },
		{ CODE + 0x30000, CODE + 0x40000, 0, TABLE_PENDING, 0 },
	};
	if (pool_alloc(p, sizeof(maps) / 4, &list) == 0) {
		memcpy(pool_words(p, list, sizeof(maps) / 4), maps, sizeof(maps));
		/* Small addresses, so that numbers of the input can be both code and stack. */
		const struct replay r = { p, list, ARRAY_SIZE(maps), CODE, slice_of(data, size), CODE + 0x8000, 0 };
		const struct walk from = { .pc = CODE + h.pc % 0x40000,
					   .sp = CODE + h.sp % 0x10000,
					   .fp = CODE + h.fp % 0x10000,
					   .is_call = h.is_call & 1,
					   .fp_lost = h.fp_lost & 1,
					   .how = HOW_REGISTER };
		replay_stack(&r, &from, &stack);
		assert(stack.end > STACK_GOES_ON && stack.end < N_STACK_ENDS);
		assert(stack.n_frames > 0 && stack.n_frames <= SAMPLER_DEPTH);
		for (uint32_t i = 0; i < stack.n_frames; i++) {
			uint64_t pc = stack.frames[i] & FRAME_ADDRESS;
			bool is_last = i + 1 == stack.n_frames;
			assert((pc >= CODE && pc <= CODE + 0x40000) || (is_last && stack.end == STACK_END_NO_MAPPING));
			assert(stack.frames[i] >> FRAME_HOW_SHIFT < N_FRAME_HOWS);
		}
	}
	pool_free_all(&p);
	return 0;
}
