/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: functions get wrong names or none, or a
 * hostile binary on the host takes the agent down. */
#include "unit.h"

#include "base/file.h"
#include "object/symtab.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define MAX_SYMBOLS 200000

/* Files the tests derive from the victims live here. */
static char scratch[] = "/tmp/symtab-test-XXXXXX";

/* One symbol as readelf prints it. */
struct known {
	uint64_t start, size;
	bool func, label;
	int binding; /* 3 global, 2 local, 1 weak */
	char *name;
};

static struct known *known;
static uint32_t n_known;

static void known_clear(void)
{
	for (uint32_t i = 0; i < n_known; i++)
		free(known[i].name);
	n_known = 0;
}

/* The symbols of one table by readelf: another reader than ours. */
static bool known_read(const char *path, const char *table)
{
	char command[4400], line[16384];
	(void)snprintf(command, sizeof(command), "LC_ALL=C readelf -sW '%s' 2>/dev/null", path);
	known_clear();
	FILE *f = popen(command, "r");
	assert_non_null(f);
	bool wanted = false;
	while (fgets(line, sizeof(line), f)) {
		unsigned long long start, size;
		char size_text[32], type[32], binding[32], visibility[64], index[32];
		static char name[16384];
		if (strncmp(line, "Symbol table '", 14) == 0)
			wanted = strncmp(line + 14, table, strlen(table)) == 0;
		if (!wanted || sscanf(line, " %*u: %llx %31s %31s %31s %63s %31s %16383s", &start, size_text, type,
				      binding, visibility, index, name) != 7)
			continue;
		size = strtoull(size_text, NULL, 0);
		bool func = strcmp(type, "FUNC") == 0 || strcmp(type, "IFUNC") == 0;
		bool label = strcmp(type, "NOTYPE") == 0;
		if ((!func && !label) || strcmp(index, "UND") == 0 || strcmp(index, "ABS") == 0)
			continue;
		char *version = strchr(name + 1, '@');
		if (version)
			*version = 0;
		assert_true(n_known < MAX_SYMBOLS);
		known[n_known++] = (struct known){
			.start = start,
			.size = size,
			.func = func,
			.label = label,
			.binding = strcmp(binding, "WEAK") == 0	   ? 1
				   : strcmp(binding, "LOCAL") == 0 ? 2
								   : 3,
			.name = strdup(name),
		};
	}
	return pclose(f) == 0 && n_known > 0;
}

static size_t n_underscores(const char *s)
{
	return strspn(s, "_");
}

static bool known_better(const struct known *a, const struct known *b)
{
	if (a->start != b->start)
		return a->start > b->start;
	if (a->binding != b->binding)
		return a->binding > b->binding;
	if (n_underscores(a->name) != n_underscores(b->name))
		return n_underscores(a->name) < n_underscores(b->name);
	return strcmp(a->name, b->name) < 0;
}

/* Rules 1 to 4 of symtab.h, word by word and without any cleverness. NULL: no
 * symbol. */
static const char *known_name(const struct elf *e, uint64_t addr)
{
	for (int func = 1; func >= 0; func--) {
		const struct known *sized = NULL, *open = NULL;
		uint64_t boundary = 0;
		for (uint32_t i = 0; i < n_known; i++) {
			const struct known *k = &known[i];
			if (k->func != func)
				continue;
			bool executable = false;
			for (uint32_t l = 0; l < e->n_loads; l++)
				executable |=
					e->loads[l].executable && k->start - e->loads[l].vaddr < e->loads[l].mem_size;
			if (!func && !executable)
				continue;
			if (k->size && addr >= k->start && addr < k->start + k->size &&
			    (!sized || known_better(k, sized)))
				sized = k;
			if (!k->size && addr >= k->start && (!open || known_better(k, open)))
				open = k;
			if (k->start <= addr && k->start > boundary)
				boundary = k->start;
			if (k->start + k->size <= addr && k->start + k->size > boundary)
				boundary = k->start + k->size;
		}
		for (uint32_t l = 0; l < e->n_loads + e->n_code; l++) {
			uint64_t edges[2];
			if (l < e->n_loads) {
				edges[0] = e->loads[l].vaddr;
				edges[1] = e->loads[l].vaddr + e->loads[l].mem_size;
			} else {
				edges[0] = e->code[l - e->n_loads].start;
				edges[1] = e->code[l - e->n_loads].end;
			}
			for (int k = 0; k < 2; k++)
				if (edges[k] <= addr && edges[k] > boundary)
					boundary = edges[k];
		}
		if (sized)
			return sized->name;
		if (open && open->start == boundary)
			return open->name;
	}
	return NULL;
}

