/* SPDX-License-Identifier: Apache-2.0 */
/* What a process writes about itself may be hostile: it costs its own names,
 * never the agent. */
#include "collect/proc_text.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static bool parse(const char *line, struct proc_map *ret)
{
	return proc_map_parse(slice_str(line), ret);
}

static void test_map_lines(void **state)
{
	struct proc_map m;
	assert_true(parse("7f0c1000-7f0c3000 r-xp 00001000 08:01 1234                       /usr/lib/libc.so.6", &m));
	assert_int_equal(m.start, 0x7f0c1000);
	assert_int_equal(m.end, 0x7f0c3000);
	assert_int_equal(m.offset, 0x1000);
	assert_int_equal(m.dev_major, 8);
	assert_int_equal(m.dev_minor, 1);
	assert_int_equal(m.inode, 1234);
	assert_true(m.executable);
	assert_true(slice_eq(m.path, slice_str("/usr/lib/libc.so.6")));

	assert_true(parse("7f0c1000-7f0c3000 rw-p 00000000 00:00 0 ", &m));
	assert_false(m.executable);
	assert_int_equal(m.path.size, 0);
	assert_true(parse("7f0c1000-7f0c3000 rwxp 00000000 00:00 0", &m));
	assert_int_equal(m.path.size, 0);

	/* Spaces and marks belong to the path; a newline in it is written as \012. */
	assert_true(parse("1000-2000 r-xp 00000000 103:02 7 /tmp/a b\\012c (deleted)", &m));
	assert_true(slice_eq(m.path, slice_str("/tmp/a b\\012c (deleted)")));
	assert_int_equal(m.dev_major, 0x103);
	assert_true(parse("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]", &m));
	assert_int_equal(m.end, 0xffffffffff601000);
}

static void test_lines_that_are_none(void **state)
{
	static const char *const lines[] = {
		"",
		"-",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 ",
		"1000-2000 r-x",
		"1000-2000 r-xp",
		"1000-2000 r-xp ",
		"1000-2000 r-xp 0",
		"1000-2000 r-xp 0 08",
		"1000-2000 r-xp 0 08:",
		"1000-2000 r-xp 0 08:01",
		"1000-2000 r-xp 0 08:01 ",
		"2000-1000 r-xp 0 08:01 5 /x",
		"1000-1000 r-xp 0 08:01 5 /x",
		"11111111111111111-2 r-xp 0 08:01 5 /x",
		"1000-2000 r-xp 11111111111111111 08:01 5 /x",
		"1000-2000 r-xp 0 08:01 99999999999999999999 /x",
		"1000-2000 r-xp 0 111111111:01 5 /x",
		"1000-2000 r-xp 0 08:01 5/x",
		"xyz-2000 r-xp 0 08:01 5 /x",
		"/etc/passwd",
	};
	struct proc_map m;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_false(parse(lines[i], &m));
}

static int file_of(const char *text, size_t size)
{
	int fd = memfd_create("maps", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, size), size);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static int count_map(void *arg, const struct proc_map *m)
{
	unsigned *n = arg;
	(*n)++;
	return m->inode == 666666 ? -ECANCELED : 0;
}

static void test_walk(void **state)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 20);
	unsigned n = 0;
	for (int i = 0; i < 1000; i++)
		buf_printf(&text, "%x000-%x000 r-xp 00000000 08:01 %d /some/library/with/a/name.so.%d\n", i + 1, i + 2,
			   i, i);
	/* A line that does not fit any buffer is skipped, those around it are not. */
	buf_printf(&text, "1000-2000 r-xp 00000000 08:01 5 /");
	for (int i = 0; i < 20000; i++)
		buf_add_byte(&text, 'x');
	buf_printf(&text, "\n1000-2000 r-xp 00000000 08:01 5 /last\nnot a line\n1000-2000 r-xp 0 08:01 5 /unfinished");
	assert_false(text.failed);
	_cleanup_(close_fd)
	int fd = file_of((const char *)text.data, text.n);
	assert_int_equal(proc_maps_walk(fd, (struct proc_map_sink){ count_map, &n }), 0);
	/* The long line may have been seen up to the end of a buffer, never as a mapping of its own. */
	assert_int_equal(n, 1001);
}

static void test_walk_stops(void **state)
{
	static const char text[] =
		"1000-2000 r-xp 0 08:01 5 /a\n1000-2000 r-xp 0 08:01 666666 /b\n1000-2000 r-xp 0 08:01 5 /c\n";
	unsigned n = 0;
	_cleanup_(close_fd)
	int fd = file_of(text, sizeof(text) - 1);
	assert_int_equal(proc_maps_walk(fd, (struct proc_map_sink){ count_map, &n }), -ECANCELED);
	assert_int_equal(n, 2);
}

static void test_stat(void **state)
{
	uint64_t t = 0;
	/* A command name may hold whatever misleads a parser. */
	struct slice line =
		slice_str("42 (a) S 1 (b) R) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 987654 20 21 22 23 24 "
			  "140721\n");
	assert_true(proc_stat_field(line, PROC_STAT_START_TIME, &t));
	assert_int_equal(t, 987654);
	assert_true(proc_stat_field(line, PROC_STAT_START_STACK, &t));
	assert_int_equal(t, 140721);
	static const char *const wrong[] = { "", "42 (a) S 1 2 3", "42 (a", ")" };
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(proc_stat_field(slice_str(wrong[i]), PROC_STAT_START_TIME, &t));
}

static void test_environ(void **state)
{
	static const char block[] = "PATH=/bin\0MY_OTEL_SERVICE_NAME=wrong\0OTEL_SERVICE_NAME=api\0WICK_SERVICE=\0X";
	struct slice value, environment = slice_of(block, sizeof(block) - 1);
	assert_true(proc_environ_find(environment, "OTEL_SERVICE_NAME", &value));
	assert_true(slice_eq(value, slice_str("api")));
	assert_false(proc_environ_find(environment, "WICK_SERVICE", &value));
	assert_false(proc_environ_find(environment, "X", &value));
	assert_false(proc_environ_find(environment, "OTEL_SERVICE", &value));
	/* Cut in the middle, as the first 256 KB of a larger one are. */
	assert_true(proc_environ_find(slice_str("A=1"), "A", &value));
	assert_false(proc_environ_find(slice_of(NULL, 0), "A", &value));
}

static void test_files_of_processes(void **state)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(64 << 10);
	uint64_t t;
	assert_int_equal(proc_file_read(getpid(), "stat", 4096, &text), 0);
	assert_true(proc_stat_field(slice_of(text.data, text.n), PROC_STAT_START_TIME, &t));
	assert_int_equal(proc_file_read(INT32_MAX, "stat", 4096, &text), -ESRCH);
	size_t before = text.n;
	assert_int_equal(proc_file_read(getpid(), "maps", 100, &text), 0);
	assert_int_equal(text.n - before, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_lines),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_walk_stops),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_environ),
		cmocka_unit_test(test_files_of_processes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
