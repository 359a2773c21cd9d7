/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of every layout, made by hand: the Go of this machine writes one of
 * them only. What is lost when this fails: functions of older programs, or the
 * agent to a damaged one. */
#include "unit.h"

#include "base/file.h"
#include "object/gofuncs.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Where things lie in the image, which has no section headers. */
#define CODE_OFF     0x180
#define CODE_VADDR   0x401080
#define CODE_SIZE    0x100
#define NOTE_OFF     0x280
#define TABLE_OFF    0x300
#define TABLE_VADDR  0x500000
#define NAMES_AT     0x100 /* from the table's start */
#define PCTAB_AT     0x180
#define FUNCTAB_AT   0x200
#define TABLE_SIZE   0x300
#define MODULE_OFF   0x600
#define MODULE_VADDR 0x600000
#define IMAGE_SIZE   0x700
#define TEXT	     (CODE_VADDR + 0x20)

struct image {
	enum gopclntab_layout layout;
	uint32_t quantum;
	uint8_t data[IMAGE_SIZE];
};

static void put(struct image *m, uint32_t off, uint64_t value, uint32_t size)
{
	assert_true(off + size <= IMAGE_SIZE);
	memcpy(m->data + off, &value, size);
}

static void put_headers(struct image *m, uint16_t machine)
{
	Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
			 .e_type = ET_EXEC,
			 .e_machine = machine,
			 .e_phoff = sizeof(h),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 4 };
	Elf64_Phdr ph[4] = {
		{ PT_LOAD, PF_R | PF_X, CODE_OFF, CODE_VADDR, CODE_VADDR, CODE_SIZE, CODE_SIZE, 1 },
		{ PT_LOAD, PF_R, TABLE_OFF, TABLE_VADDR, TABLE_VADDR, TABLE_SIZE, TABLE_SIZE, 1 },
		{ PT_LOAD, PF_R | PF_W, MODULE_OFF, MODULE_VADDR, MODULE_VADDR, IMAGE_SIZE - MODULE_OFF, 0x1000, 1 },
		{ PT_NOTE, PF_R, NOTE_OFF, 0x402000, 0x402000, 20, 20, 4 },
	};
	static const uint8_t note[20] = { 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 'G', 'o', 0, 0, 'a', '/', 'b', '/' };
	memcpy(m->data, &h, sizeof(h));
	memcpy(m->data + sizeof(h), ph, sizeof(ph));
	memcpy(m->data + NOTE_OFF, note, sizeof(note));
}

static uint32_t functab_at(const struct image *m)
{
	return TABLE_OFF + (m->layout == GO_1_2 ? 16 : FUNCTAB_AT);
}

static uint32_t field_of(const struct image *m)
{
	return m->layout >= GO_1_18 ? 4 : 8;
}

/* Function `i` from TEXT + `from` on. */
static void put_function(struct image *m, uint32_t i, uint32_t from, uint32_t name, uint32_t pcsp, uint8_t flags)
{
	static const uint32_t flags_at[] = { [GO_1_16] = 41, [GO_1_18] = 37, [GO_1_20] = 41 };
	uint32_t field = field_of(m), base = m->layout == GO_1_2 ? 0 : FUNCTAB_AT;
	uint32_t record = FUNCTAB_AT + 0x40 + i * 0x30 - base;
	uint64_t entry = m->layout >= GO_1_18 ? from : TEXT + from;
	put(m, functab_at(m) + i * 2 * field, entry, field);
	put(m, functab_at(m) + (i * 2 + 1) * field, record, field);
	uint32_t at = TABLE_OFF + base + record;
	put(m, at, entry, field);
	put(m, at + field, name + (m->layout == GO_1_2 ? NAMES_AT : 0), 4);
	put(m, at + field + 12, pcsp + (m->layout == GO_1_2 ? PCTAB_AT : 0), 4);
	if (m->layout != GO_1_2)
		put(m, at + flags_at[m->layout], flags, 1);
}

