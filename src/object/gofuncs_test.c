/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: functions of stripped Go programs get wrong
 * names or none, stacks break in them, or a hostile one takes the agent down. */
#include "golang.h"
#include "scratch.h"

#include "base/file.h"
#include "object/gofuncs.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_FUNCS 20000

/* ---- a program ----------------------------------------------------------- */

struct program {
	int fd;
	struct elf elf;
	struct gopclntab table;
};

static void program_done(struct program *p)
{
	close_fd(&p->fd);
}

static void program_open_fd(struct program *p, int fd)
{
	struct error err = { "" };
	p->fd = fd;
	assert_true(fd >= 0);
	if (elf_init(&p->elf, fd, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(gopclntab_find(&p->elf, &p->table), 0);
}

static void program_open(struct program *p, const char *path)
{
	program_open_fd(p, open(path, O_RDWR | O_CLOEXEC));
}

static void build_or_skip(const char *settings, const char *options, const char *name)
{
	if (!go_is_here())
		skip_because("go is not here");
	if (access(in_scratch(name), R_OK) == 0)
		return;
	if (!go_build("names", settings, options, in_scratch(name)))
		skip_because("go build %s fails here with %s", options, settings);
}

/* ---- what others say of it ----------------------------------------------- */

struct known {
	uint64_t start;
	uint64_t size; /* of the code, without padding; 0 = not told */
	char *name;
};

static struct known known[MAX_FUNCS];
static uint32_t n_known;

static void known_clear(void)
{
	for (uint32_t i = 0; i < n_known; i++)
		free(known[i].name);
	n_known = 0;
}

/* In symbol tables, not in the runtime, names tell calling conventions apart. */
static void drop_suffix(char *name)
{
	static const char suffix[] = ".abi0";
	size_t n = strlen(name), k = sizeof(suffix) - 1;
	if (n > k && strcmp(name + n - k, suffix) == 0)
		name[n - k] = 0;
}

/* Code symbols by go tool nm: sorted, those of no size left out. */
static void known_read(const char *path)
{
	char command[512], line[4096];
	known_clear();
	(void)snprintf(command, sizeof(command), "go tool nm -n -size '%s'", path);
	FILE *f = popen(command, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long start, size;
		char type;
		int n = 0;
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, " %llx %llu %c %n", &start, &size, &type, &n) < 3 || (type | 32) != 't' || size == 0)
			continue;
		drop_suffix(line + n);
		assert_true(n_known < MAX_FUNCS);
		known[n_known++] = (struct known){ start, size, strdup(line + n) };
	}
	assert_int_equal(pclose(f), 0);
	assert_true(n_known > 1000);
}

/* Symbol tables have a dot where a name has a middle dot, of two bytes. */
static bool same_name(const char *symbol, struct slice name)
{
	size_t i = 0;
	for (; *symbol && i < name.size; symbol++, i++) {
		bool is_middle_dot = name.size - i >= 2 && memcmp(name.data + i, "\u00b7", 2) == 0;
		if (*symbol != (is_middle_dot ? '.' : (char)name.data[i]))
			return false;
		i += is_middle_dot;
	}
	return !*symbol && i == name.size;
}

/* Some functions share their address with others. */
static const struct known *known_at(uint64_t start, struct slice name)
{
	for (uint32_t i = 0; i < n_known; i++)
		if (known[i].start == start && same_name(known[i].name, name))
			return &known[i];
	return NULL;
}

/* Keeps the functions that the program's own table has. */
static void known_from_table(const struct program *p)
{
	struct gofuncs g;
	known_clear();
	assert_int_equal(gofuncs_init(&g, &p->table), 0);
	for (uint32_t i = 0; i < p->table.n_funcs; i++) {
		struct gofunc f;
		assert_int_equal(gofuncs_at(&g, i, &f), 0);
		struct slice name = gofuncs_name(&g, &f);
		assert_true(name.size > 0);
		known[n_known++] =
			(struct known){ f.start, f.end - f.start, strndup((const char *)name.data, name.size) };
	}
	gofuncs_done(&g);
}