/* Answers of one look-up. */
struct answers {
	uint32_t n, n_named;
	uint64_t last_end;
	const struct elf *check; /* compare with known_name() */
	char last_name[SYMBOL_NAME_MAX + 1];
	uint64_t last_start;
};

static int take_answer(void *arg, const struct symrange *r)
{
	struct answers *a = arg;
	assert_true(r->start < r->end);
	assert_true(r->start >= a->last_end);
	a->last_start = r->start;
	a->last_end = r->end;
	a->n++;
	a->n_named += r->name.size > 0;
	assert_true(r->name.size <= SYMBOL_NAME_MAX);
	if (r->name.size)
		memcpy(a->last_name, r->name.data, r->name.size);
	a->last_name[r->name.size] = 0;
	if (!a->check)
		return 0;
	uint64_t probes[] = { r->start, r->start + (r->end - r->start) / 2, r->end - 1 };
	for (uint32_t i = 0; i < 3; i++) {
		const char *want = known_name(a->check, probes[i]);
		if (strncmp(want ? want : "", a->last_name, SYMBOL_NAME_MAX) != 0)
			fail_msg("%#llx: found '%s', readelf's symbols say '%s'", (unsigned long long)probes[i],
				 a->last_name, want ? want : "");
	}
	return 0;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

/* Addresses all over the executable segments, edges of symbols included. */
static uint32_t pick_addresses(const struct elf *e, uint64_t *addrs, uint32_t max)
{
	uint32_t n = 0;
	uint64_t x = 88172645463325252ULL;
	for (uint32_t i = 0; i < n_known && n + 2 < max / 2; i += 1 + n_known / max * 4) {
		addrs[n++] = known[i].start;
		addrs[n++] = known[i].start + known[i].size;
	}
	while (n < max) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		const struct elf_load *l = &e->loads[x % e->n_loads];
		if (l->mem_size)
			addrs[n++] = l->vaddr + (x >> 8) % l->mem_size;
	}
	qsort(addrs, n, sizeof(*addrs), compare_u64);
	return n;
}

static void check_against_readelf(const char *path, uint32_t n_addrs)
{
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf e;
	struct error err = { 0 };
	assert_true(fd >= 0);
	if (elf_init(&e, fd, &err) != 0)
		fail_msg("%s: %s", path, err.text);
	if (!known_read(path, e.symtab.size ? ".symtab" : ".dynsym"))
		skip_because("readelf is not here or finds no symbols in %s", path);
	uint64_t *addrs = calloc(n_addrs, sizeof(*addrs));
	uint32_t n = pick_addresses(&e, addrs, n_addrs);
	struct answers a = { .check = &e };
	if (symtab_lookup(&e, addrs, n, (struct symrange_sink){ take_answer, &a }, &err) != 0)
		fail_msg("%s: %s", path, err.text);
	assert_true(a.n_named > 0);
	free(addrs);
	known_clear();
}

/* Build output of src/object/meson.build. */
static const char *victim(const char *name)
{
	static char path[4096];
	const char *root = getenv("WICK_BUILD_ROOT");
	(void)snprintf(path, sizeof(path), "%s/src/object/%s", root ? root : ".", name);
	assert_int_equal(access(path, R_OK), 0);
	return path;
}

/* Runs a tool on a copy of `from`; the copy's path, or NULL if it failed. */
static const char *derive(const char *from, const char *tool, const char *name)
{
	static char out[4096];
	char command[9000];
	(void)snprintf(out, sizeof(out), "%s/%s", scratch, name);
	(void)snprintf(command, sizeof(command), "cp '%s' '%s' && %s '%s' 2>/dev/null", from, out, tool, out);
	return system(command) == 0 ? out : NULL;
}

