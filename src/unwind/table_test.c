/* SPDX-License-Identifier: Apache-2.0 */
/* Judged by readelf, which reads the same sections on its own. */
#include "unwind/table.h"
#include "unit.h"

#include "unwind/replay.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* One binary, seen at the offsets of its file. */
struct binary {
	int fd;
	struct elf elf;
	struct pool *pool;
	struct unwind_table table;
	struct replay view;
};

static void see(struct binary *b)
{
	uint32_t slot = pool_new_slot(b->pool), word;
	assert_true(slot >= TABLE_FIRST);
	pool_set_table(b->pool, slot, &b->table.in_pool);
	struct pool_mapping m = { .end = UINT64_MAX >> 1, .slot = slot };
	assert_int_equal(pool_alloc(b->pool, sizeof(m) / 4, &word), 0);
	memcpy(pool_words(b->pool, word, sizeof(m) / 4), &m, sizeof(m));
	b->view = (struct replay){ .pool = b->pool, .list = word, .n_mappings = 1 };
}

static void open_binary(struct binary *b, const char *path)
{
	struct error err = { "" };
	b->fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(b->fd >= 0);
	if (elf_init(&b->elf, b->fd, &err) < 0)
		fail_msg("%s: %s", path, err.text);
	assert_int_equal(pool_new(NULL, 16, &b->pool), 0);
	assert_int_equal(unwind_table_load(&b->elf, b->pool, NULL, &b->table), 0);
	see(b);
}

static void close_binary(struct binary *b)
{
	unwind_table_unload(&b->table, b->pool);
	pool_free_all(&b->pool);
	(void)close(b->fd);
}

static const struct unwind_rule *find(const struct binary *b, uint64_t pc)
{
	static const struct unwind_rule gap = { .cfa = RULE_GAP };
	for (uint32_t i = 0; i < b->elf.n_loads; i++) {
		const struct elf_load *load = &b->elf.loads[i];
		if (!load->executable || pc - load->vaddr >= load->file_size)
			continue;
		const struct unwind_rule *u = replay_rule(&b->view, pc - load->vaddr + load->file_off);
		return u ? u : &gap;
	}
	return &gap;
}

/* What readelf prints for a rule: "rsp+16", "c-8" ... */
struct printed {
	char cfa[32], fp[32], ra[32];
};

static void print_rule(const struct unwind_rule *u, struct printed *p)
{
	if (u->cfa == RULE_SP || u->cfa == RULE_FP)
		(void)snprintf(p->cfa, sizeof(p->cfa), "%s%+" PRId32, u->cfa == RULE_SP ? "rsp" : "rbp", u->cfa_off);
	else
		(void)snprintf(p->cfa, sizeof(p->cfa), "%s", u->cfa == RULE_GAP ? "gap" : "exp");
	if (u->fp == RULE_FP_AT_CFA)
		(void)snprintf(p->fp, sizeof(p->fp), "c%+d", u->fp_off);
	else
		(void)snprintf(p->fp, sizeof(p->fp), "%s", u->fp == RULE_FP_SAME ? "u" : "exp");
	(void)snprintf(p->ra, sizeof(p->ra), "c%+d", u->ra_off);
}

/* Columns of readelf's table: "LOC CFA rbx rbp ra". */
struct columns {
	int fp, ra;
};

static void read_columns(char *line, struct columns *c)
{
	c->fp = c->ra = -1;
	int i = 0;
	for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"), i++) {
		if (strcmp(word, "rbp") == 0)
			c->fp = i;
		else if (strcmp(word, "ra") == 0)
			c->ra = i;
	}
}

/* One row of readelf against ours. False: it says what a rule cannot hold. */
static bool compare_row(const struct binary *b, char *line, const struct columns *c)
{
	struct printed theirs = { .fp = "u" }, ours;
	char *rest, *word = strtok_r(line, " \n", &rest);
	uint64_t pc = strtoull(word, NULL, 16);
	for (int i = 1; (word = strtok_r(NULL, " \n", &rest)); i++) {
		char *to = i == 1 ? theirs.cfa : i == c->fp ? theirs.fp : i == c->ra ? theirs.ra : NULL;
		if (to)
			(void)snprintf(to, sizeof(theirs.cfa), "%s", word);
	}
	if (strcmp(theirs.fp, "s") == 0)
		(void)strcpy(theirs.fp, "u");
	const struct unwind_rule *u = find(b, pc);
	if (strcmp(theirs.ra, "u") == 0) {
		assert_int_equal(u->cfa, RULE_STOP);
		return true;
	}
	if (u->cfa == RULE_UNSUPPORTED)
		return false;
	print_rule(u, &ours);
	if (u->cfa == RULE_SIGNAL)
		assert_string_equal(theirs.cfa, "exp");
	else if (strcmp(ours.cfa, theirs.cfa) || strcmp(ours.fp, theirs.fp) || strcmp(ours.ra, theirs.ra))
		fail_msg("at %#" PRIx64 ": %s %s %s, readelf says %s %s %s", pc, ours.cfa, ours.fp, ours.ra, theirs.cfa,
			 theirs.fp, theirs.ra);
	return true;
}

/* Every row of `path`; returns how many. */
static unsigned compare_with_readelf(const char *path)
{
	struct binary b;
	open_binary(&b, path);
	char command[4200], line[1024];
	(void)snprintf(command, sizeof(command), "readelf --debug-dump=frames-interp '%s'", path);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	struct columns columns = { -1, -1 };
	bool in_fde = false;
	unsigned n = 0, n_unsupported = 0;
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, " FDE ") || strstr(line, " CIE "))
			in_fde = strstr(line, " FDE ");
		else if (strstr(line, "   LOC  "))
			read_columns(line, &columns);
		else if (in_fde && strlen(line) > 20 && line[16] == ' ') {
			n++;
			n_unsupported += !compare_row(&b, line, &columns);
		}
	}
	assert_int_equal(pclose(f), 0);
	assert_true(n_unsupported <= 5 + n / 500);
	assert_int_equal(b.table.n_malformed, 0);
	close_binary(&b);
	return n;
}