/* Every function of the table against the linker's symbols, and back. */
static void check_against_nm(const char *name)
{
	_cleanup_(program_done)
	struct program p;
	program_open(&p, in_scratch(name));
	known_read(in_scratch(name));
	struct gofuncs g;
	assert_int_equal(gofuncs_init(&g, &p.table), 0);
	uint32_t n_found = 0;
	for (uint32_t i = 0; i < p.table.n_funcs; i++) {
		struct gofunc f;
		assert_int_equal(gofuncs_at(&g, i, &f), 0);
		struct slice own = gofuncs_name(&g, &f);
		const struct known *k = known_at(f.start, own);
		/* Marks of the linker's, which it gives no size. */
		if (!k && slice_has_prefix(own, "go:textfips"))
			continue;
		if (!k)
			fail_msg("%s: %#llx %.*s: go tool nm knows no such function", name, (unsigned long long)f.start,
				 SLICE_FMT(own));
		assert_true(k->size <= f.end - f.start);
		n_found++;
	}
	gofuncs_done(&g);
	uint32_t n_go = 0;
	for (uint32_t i = 0; i < n_known; i++)
		n_go += known[i].start >= p.table.start && known[i].start < p.table.end &&
			(i == 0 || known[i].start != known[i - 1].start);
	assert_true(n_found >= n_go);
	known_clear();
}

static void test_names_are_those_of_go_tool_nm(void **state)
{
	build_or_skip("", "", "plain");
	check_against_nm("plain");
	build_or_skip("", "-buildmode=pie", "pie");
	check_against_nm("pie");
	build_or_skip("GOARCH=arm64", "", "arm64");
	check_against_nm("arm64");
	build_or_skip("GOARCH=arm64", "-buildmode=pie", "arm64-pie");
	check_against_nm("arm64-pie");
}

/* gcc's linker puts code of its own before and behind Go's. */
static void test_names_with_a_c_linker(void **state)
{
	build_or_skip("CGO_ENABLED=1", "-ldflags=-linkmode=external", "external");
	check_against_nm("external");
	build_or_skip("CGO_ENABLED=1", "'-ldflags=-linkmode=external' -buildmode=pie", "external-pie");
	check_against_nm("external-pie");
}

static void expect_known(const struct program *p)
{
	struct gofuncs g;
	assert_int_equal(p->table.n_funcs, n_known);
	assert_int_equal(gofuncs_init(&g, &p->table), 0);
	for (uint32_t i = 0; i < n_known; i++) {
		struct gofunc f;
		assert_int_equal(gofuncs_at(&g, i, &f), 0);
		assert_int_equal(f.start, known[i].start);
		assert_int_equal(f.end - f.start, known[i].size);
		assert_true(slice_eq(gofuncs_name(&g, &f), slice_str(known[i].name)));
	}
	gofuncs_done(&g);
}

/* A copy whose ELF header has no section headers. */
static int open_without_sections(const char *path)
{
	static const uint16_t none[2] = { 0 };
	_cleanup_(buf_done)
	struct buf b = buf_of(64 << 20);
	assert_int_equal(file_read(path, &b, NULL), 0);
	_cleanup_(close_fd)
	int fd = memfd_create("bare", MFD_CLOEXEC);
	assert_int_equal(fd_write_all(fd, b.data, b.n), 0);
	assert_int_equal(pwrite(fd, &(uint64_t){ 0 }, 8, offsetof(Elf64_Ehdr, e_shoff)), 8);
	assert_int_equal(pwrite(fd, none, sizeof(none), offsetof(Elf64_Ehdr, e_shnum)), sizeof(none));
	return take_fd(fd);
}

static void check_without_sections(const char *name)
{
	_cleanup_(program_done)
	struct program p = { .fd = -1 };
	program_open_fd(&p, open_without_sections(in_scratch(name)));
	assert_int_equal(p.elf.gopclntab.size, 0);
	expect_known(&p);
}

static void test_stripped_programs_keep_all_functions(void **state)
{
	static const char *const modes[][3] = { { "", "exe", "plain" },
						{ "", "pie", "pie" },
						{ "CGO_ENABLED=1", "exe", "external" },
						{ "CGO_ENABLED=1", "pie", "external-pie" } };
	for (uint32_t i = 0; i < ARRAY_SIZE(modes); i++) {
		char command[600], options[128], bare[64];
		const char *name = modes[i][2], *link = modes[i][0][0] ? " -linkmode=external" : "";
		(void)snprintf(options, sizeof(options), "'-ldflags=%s' -buildmode=%s", link, modes[i][1]);
		build_or_skip(modes[i][0], options, name);
		_cleanup_(program_done)
		struct program whole = { .fd = -1 }, stripped = { .fd = -1 };
		program_open(&whole, in_scratch(name));
		known_from_table(&whole);
		check_without_sections(name);
		(void)snprintf(bare, sizeof(bare), "%s-stripped", name);
		(void)snprintf(command, sizeof(command), "strip -o '%s/%s' '%s/%s' 2>/dev/null", scratch, bare, scratch,
			       name);
		if (system(command) == 0) {
			program_open(&stripped, in_scratch(bare));
			assert_int_equal(stripped.elf.symtab.size, 0);
			expect_known(&stripped);
			check_without_sections(bare);
		}
		known_clear();
	}
}

