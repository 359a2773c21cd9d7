/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an ELF file: headers, then a look-up at addresses spread over
 * its segments. What the look-up promises of its ranges is checked. */
#include "object/symtab.h"

#include "base/file.h"

#include <assert.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct order {
	uint64_t end;
};

static int check_range(void *arg, const struct symrange *r)
{
	struct order *o = arg;
	assert(r->start < r->end && r->start >= o->end);
	assert(r->name.size <= SYMBOL_NAME_MAX);
	o->end = r->end;
	return 0;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(close_fd)
	int fd = memfd_create("elf", MFD_CLOEXEC);
	struct elf e;
	char hex[ELF_BUILD_ID_HEX];
	if (fd < 0 || fd_write_all(fd, data, size) < 0 || elf_init(&e, fd, NULL) < 0)
		return 0;
	(void)elf_build_id_hex(&e, hex);
	uint64_t addrs[4 * ELF_MAX_LOADS];
	uint32_t n = 0;
	for (uint32_t i = 0; i < e.n_loads; i++)
		for (uint64_t k = 0; k < 4; k++)
			addrs[n++] = e.loads[i].vaddr + e.loads[i].mem_size / 4 * k;
	qsort(addrs, n, sizeof(*addrs), compare_u64);
	struct order o = { 0 };
	(void)!symtab_lookup(&e, addrs, n, (struct symrange_sink){ check_range, &o }, NULL);
	return 0;
}
