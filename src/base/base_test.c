/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/jsonw.h"
#include "base/outfile.h"
#include "base/pairset.h"
#include "base/rowset.h"
#include "base/strtab.h"
#include "base/u64map.h"
#include "base/utf8.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* A wrong or moved id would put a wrong name on a frame. */
static void strtab_ids_stay(void **state)
{
	(void)state;
	struct strtab t;
	assert_int_equal(strtab_init(&t, NULL), 0);
	char s[32];
	for (uint32_t i = 1; i <= 50000; i++) {
		int n = snprintf(s, sizeof(s), "name-%u", i);
		struct str_id id;
		assert_int_equal(strtab_intern(&t, slice_of(s, (size_t)n), &id), 0);
		assert_int_equal(id.v, i);
	}
	for (uint32_t i = 1; i <= 50000; i++) {
		(void)snprintf(s, sizeof(s), "name-%u", i);
		struct str_id id;
		assert_int_equal(strtab_intern_str(&t, s, &id), 0);
		assert_int_equal(id.v, i);
		assert_string_equal(strtab_cstr(&t, id), s);
	}
	struct str_id empty, with_nul, cut;
	assert_int_equal(strtab_intern(&t, slice_of("", 0), &empty), 0);
	assert_int_equal(empty.v, 0);
	assert_int_equal(strtab_intern(&t, slice_of("a\0b", 3), &with_nul), 0);
	assert_int_equal(strtab_intern(&t, slice_of("a", 1), &cut), 0);
	assert_int_not_equal(with_nul.v, cut.v);
	strtab_done(&t);
}

/* Hostile input must end in -ENOBUFS with all memory given back. */
static void budget_is_kept(void **state)
{
	(void)state;
	struct membudget b = membudget_of(100000);
	struct strtab t;
	assert_int_equal(strtab_init(&t, &b), 0);
	int r = 0;
	for (int i = 0; r == 0; i++) {
		char s[64];
		(void)snprintf(s, sizeof(s), "a rather long string %d", i);
		struct str_id id;
		r = strtab_intern_str(&t, s, &id);
		assert_true(b.used <= b.max);
	}
	assert_int_equal(r, -ENOBUFS);
	/* What was interned before is still whole. */
	assert_string_equal(strtab_cstr(&t, (struct str_id){ 1 }), "a rather long string 0");
	strtab_done(&t);
	assert_int_equal(b.used, 0);

	struct u64map m;
	u64map_init(&m, &b);
	uint32_t *v;
	for (uint64_t k = 0; (v = u64map_put(&m, k)); k++)
		*v = (uint32_t)k + 1;
	assert_true(b.used <= b.max);
	for (uint64_t k = 0; k < m.n; k++)
		assert_int_equal(u64map_get(&m, k), k + 1);
	assert_int_equal(u64map_get(&m, 1ULL << 60), 0);
	u64map_done(&m);
	assert_int_equal(b.used, 0);
}

/* Rows with equal hash tags and clusters of slots must not be mixed up. */
static void pairs_are_found_again(void **state)
{
	(void)state;
	struct membudget b = membudget_of(1 << 20);
	struct pairset s;
	pairset_init(&s, &b);
	static uint32_t first[200000], second[200000];
	struct pair_columns rows = { first, second };
	uint32_t n = 1;
	for (; pairset_reserve(&s, rows, 1) == 0; n++) {
		struct pair_probe at;
		first[n] = n / 7;
		second[n] = n % 7 << 20;
		assert_int_equal(pairset_find(&s, rows, first[n], second[n], &at), 0);
		pairset_set(&s, at, n);
	}
	assert_true(n > 90000 && b.used <= b.max);
	for (uint32_t i = 1; i < n; i++) {
		struct pair_probe at;
		assert_int_equal(pairset_find(&s, rows, first[i], second[i], &at), i);
		assert_int_equal(pairset_find(&s, rows, first[i], second[i] + 1, &at), 0);
	}
	pairset_done(&s);
	assert_int_equal(b.used, 0);
}

