/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: kernel frames get wrong names, code of a new
 * module none, or hidden addresses look like an empty kernel. */
#include "unit.h"

#include "base/clock.h"
#include "base/file.h"
#include "object/kallsyms.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static char path[] = "/tmp/kallsyms-test-XXXXXX";
static struct buf text;

static void write_text(void)
{
	_cleanup_(close_fd)
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_int_equal(fd_write_all(fd, text.data, text.n), 0);
}

static struct kallsyms *index_text(const char *s)
{
	struct kallsyms *k = NULL;
	struct error err = { 0 };
	text.n = 0;
	buf_add_str(&text, s);
	write_text();
	if (kallsyms_open(path, "/tmp", &k, &err) != 0)
		fail_msg("%s", err.text);
	return k;
}

struct answer {
	uint64_t start, end;
	char name[64], module[64];
	uint32_t n;
};

static int take_answer(void *arg, const struct symrange *r)
{
	struct answer *a = arg;
	a->start = r->start;
	a->end = r->end;
	(void)snprintf(a->name, sizeof(a->name), "%.*s", SLICE_FMT(r->name));
	(void)snprintf(a->module, sizeof(a->module), "%.*s", SLICE_FMT(r->module));
	a->n++;
	return 0;
}

static void expect(struct kallsyms *k, uint64_t addr, const char *name, const char *module)
{
	struct answer a = { 0 };
	assert_int_equal(kallsyms_lookup(k, &addr, 1, (struct symrange_sink){ take_answer, &a }, NULL), 0);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.name, name);
	assert_string_equal(a.module, module);
	assert_true(a.start <= addr && addr < a.end);
}

static void test_names_and_modules(void **state)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = index_text("ffffffff81000000 T _stext\n"
					"ffffffff81000000 T startup_64\n"
					"ffffffff81000040 t secondary\n"
					"ffffffff81000040 W __secondary_weak\n"
					"ffffffff81000080 d some_data\n"
					"ffffffff81000100 T schedule\n"
					"ffffffff81000140 T __pi___x86_indirect_thunk_rax\n"
					"ffffffff81000140 T __x86_indirect_thunk_rax\n"
					"ffffffffc0201000 t second\t[nf_tables]\n"
					"ffffffffc0200000 t first\t[nf_tables]\n"
					"ffffffffc0100000 t other\t[ext4]\n"
					"ffffffffc0300000 t bpf_prog_6deef7357e7b4530_x\t[bpf]\n");
	expect(k, 0xffffffff81000010, "startup_64", "");
	expect(k, 0xffffffff81000040, "secondary", "");
	expect(k, 0xffffffff81000090, "secondary", ""); /* data ends nothing */
	expect(k, 0xffffffff81000100, "schedule", "");
	expect(k, 0xffffffff81000140, "__x86_indirect_thunk_rax", "");
	expect(k, 0xffffffffc0100000, "other", "ext4");
	expect(k, 0xffffffffc0200fff, "first", "nf_tables");
	expect(k, 0xffffffffc0201000, "second", "nf_tables");
	expect(k, 0xffffffffc0300010, "bpf_prog_6deef7357e7b4530_x", "bpf");
	struct kallsyms_stats s = kallsyms_stats(k);
	assert_int_equal(s.n_symbols, 8);
	assert_int_equal(s.n_modules, 3);
	assert_int_equal(s.n_bad_lines, 0);
}

static void test_gaps_are_nobodys(void **state)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = index_text("ffffffff81000000 T a\n"
					"ffffffff81000010 T last_of_kernel\n"
					"ffffffffc0200000 t first\t[m]\n");
	expect(k, 0xffffffff80ffffff, "", "");
	expect(k, 0xffffffff81001fff, "last_of_kernel", "");
	expect(k, 0xffffffff81002000, "", "");
	expect(k, 0xffffffffc01fffff, "", "");
	expect(k, 0xffffffffc0201fff, "first", "m");
	expect(k, 0xffffffffc0202000, "", "");
	assert_int_equal(kallsyms_stats(k).n_misses, 4);
}

