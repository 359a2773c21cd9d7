/* SPDX-License-Identifier: Apache-2.0 */
/* A debug file that was acknowledged is there, whole and the right one, until it has to make room. */
#include "debuginfo/debugstore.h"
#include "debuginfo/testelf.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LIMIT ((uint64_t)64 << 10)

static char folder[64];

static int setup(void **state)
{
	(void)snprintf(folder, sizeof(folder), "/tmp/wick-debugstore-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	char path[512];
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		(void)unlink(path);
	}
	if (d)
		(void)closedir(d);
	return rmdir(folder);
}

static struct debugstore *open_store(uint64_t limit)
{
	struct debugstore *s = NULL;
	struct error err;
	struct debugstore_options o = { .dir = folder, .limit = limit, .file_max = limit / 2 };
	assert_int_equal(debugstore_open(&o, &s, &err), 0);
	return s;
}

static const char *id_of(uint8_t id)
{
	static char hex[2 * TESTELF_ID_SIZE + 1];
	for (int i = 0; i < TESTELF_ID_SIZE; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", id);
	return hex;
}

static int upload(struct debugstore *s, const char *build_id, struct slice bytes, bool *ret_stored, struct error *err)
{
	struct debug_upload *u;
	int r = debug_upload_begin(s, build_id, bytes.size, &u, err);
	if (r < 0)
		return r;
	size_t half = bytes.size / 2;
	(void)debug_upload_write(u, bytes.data, half);
	(void)debug_upload_write(u, bytes.data + half, bytes.size - half);
	return debug_upload_commit(u, ret_stored, err);
}

/* Stored? */
static bool put(struct debugstore *s, uint8_t id, enum testelf content, size_t padding)
{
	_cleanup_(buf_done)
	struct buf elf = buf_of(1 << 20);
	struct error err;
	bool stored;
	testelf_make(id, content, padding, &elf);
	assert_int_equal(upload(s, id_of(id), slice_of(elf.data, elf.n), &stored, &err), 0);
	return stored;
}

static unsigned n_names(void)
{
	unsigned n = 0;
	DIR *d = opendir(folder);
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return n;
}

static void test_a_file_is_kept_over_a_restart(void **state)
{
	_cleanup_(debugstore_close)
	struct debugstore *s = open_store(LIMIT);
	struct debug_file f;
	assert_false(debugstore_find(s, id_of(1), NULL));
	assert_int_equal(debugstore_fd(s, id_of(1)), -ENOENT);
	assert_true(put(s, 1, TESTELF_DWARF, 100));
	assert_false(put(s, 1, TESTELF_DWARF, 100));
	debugstore_close(&s);
	s = open_store(LIMIT);
	assert_true(debugstore_find(s, id_of(1), &f));
	assert_true(f.has_dwarf);
	_cleanup_(close_fd)
	int fd = debugstore_fd(s, id_of(1));
	struct stat st;
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, f.size);
	assert_int_equal(n_names(), 1);
}

static void test_debug_information_takes_the_place_of_symbols(void **state)
{
	_cleanup_(debugstore_close)
	struct debugstore *s = open_store(LIMIT);
	struct debug_file f;
	uint64_t generation = debugstore_generation(s);
	assert_true(put(s, 1, TESTELF_SYMBOLS, 0));
	assert_true(put(s, 1, TESTELF_DWARF, 10));
	assert_false(put(s, 1, TESTELF_SYMBOLS, 0));
	assert_true(debugstore_find(s, id_of(1), &f) && f.has_dwarf);
	assert_int_equal(debugstore_generation(s), generation + 2);
	struct debugstore_stats stats;
	debugstore_get_stats(s, &stats);
	assert_int_equal(stats.n_files, 1);
	assert_int_equal(stats.size, f.size);
}