/* A row taken for another would give a frame a wrong address. */
static void rows_are_found_again(void **state)
{
	(void)state;
	struct membudget b = membudget_of(1 << 20);
	struct rowset s;
	rowset_init(&s, &b);
	static uint64_t rows[200000][2];
	const size_t size = sizeof(rows[0]);
	uint32_t n = 1, slot;
	for (; rowset_reserve(&s, rows, size, 1) == 0; n++) {
		rows[n][0] = n / 7;
		rows[n][1] = (uint64_t)(n % 7) << 60;
		uint64_t hash = rowset_hash(&s, rows[n], size);
		assert_int_equal(rowset_find(&s, rows, rows[n], size, hash, &slot), 0);
		rowset_set(&s, slot, hash, n);
	}
	assert_true(n > 90000 && b.used <= b.max);
	for (uint32_t i = 1; i < n; i++) {
		uint64_t other[2] = { rows[i][0], rows[i][1] + 1 };
		assert_int_equal(rowset_find(&s, rows, rows[i], size, rowset_hash(&s, rows[i], size), &slot), i);
		assert_int_equal(rowset_find(&s, rows, other, size, rowset_hash(&s, other, size), &slot), 0);
	}
	/* Two become equal: the first is found. */
	memcpy(rows[n - 1], rows[5], size);
	rowset_rebuild(&s, rows, size, n - 1);
	assert_int_equal(s.n, n - 1);
	assert_int_equal(rowset_find(&s, rows, rows[5], size, rowset_hash(&s, rows[5], size), &slot), 5);
	assert_int_equal(rowset_find(&s, rows, rows[6], size, rowset_hash(&s, rows[6], size), &slot), 6);
	rowset_done(&s);
	assert_int_equal(b.used, 0);
}

/* A block's strings are filled in without hashes, as nobody looks for one there; they can be taken over all the same.
 */
static void strings_without_hashes_are_taken_over(void **state)
{
	(void)state;
	struct strtab from, to;
	struct str_id id, again;
	char s[32];
	assert_int_equal(strtab_init(&from, NULL), 0);
	assert_int_equal(strtab_init(&to, NULL), 0);
	for (uint32_t i = 1; i <= 1000; i++) {
		int n = snprintf(s, sizeof(s), "name-%u", i);
		assert_int_equal(strtab_intern(&from, slice_of(s, (size_t)n), &id), 0);
	}
	vec_done(NULL, &from.hash);
	for (uint32_t i = 1000; i > 0; i--) {
		(void)snprintf(s, sizeof(s), "name-%u", i);
		assert_int_equal(strtab_intern_from(&to, &from, (struct str_id){ i }, &id), 0);
		assert_string_equal(strtab_cstr(&to, id), s);
		assert_int_equal(strtab_intern_str(&to, s, &again), 0);
		assert_int_equal(again.v, id.v);
	}
	assert_int_equal(strtab_count(&to), 1001);
	strtab_done(&from);
	strtab_done(&to);
}

/* Room taken beforehand changes nothing but that; what cannot be had is not missed. */
static void strings_fit_into_their_room(void **state)
{
	(void)state;
	struct membudget b = membudget_of(100000);
	struct strtab t;
	assert_int_equal(strtab_init(&t, &b), 0);
	strtab_reserve(&t, 1000, 20000);
	size_t used = b.used;
	char s[32];
	struct str_id id;
	for (uint32_t i = 1; i <= 1000; i++) {
		int n = snprintf(s, sizeof(s), "a name of twenty %03u", i % 1000);
		assert_int_equal(strtab_intern(&t, slice_of(s, (size_t)n), &id), 0);
		assert_int_equal(id.v, i);
	}
	assert_int_equal(b.used, used);
	strtab_reserve(&t, UINT32_MAX, UINT32_MAX);
	strtab_reserve(&t, 100000, 1);
	assert_int_equal(strtab_intern_str(&t, "a name of twenty 007", &id), 0);
	assert_int_equal(id.v, 7);
	strtab_done(&t);
	assert_int_equal(b.used, 0);
}

static void arena_cap_is_sticky(void **state)
{
	(void)state;
	struct arena a;
	arena_init(&a, 1 << 20);
	char *s = arena_strndup(&a, "hello", 5);
	assert_non_null(s);
	assert_non_null(arena_alloc(&a, 200000));
	assert_non_null(arena_alloc(&a, 16));
	assert_null(arena_alloc(&a, 2 << 20));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_true(a.failed);
	assert_string_equal(s, "hello");
	arena_reset(&a);
	assert_false(a.failed);
	assert_non_null(arena_alloc(&a, 16));
	arena_done(&a);
	assert_int_equal(a.used, 0);
}

