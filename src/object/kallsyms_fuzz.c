/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the text of /proc/kallsyms. */
#include "object/kallsyms.h"

#include "base/file.h"

#include <assert.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_range(void *arg, const struct symrange *r)
{
	uint64_t *end = arg;
	assert(r->start < r->end && r->start >= *end);
	assert(r->name.size <= SYMBOL_NAME_MAX);
	*end = r->end;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(close_fd)
	int fd = memfd_create("text", MFD_CLOEXEC);
	if (fd < 0 || fd_write_all(fd, data, size) < 0)
		return 0;
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	_cleanup_(kallsyms_free)
	struct kallsyms *k = NULL;
	if (kallsyms_open(path, NULL, &k, NULL) < 0)
		return 0;
	uint64_t addrs[64], end = 0;
	for (uint64_t i = 0; i < 64; i++)
		addrs[i] = i < 16 ? i << 12 : UINT64_MAX - ((63 - i) << 20);
	assert(kallsyms_lookup(k, addrs, 64, (struct symrange_sink){ check_range, &end }, NULL) == 0);
	return 0;
}