static void test_bad_lines_are_counted(void **state)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = index_text("ffffffff81000000 T good\n\nxyz T a\nffffffff81000000\nffffffff81000000 T \n"
					"ffffffff81000000 TT a\nffffffff8100000012 T a\nffffffff81000000 T a\t[\n"
					"ffffffff81000000 T a\t(m)\nffffffff81000020 T no_newline");
	expect(k, 0xffffffff81000020, "no_newline", "");
	assert_int_equal(kallsyms_stats(k).n_bad_lines, 8);
}

static int open_text(const char *s, struct error *err)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = NULL;
	text.n = 0;
	buf_add_str(&text, s);
	write_text();
	return kallsyms_open(path, NULL, &k, err);
}

static void test_hidden_addresses_are_said(void **state)
{
	struct error err = { 0 };
	assert_int_equal(open_text("0000000000000000 T _text\n0000000000000000 t schedule\n", &err), -EACCES);
	assert_non_null(strstr(err.text, "kernel.kptr_restrict"));
	assert_int_equal(open_text("", &err), -ENODATA);
	assert_int_equal(open_text("ffffffff81000000 D data\n", &err), -ENODATA);
	struct kallsyms *k = NULL;
	assert_int_equal(kallsyms_open("/nonexistent", NULL, &k, &err), -ENOENT);
	assert_null(k);
}

static void test_overlong_line(void **state)
{
	text.n = 0;
	buf_add_str(&text, "ffffffff81000000 T ");
	for (int i = 0; i < 5000; i++)
		buf_add_byte(&text, 'n');
	buf_add_str(&text, "\n");
	for (int i = 0; i < 100000; i++)
		buf_add_byte(&text, 'x');
	buf_add_str(&text, "\nffffffff81000100 T after\n");
	write_text();
	_cleanup_(kallsyms_free)
	struct kallsyms *k = NULL;
	assert_int_equal(kallsyms_open(path, "/tmp", &k, NULL), 0);
	expect(k, 0xffffffff81000100, "after", "");
	struct answer a = { 0 };
	uint64_t addr = 0xffffffff81000000;
	assert_int_equal(kallsyms_lookup(k, &addr, 1, (struct symrange_sink){ take_answer, &a }, NULL), 0);
	assert_int_equal(strlen(a.name), 63); /* 4096 cut once more by this test */
}

/* More than one sorted run, in an order that needs merging. */
static void test_many_unsorted_symbols(void **state)
{
	enum { N = 70000 };
	text.n = 0;
	for (uint64_t i = 0; i < N; i++) {
		uint64_t k = i * 40503 % N; /* each once: 40503 and N share no factor */
		buf_printf(&text, "%llx t f%llu\n", (unsigned long long)(0xffffffff81000000 + k * 32),
			   (unsigned long long)k);
	}
	write_text();
	_cleanup_(kallsyms_free)
	struct kallsyms *k = NULL;
	assert_int_equal(kallsyms_open(path, "/tmp", &k, NULL), 0);
	assert_int_equal(kallsyms_stats(k).n_symbols, N);
	for (uint64_t i = 0; i < N; i += 97) {
		char name[32];
		(void)snprintf(name, sizeof(name), "f%llu", (unsigned long long)i);
		expect(k, 0xffffffff81000000 + i * 32 + i % 32, name, "");
	}
}

static void test_batch_gives_each_range_once(void **state)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = index_text("ffffffff81000000 T a\nffffffff81000010 T b\nffffffff81000020 T c\n");
	uint64_t addrs[] = { 0xffffffff81000000, 0xffffffff81000001, 0xffffffff8100000f,
			     0xffffffff81000010, 0xffffffff81000010, 0xffffffff81000025 };
	struct answer a = { 0 };
	assert_int_equal(kallsyms_lookup(k, addrs, 6, (struct symrange_sink){ take_answer, &a }, NULL), 0);
	assert_int_equal(a.n, 3);
	assert_string_equal(a.name, "c");
}