static void json_is_valid_whatever_the_name(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	struct jsonw w = { .out = &b };
	jsonw_object(&w, NULL);
	jsonw_str(&w, "n", slice_of("a\"\\\n\x01\xff\xc3\xa4\xed\xa0\x80", 11));
	jsonw_array(&w, "v");
	jsonw_f64(&w, NULL, 1.5);
	jsonw_f64(&w, NULL, (double)NAN);
	jsonw_i64(&w, NULL, INT64_MIN);
	jsonw_end(&w, ']');
	jsonw_bool(&w, "b", true);
	jsonw_end(&w, '}');
	buf_add_byte(&b, 0);
	assert_false(b.failed);
	assert_string_equal((char *)b.data, "{\"n\":\"a\\\"\\\\\\u000a\\u0001\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd"
					    "\xef\xbf\xbd\xef\xbf\xbd\",\"v\":[1.5,null,-9223372036854775808],"
					    "\"b\":true}");
}

static void buf_stops_at_its_maximum(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf b = buf_of(1000);
	for (int i = 0; i < 200; i++)
		buf_printf(&b, "%010d", i);
	assert_true(b.failed);
	assert_int_equal(b.n, 1000);
}

/* Existing results are not overwritten; a failed write leaves nothing. */
static void files_are_whole_or_absent(void **state)
{
	(void)state;
	char path[64];
	(void)snprintf(path, sizeof(path), "/tmp/wick-base-test-%d", (int)getpid());
	struct error err;
	assert_int_equal(outfile_write(path, slice_str("one"), false, &err), 0);
	assert_int_equal(outfile_write(path, slice_str("two"), false, &err), -EEXIST);
	assert_non_null(strstr(err.text, "--force"));
	assert_int_equal(outfile_write(path, slice_str("three"), true, &err), 0);
	_cleanup_(buf_done)
	struct buf b = buf_of(5);
	assert_int_equal(file_read(path, &b, &err), 0);
	assert_int_equal(b.n, 5);
	_cleanup_(buf_done)
	struct buf small = buf_of(4);
	assert_int_equal(file_read(path, &small, &err), -E2BIG);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(file_read("/tmp", &b, &err), -EISDIR);
	assert_true(outfile_write("/nonexistent/x", slice_str("x"), false, &err) < 0);
}

/* A terabyte that is refused is not read, nor is there memory for it. */
static void too_large_files_are_not_read(void **state)
{
	(void)state;
	char path[] = "/tmp/wick-base-test-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	int r = ftruncate(fd, (off_t)1 << 40);
	(void)close(fd);
	struct error err;
	struct buf b = buf_of(1000);
	if (r == 0) {
		assert_int_equal(file_read(path, &b, &err), -E2BIG);
		assert_non_null(strstr(err.text, "1099511627776 bytes, more than the limit of 1000"));
		assert_int_equal(b.cap, 0);
		assert_int_equal(truncate(path, 1000), 0);
		assert_int_equal(file_read(path, &b, &err), 0);
		assert_int_equal(b.n, 1000);
	}
	buf_done(&b);
	(void)unlink(path);
	if (r < 0)
		skip_because("no sparse files in /tmp");
}

static uint32_t n_entries(const char *folder)
{
	DIR *dir = opendir(folder);
	assert_non_null(dir);
	uint32_t n = 0;
	for (struct dirent *e; (e = readdir(dir)) != NULL;)
		n += e->d_name[0] != '.';
	(void)closedir(dir);
	return n;
}

