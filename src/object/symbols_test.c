/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: names that a binary has, but in another place
 * than the first one looked at. */
#include "golang.h"
#include "scratch.h"

#include "object/gofuncs.h"
#include "object/symbols.h"
#include "object/symtab.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MAX_ANSWERS 4096

static const struct symbols_env nowhere = { .place.root = -1 };

struct answer {
	uint64_t start, end;
	char name[256];
};

struct answers {
	uint32_t n, max;
	struct answer *all;
};

static int take_answer(void *arg, const struct symrange *r)
{
	struct answers *a = arg;
	assert_true(r->start < r->end);
	assert_true(a->n < MAX_ANSWERS);
	if (a->n == a->max)
		return -ENOBUFS;
	struct answer *to = &a->all[a->n++];
	*to = (struct answer){ r->start, r->end, "" };
	(void)snprintf(to->name, sizeof(to->name), "%.*s", SLICE_FMT(r->name));
	return 0;
}

static struct answers answers_new(void)
{
	struct answers a = { .max = UINT32_MAX, .all = calloc(MAX_ANSWERS, sizeof(*a.all)) };
	assert_non_null(a.all);
	return a;
}

static void answers_done(struct answers *a)
{
	free(a->all);
}

static const struct answer *answer_at(const struct answers *a, uint64_t addr)
{
	const struct answer *found = NULL;
	for (uint32_t i = 0; i < a->n; i++) {
		if (addr < a->all[i].start || addr >= a->all[i].end)
			continue;
		assert_null(found); /* ranges do not overlap */
		found = &a->all[i];
	}
	return found;
}

/* Addresses all over the code, in rising order. */
static uint32_t pick(const struct elf *e, uint64_t *addrs, uint32_t n)
{
	uint32_t k = 0;
	for (uint32_t i = 0; i < e->n_loads; i++) {
		const struct elf_load *l = &e->loads[i];
		for (uint32_t j = 0; l->executable && j < n; j++)
			addrs[k++] = l->vaddr + l->mem_size / n * j;
	}
	return k;
}

static void open_elf(const char *path, int *fd, struct elf *e)
{
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(elf_init(e, *fd, NULL), 0);
}

static void test_one_source_answers_as_ever(void **state)
{
	char path[4096];
	const char *root = getenv("WICK_BUILD_ROOT");
	(void)snprintf(path, sizeof(path), "%s/src/object/victim", root ? root : ".");
	_cleanup_(close_fd)
	int fd = -1;
	struct elf e;
	open_elf(path, &fd, &e);
	_cleanup_(answers_done)
	struct answers want = answers_new(), have = answers_new();
	uint64_t addrs[500];
	uint32_t n = pick(&e, addrs, 500);
	assert_int_equal(symtab_lookup(&e, addrs, n, (struct symrange_sink){ take_answer, &want }, NULL), 0);
	assert_int_equal(symbols_lookup(&e, &nowhere, addrs, n, (struct symrange_sink){ take_answer, &have }, NULL), 0);
	assert_int_equal(have.n, want.n);
	for (uint32_t i = 0; i < want.n; i++)
		assert_memory_equal(answer_at(&have, want.all[i].start), &want.all[i], sizeof(want.all[i]));
}

/* A stripped library of Go and C. */
static void open_shared(int *fd, struct elf *e)
{
	char path[64], command[256];
	(void)snprintf(path, sizeof(path), "%s/shared.so", scratch);
	if (!go_is_here())
		skip_because("go is not here");
	if (access(path, R_OK) != 0 &&
	    !go_build("shared", "CGO_ENABLED=1", "-buildmode=c-shared '-ldflags=-s -w'", path))
		skip_because("go builds no C library here");
	(void)snprintf(command, sizeof(command), "strip '%s' 2>/dev/null", path);
	if (system(command) != 0)
		skip_because("strip is not here");
	open_elf(path, fd, e);
	assert_int_equal(e->symtab.size, 0);
}

/* Where the library's in_c() lies, by another reader of .dynsym. */
static uint64_t address_of_in_c(void)
{
	char command[128];
	unsigned long long address = 0;
	(void)snprintf(command, sizeof(command), "nm -D '%s/shared.so' | grep ' in_c$'", scratch);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llx", &address), 1);
	assert_int_equal(pclose(f), 0);
	return address;
}

