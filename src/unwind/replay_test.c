/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over memory made by hand, rule by rule and end by end; then over
 * this test's own stack, judged by the compiler's unwinder. */
#include "unwind/replay.h"
#include "unit.h"

#include "unwind/table.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

/* ---- by hand ------------------------------------------------------------- */

#define CODE	    0x400000 /* function i is at CODE + i * 0x100 */
#define N_FUNCTIONS 8
#define STACK	    0x7ffe0000
#define STACK_WORDS 512

struct fixture {
	struct pool *pool;
	struct replay replay;
	uint64_t stack[STACK_WORDS];
	struct record_stack got;
};

static uint32_t put_words(struct pool *p, const void *data, size_t size)
{
	uint32_t word;
	assert_int_equal(pool_alloc(p, (uint32_t)(size / 4), &word), 0);
	memcpy(pool_words(p, word, (uint32_t)(size / 4)), data, size);
	return word;
}

/* A table with a row for each function, and mappings: it, and generated code behind it. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	if (!f || pool_new(NULL, 4, &f->pool) < 0)
		return -1;
	f->replay = (struct replay){ .pool = f->pool,
				     .memory_start = STACK,
				     .memory = slice_of(f->stack, sizeof(f->stack)) };
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	pool_free_all(&f->pool);
	free(f);
	return 0;
}

static void set_rules(struct fixture *f, const struct unwind_rule *rule, uint32_t n)
{
	struct {
		uint32_t heads[ROW_HEADS];
		struct pool_row rows[N_FUNCTIONS + 1];
	} page = { .heads = { (n + 1) << 16 } };
	for (uint32_t i = 1; i < ROW_HEADS; i++)
		page.heads[i] = n + 1;
	for (uint32_t i = 0; i < n; i++)
		page.rows[i] = (struct pool_row){ (uint16_t)(i * 0x100), pool_rule(f->pool, &rule[i]) };
	page.rows[n] = (struct pool_row){ (uint16_t)(n * 0x100),
					  pool_rule(f->pool, &(struct unwind_rule){ .cfa = RULE_GAP }) };
	uint32_t word = put_words(f->pool, &page, sizeof(page)), slot = pool_new_slot(f->pool);
	uint32_t pages = put_words(f->pool, &word, sizeof(word));
	pool_set_table(f->pool, slot, &(struct pool_table){ pages, 1 });
	struct pool_mapping list[] = {
		{ CODE, CODE + 0x10000, CODE, slot, 0 },
		{ CODE + 0x10000, CODE + 0x20000, 0, TABLE_JIT, 0 },
		{ CODE + 0x20000, CODE + 0x30000, 0, TABLE_ABSENT, 0 },
		{ CODE + 0x40000, CODE + 0x50000, 0, TABLE_PENDING, 0 },
	};
	f->replay.list = put_words(f->pool, list, sizeof(list));
	f->replay.n_mappings = ARRAY_SIZE(list);
}

static uint64_t in(uint32_t function)
{
	return CODE + function * 0x100 + 0x10;
}

static uint64_t at(uint32_t word)
{
	return STACK + word * 8ull;
}

static enum stack_end walk(struct fixture *f, uint64_t pc, uint64_t sp, uint64_t fp)
{
	replay_stack(&f->replay, &(struct walk){ .pc = pc, .sp = sp, .fp = fp, .how = HOW_REGISTER }, &f->got);
	return (enum stack_end)f->got.end;
}

static void assert_frame(const struct fixture *f, uint32_t i, uint64_t pc, enum frame_how how)
{
	assert_true(i < f->got.n_frames);
	assert_int_equal(f->got.frames[i] & FRAME_ADDRESS, pc);
	assert_int_equal(f->got.frames[i] >> FRAME_HOW_SHIFT, how);
}

static const struct unwind_rule stop = { .cfa = RULE_STOP };
static const struct unwind_rule push0 = { .cfa = RULE_SP, .cfa_off = 8, .ra_off = -8 };

static void each_rule_leads_to_the_caller(void **state)
{
	struct fixture *f = *state;
	const struct unwind_rule rules[] = {
		{ .cfa = RULE_SP, .cfa_off = 24, .fp = RULE_FP_AT_CFA, .fp_off = -16, .ra_off = -8 },
		{ .cfa = RULE_FP, .cfa_off = 16, .fp = RULE_FP_AT_CFA, .fp_off = -16, .ra_off = -8 },
		{ .cfa = RULE_FP_DEREF, .cfa_off = -8, .fp = RULE_FP_AT_FP, .ra_off = -8 },
		{ .cfa = RULE_SP_DEREF, .cfa_off = 8, .cfa_add = 8, .fp = RULE_FP_SAME, .ra_off = -8 },
		{ .cfa = RULE_PLT, .cfa_off = 11, .ra_off = -8 },
		stop,
	};
	set_rules(f, rules, ARRAY_SIZE(rules));
	/* 0: CFA = sp + 24, its fp at CFA - 16 */
	f->stack[1] = at(10);
	f->stack[2] = in(1);
	/* 1: CFA = fp + 16 */
	f->stack[10] = at(20);
	f->stack[11] = in(2);
	/* 2: CFA = *(fp - 8), its fp at fp */
	f->stack[19] = at(30);
	f->stack[20] = at(25);
	f->stack[29] = in(3);
	/* 3: CFA = *(sp + 8) + 8 */
	f->stack[31] = at(39);
	f->stack[39] = CODE + 4 * 0x100 + 1; /* byte 1 of a PLT entry: nothing pushed yet */
	/* 4: CFA = sp + 8 */
	f->stack[40] = in(5);
	assert_int_equal(walk(f, in(0), at(0), 0x123), STACK_END_ROOT);
	assert_int_equal(f->got.n_frames, 6);
	assert_frame(f, 0, in(0), HOW_REGISTER);
	for (uint32_t i = 1; i < 6; i++)
		assert_frame(f, i, i == 4 ? CODE + 0x401 : in(i), HOW_TABLE);
}

