/* SPDX-License-Identifier: Apache-2.0 */
/* An input is a section of call frame information; its first byte chooses
 * machine and kind of section. */
#include "unwind/replay.h"
#include "unwind/table.h"

#include <assert.h>
#include <elf.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever was read, every address has a rule or none. */
static void look_around(struct pool *pool, const struct unwind_table *t)
{
	uint32_t slot = pool_new_slot(pool), word;
	pool_set_table(pool, slot, &t->in_pool);
	const struct pool_mapping m = { .end = UINT32_MAX, .slot = slot };
	if (pool_alloc(pool, sizeof(m) / 4, &word) < 0)
		return;
	memcpy(pool_words(pool, word, sizeof(m) / 4), &m, sizeof(m));
	const struct replay r = { .pool = pool, .list = word, .n_mappings = 1 };
	for (uint64_t off = 0; off < 0x3000; off += 5) {
		const struct unwind_rule *rule = replay_rule(&r, off);
		assert(!rule || rule->cfa <= RULE_PLT);
	}
	pool_free(pool, word, sizeof(m) / 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static struct pool *pool;
	if (fd < 0)
		fd = memfd_create("cfi", MFD_CLOEXEC);
	if (size < 1 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (!pool && pool_new(NULL, 4, &pool) < 0)
		return 0;
	struct elf_cfi section = { .off = 1, .size = size - 1, .vaddr = 0x400000, .is_debug = data[0] & 2 };
	struct elf e = { .fd = fd,
			 .file_size = size,
			 .machine = data[0] & 1 ? EM_AARCH64 : EM_X86_64,
			 .n_loads = 1,
			 .loads[0] = {
				 .vaddr = 0x400000, .mem_size = 1 << 20, .file_size = 1 << 20, .executable = true } };
	*(section.is_debug ? &e.debug_frame : &e.eh_frame) = section;
	struct membudget budget = membudget_of(16 << 20);
	struct unwind_table t;
	if (unwind_table_load(&e, pool, &budget, &t) == 0) {
		look_around(pool, &t);
		unwind_table_unload(&t, pool);
	}
	assert(budget.used == 0);
	/* Rules are never given back: a new pool before they are all in use. */
	if (pool_stats(pool).n_rules > POOL_MAX_RULES / 2)
		pool_free_all(&pool);
	else
		pool_reclaim(pool);
	assert(!pool || pool_stats(pool).n_used_words == 0);
	return 0;
}