static void put_table_header(struct image *m, bool has_text)
{
	static const uint32_t magic[] = {
		[GO_1_2] = 0xfffffffb, [GO_1_16] = 0xfffffffa, [GO_1_18] = 0xfffffff0, [GO_1_20] = 0xfffffff1
	};
	static const uint32_t parts[] = { NAMES_AT, 0xf0, 0xf8, PCTAB_AT, FUNCTAB_AT };
	put(m, TABLE_OFF, magic[m->layout], 4);
	put(m, TABLE_OFF + 6, m->quantum, 1);
	put(m, TABLE_OFF + 7, 8, 1);
	put(m, TABLE_OFF + 8, 3, 8);
	if (m->layout == GO_1_2)
		return;
	put(m, TABLE_OFF + 16, 1, 8);
	uint32_t at = TABLE_OFF + 24;
	if (m->layout >= GO_1_18) {
		put(m, at, has_text ? TEXT : 0, 8);
		at += 8;
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(parts); i++)
		put(m, at + 8 * i, parts[i], 8);
}

static void put_module(struct image *m)
{
	put(m, MODULE_OFF, TABLE_VADDR, 8);
	put(m, MODULE_OFF + 8, TABLE_VADDR + NAMES_AT, 8);
	put(m, MODULE_OFF + 80, TABLE_VADDR + PCTAB_AT, 8);
	put(m, MODULE_OFF + 128, TABLE_VADDR + FUNCTAB_AT, 8);
	put(m, MODULE_OFF + 136, 4, 8);
	put(m, MODULE_OFF + 176, TEXT, 8);
}

static struct image make_image(enum gopclntab_layout layout, uint16_t machine, bool has_text)
{
	static const char names[] = "main.main\0main.(*T).Method\0runtime.goexit";
	struct image m = { .layout = layout, .quantum = machine == EM_AARCH64 ? 4 : 1 };
	/* From offset 1 on: 0 up to pc 4, 24 up to 60, 0 up to 64; from 8 on: 0 up to 32. */
	uint8_t pctab[] = { 0, 2, 4, 48, 56, 47, 4, 0, 2, 32, 0 };
	for (uint32_t i = 2; i < sizeof(pctab) && m.quantum == 4; i += i == 6 ? 3 : 2)
		pctab[i] /= 4;
	put_headers(&m, machine);
	put_table_header(&m, has_text);
	memcpy(m.data + TABLE_OFF + NAMES_AT, names, sizeof(names));
	memcpy(m.data + TABLE_OFF + PCTAB_AT, pctab, sizeof(pctab));
	put_function(&m, 0, 0, 0, 1, 0);
	put_function(&m, 1, 0x40, 10, 8, 4);
	put_function(&m, 2, 0x60, 27, 0, GOFUNC_TOP_FRAME);
	put(&m, functab_at(&m) + 6 * field_of(&m), (m.layout >= GO_1_18 ? 0 : TEXT) + 0x80, field_of(&m));
	if (!has_text)
		put_module(&m);
	return m;
}

static int open_bytes(const void *data, size_t size)
{
	int fd = memfd_create("go", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, data, size), 0);
	return fd;
}

static int find_in(const struct image *m, int *fd, struct elf *e, struct gopclntab *t)
{
	*fd = open_bytes(m->data, IMAGE_SIZE);
	assert_int_equal(elf_init(e, *fd, NULL), 0);
	return gopclntab_find(e, t);
}

struct stretches {
	uint32_t n;
	uint64_t start[4], end[4];
	int32_t delta[4];
};

static int take_stretch(void *arg, uint64_t start, uint64_t end, int32_t delta)
{
	struct stretches *s = arg;
	assert_true(s->n < 4);
	s->start[s->n] = start;
	s->end[s->n] = end;
	s->delta[s->n++] = delta;
	return 0;
}

static void expect_function(struct gofuncs *g, uint32_t i, uint64_t start, uint64_t size, const char *name,
			    uint8_t flags)
{
	struct gofunc f;
	assert_int_equal(gofuncs_at(g, i, &f), 0);
	assert_int_equal(f.start, start);
	assert_int_equal(f.end, start + size);
	assert_int_equal(f.flags, flags);
	struct slice found = gofuncs_name(g, &f);
	assert_int_equal(found.size, strlen(name));
	assert_memory_equal(found.data, name, found.size);
}