static void test_victims_agree_with_readelf(void **state)
{
	check_against_readelf(victim("victim"), 1500);
	check_against_readelf(victim("victim-nopie"), 1500);
	check_against_readelf(victim("victim-static"), 300);
}

static void test_stripped_uses_dynsym(void **state)
{
	const char *path = derive(victim("victim"), "strip", "stripped");
	if (!path)
		skip_because("strip is not here");
	check_against_readelf(path, 500);
}

/* System files, as large and odd as they come. */
static void test_libc_agrees_with_readelf(void **state)
{
	const char *paths[] = { "/lib/x86_64-linux-gnu/libc.so.6", "/lib/aarch64-linux-gnu/libc.so.6",
				"/lib64/libc.so.6" };
	for (uint32_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (access(paths[i], R_OK) == 0) {
			check_against_readelf(paths[i], 1000);
			return;
		}
	}
	skip_because("no libc where distributions put it");
}

static void test_python_agrees_with_readelf(void **state)
{
	FILE *f = popen("readlink -f \"$(python3 -c 'import sys; print(sys.executable)')\" 2>/dev/null", "r");
	char path[4096] = "";
	assert_non_null(f);
	bool found = fgets(path, sizeof(path), f) != NULL;
	if (pclose(f) != 0 || !found)
		skip_because("no python3");
	path[strcspn(path, "\n")] = 0;
	check_against_readelf(path, 1000);
}

static uint64_t known_start(const char *name)
{
	for (uint32_t i = 0; i < n_known; i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].start;
	fail_msg("no symbol %s", name);
	return 0;
}

static void expect_name(const struct elf *e, uint64_t addr, const char *want)
{
	struct answers a = { 0 };
	assert_int_equal(symtab_lookup(e, &addr, 1, (struct symrange_sink){ take_answer, &a }, NULL), 0);
	assert_string_equal(a.last_name, want);
	assert_true(a.last_start <= addr && addr < a.last_end);
}

static void test_best_symbol_wins(void **state)
{
	_cleanup_(close_fd)
	int fd = open(victim("victim"), O_RDONLY | O_CLOEXEC);
	struct elf e;
	assert_int_equal(elf_init(&e, fd, NULL), 0);
	if (!known_read(victim("victim"), ".symtab"))
		skip_because("readelf is not here");
	expect_name(&e, known_start("__victim_alias"), "victim_global");
	expect_name(&e, known_start("victim_weak") + 1, "victim_weak");
	expect_name(&e, known_start("victim_local") + 1, "victim_local");
	expect_name(&e, known_start("resolve"), "victim_indirect"); /* the ifunc is the global one of the two */
	expect_name(&e, known_start("victim_assembly") + 3, "victim_assembly");
	expect_name(&e, known_start("victim_end"), "victim_end");
	/* The stubs behind .init are nobody's. */
	expect_name(&e, known_start("_init"), "_init");
	for (uint32_t i = 0; i < e.n_code; i++)
		if (e.code[i].start <= known_start("_init") && known_start("_init") < e.code[i].end)
			expect_name(&e, e.code[i].end + 16, "");
	known_clear();
}