/* -s -w leaves other data behind, so that the code moves: the names stay. */
static void test_linked_without_symbols(void **state)
{
	build_or_skip("", "", "plain");
	build_or_skip("", "'-ldflags=-s -w'", "bare");
	_cleanup_(program_done)
	struct program plain, bare;
	program_open(&plain, in_scratch("plain"));
	program_open(&bare, in_scratch("bare"));
	assert_int_equal(bare.elf.symtab.size, 0);
	known_from_table(&plain);
	expect_known(&bare);
	known_clear();
}

/* Empties the words of every variable in the last segment that points to the
 * table; the relocations stay. */
static void wipe_pointers(struct buf *b, const struct program *p)
{
	/* Of moduledata: not lengths and capacities. */
	static const uint8_t words[] = { 0, 1, 4, 7, 10, 13, 16, 19, 20, 21, 22 };
	const struct elf_load *data = &p->elf.loads[p->elf.n_loads - 1];
	uint32_t n_wiped = 0;
	for (uint64_t i = data->file_off / 8 * 8 + 8; i + 23 * 8 <= data->file_off + data->file_size; i += 8) {
		if (memcmp(b->data + i, &p->table.vaddr, 8) != 0)
			continue;
		for (uint32_t k = 0; k < ARRAY_SIZE(words); k++)
			memset(b->data + i + (size_t)words[k] * 8, 0, 8);
		n_wiped++;
	}
	assert_true(n_wiped > 0);
}

/* Of a linker that leaves addresses to the dynamic linker, the file has them
 * in its relocations only. */
static void test_text_start_from_relocations(void **state)
{
	build_or_skip("CGO_ENABLED=1", "'-ldflags=-linkmode=external' -buildmode=pie", "external-pie");
	_cleanup_(program_done)
	struct program p, q = { .fd = -1 };
	program_open(&p, in_scratch("external-pie"));
	_cleanup_(buf_done)
	struct buf b = buf_of(64 << 20);
	assert_int_equal(file_read(in_scratch("external-pie"), &b, NULL), 0);
	uint64_t word;
	memcpy(&word, b.data + p.table.off + 24, sizeof(word));
	if (word)
		skip_because("this Go has the start of the text in the header");
	wipe_pointers(&b, &p);
	int fd = memfd_create("wiped", MFD_CLOEXEC);
	assert_int_equal(fd_write_all(fd, b.data, b.n), 0);
	program_open_fd(&q, fd);
	assert_int_equal(q.table.text, p.table.text);
	known_from_table(&p);
	expect_known(&q);
	known_clear();
}

/* ---- look-up ------------------------------------------------------------- */

struct answers {
	uint32_t n;
	uint64_t last_end;
	const struct gopclntab *t;
};

static int take_answer(void *arg, const struct symrange *r)
{
	struct answers *a = arg;
	assert_true(r->start < r->end && r->start >= a->last_end);
	a->last_end = r->end;
	a->n++;
	if (r->start < a->t->start || r->start >= a->t->end) {
		assert_int_equal(r->name.size, 0);
		return 0;
	}
	for (uint32_t i = 0; i < n_known; i++)
		if (known[i].start == r->start) {
			assert_int_equal(r->end - r->start, known[i].size);
			assert_true(slice_eq(r->name, slice_str(known[i].name)));
			return 0;
		}
	fail_msg("no function starts at %#llx", (unsigned long long)r->start);
	return 0;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void test_look_up_finds_the_function_around(void **state)
{
	build_or_skip("", "", "plain");
	_cleanup_(program_done)
	struct program p;
	program_open(&p, in_scratch("plain"));
	known_from_table(&p);
	uint64_t addrs[GOFUNCS_MAX_BATCH], x = 88172645463325252ULL, last = UINT64_MAX;
	uint32_t n = 0, n_ranges = 2;
	addrs[n++] = 0;
	addrs[n++] = p.table.start - 1;
	addrs[n++] = p.table.start;
	addrs[n++] = p.table.end - 1;
	addrs[n++] = p.table.end;
	addrs[n++] = UINT64_MAX;
	while (n < GOFUNCS_MAX_BATCH) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		addrs[n++] = p.table.start + x % (p.table.end - p.table.start);
	}
	qsort(addrs, n, sizeof(*addrs), compare_u64);
	for (uint32_t i = 0, k = 0; i < n; i++) {
		if (addrs[i] < p.table.start || addrs[i] >= p.table.end)
			continue;
		while (known[k].start + known[k].size <= addrs[i])
			k++;
		n_ranges += known[k].start != last;
		last = known[k].start;
	}
	struct answers a = { .t = &p.table };
	assert_int_equal(gofuncs_lookup(&p.table, addrs, n, (struct symrange_sink){ take_answer, &a }, NULL), 0);
	assert_int_equal(a.n, n_ranges);
	known_clear();
}

