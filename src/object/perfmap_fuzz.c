/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a perf map. */
#include "object/perfmap.h"

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
	int fd = memfd_create("perfmap", MFD_CLOEXEC);
	if (fd < 0 || fd_write_all(fd, data, size) < 0)
		return 0;
	uint64_t addrs[64], end = 0;
	for (uint32_t i = 0; i < 64; i++)
		addrs[i] = i < 32 ? i * 16 : (uint64_t)i << 42;
	struct perfmap_stats stats;
	if (perfmap_lookup(fd, addrs, 64, (struct symrange_sink){ check_range, &end }, &stats, NULL) == 0)
		assert(stats.n_bad_lines <= stats.n_lines);
	return 0;
}
