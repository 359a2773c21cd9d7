/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a Go program. What look-up and walk promise is checked. */
#include "object/gofuncs.h"

#include "base/file.h"

#include <assert.h>
#include <sys/mman.h>

#define MAX_FUNCS 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check_range(void *arg, const struct symrange *r)
{
	uint64_t *end = arg;
	assert(r->start < r->end && r->start >= *end);
	assert(r->name.size <= SYMBOL_NAME_MAX);
	*end = r->end;
	return 0;
}

static int check_stretch(void *arg, uint64_t start, uint64_t end, int32_t delta)
{
	uint64_t *at = arg;
	assert(start == *at && start < end);
	*at = end;
	return 0;
}

static void walk(const struct gopclntab *t)
{
	struct gofuncs g;
	if (gofuncs_init(&g, t) < 0)
		return;
	for (uint32_t i = 0; i < t->n_funcs && i < MAX_FUNCS; i++) {
		struct gofunc f;
		if (gofuncs_at(&g, i, &f) < 0)
			continue;
		assert(f.start < f.end && f.start >= t->start && f.end <= t->end);
		uint64_t at = f.start;
		(void)gofuncs_name(&g, &f);
		(void)!gofuncs_stack(&g, &f, (struct gofunc_sink){ check_stretch, &at });
		assert(at <= f.end);
	}
	gofuncs_done(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(close_fd)
	int fd = memfd_create("go", MFD_CLOEXEC);
	struct elf e;
	struct gopclntab t;
	if (fd < 0 || fd_write_all(fd, data, size) < 0 || elf_init(&e, fd, NULL) < 0)
		return 0;
	e.is_go = true;
	if (gopclntab_find(&e, &t) < 0)
		return 0;
	assert(t.start < t.end);
	walk(&t);
	uint64_t addrs[32], end = 0;
	for (uint64_t i = 0; i < 32; i++)
		addrs[i] = i == 0 ? 0 : i == 31 ? UINT64_MAX : t.start + (t.end - t.start) / 29 * (i - 1);
	(void)!gofuncs_lookup(&t, addrs, 32, (struct symrange_sink){ check_range, &end }, NULL);
	return 0;
}