/* "call" as the last instruction: the return address is the next function's. */
static void a_return_address_belongs_to_the_call_before_it(void **state)
{
	struct fixture *f = *state;
	const struct unwind_rule rules[] = { push0, push0, { .cfa = RULE_UNSUPPORTED } };
	set_rules(f, rules, ARRAY_SIZE(rules));
	f->stack[0] = CODE + 0x200; /* called from the end of function 1 */
	f->stack[1] = 0;	    /* which nobody called */
	assert_int_equal(walk(f, in(0), at(0), 0), STACK_END_ROOT);
	assert_int_equal(f->got.n_frames, 2);
}

static void a_signal_frame_gives_all_registers(void **state)
{
#ifndef __x86_64__
	skip_because("the frame made here is x86-64's");
#else
	struct fixture *f = *state;
	const struct unwind_rule rules[] = {
		push0, { .cfa = RULE_SIGNAL }, { .cfa = RULE_FP, .cfa_off = 16, .ra_off = -8 }, stop
	};
	set_rules(f, rules, ARRAY_SIZE(rules));
	f->stack[0] = CODE + 0x100; /* the restorer, at its first byte: no call leads there */
	f->stack[1 + 5 + 10] = at(200);
	f->stack[1 + 5 + 15] = at(190);
	f->stack[1 + 5 + 16] = CODE + 0x200; /* interrupted at its first byte, too */
	f->stack[201] = in(3);
	/* The restorer is "called" by the kernel: its frame is found at the byte before, if CFI says so. */
	f->stack[0] = in(1);
	assert_int_equal(walk(f, in(0), at(0), 0), STACK_END_ROOT);
	assert_int_equal(f->got.n_frames, 4);
	assert_frame(f, 2, CODE + 0x200, HOW_SIGNAL);
	assert_frame(f, 3, in(3), HOW_TABLE);
#endif
}