/* Without section headers the dynamic segment has to do. */
static void test_no_section_headers(void **state)
{
	_cleanup_(close_fd)
	int fd = memfd_create("victim", MFD_CLOEXEC);
	_cleanup_(buf_done)
	struct buf b = buf_of(16 << 20);
	assert_int_equal(file_read(victim("victim"), &b, NULL), 0);
	struct elf whole, bare;
	_cleanup_(close_fd)
	int whole_fd = open(victim("victim"), O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_init(&whole, whole_fd, NULL), 0);
	Elf64_Ehdr h;
	memcpy(&h, b.data, sizeof(h));
	size_t size = h.e_shoff; /* the table comes last: cut it off */
	h.e_shoff = 0;
	h.e_shnum = h.e_shstrndx = 0;
	memcpy(b.data, &h, sizeof(h));
	assert_int_equal(fd_write_all(fd, b.data, size), 0);

	struct error err = { 0 };
	if (elf_init(&bare, fd, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(bare.symtab.size, 0);
	assert_int_equal(bare.dynsym.size, whole.dynsym.size);
	assert_int_equal(bare.dynsym.off, whole.dynsym.off);
	assert_int_equal(bare.dynsym_names.off, whole.dynsym_names.off);
	assert_int_equal(bare.build_id_size, whole.build_id_size);
	if (!known_read(victim("victim"), ".symtab"))
		skip_because("readelf is not here");
	expect_name(&bare, known_start("victim_weak"), "victim_weak"); /* exported */
	known_clear();
}

static void test_no_symbols_is_one_nameless_range(void **state)
{
	_cleanup_(close_fd)
	int fd = open(victim("victim"), O_RDONLY | O_CLOEXEC);
	struct elf e;
	assert_int_equal(elf_init(&e, fd, NULL), 0);
	e.symtab = e.dynsym = (struct elf_table){ 0 };
	e.n_loads = e.n_code = 0;
	uint64_t addrs[] = { 0, 5, 5, UINT64_MAX - 1, UINT64_MAX };
	struct answers a = { 0 };
	assert_int_equal(symtab_lookup(&e, addrs, 5, (struct symrange_sink){ take_answer, &a }, NULL), 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.n_named, 0);
}

static void test_build_id(void **state)
{
	char command[4400], want[128] = "", have[ELF_BUILD_ID_HEX];
	(void)snprintf(command, sizeof(command), "LC_ALL=C readelf -nW '%s' 2>/dev/null | sed -n 's/.*Build ID: //p'",
		       victim("victim"));
	FILE *f = popen(command, "r");
	assert_non_null(f);
	bool found = fgets(want, sizeof(want), f) != NULL;
	(void)pclose(f);
	if (!found)
		skip_because("readelf is not here or the linker makes no build ids");
	want[strcspn(want, "\n")] = 0;
	_cleanup_(close_fd)
	int fd = open(victim("victim"), O_RDONLY | O_CLOEXEC);
	struct elf e;
	assert_int_equal(elf_init(&e, fd, NULL), 0);
	assert_int_equal(elf_build_id_hex(&e, have), strlen(want));
	assert_string_equal(have, want);
}

static void test_kernel_build_id(void **state)
{
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	uint8_t id[ELF_BUILD_ID_MAX];
	if (file_read("/sys/kernel/notes", &b, NULL) != 0)
		skip_because("/sys/kernel/notes cannot be read");
	assert_int_equal(elf_notes_build_id(slice_of(b.data, b.n), id), 20);
	/* Cut anywhere, it is there or not. */
	for (size_t n = 0; n < b.n; n++) {
		_cleanup_(free_ptr)
		uint8_t *part = malloc(n + 1); /* ends with the bytes: ASan sees a read behind them */
		memcpy(part + 1, b.data, n);
		uint32_t size = elf_notes_build_id(slice_of(part + 1, n), id);
		assert_true(size == 0 || size == 20);
	}
}

/* Offsets, as mappings state them, lead to addresses, as symbols do. */
static void test_file_offset_to_address(void **state)
{
	_cleanup_(close_fd)
	int fd = open(victim("victim-nopie"), O_RDONLY | O_CLOEXEC);
	struct elf e;
	assert_int_equal(elf_init(&e, fd, NULL), 0);
	bool seen = false;
	for (uint32_t i = 0; i < e.n_loads; i++) {
		const struct elf_load *l = &e.loads[i];
		uint64_t vaddr = 0;
		if (!l->executable)
			continue;
		seen = true;
		assert_true(elf_vaddr(&e, l->file_off + 5, &vaddr));
		assert_int_equal(vaddr, l->vaddr + 5);
	}
	assert_true(seen);
	uint64_t untouched = 77;
	assert_false(elf_vaddr(&e, UINT64_MAX, &untouched));
	assert_int_equal(untouched, 77);
}

static void test_vdso(void **state)
{
	_cleanup_(close_fd)
	int fd = elf_vdso_open();
	if (fd == -ENOENT)
		skip_because("no vDSO here");
	assert_true(fd >= 0);
	struct elf e;
	struct error err = { 0 };
	if (elf_init(&e, fd, &err) != 0)
		fail_msg("%s", err.text);
	uint64_t addrs[64];
	for (uint32_t i = 0; i < 64; i++)
		addrs[i] = e.loads[0].vaddr + e.loads[0].mem_size / 64 * i;
	struct answers a = { 0 };
	assert_int_equal(symtab_lookup(&e, addrs, 64, (struct symrange_sink){ take_answer, &a }, NULL), 0);
	assert_true(a.n_named > 0);
}

static int init_bytes(const void *data, size_t size, struct elf *e, struct error *err)
{
	_cleanup_(close_fd)
	int fd = memfd_create("bytes", MFD_CLOEXEC);
	assert_int_equal(fd_write_all(fd, data, size), 0);
	return elf_init(e, fd, err);
}

static void test_refusals_say_why(void **state)
{
	struct elf e;
	struct error err;
	Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
			 .e_type = ET_DYN,
			 .e_machine = EM_X86_64,
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1,
			 .e_phoff = sizeof(h) };
	assert_int_equal(init_bytes("", 0, &e, &err), -ENODATA);
	assert_int_equal(init_bytes("#!/bin/sh\necho hello world\n", 27, &e, &err), -EBADMSG);
	assert_string_equal(err.text, "not an ELF file");
	assert_int_equal(init_bytes(&h, 40, &e, &err), -ENODATA);
	assert_int_equal(init_bytes(&h, sizeof(h), &e, &err), -ENODATA);
	assert_string_equal(err.text, "program header 0 lies outside the file");
	h.e_machine = EM_PPC64;
	assert_int_equal(init_bytes(&h, sizeof(h), &e, &err), -EPROTONOSUPPORT);
	h.e_machine = EM_AARCH64;
	h.e_type = ET_REL;
	assert_int_equal(init_bytes(&h, sizeof(h), &e, &err), -EPROTONOSUPPORT);
	h.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(init_bytes(&h, sizeof(h), &e, &err), -EPROTONOSUPPORT);
	h.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(init_bytes(&h, 52, &e, &err), -EPROTONOSUPPORT);
	assert_string_equal(err.text, "32-bit ELF files are not supported");
	assert_int_equal(elf_init(&e, -1, &err), -EBADF);
}

static void test_too_large_a_batch_is_refused(void **state)
{
	struct elf e = { .fd = -1 };
	uint64_t addr = 0;
	struct answers a = { 0 };
	assert_int_equal(
		symtab_lookup(&e, &addr, SYMTAB_MAX_BATCH + 1, (struct symrange_sink){ take_answer, &a }, NULL),
		-E2BIG);
	e.symtab.size = SYMTAB_MAX_SIZE + sizeof(Elf64_Sym);
	assert_int_equal(symtab_lookup(&e, &addr, 1, (struct symrange_sink){ take_answer, &a }, NULL), -E2BIG);
}

static int end_early(void *arg, const struct symrange *r)
{
	++*(int *)arg;
	return -EPIPE;
}

static void test_sink_ends_the_look_up(void **state)
{
	_cleanup_(close_fd)
	int fd = open(victim("victim"), O_RDONLY | O_CLOEXEC);
	struct elf e;
	assert_int_equal(elf_init(&e, fd, NULL), 0);
	uint64_t addrs[] = { 0, 0x1000, 0x1100, 0x1200 };
	int n = 0;
	assert_int_equal(symtab_lookup(&e, addrs, 4, (struct symrange_sink){ end_early, &n }, NULL), -EPIPE);
	assert_int_equal(n, 1);
}

/* Everything a damaged file may do is answer wrongly or be refused. */
static void try_damaged(int fd, size_t size)
{
	struct elf e;
	int r = elf_init(&e, fd, NULL);
	if (r != 0) {
		assert_true(r == -EBADMSG || r == -ENODATA || r == -EPROTONOSUPPORT || r == -E2BIG);
		return;
	}
	uint64_t addrs[32];
	for (uint32_t i = 0; i < 32; i++)
		addrs[i] = e.n_loads ? e.loads[0].vaddr + size / 32 * i : i;
	qsort(addrs, 32, sizeof(*addrs), compare_u64);
	struct answers a = { 0 };
	r = symtab_lookup(&e, addrs, 32, (struct symrange_sink){ take_answer, &a }, NULL);
	assert_true(r == 0 || r == -E2BIG || r == -ENODATA);
}

static void test_truncated_anywhere(void **state)
{
	_cleanup_(buf_done)
	struct buf b = buf_of(16 << 20);
	assert_int_equal(file_read(victim("victim"), &b, NULL), 0);
	_cleanup_(close_fd)
	int fd = memfd_create("victim", MFD_CLOEXEC);
	assert_int_equal(fd_write_all(fd, b.data, b.n), 0);
	for (size_t size = b.n / 64 * 64;; size -= 64) {
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
		try_damaged(fd, size);
		if (size == 0)
			break;
	}
}

static void flip_bits(int fd, size_t file_size, uint64_t from, uint64_t to)
{
	for (uint64_t off = from; off < to; off++) {
		uint8_t byte = 0;
		assert_int_equal(pread(fd, &byte, 1, (off_t)off), 1);
		for (int bit = 0; bit < 8; bit++) {
			uint8_t bad = (uint8_t)(byte ^ 1 << bit);
			assert_int_equal(pwrite(fd, &bad, 1, (off_t)off), 1);
			try_damaged(fd, file_size);
		}
		assert_int_equal(pwrite(fd, &byte, 1, (off_t)off), 1);
	}
}

static void test_flipped_bits_in_headers(void **state)
{
	_cleanup_(buf_done)
	struct buf b = buf_of(16 << 20);
	assert_int_equal(file_read(victim("victim"), &b, NULL), 0);
	_cleanup_(close_fd)
	int fd = memfd_create("victim", MFD_CLOEXEC);
	assert_int_equal(fd_write_all(fd, b.data, b.n), 0);
	Elf64_Ehdr h;
	memcpy(&h, b.data, sizeof(h));
	flip_bits(fd, b.n, 0, h.e_phoff + (uint64_t)h.e_phnum * h.e_phentsize);
	flip_bits(fd, b.n, h.e_shoff, h.e_shoff + (uint64_t)h.e_shnum * h.e_shentsize);
	/* Without sections: the dynamic segment is what is trusted then. */
	h.e_shoff = 0;
	h.e_shnum = 0;
	assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
	for (uint32_t i = 0; i < h.e_phnum; i++) {
		Elf64_Phdr ph;
		memcpy(&ph, b.data + h.e_phoff + i * sizeof(ph), sizeof(ph));
		if (ph.p_type == PT_DYNAMIC)
			flip_bits(fd, b.n, ph.p_offset, ph.p_offset + ph.p_filesz);
	}
}

static int make_scratch(void **state)
{
	known = calloc(MAX_SYMBOLS, sizeof(*known));
	return known && mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/stripped", scratch);
	(void)unlink(path);
	free(known);
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_victims_agree_with_readelf),
		cmocka_unit_test(test_stripped_uses_dynsym),
		cmocka_unit_test(test_libc_agrees_with_readelf),
		cmocka_unit_test(test_python_agrees_with_readelf),
		cmocka_unit_test(test_best_symbol_wins),
		cmocka_unit_test(test_no_section_headers),
		cmocka_unit_test(test_no_symbols_is_one_nameless_range),
		cmocka_unit_test(test_build_id),
		cmocka_unit_test(test_kernel_build_id),
		cmocka_unit_test(test_file_offset_to_address),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_refusals_say_why),
		cmocka_unit_test(test_too_large_a_batch_is_refused),
		cmocka_unit_test(test_sink_ends_the_look_up),
		cmocka_unit_test(test_truncated_anywhere),
		cmocka_unit_test(test_flipped_bits_in_headers),
	};
	return cmocka_run_group_tests_name("symtab", tests, make_scratch, remove_scratch);
}
