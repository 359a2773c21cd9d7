/* SPDX-License-Identifier: Apache-2.0 */
/* An input is a section of call frame information; its first byte chooses
 * machine and kind of section. */
#include "unwind/table.h"

#include <assert.h>
#include <elf.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	if (fd < 0)
		fd = memfd_create("cfi", MFD_CLOEXEC);
	if (size < 1 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	struct elf_cfi section = { .off = 1, .size = size - 1, .vaddr = 0x400000, .is_debug = data[0] & 2 };
	struct elf e = { .fd = fd,
			 .file_size = size,
			 .machine = data[0] & 1 ? EM_AARCH64 : EM_X86_64,
			 .n_loads = 1,
			 .loads[0] = { .vaddr = 0x400000, .mem_size = size, .file_size = size, .executable = true } };
	*(section.is_debug ? &e.debug_frame : &e.eh_frame) = section;
	struct membudget budget = membudget_of(16 << 20);
	struct unwind_table t;
	if (unwind_table_build(&e, &budget, &t) == 0) {
		for (uint32_t i = 0; i < t.n_rows; i++)
			assert(t.row[i].rule < t.n_rules);
		for (uint64_t pc = t.base; pc < t.base + 0x1000; pc += 5)
			(void)unwind_table_find(&t, pc);
		unwind_table_done(&t);
	}
	assert(budget.used == 0);
	return 0;
}