static void each_end_has_its_reason(void **state)
{
	struct fixture *f = *state;
	const struct unwind_rule rules[] = {
		push0,
		{ .cfa = RULE_UNSUPPORTED },
		{ .cfa = RULE_FP, .cfa_off = 16, .ra_off = -8 },
		{ .cfa = RULE_SP, .cfa_off = 8, .fp = RULE_FP_LOST, .ra_off = -8 },
		{ .cfa = RULE_SP, .cfa_off = -16, .ra_off = -8 },
	};
	set_rules(f, rules, ARRAY_SIZE(rules));
	f->stack[0] = 0x123456; /* nowhere */
	assert_int_equal(walk(f, in(0), at(0), 0), STACK_END_NO_MAPPING);
	assert_int_equal(f->got.n_frames, 2);
	assert_int_equal(walk(f, in(0), at(STACK_WORDS), 0), STACK_END_UNREADABLE);
	f->stack[0] = in(1);
	assert_int_equal(walk(f, in(0), at(0), 0), STACK_END_UNSUPPORTED);
	f->stack[0] = in(3);
	f->stack[1] = in(2);
	assert_int_equal(walk(f, in(0), at(0), at(10)), STACK_END_LOST_REGISTER);
	assert_int_equal(f->got.n_frames, 3);
	f->stack[20] = in(4);
	assert_int_equal(walk(f, in(0), at(20), 0), STACK_END_NO_PROGRESS);
	f->stack[0] = CODE + 0x40010;
	assert_int_equal(walk(f, in(0), at(0), 0), STACK_END_TABLE_PENDING);
	f->stack[0] = CODE + 0x10010;
	assert_int_equal(walk(f, in(0), at(0), 1), STACK_END_JIT);
	f->stack[0] = CODE + 0x20010;
	assert_int_equal(walk(f, in(0), at(0), 1), STACK_END_NO_UNWIND_INFO);
	assert_int_equal(walk(f, 0x10, at(0), 1), STACK_END_NO_MAPPING);
	assert_int_equal(f->got.n_frames, 1);
}

static void a_loop_ends_at_the_limit(void **state)
{
	struct fixture *f = *state;
	/* sp does not move, but fp does: 16 bytes a frame, over and over. */
	const struct unwind_rule rules[] = { { .cfa = RULE_SP_DEREF, .cfa_off = 0, .ra_off = -8 } };
	set_rules(f, rules, 1);
	for (uint32_t i = 0; i + 1 < STACK_WORDS; i += 2) {
		f->stack[i] = at(i + 2);
		f->stack[i + 1] = in(0);
	}
	assert_int_equal(walk(f, in(0), at(0), 0), STACK_END_UNREADABLE);
	assert_true(f->got.n_frames < SAMPLER_DEPTH);
	f->stack[100] = at(2); /* back down */
	assert_int_equal(walk(f, in(0), at(0), 0), STACK_END_NO_PROGRESS);
}

static void frame_pointers_go_on_where_no_row_is(void **state)
{
	struct fixture *f = *state;
	const uint64_t absent = CODE + 0x20010, generated = CODE + 0x10010;
	set_rules(f, &push0, 1);
	f->stack[4] = at(8);
	f->stack[5] = generated;
	f->stack[8] = 0; /* the ABI's mark of the outermost frame */
	f->stack[9] = absent;
	assert_int_equal(walk(f, absent, at(0), at(4)), STACK_END_ROOT);
	assert_int_equal(f->got.n_frames, 3);
	assert_frame(f, 1, generated, HOW_FP);
	assert_frame(f, 2, absent, HOW_FP);
	/* A pointer to something that is no code is not a frame. */
	f->stack[9] = 0x999;
	assert_int_equal(walk(f, absent, at(0), at(4)), STACK_END_ASTRAY);
	assert_int_equal(f->got.n_frames, 2);
	/* But next to where the stack began, nothing of interest is missing. */
	f->replay.stack_start = at(12);
	assert_int_equal(walk(f, absent, at(0), at(4)), STACK_END_ROOT);
	assert_int_equal(f->got.n_frames, 2);
	f->replay.stack_start = 0;
	/* Below the stack pointer there is nothing. */
	assert_int_equal(walk(f, absent, at(6), at(4)), STACK_END_NO_UNWIND_INFO);
}