/* A process that is killed while it writes, having replaced a file before. */
static int killed_while_writing(const char *path)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		struct outfile o;
		if (outfile_open(&o, path, true, NULL) < 0 || outfile_put(&o, slice_str("half"), NULL) < 0)
			_exit(1);
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void a_kill_leaves_nothing(void **state)
{
	(void)state;
	char folder[] = "/tmp/wick-base-test-XXXXXX", path[64];
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/out", folder);
	int probe = open(folder, O_TMPFILE | O_WRONLY, 0600);
	if (probe < 0)
		(void)rmdir(folder);
	if (probe < 0)
		skip_because("no files without a name in /tmp");
	(void)close(probe);
	assert_int_equal(outfile_write(path, slice_str("whole"), true, NULL), 0);
	int status = killed_while_writing(path);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(n_entries(folder), 1);
	_cleanup_(buf_done)
	struct buf b = buf_of(64);
	assert_int_equal(file_read(path, &b, NULL), 0);
	assert_true(slice_eq(slice_of(b.data, b.n), slice_str("whole")));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

/* What comes in pieces is there once it is committed, and in one piece. */
static void pieces_wait_for_the_commit(void **state)
{
	(void)state;
	char path[64];
	(void)snprintf(path, sizeof(path), "/tmp/wick-base-test-%d", (int)getpid());
	struct outfile o;
	assert_int_equal(outfile_open(&o, path, false, NULL), 0);
	assert_int_equal(outfile_put(&o, slice_str("one "), NULL), 0);
	assert_int_equal(outfile_put(&o, slice_str("two"), NULL), 0);
	assert_int_not_equal(access(path, F_OK), 0);
	assert_int_equal(outfile_commit(&o, NULL), 0);
	outfile_done(&o);
	_cleanup_(buf_done)
	struct buf b = buf_of(64);
	assert_int_equal(file_read(path, &b, NULL), 0);
	assert_true(slice_eq(slice_of(b.data, b.n), slice_str("one two")));
	/* One that came into being meanwhile is not replaced. */
	assert_int_equal(unlink(path), 0);
	struct error err;
	assert_int_equal(outfile_open(&o, path, false, &err), 0);
	assert_int_equal(outfile_write(path, slice_str("other"), false, NULL), 0);
	assert_int_equal(outfile_commit(&o, &err), -EEXIST);
	assert_non_null(strstr(err.text, "--force"));
	outfile_done(&o);
	assert_int_equal(unlink(path), 0);
}

/* A container's link to the host's files must not lead there, nor may its
 * pipes and devices be opened. */
static void nothing_leads_out_of_a_root(void **state)
{
	(void)state;
	char folder[] = "/tmp/wick-root-test-XXXXXX", path[128], byte = 0;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/inside", folder);
	assert_int_equal(outfile_write(path, slice_str("i"), false, NULL), 0);
	(void)snprintf(path, sizeof(path), "%s/absolute", folder);
	assert_int_equal(symlink("/inside", path), 0);
	(void)snprintf(path, sizeof(path), "%s/out", folder);
	assert_int_equal(symlink("../../etc/passwd", path), 0);
	(void)snprintf(path, sizeof(path), "%s/pipe", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	int root = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = file_open_in_root(root, "/absolute");
	if (fd != -ENOSYS) {
		assert_true(fd >= 0);
		assert_int_equal(read(fd, &byte, 1), 1);
		assert_int_equal(byte, 'i');
		(void)close(fd);
		assert_int_equal(file_open_in_root(root, "/out"), -ENOENT);
		assert_int_equal(file_open_in_root(root, "../../etc/passwd"), -ENOENT);
		assert_int_equal(file_open_in_root(root, "/pipe"), -EINVAL);
	}
	(void)close(root);
	static const char *const names[] = { "inside", "absolute", "out", "pipe" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(folder), 0);
	if (fd == -ENOSYS)
		skip_because("this kernel has no openat2");
}

/* Names with characters beyond ASCII are written as they were meant. */
static void characters_are_valid_utf8(void **state)
{
	char s[4];
	for (uint32_t c = 0; c < 0x110000; c++) {
		if (!utf8_is_character(c)) {
			assert_in_range(c, 0xd800, 0xdfff);
			continue;
		}
		size_t n = utf8_encode(c, s);
		assert_int_equal(utf8_sequence((const uint8_t *)s, n), n);
	}
	assert_false(utf8_is_character(0x110000));
	assert_int_equal(utf8_encode(0x20ac, s), 3);
	assert_memory_equal(s, "\xe2\x82\xac", 3);
	assert_int_equal(utf8_encode(0x1f600, s), 4);
	assert_memory_equal(s, "\xf0\x9f\x98\x80", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strtab_ids_stay),
		cmocka_unit_test(budget_is_kept),
		cmocka_unit_test(pairs_are_found_again),
		cmocka_unit_test(rows_are_found_again),
		cmocka_unit_test(strings_without_hashes_are_taken_over),
		cmocka_unit_test(strings_fit_into_their_room),
		cmocka_unit_test(arena_cap_is_sticky),
		cmocka_unit_test(json_is_valid_whatever_the_name),
		cmocka_unit_test(buf_stops_at_its_maximum),
		cmocka_unit_test(files_are_whole_or_absent),
		cmocka_unit_test(too_large_files_are_not_read),
		cmocka_unit_test(a_kill_leaves_nothing),
		cmocka_unit_test(pieces_wait_for_the_commit),
		cmocka_unit_test(nothing_leads_out_of_a_root),
		cmocka_unit_test(characters_are_valid_utf8),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