static void test_go_and_c_of_one_library(void **state)
{
	_cleanup_(close_fd)
	int fd = -1;
	struct elf e;
	struct gopclntab t;
	open_shared(&fd, &e);
	assert_int_equal(gopclntab_find(&e, &t), 0);
	_cleanup_(answers_done)
	struct answers go = answers_new(), all = answers_new();
	uint64_t addrs[2001];
	uint32_t n = pick(&e, addrs, 2000), n_go = 0;
	assert_int_equal(gofuncs_lookup(&t, addrs, n, (struct symrange_sink){ take_answer, &go }, NULL), 0);
	assert_int_equal(symbols_lookup(&e, &nowhere, addrs, n, (struct symrange_sink){ take_answer, &all }, NULL), 0);
	for (uint32_t i = 0; i < n; i++) {
		const struct answer *a = answer_at(&all, addrs[i]), *g = answer_at(&go, addrs[i]);
		assert_non_null(a);
		if (g->name[0])
			assert_memory_equal(a, g, sizeof(*a));
		else
			/* Cut, where it would reach into the Go code. */
			assert_true(a->end <= t.start || a->start >= t.end);
		n_go += g->name[0] != 0;
	}
	assert_true(n_go > 1000);
	uint64_t in_c = address_of_in_c();
	all.n = 0;
	assert_int_equal(symbols_lookup(&e, &nowhere, &in_c, 1, (struct symrange_sink){ take_answer, &all }, NULL), 0);
	assert_string_equal(all.all[0].name, "in_c");
}

static void test_the_sink_ends_it(void **state)
{
	_cleanup_(close_fd)
	int fd = -1;
	struct elf e;
	open_shared(&fd, &e);
	uint64_t addrs[100];
	uint32_t n = pick(&e, addrs, 100);
	for (uint32_t max = 0; max < 5; max++) {
		_cleanup_(answers_done)
		struct answers a = answers_new();
		a.max = max;
		assert_int_equal(
			symbols_lookup(&e, &nowhere, addrs, n, (struct symrange_sink){ take_answer, &a }, NULL),
			-ENOBUFS);
		assert_int_equal(a.n, max);
	}
}

/* One source cannot be read: the others' names are there, and nothing is said
 * about the rest. */
static void test_a_source_that_fails(void **state)
{
	_cleanup_(close_fd)
	int fd = -1;
	struct elf e;
	struct gopclntab t;
	open_shared(&fd, &e);
	assert_int_equal(gopclntab_find(&e, &t), 0);
	uint64_t dynsym_size = e.dynsym.size;
	e.dynsym.size = SYMTAB_MAX_SIZE + 24;
	_cleanup_(answers_done)
	struct answers a = answers_new();
	struct error err = { "" };
	uint64_t addrs[] = { t.start - 1, t.start, t.end };
	assert_int_equal(symbols_lookup(&e, &nowhere, addrs, 3, (struct symrange_sink){ take_answer, &a }, &err),
			 -E2BIG);
	assert_non_null(strstr(err.text, "symbol table of"));
	assert_int_equal(a.n, 1);
	assert_int_equal(a.all[0].start, t.start);
	e.dynsym.size = dynsym_size;
	/* Compressed symbols that are none: .dynsym's names are there. */
	uint64_t in_c = address_of_in_c();
	a.n = 0;
	e.debugdata = (struct elf_table){ 0, 100 };
	assert_int_equal(symbols_lookup(&e, &nowhere, &in_c, 1, (struct symrange_sink){ take_answer, &a }, &err),
			 -EBADMSG);
	assert_string_equal(err.text, "cannot unpack .gnu_debugdata: Bad message");
	assert_int_equal(a.n, 1);
	assert_string_equal(a.all[0].name, "in_c");
	assert_int_equal(symbols_lookup(&e, &nowhere, addrs, SYMBOLS_MAX_BATCH + 1,
					(struct symrange_sink){ take_answer, &a }, &err),
			 -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_source_answers_as_ever),
		cmocka_unit_test(test_go_and_c_of_one_library),
		cmocka_unit_test(test_the_sink_ends_it),
		cmocka_unit_test(test_a_source_that_fails),
	};
	return cmocka_run_group_tests_name("symbols", tests, make_scratch, remove_scratch);
}
