/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: the names of what distributions ship stripped,
 * or worse, names from a file that belongs to another binary. */
#include "scratch.h"

#include "object/debugfile.h"
#include "object/symtab.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* A root with a stripped binary in it:
 *   bin/victim, and all over the place victim.debug; outside: the file itself */
static void run(const char *format, ...) printf_like(1, 2);

static void run(const char *format, ...)
{
	char command[8192], all[8300];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	(void)snprintf(all, sizeof(all), "cd '%s' && { %s; }", scratch, command);
	if (system(all) != 0)
		fail_msg("%s", command);
}

/* Fresh files, with build ids or without. */
static void lay_out(bool build_ids)
{
	const char *root = getenv("WICK_BUILD_ROOT");
	const char *drop = build_ids ? "" : "--remove-section=.note.gnu.build-id";
	if (system("objcopy --version >/dev/null 2>&1") != 0)
		skip_because("objcopy is not here");
	run("rm -rf ./root victim.debug && mkdir -p root/bin root/usr/lib/debug/bin && "
	    "objcopy --only-keep-debug %s '%s/src/object/victim' victim.debug && "
	    "objcopy --strip-all %s --add-gnu-debuglink=victim.debug '%s/src/object/victim' root/bin/victim",
	    drop, root ? root : ".", drop, root ? root : ".");
}

struct binary {
	int root, fd;
	struct elf elf;
};

static void binary_done(struct binary *b)
{
	close_fd(&b->root);
	close_fd(&b->fd);
}

static void open_victim(struct binary *b)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "%s/root", scratch);
	b->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	(void)snprintf(path, sizeof(path), "%s/root/bin/victim", scratch);
	b->fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(b->root >= 0 && b->fd >= 0);
	assert_int_equal(elf_init(&b->elf, b->fd, NULL), 0);
	assert_int_equal(b->elf.symtab.size, 0);
	assert_true(b->elf.debuglink.size > 0);
}

static int count_local(void *arg, const struct symrange *r)
{
	*(uint32_t *)arg += slice_eq(r->name, slice_str("victim_local"));
	return 0;
}

/* Whether there is a debug file, and it names what no .dynsym does. */
static bool is_found(void)
{
	_cleanup_(binary_done)
	struct binary b;
	struct elf debug;
	_cleanup_(close_fd)
	int fd = -1;
	uint64_t addrs[4000];
	uint32_t n = 0, n_local = 0;
	open_victim(&b);
	int r = debugfile_open(&b.elf, (struct debugfile_place){ b.root, "/bin/victim" }, &fd, &debug);
	if (r < 0) {
		assert_int_equal(r, -ENOENT);
		return false;
	}
	for (uint32_t i = 0; i < b.elf.n_loads; i++)
		for (uint64_t k = 0; b.elf.loads[i].executable && k < b.elf.loads[i].mem_size && n < ARRAY_SIZE(addrs);
		     k++)
			addrs[n++] = b.elf.loads[i].vaddr + k;
	assert_int_equal(symtab_lookup(&debug, addrs, n, (struct symrange_sink){ count_local, &n_local }, NULL), 0);
	assert_int_equal(n_local, 1);
	return true;
}

static void test_by_build_id(void **state)
{
	char id[ELF_BUILD_ID_HEX];
	lay_out(true);
	assert_false(is_found());
	{
		_cleanup_(binary_done)
		struct binary b;
		open_victim(&b);
		if (elf_build_id_hex(&b.elf, id) == 0)
			skip_because("the linker makes no build ids");
	}
	run("mkdir -p root/usr/lib/debug/.build-id/%.2s && cp victim.debug root/usr/lib/debug/.build-id/%.2s/%s.debug",
	    id, id, id + 2);
	assert_true(is_found());
	/* Called so, but of another binary. */
	run("objcopy --remove-section=.note.gnu.build-id root/usr/lib/debug/.build-id/%.2s/%s.debug", id, id + 2);
	assert_false(is_found());
}

static void test_by_link(void **state)
{
	static const char *const folders[] = { "bin", "bin/.debug", "usr/lib/debug/bin" };
	for (int build_ids = 0; build_ids <= 1; build_ids++) {
		lay_out(build_ids);
		assert_false(is_found());
		for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
			run("mkdir -p root/%s && cp victim.debug root/%s", folders[i], folders[i]);
			assert_true(is_found());
			run("rm root/%s/victim.debug", folders[i]);
		}
	}
}

/* A name and nothing else ties them together. */
static void test_another_file_of_that_name(void **state)
{
	lay_out(false);
	run("cp victim.debug root/bin && printf x >>root/bin/victim.debug");
	assert_false(is_found());
	/* With build ids, the CRC is not looked at. */
	lay_out(true);
	run("cp victim.debug root/bin && printf x >>root/bin/victim.debug");
	assert_true(is_found());
	/* Stripped as well: no symbols to find. */
	lay_out(true);
	run("cp root/bin/victim root/bin/victim.debug");
	assert_false(is_found());
}

static void test_no_link_leads_out(void **state)
{
	lay_out(true);
	run("ln -s ../../victim.debug root/bin/victim.debug");
	assert_false(is_found());
	run("ln -sf '%s/victim.debug' root/bin/victim.debug", scratch);
	assert_false(is_found());
	run("cp victim.debug root/elsewhere && ln -sf /elsewhere root/bin/victim.debug");
	assert_true(is_found());
}

/* Sections that state something else than a name. */
static void test_links_that_are_none(void **state)
{
	static const char *const links[] = {
		"",
		"victim.debug",
		"victim.debug\\0\\0\\0\\0",
		"\\0\\0\\0\\0abcd",
		"/bin/victim.debug\\0\\0\\0abcd",
		"../bin/v.debug\\0abcd",
	};
	lay_out(false);
	run("cp victim.debug root/bin && cp root/bin/victim whole");
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		run("printf '%s' >link && printf ' ' >>link && objcopy --update-section=.gnu_debuglink=link whole "
		    "root/bin/victim",
		    links[i]);
		assert_false(is_found());
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_build_id),
		cmocka_unit_test(test_by_link),
		cmocka_unit_test(test_another_file_of_that_name),
		cmocka_unit_test(test_no_link_leads_out),
		cmocka_unit_test(test_links_that_are_none),
	};
	return cmocka_run_group_tests_name("debugfile", tests, make_scratch, remove_scratch);
}