static void rows_are_those_of_readelf(void **state)
{
#ifndef __x86_64__
	skip_because("register names are x86-64's");
#endif
	if (system("readelf --version >/dev/null 2>&1") != 0)
		skip_because("readelf is not here");
	Dl_info libc;
	assert_true(dladdr((void *)printf, &libc));
	assert_true(compare_with_readelf(libc.dli_fname) > 10000);
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	assert_true(n > 0);
	self[n] = 0;
	assert_true(compare_with_readelf(self) > 100);
}

#ifdef __x86_64__
static uint64_t own_vaddr(const struct binary *b, void *address)
{
	Dl_info info;
	assert_true(dladdr(address, &info));
	uint64_t vaddr = (uint64_t)(uintptr_t)address;
	return b->elf.loads[0].vaddr + (vaddr - (uint64_t)(uintptr_t)info.dli_fbase);
}

extern void _start(void);
extern void realigned(void);

/* What gcc makes of a function that realigns its stack by r10. */
__asm__(".text\n"
	".globl realigned\n"
	".type realigned, @function\n"
	"realigned:\n"
	".cfi_startproc\n"
	".cfi_def_cfa 6, 16\n"
	"nop\n"
	".cfi_escape 0x10, 6, 2, 0x76, 0\n"   /* rbp = *(rbp + 0) */
	".cfi_escape 0xf, 3, 0x76, 0x78, 6\n" /* CFA = *(rbp - 8) */
	"nop\n"
	".cfi_escape 0xf, 5, 0x77, 16, 6, 0x23, 8\n" /* CFA = *(rsp + 16) + 8 */
	"nop\n"
	".cfi_escape 0xf, 2, 0x30, 6\n" /* CFA = *0: no rule holds that */
	"nop\n"
	".cfi_def_cfa 3, 8\n" /* CFA = rbx + 8: nor that */
	"nop\n"
	".cfi_undefined 16\n"
	"nop\n"
	".cfi_endproc\n"
	".size realigned, . - realigned\n");
#endif

static void the_forms_compilers_use_are_told_apart(void **state)
{
#ifndef __x86_64__
	skip_because("the assembly is x86-64's");
#else
	struct binary b;
	open_binary(&b, "/proc/self/exe");
	assert_int_equal(find(&b, own_vaddr(&b, (void *)_start) + 4)->cfa, RULE_STOP);
	uint64_t at = own_vaddr(&b, (void *)realigned);
	const struct unwind_rule expected[] = {
		{ .cfa = RULE_FP, .cfa_off = 16, .ra_off = -8 },
		{ .cfa = RULE_FP_DEREF, .cfa_off = -8, .fp = RULE_FP_AT_FP, .ra_off = -8 },
		{ .cfa = RULE_SP_DEREF, .cfa_off = 16, .cfa_add = 8, .fp = RULE_FP_AT_FP, .ra_off = -8 },
		{ .cfa = RULE_UNSUPPORTED },
		{ .cfa = RULE_UNSUPPORTED },
		{ .cfa = RULE_STOP },
	};
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		assert_memory_equal(find(&b, at + i), &expected[i], sizeof(expected[i]));
	assert_int_equal(find(&b, 0)->cfa, RULE_GAP);
	assert_int_equal(find(&b, UINT64_MAX / 2 - 1)->cfa, RULE_GAP);
	close_binary(&b);
#endif
}

/* The agent's memory is small and the binaries of others are not. */
static void memory_is_bounded(void **state)
{
	Dl_info libc;
	assert_true(dladdr((void *)printf, &libc));
	struct binary b = { .fd = open(libc.dli_fname, O_RDONLY | O_CLOEXEC) };
	assert_int_equal(elf_init(&b.elf, b.fd, NULL), 0);
	assert_int_equal(pool_new(NULL, 1, &b.pool), 0);
	struct membudget budget = membudget_of(1 << 20);
	assert_int_equal(unwind_table_load(&b.elf, b.pool, &budget, &b.table), 0);
	assert_true(budget.peak < 12 * (size_t)b.table.n_functions + (512 << 10));
	struct pool_stats stats = pool_stats(b.pool);
	size_t overhead = (size_t)b.table.in_pool.n_pages * (ROW_HEADS + POOL_UNIT_WORDS + 1) + 2 * POOL_UNIT_WORDS;
	assert_true(stats.n_used_words < b.table.n_rows + overhead);
	size_t peak = budget.peak;
	unwind_table_unload(&b.table, b.pool);
	assert_int_equal(budget.used, 0);
	pool_reclaim(b.pool);
	assert_int_equal(pool_stats(b.pool).n_segments, 0);
	budget = membudget_of(peak / 2);
	assert_int_equal(unwind_table_load(&b.elf, b.pool, &budget, &b.table), -ENOBUFS);
	assert_int_equal(budget.used, 0);
	pool_free_all(&b.pool);
	assert_int_equal(pool_new(NULL, 0, &b.pool), 0);
	assert_int_equal(unwind_table_load(&b.elf, b.pool, NULL, &b.table), -ENOBUFS);
	pool_free_all(&b.pool);
	(void)close(b.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_those_of_readelf),
		cmocka_unit_test(the_forms_compilers_use_are_told_apart),
		cmocka_unit_test(memory_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