#ifdef __x86_64__
/* The bytes of code that lie before `pc`, in the recorded memory. */
static enum stack_end walk_leaf(struct fixture *f, const char *code, size_t size)
{
	uint64_t pc = STACK + 8 * 101;
	memset((char *)&f->stack[100], 0x90, 8);
	memcpy((char *)&f->stack[101] - size, code, size);
	f->stack[0] = pc;
	struct pool_mapping list[] = { { STACK, STACK + 0x10000, 0, TABLE_ABSENT, 0 } };
	f->replay.list = put_words(f->pool, list, sizeof(list));
	f->replay.n_mappings = 1;
	return walk(f, STACK + 0x800, at(0), 1);
}

static void a_leaf_without_rows_may_have_its_caller_on_top(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *code;
		size_t size;
	} calls[] = { { "\xe8\1\2\3\4", 5 },	 { "\xff\xd0", 2 },
		      { "\xff\x13", 2 },	 { "\xff\x55\xf8", 3 },
		      { "\xff\x54\x24\x08", 4 }, { "\xff\x15\1\2\3\4", 6 },
		      { "\xff\x90\1\2\3\4", 6 }, { "\xff\x94\xc1\1\2\3\4", 7 },
		      { "\x41\xff\xd3", 3 },	 { "\xff\x14\xc5\1\2\3\4", 7 } };
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		(void)walk_leaf(f, calls[i].code, calls[i].size);
		if (f->got.n_frames != 2)
			fail_msg("call %zu is not seen", i);
		assert_frame(f, 1, STACK + 8 * 101, HOW_HEURISTIC);
	}
	static const struct {
		const char *code;
		size_t size;
	} others[] = { { "\xff\xe0", 2 }, { "\xff\x30", 2 }, { "\x90\x90\x90\x90\x90", 5 }, { "\xe9\1\2\3\4", 5 } };
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		assert_int_equal(walk_leaf(f, others[i].code, others[i].size), STACK_END_NO_UNWIND_INFO);
		assert_int_equal(f->got.n_frames, 1);
	}
}
#endif

/* ---- this test's own stack ----------------------------------------------- */

#ifdef __x86_64__

#define MAX_OWN 64

struct own {
	struct pool *pool;
	struct unwind_table tables[MAX_OWN];
	struct pool_mapping list[MAX_OWN];
	uint32_t n;
	uint64_t stack_end;
};

static void load_own(struct own *o, uint64_t start, uint64_t end, uint64_t offset, const char *path)
{
	assert_true(o->n < MAX_OWN);
	struct pool_mapping *m = &o->list[o->n];
	*m = (struct pool_mapping){ start, end, start - offset, TABLE_ABSENT, 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf e;
	if (fd >= 0 && elf_init(&e, fd, NULL) == 0) {
		m->slot = pool_new_slot(o->pool);
		assert_int_equal(unwind_table_load(&e, o->pool, NULL, &o->tables[o->n]), 0);
		pool_set_table(o->pool, m->slot, &o->tables[o->n].in_pool);
	}
	if (fd >= 0)
		(void)close(fd);
	o->n++;
}

static void load_own_maps(struct own *o)
{
	*o = (struct own){ 0 };
	assert_int_equal(pool_new(NULL, 64, &o->pool), 0);
	FILE *f = fopen("/proc/self/maps", "re");
	assert_non_null(f);
	char line[4400], path[4200], mode[8];
	uint64_t start, end, offset;
	while (fgets(line, sizeof(line), f)) {
		path[0] = 0;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %*s %*s %4199[^\n]", &start, &end, mode,
			   &offset, path) >= 4 &&
		    mode[2] == 'x' && path[0] == '/')
			load_own(o, start, end, offset, path);
		if (strcmp(path, "[stack]") == 0)
			o->stack_end = end;
	}
	(void)fclose(f);
}