static void test_refresh_after_a_miss(void **state)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = index_text("ffffffff81000000 T a\n");
	const int64_t minute = (int64_t)61 * 1000000000;
	int64_t now = clock_mono_ns();
	assert_false(kallsyms_refresh_due(k, now + minute)); /* nothing was missed */
	expect(k, 0x1000, "", "");
	assert_false(kallsyms_refresh_due(k, now + minute)); /* that is no kernel address */
	expect(k, 0xffffffffc0200000, "", "");
	assert_false(kallsyms_refresh_due(k, now)); /* too soon */
	assert_true(kallsyms_refresh_due(k, now + minute));

	/* Nothing new: asked less often from now on, what was cached stays. */
	uint32_t generation = kallsyms_generation(k);
	assert_int_equal(kallsyms_refresh(k, now += minute, NULL), 0);
	assert_int_equal(kallsyms_generation(k), generation);
	expect(k, 0xffffffffc0200000, "", "");
	assert_false(kallsyms_refresh_due(k, now + minute));
	assert_true(kallsyms_refresh_due(k, now + 2 * minute));

	buf_add_str(&text, "ffffffffc0200000 t loaded_later\t[m]\n");
	write_text();
	assert_int_equal(kallsyms_refresh(k, now += 2 * minute, NULL), 0);
	assert_int_not_equal(kallsyms_generation(k), generation);
	expect(k, 0xffffffffc0200000, "loaded_later", "m");
	assert_false(kallsyms_refresh_due(k, now + 2 * minute));
	assert_int_equal(kallsyms_stats(k).n_refreshes, 2);
}

static void test_failed_refresh_keeps_the_index(void **state)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = index_text("ffffffff81000000 T a\n");
	text.n = 0;
	write_text();
	assert_int_equal(kallsyms_refresh(k, clock_mono_ns(), NULL), -ENODATA);
	expect(k, 0xffffffff81000000, "a", "");
}

/* Every 50th symbol of the running kernel, read a second time by stdio. */
static void test_this_kernel(void **state)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = NULL;
	struct error err = { 0 };
	int r = kallsyms_open("/proc/kallsyms", "/tmp", &k, &err);
	if (r == -EACCES || r == -ENOENT)
		skip_because("%s", err.text);
	if (r != 0)
		fail_msg("%s", err.text);
	FILE *f = fopen("/proc/kallsyms", "re");
	assert_non_null(f);
	char line[1024], name[512], type;
	unsigned long long addr;
	for (uint32_t i = 0; fgets(line, sizeof(line), f); i++) {
		if (i % 50 || sscanf(line, "%llx %c %511s", &addr, &type, name) != 3 || !strchr("tTwW", type))
			continue;
		struct answer a = { 0 };
		uint64_t address = addr;
		assert_int_equal(kallsyms_lookup(k, &address, 1, (struct symrange_sink){ take_answer, &a }, NULL), 0);
		assert_int_equal(a.start, addr);
		/* An alias may have won. */
		assert_true(a.name[0] != 0);
	}
	(void)fclose(f);
	assert_true(kallsyms_stats(k).n_symbols > 1000);
	assert_int_equal(kallsyms_stats(k).n_bad_lines, 0);
}

static int make_file(void **state)
{
	text = buf_of(16 << 20);
	int fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	buf_done(&text);
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_and_modules),
		cmocka_unit_test(test_gaps_are_nobodys),
		cmocka_unit_test(test_bad_lines_are_counted),
		cmocka_unit_test(test_hidden_addresses_are_said),
		cmocka_unit_test(test_overlong_line),
		cmocka_unit_test(test_many_unsorted_symbols),
		cmocka_unit_test(test_batch_gives_each_range_once),
		cmocka_unit_test(test_refresh_after_a_miss),
		cmocka_unit_test(test_failed_refresh_keeps_the_index),
		cmocka_unit_test(test_this_kernel),
	};
	return cmocka_run_group_tests_name("kallsyms", tests, make_file, remove_file);
}
