/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as .gnu_debugdata, and what comes out as an ELF file. */
#include "object/minidebug.h"
#include "object/symtab.h"

#include "base/file.h"

#include <assert.h>
#include <elf.h>
#include <errno.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ignore_range(void *arg, const struct symrange *r)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(close_fd)
	int fd = memfd_create("section", MFD_CLOEXEC), mini_fd = -1;
	if (fd < 0 || fd_write_all(fd, data, size) < 0)
		return 0;
	struct elf e = { .fd = fd, .file_size = size, .machine = EM_X86_64, .debugdata = { 0, size } }, mini;
	int r = minidebug_open(&e, NULL, &mini_fd, &mini);
	assert(r == 0 || r == -ENOENT || r == -E2BIG || r == -EBADMSG || r == -ENODATA);
	if (r == 0) {
		uint64_t addrs[] = { 0, 0x1000, 0x1100 };
		assert(mini.file_size <= MINIDEBUG_MAX_SIZE);
		(void)!symtab_lookup(&mini, addrs, 3, (struct symrange_sink){ ignore_range, NULL }, NULL);
		close_fd(&mini_fd);
	}
	return 0;
}