static void free_own(struct own *o)
{
	for (uint32_t i = 0; i < o->n; i++)
		unwind_table_unload(&o->tables[i], o->pool);
	pool_free_all(&o->pool);
}

/* What libgcc says, in return addresses. */
struct theirs {
	uint64_t pc[256];
	uint32_t n;
};

static _Unwind_Reason_Code take_frame(struct _Unwind_Context *c, void *arg)
{
	struct theirs *t = arg;
	if (t->n < ARRAY_SIZE(t->pc) && _Unwind_GetIP(c))
		t->pc[t->n++] = _Unwind_GetIP(c);
	return _URC_NO_REASON;
}

static int depth_wanted;
static struct own own;

/* Word by word: memcpy() is the sanitizer's. */
static __attribute__((noinline, no_sanitize("address"))) void copy_stack(uint64_t sp, uint64_t *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = ((const volatile uint64_t *)sp)[i];
}

static __attribute__((noinline, no_sanitize("address"))) int compare_from_here(void)
{
	static uint64_t copy[1 << 13];
	static struct record_stack got;
	struct theirs t = { .n = 0 };
	struct walk w = { .how = HOW_REGISTER };
	__asm__ volatile("leaq (%%rip), %0\n\tmovq %%rsp, %1\n\tmovq %%rbp, %2\n" : "=r"(w.pc), "=r"(w.sp), "=r"(w.fp));
	size_t n = (own.stack_end - w.sp) / 8;
	n = n < ARRAY_SIZE(copy) ? n : ARRAY_SIZE(copy);
	copy_stack(w.sp, copy, n);
	(void)_Unwind_Backtrace(take_frame, &t);
	uint32_t list = put_words(own.pool, own.list, own.n * sizeof(own.list[0]));
	struct replay r = { own.pool, list, own.n, w.sp, slice_of(copy, n * 8), 0, 0 };
	replay_stack(&r, &w, &got);
	assert_int_equal(got.end, STACK_END_ROOT);
	assert_true(got.n_frames > (uint32_t)depth_wanted);
	/* Theirs has the place of its own call in this function, ours that of the asm. */
	for (uint32_t i = 1; i < t.n; i++)
		if (i >= got.n_frames || (got.frames[i] & FRAME_ADDRESS) != t.pc[i])
			fail_msg("frame %u: %#" PRIx64 " and %#" PRIx64, i, got.frames[i] & FRAME_ADDRESS, t.pc[i]);
	return 1;
}

static __attribute__((noinline)) int go_down(int n, volatile char *above)
{
	volatile char here[48];
	here[0] = above[0];
	int r = n ? go_down(n - 1, here) : compare_from_here();
	return r + (here[0] == 2);
}

static int compare_in_qsort(const void *a, const void *b)
{
	static bool done;
	if (!done) {
		done = true;
		(void)go_down(3, &(volatile char){ 1 });
	}
	return *(const int *)a - *(const int *)b;
}

/* Through a library that has no frame pointers, and to the start of the program. */
static void own_stacks_are_those_of_the_compilers_unwinder(void **state)
{
	(void)state;
	load_own_maps(&own);
	depth_wanted = 0;
	(void)compare_from_here();
	depth_wanted = 50;
	(void)go_down(50, &(volatile char){ 1 });
	depth_wanted = 5;
	int numbers[] = { 3, 1, 2 };
	qsort(numbers, 3, sizeof(numbers[0]), compare_in_qsort);
	free_own(&own);
}

#endif

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(each_rule_leads_to_the_caller),
		CASE(a_return_address_belongs_to_the_call_before_it),
		CASE(a_signal_frame_gives_all_registers),
		CASE(each_end_has_its_reason),
		CASE(a_loop_ends_at_the_limit),
		CASE(frame_pointers_go_on_where_no_row_is),
#ifdef __x86_64__
		CASE(a_leaf_without_rows_may_have_its_caller_on_top),
		cmocka_unit_test(own_stacks_are_those_of_the_compilers_unwinder),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