static int end_early(void *arg, const struct symrange *r)
{
	++*(int *)arg;
	return -EPIPE;
}

static void test_sink_ends_the_look_up(void **state)
{
	build_or_skip("", "", "plain");
	_cleanup_(program_done)
	struct program p;
	program_open(&p, in_scratch("plain"));
	uint64_t addrs[] = { p.table.start, p.table.start + 4096 };
	int n = 0;
	assert_int_equal(gofuncs_lookup(&p.table, addrs, 2, (struct symrange_sink){ end_early, &n }, NULL), -EPIPE);
	assert_int_equal(n, 1);
	struct error err;
	assert_int_equal(
		gofuncs_lookup(&p.table, addrs, GOFUNCS_MAX_BATCH + 1, (struct symrange_sink){ end_early, &n }, &err),
		-E2BIG);
	assert_string_equal(err.text, "4097 addresses in one batch; at most 4096");
}

/* ---- stacks -------------------------------------------------------------- */

/* How far sp has moved at each pc that readelf prints a row for. */
struct deltas {
	uint64_t pc;
	int32_t want;
	bool found;
};

static int take_stretch(void *arg, uint64_t start, uint64_t end, int32_t delta)
{
	struct deltas *d = arg;
	if (d->pc >= start && d->pc < end) {
		assert_int_equal(delta, d->want);
		d->found = true;
	}
	return 0;
}

/* Rows of .debug_frame, which the linker writes from the same tables, as
 * readelf reads them. */
static uint32_t check_against_debug_frame(const char *name, const char *cfa, int32_t on_entry)
{
	_cleanup_(program_done)
	struct program p;
	program_open(&p, in_scratch(name));
	char command[512], line[1024];
	(void)snprintf(command, sizeof(command), "readelf --debug-dump=frames-interp '%s' 2>/dev/null",
		       in_scratch(name));
	FILE *f = popen(command, "r");
	assert_non_null(f);
	struct gofuncs g;
	assert_int_equal(gofuncs_init(&g, &p.table), 0);
	struct gofunc func = { 0 };
	uint32_t n = 0, i = 0;
	while (fgets(line, sizeof(line), f)) {
		unsigned long long pc;
		int off;
		char base[8] = "";
		if (strstr(line, "FDE") || sscanf(line, "%llx %7[a-z0-9]+%d", &pc, base, &off) != 3 ||
		    strcmp(base, cfa) != 0)
			continue;
		while (i < p.table.n_funcs && pc >= func.end)
			assert_int_equal(gofuncs_at(&g, i++, &func), 0);
		if (pc < func.start || pc >= func.end || func.pcsp == 0)
			continue;
		struct deltas d = { .pc = pc, .want = off - on_entry };
		assert_int_equal(gofuncs_stack(&g, &func, (struct gofunc_sink){ take_stretch, &d }), 0);
		assert_true(d.found);
		n++;
	}
	gofuncs_done(&g);
	return pclose(f) == 0 ? n : 0;
}

static void test_stacks_are_those_of_debug_frame(void **state)
{
	build_or_skip("", "'-ldflags=-compressdwarf=false'", "frames");
	build_or_skip("GOARCH=arm64", "'-ldflags=-compressdwarf=false'", "frames-arm64");
	if (system("readelf --version >/dev/null 2>&1") != 0)
		skip_because("readelf is not here");
	assert_true(check_against_debug_frame("frames", "rsp", 8) > 5000);
	assert_true(check_against_debug_frame("frames-arm64", "sp", 0) > 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_are_those_of_go_tool_nm),
		cmocka_unit_test(test_names_with_a_c_linker),
		cmocka_unit_test(test_stripped_programs_keep_all_functions),
		cmocka_unit_test(test_linked_without_symbols),
		cmocka_unit_test(test_text_start_from_relocations),
		cmocka_unit_test(test_look_up_finds_the_function_around),
		cmocka_unit_test(test_sink_ends_the_look_up),
		cmocka_unit_test(test_stacks_are_those_of_debug_frame),
	};
	return cmocka_run_group_tests_name("gofuncs", tests, make_scratch, remove_scratch);
}