static void check_image(enum gopclntab_layout layout, uint16_t machine, bool has_text)
{
	struct image m = make_image(layout, machine, has_text);
	_cleanup_(close_fd)
	int fd = -1;
	struct elf e;
	struct gopclntab t;
	struct gofuncs g;
	struct gofunc f;
	assert_int_equal(find_in(&m, &fd, &e, &t), 0);
	assert_int_equal(t.layout, layout);
	assert_int_equal(t.n_funcs, 3);
	assert_int_equal(t.start, TEXT);
	assert_int_equal(t.end, TEXT + 0x80);
	assert_int_equal(gofuncs_init(&g, &t), 0);
	bool has_flags = layout != GO_1_2;
	expect_function(&g, 0, TEXT, 0x40, "main.main", 0);
	expect_function(&g, 1, TEXT + 0x40, 0x20, "main.(*T).Method", has_flags ? 4 : 0);
	expect_function(&g, 2, TEXT + 0x60, 0x20, "runtime.goexit", has_flags ? GOFUNC_TOP_FRAME : 0);
	struct stretches s = { 0 };
	assert_int_equal(gofuncs_at(&g, 0, &f), 0);
	assert_int_equal(gofuncs_stack(&g, &f, (struct gofunc_sink){ take_stretch, &s }), 0);
	assert_int_equal(s.n, 3);
	const uint64_t ends[] = { 4, 60, 64 };
	const int32_t deltas[] = { 0, 24, 0 };
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(s.start[i], TEXT + (i ? ends[i - 1] : 0));
		assert_int_equal(s.end[i], TEXT + ends[i]);
		assert_int_equal(s.delta[i], deltas[i]);
	}
	gofuncs_done(&g);
}

static void test_every_layout_is_read(void **state)
{
	static const uint16_t machines[] = { EM_X86_64, EM_AARCH64 };
	for (uint32_t i = 0; i < ARRAY_SIZE(machines); i++) {
		check_image(GO_1_2, machines[i], true);
		check_image(GO_1_16, machines[i], true);
		check_image(GO_1_18, machines[i], true);
		check_image(GO_1_20, machines[i], true);
		check_image(GO_1_20, machines[i], false);
	}
}

static void expect_refused(const struct image *m)
{
	_cleanup_(close_fd)
	int fd = -1;
	struct elf e;
	struct gopclntab t = { .n_funcs = 77 };
	assert_int_equal(find_in(m, &fd, &e, &t), -ENOENT);
	assert_int_equal(t.n_funcs, 77);
}

/* A table that is not one would name everything wrongly. */
static void test_what_does_not_fit_is_no_table(void **state)
{
	struct image good = make_image(GO_1_20, EM_X86_64, true), m = good;
	put(&m, NOTE_OFF + 12, 'X', 1); /* not Go's note: no search */
	expect_refused(&m);
	m = good;
	put(&m, TABLE_OFF, 0xfffffff2, 4);
	expect_refused(&m);
	m = good;
	put(&m, TABLE_OFF + 6, 4, 1); /* arm64's quantum */
	expect_refused(&m);
	m = good;
	put(&m, TABLE_OFF + 8, 0, 8);
	expect_refused(&m);
	m = good;
	put(&m, TABLE_OFF + 8, GOPCLNTAB_MAX_FUNCS, 8); /* more than the table has room for */
	expect_refused(&m);
	m = good;
	put(&m, TABLE_OFF + 32, TABLE_SIZE, 8); /* names behind the end */
	expect_refused(&m);
	m = good;
	put(&m, functab_at(&m), 4, 4); /* not what the record says */
	expect_refused(&m);
	m = good;
	put(&m, functab_at(&m) + 24, CODE_SIZE, 4); /* the last function ends outside the code */
	expect_refused(&m);
	m = make_image(GO_1_20, EM_X86_64, false);
	put(&m, MODULE_OFF + 136, 5, 8); /* of another number of functions */
	expect_refused(&m);
}

