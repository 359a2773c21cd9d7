/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: names of Fedora's binaries, or an agent filled
 * by a few hundred bytes of xz. */
#include "scratch.h"

#include "base/file.h"
#include "object/minidebug.h"
#include "object/symbols.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <string.h>
#include <sys/mman.h>

/* Names met in a look-up of all of a file's code. */
struct names {
	uint32_t n, n_global, n_local;
};

static int take_name(void *arg, const struct symrange *r)
{
	struct names *names = arg;
	names->n += r->name.size > 0;
	names->n_global += slice_eq(r->name, slice_str("victim_global"));
	names->n_local += slice_eq(r->name, slice_str("victim_local"));
	return 0;
}

static struct names names_of(const char *file)
{
	char path[64];
	struct names names = { 0 };
	(void)snprintf(path, sizeof(path), "%s/%s", scratch, file);
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf e;
	assert_int_equal(elf_init(&e, fd, NULL), 0);
	uint64_t addrs[SYMBOLS_MAX_BATCH];
	uint32_t n = 0;
	for (uint32_t i = 0; i < e.n_loads; i++)
		for (uint64_t k = 0; e.loads[i].executable && k < e.loads[i].mem_size && n < SYMBOLS_MAX_BATCH; k++)
			addrs[n++] = e.loads[i].vaddr + k;
	struct symbols_env env = { .place.root = -1, .temp_dir = scratch };
	struct symrange_sink sink = { take_name, &names };
	assert_int_equal(symbols_lookup(&e, &env, addrs, n, sink, NULL), 0);
	return names;
}

/* The recipe of GDB's manual. */
static void test_symbols_of_a_stripped_binary(void **state)
{
	static const char recipe[] =
		"cd '%s' && nm -D '%s' --format=posix --defined-only | awk '{print $1}' | sed 's/@.*//' | sort "
		">dynsyms && "
		"nm '%s' --format=posix --defined-only | awk '{ if ($2 ~ /^[TtD]$/) print $1 }' | sort >funcsyms && "
		"comm -13 dynsyms funcsyms >keep && objcopy --only-keep-debug '%s' debug && "
		"objcopy -S --remove-section .comment --keep-symbols=keep debug mini && xz mini && "
		"strip -o stripped '%s' && objcopy --add-section .gnu_debugdata=mini.xz stripped whole";
	char victim[4096], command[30000];
	const char *root = getenv("WICK_BUILD_ROOT");
	if (system("nm --version >/dev/null 2>&1 && xz --version >/dev/null 2>&1") != 0)
		skip_because("nm or xz is not here");
	(void)snprintf(victim, sizeof(victim), "%s/src/object/victim", root ? root : ".");
	(void)snprintf(command, sizeof(command), recipe, scratch, victim, victim, victim, victim);
	assert_int_equal(system(command), 0);
	struct names stripped = names_of("stripped"), whole = names_of("whole");
	/* Exported, and so in .dynsym only. */
	assert_int_equal(stripped.n_global, 1);
	assert_int_equal(whole.n_global, 1);
	assert_int_equal(stripped.n_local, 0);
	assert_int_equal(whole.n_local, 1);
	assert_true(whole.n > stripped.n);
}

/* What `data` says as the section of a file for x86-64. */
static int open_section(const void *data, size_t size)
{
	_cleanup_(close_fd)
	int fd = memfd_create("section", MFD_CLOEXEC), mini_fd = -1;
	assert_int_equal(fd_write_all(fd, data, size), 0);
	struct elf e = { .fd = fd, .file_size = size, .machine = EM_X86_64, .debugdata = { 0, size } };
	struct elf mini = { .fd = 77 };
	int r = minidebug_open(&e, NULL, &mini_fd, &mini);
	if (r < 0)
		assert_true(mini.fd == 77 && mini_fd == -1);
	close_fd(&mini_fd);
	return r;
}

struct xz {
	uint8_t *data;
	size_t n;
};

static struct xz compress(const void *data, size_t size, uint32_t dictionary)
{
	lzma_options_lzma options;
	struct xz out = { .data = malloc(size + 65536) };
	assert_non_null(out.data);
	assert_false(lzma_lzma_preset(&options, 0));
	options.dict_size = dictionary;
	lzma_filter filters[] = { { LZMA_FILTER_LZMA2, &options }, { LZMA_VLI_UNKNOWN, NULL } };
	assert_int_equal(
		lzma_stream_buffer_encode(filters, LZMA_CHECK_CRC32, NULL, data, size, out.data, &out.n, size + 65536),
		LZMA_OK);
	return out;
}

static int open_compressed(const void *data, size_t size, uint32_t dictionary)
{
	struct xz x = compress(data, size, dictionary);
	int r = open_section(x.data, x.n);
	free(x.data);
	return r;
}

static void test_what_it_may_cost(void **state)
{
	size_t size = MINIDEBUG_MAX_SIZE + 1;
	_cleanup_(free_ptr)
	uint8_t *zeros = calloc(1, size);
	assert_non_null(zeros);
	assert_int_equal(open_compressed(zeros, size, 1 << 20), -E2BIG);
	/* Up to the limit it is unpacked, and turns out to be no ELF file. */
	assert_int_equal(open_compressed(zeros, size - 1, 8 << 20), -EBADMSG);
	assert_int_equal(open_compressed(zeros, 1000, 16 << 20), -E2BIG);
}

static void test_damage(void **state)
{
	Elf64_Ehdr h[2] = { { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1 },
			      .e_type = ET_DYN,
			      .e_machine = EM_X86_64,
			      .e_phentsize = sizeof(Elf64_Phdr),
			      .e_phnum = 1,
			      .e_phoff = sizeof(Elf64_Ehdr) } };
	assert_int_equal(open_section("", 0), -ENOENT);
	assert_int_equal(open_section("this is not xz", 14), -EBADMSG);
	assert_int_equal(open_compressed(h, sizeof(h), 1 << 20), 0);
	struct xz x = compress(h, sizeof(h), 1 << 20);
	for (size_t i = 0; i < x.n; i++) {
		int r = open_section(x.data, i);
		assert_int_equal(r, i == 0 ? -ENOENT : -ENODATA);
	}
	for (size_t i = 0; i < 8 * x.n; i++) {
		x.data[i / 8] ^= (uint8_t)(1 << i % 8);
		int r = open_section(x.data, x.n);
		assert_true(r == -EBADMSG || r == -ENODATA || r == -E2BIG);
		x.data[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	free(x.data);
	h[0].e_machine = EM_AARCH64; /* not the binary's */
	assert_int_equal(open_compressed(h, sizeof(h), 1 << 20), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_symbols_of_a_stripped_binary),
		cmocka_unit_test(test_what_it_may_cost),
		cmocka_unit_test(test_damage),
	};
	return cmocka_run_group_tests_name("minidebug", tests, make_scratch, remove_scratch);
}
