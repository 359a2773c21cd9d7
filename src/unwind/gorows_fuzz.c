/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a Go program: its functions' rows come in order, inside them. */
#include "unwind/gorows.h"

#include "base/file.h"

#include <assert.h>
#include <sys/mman.h>

#define MAX_FUNCS 1000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct order {
	uint64_t next, end;
};

static int check_row(void *arg, uint64_t start, const struct unwind_rule *rule)
{
	struct order *o = arg;
	assert(start >= o->next && start < o->end);
	assert(rule->cfa <= RULE_PLT && rule->fp <= RULE_FP_LOST && rule->ra <= RULE_RA_IN_LINK);
	o->next = start + 1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(close_fd)
	int fd = memfd_create("go", MFD_CLOEXEC);
	struct elf e;
	struct gorows g;
	if (fd < 0 || fd_write_all(fd, data, size) < 0 || elf_init(&e, fd, NULL) < 0)
		return 0;
	e.is_go = true;
	if (gorows_init(&g, &e) < 0)
		return 0;
	uint64_t i = 0, last = 0;
	for (int r = 0; r >= 0 && i < MAX_FUNCS;) {
		struct gorows_func f;
		r = gorows_next(&g, &i, &f);
		if (r != 1)
			continue;
		assert(f.start < f.end && f.start + 1 >= last);
		last = f.start;
		struct order o = { f.start, f.end };
		(void)!gorows_rows(&g, &f, (struct cfi_sink){ check_row, &o });
	}
	gorows_done(&g);
	return 0;
}