static int ignore_range(void *arg, const struct symrange *r)
{
	return 0;
}

static int look_up(const struct image *m, struct error *err)
{
	_cleanup_(close_fd)
	int fd = -1;
	struct elf e;
	struct gopclntab t;
	uint64_t addr = TEXT + 0x70;
	assert_int_equal(find_in(m, &fd, &e, &t), 0);
	return gofuncs_lookup(&t, &addr, 1, (struct symrange_sink){ ignore_range, NULL }, err);
}

static void test_damage_is_said(void **state)
{
	struct error err = { "" };
	struct image good = make_image(GO_1_20, EM_X86_64, true), m = good;
	put(&m, functab_at(&m) + 8, 0x90, 4); /* a function behind the last one's end */
	assert_int_equal(look_up(&m, &err), -EBADMSG);
	assert_string_equal(err.text, "Go's function table is damaged");
	m = good;
	put(&m, functab_at(&m) + 20, TABLE_SIZE, 4);
	expect_refused(&m); /* the last record is looked at while finding the table */
	assert_int_equal(look_up(&good, &err), 0);
}

static int check_order(void *arg, const struct symrange *r)
{
	uint64_t *end = arg;
	assert_true(r->start < r->end && r->start >= *end);
	*end = r->end;
	return 0;
}

static int check_stretch(void *arg, uint64_t start, uint64_t end, int32_t delta)
{
	assert_true(start < end);
	return 0;
}

/* Anything may be answered but nothing outside of the code. */
static void try_damaged(int fd)
{
	struct elf e;
	struct gopclntab t;
	struct gofuncs g;
	if (elf_init(&e, fd, NULL) < 0)
		return;
	e.is_go = true;
	if (gopclntab_find(&e, &t) < 0)
		return;
	uint64_t addrs[] = { 0, t.start, t.start + 0x30, t.start + 0x50, t.end - 1, t.end }, end = 0;
	int r = gofuncs_lookup(&t, addrs, t.end - t.start > 0x50 ? 6 : 2, (struct symrange_sink){ check_order, &end },
			       NULL);
	assert_true(r == 0 || r == -EBADMSG);
	assert_int_equal(gofuncs_init(&g, &t), 0);
	for (uint32_t i = 0; i < t.n_funcs && i < 100; i++) {
		struct gofunc f;
		if (gofuncs_at(&g, i, &f) < 0)
			continue;
		(void)gofuncs_name(&g, &f);
		r = gofuncs_stack(&g, &f, (struct gofunc_sink){ check_stretch, NULL });
		assert_true(r == 0 || r == -EBADMSG);
	}
	gofuncs_done(&g);
}

static void damage(const struct image *m)
{
	_cleanup_(close_fd)
	int fd = open_bytes(m->data, IMAGE_SIZE);
	for (uint32_t i = 0; i < IMAGE_SIZE * 8; i++) {
		uint8_t bad = (uint8_t)(m->data[i / 8] ^ 1 << i % 8);
		assert_int_equal(pwrite(fd, &bad, 1, i / 8), 1);
		try_damaged(fd);
		assert_int_equal(pwrite(fd, &m->data[i / 8], 1, i / 8), 1);
	}
	for (uint32_t size = IMAGE_SIZE; size > 0; size--) {
		assert_int_equal(ftruncate(fd, size), 0);
		try_damaged(fd);
	}
}

static void test_damaged_anywhere(void **state)
{
	struct image m = make_image(GO_1_2, EM_X86_64, true);
	damage(&m);
	m = make_image(GO_1_16, EM_X86_64, true);
	damage(&m);
	m = make_image(GO_1_20, EM_X86_64, false);
	damage(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_layout_is_read),
		cmocka_unit_test(test_what_does_not_fit_is_no_table),
		cmocka_unit_test(test_damage_is_said),
		cmocka_unit_test(test_damaged_anywhere),
	};
	return cmocka_run_group_tests_name("gopclntab", tests, NULL, NULL);
}