static void test_what_is_not_what_it_should_be_is_refused(void **state)
{
	_cleanup_(debugstore_close)
	struct debugstore *s = open_store(LIMIT);
	_cleanup_(buf_done)
	struct buf bare = buf_of(1 << 20), good = buf_of(1 << 20);
	struct error err;
	bool stored;
	testelf_make(1, TESTELF_BARE, 0, &bare);
	testelf_make(1, TESTELF_DWARF, 0, &good);
	const struct {
		const char *id;
		struct slice bytes;
		int result;
		const char *says;
	} cases[] = {
		{ id_of(1), slice_of(bare.data, bare.n), -EINVAL, "neither" },
		{ "ffffffffffffffff", slice_of(good.data, good.n), -EINVAL, "0101010101010101" },
		{ "../../../../etc/passwd", slice_of(good.data, good.n), -EINVAL, "no build id" },
		{ "AB01010101010101", slice_of(good.data, good.n), -EINVAL, "no build id" },
		{ "ab", slice_of(good.data, good.n), -EINVAL, "no build id" },
		{ id_of(1), slice_str("#!/bin/sh and more than a header of text, as it is often seen"), -EBADMSG,
		  "ELF" },
		{ id_of(1), slice_of(good.data, 40), -ENODATA, "" },
		{ id_of(1), slice_of(good.data, 0), -ENODATA, "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		err.text[0] = 0;
		assert_int_equal(upload(s, cases[i].id, cases[i].bytes, &stored, &err), cases[i].result);
		assert_non_null(strstr(err.text, cases[i].says));
	}
	assert_int_equal(n_names(), 0);
	struct debugstore_stats stats;
	debugstore_get_stats(s, &stats);
	assert_int_equal(stats.n_uploads, 0);
}

static void test_the_least_used_makes_room(void **state)
{
	_cleanup_(debugstore_close)
	struct debugstore *s = open_store(LIMIT);
	struct debugstore_stats stats;
	for (uint8_t id = 1; id <= 3; id++)
		assert_true(put(s, id, TESTELF_DWARF, 18 << 10));
	debugstore_close(&s);
	/* The first was used a moment ago, the second long before. */
	for (uint8_t id = 1; id <= 3; id++) {
		char path[256];
		struct timespec times[2] = { { .tv_sec = id == 2 ? 1000 : 2000 + id },
					     { .tv_sec = id == 2 ? 1000 : 2000 + id } };
		(void)snprintf(path, sizeof(path), "%s/%s.debug", folder, id_of(id));
		assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	}
	s = open_store(LIMIT);
	int fd = debugstore_fd(s, id_of(1));
	assert_true(fd >= 0);
	(void)close(fd);
	assert_true(put(s, 4, TESTELF_DWARF, 18 << 10));
	assert_false(debugstore_find(s, id_of(2), NULL));
	assert_true(put(s, 5, TESTELF_DWARF, 18 << 10));
	assert_false(debugstore_find(s, id_of(3), NULL));
	assert_true(debugstore_find(s, id_of(1), NULL));
	debugstore_get_stats(s, &stats);
	assert_int_equal(stats.n_evicted, 2);
	assert_true(stats.size <= LIMIT);
	debugstore_close(&s);
	/* A smaller limit holds from the start. */
	s = open_store(LIMIT / 2);
	debugstore_get_stats(s, &stats);
	assert_int_equal(stats.n_files, 1);
	assert_int_equal(n_names(), 1);
}

static void test_limits(void **state)
{
	_cleanup_(debugstore_close)
	struct debugstore *s = open_store(LIMIT);
	struct debug_upload *u[DEBUGSTORE_MAX_UPLOADS + 1];
	struct error err;
	bool stored;
	assert_int_equal(debug_upload_begin(s, id_of(1), LIMIT / 2 + 1, &u[0], &err), -EFBIG);
	/* Two of unknown size may each become the largest there is. */
	assert_int_equal(debug_upload_begin(s, id_of(1), 0, &u[0], &err), 0);
	assert_int_equal(debug_upload_begin(s, id_of(2), 0, &u[1], &err), 0);
	assert_int_equal(debug_upload_begin(s, id_of(3), 1, &u[2], &err), -EBUSY);
	debug_upload_abort(u[0]);
	debug_upload_abort(u[1]);
	for (unsigned i = 0; i < DEBUGSTORE_MAX_UPLOADS; i++)
		assert_int_equal(debug_upload_begin(s, id_of((uint8_t)i), 10, &u[i], &err), 0);
	assert_int_equal(debug_upload_begin(s, id_of(9), 10, &u[4], &err), -EBUSY);
	/* It says ten bytes and sends more. */
	assert_true(debug_upload_write(u[0], "1234567890", 10));
	assert_false(debug_upload_write(u[0], "1", 1));
	assert_int_equal(debug_upload_commit(u[0], &stored, &err), -EFBIG);
	for (unsigned i = 1; i < DEBUGSTORE_MAX_UPLOADS; i++)
		debug_upload_abort(u[i]);
	assert_int_equal(n_names(), 0);
	debugstore_close(&s);
	s = open_store(0);
	assert_int_equal(debug_upload_begin(s, id_of(1), 10, &u[0], &err), -ENOSPC);
}

static void test_what_a_crash_leaves_is_cleared_away(void **state)
{
	char path[256];
	_cleanup_(debugstore_close)
	struct debugstore *s = open_store(LIMIT);
	assert_true(put(s, 1, TESTELF_DWARF, 0));
	debugstore_close(&s);
	const char *const names[] = { "upload-3.tmp", "0202020202020202.debug", "notanid.debug" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		FILE *f = fopen(path, "w");
		(void)fputs("half a file", f);
		(void)fclose(f);
	}
	/* A link must not be followed out of the folder. */
	(void)snprintf(path, sizeof(path), "%s/0303030303030303.debug", folder);
	assert_int_equal(symlink("/proc/self/exe", path), 0);
	s = open_store(LIMIT);
	struct debugstore_stats stats;
	debugstore_get_stats(s, &stats);
	assert_int_equal(stats.n_files, 1);
	assert_int_equal(stats.n_refused, 3);
	assert_int_equal(n_names(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		CASE(test_a_file_is_kept_over_a_restart),
		CASE(test_debug_information_takes_the_place_of_symbols),
		CASE(test_what_is_not_what_it_should_be_is_refused),
		CASE(test_the_least_used_makes_room),
		CASE(test_limits),
		CASE(test_what_a_crash_leaves_is_cleared_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
