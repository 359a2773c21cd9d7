/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: JIT code is named wrongly, or a profiled
 * process makes the agent read a file that is none of its business. */
#include "unit.h"

#include "base/file.h"
#include "object/perfmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int text_fd(const char *text, size_t size)
{
	int fd = memfd_create("perf.map", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, text, size), 0);
	return fd;
}

struct answers {
	struct symrange range[64];
	char name[64][64];
	uint32_t n;
};

static int take_answer(void *arg, const struct symrange *r)
{
	struct answers *a = arg;
	assert_true(a->n < 64);
	assert_true(r->start < r->end);
	assert_true(a->n == 0 || r->start >= a->range[a->n - 1].end);
	a->range[a->n] = *r;
	(void)snprintf(a->name[a->n], sizeof(a->name[0]), "%.*s", SLICE_FMT(r->name));
	a->n++;
	return 0;
}

static void lookup(const char *text, const uint64_t *addrs, uint32_t n, struct answers *a, struct perfmap_stats *stats)
{
	_cleanup_(close_fd)
	int fd = text_fd(text, strlen(text));
	*a = (struct answers){ 0 };
	assert_int_equal(perfmap_lookup(fd, addrs, n, (struct symrange_sink){ take_answer, a }, stats, NULL), 0);
}

static void test_names_may_hold_spaces(void **state)
{
	uint64_t addrs[] = { 0x50, 0x7f0010, 0x7f0020, 0x7f0100 };
	struct answers a;
	struct perfmap_stats stats;
	lookup("7f0000 20 LazyCompile:~render /srv/app.js:12\r\n0x7F0020 0x10 second\n", addrs, 4, &a, &stats);
	assert_int_equal(a.n, 4);
	assert_string_equal(a.name[0], "");
	assert_int_equal(a.range[0].end, 0x7f0000);
	assert_string_equal(a.name[1], "LazyCompile:~render /srv/app.js:12");
	assert_int_equal(a.range[1].start, 0x7f0000);
	assert_int_equal(a.range[1].end, 0x7f0020);
	assert_string_equal(a.name[2], "second");
	assert_string_equal(a.name[3], "");
	assert_int_equal(stats.n_lines, 2);
	assert_int_equal(stats.n_bad_lines, 0);
}

static void test_later_lines_win(void **state)
{
	uint64_t addrs[] = { 0x1004, 0x1014, 0x1024, 0x1034 };
	struct answers a;
	lookup("1000 40 old\n1010 10 inlined\n1020 20 moved here\n", addrs, 4, &a, NULL);
	assert_int_equal(a.n, 3);
	assert_string_equal(a.name[0], "old");
	assert_int_equal(a.range[0].end, 0x1010);
	assert_string_equal(a.name[1], "inlined");
	assert_string_equal(a.name[2], "moved here");
	assert_int_equal(a.range[2].start, 0x1020);
	assert_int_equal(a.range[2].end, 0x1040);
}

static void test_bad_lines_are_counted_and_skipped(void **state)
{
	uint64_t addr = 0x15;
	struct answers a;
	struct perfmap_stats stats;
	lookup("\n10\n10 20\n10 20 \nxyz 20 name\n10 zz name\n10 0 empty\nffffffffffffffff 10 wraps\n"
	       "11112222333344445 10 too long\n10 10 good\n10 10 not finished",
	       &addr, 1, &a, &stats);
	assert_string_equal(a.name[0], "good");
	assert_int_equal(stats.n_lines, 10);
	assert_int_equal(stats.n_bad_lines, 9);
}

static void test_endless_line_is_passed_over(void **state)
{
	_cleanup_(buf_done)
	struct buf b = buf_of(1 << 20);
	buf_add_str(&b, "10 10 first\n20 10 ");
	for (uint32_t i = 0; i < 200000; i++)
		buf_add_byte(&b, 'x');
	buf_add_str(&b, "\n30 10 last\n40 10 ");
	for (uint32_t i = 0; i < 5000; i++)
		buf_add_byte(&b, 'y');
	buf_add_str(&b, "\n");
	_cleanup_(close_fd)
	int fd = text_fd((const char *)b.data, b.n);
	uint64_t addrs[] = { 0x10, 0x20, 0x30, 0x40 };
	struct answers a = { 0 };
	struct perfmap_stats stats;
	assert_int_equal(perfmap_lookup(fd, addrs, 4, (struct symrange_sink){ take_answer, &a }, &stats, NULL), 0);
	assert_int_equal(a.n, 4);
	assert_string_equal(a.name[0], "first");
	assert_int_equal(a.range[1].name.size, 0);
	assert_string_equal(a.name[2], "last");
	assert_int_equal(a.range[3].name.size, SYMBOL_NAME_MAX);
	assert_int_equal(stats.n_bad_lines, 1);
}

/* Random overlapping lines, against painting an array. */
static int check_painted(void *arg, const struct symrange *r)
{
	const uint16_t *painted = arg;
	unsigned line = 0;
	if (r->name.size)
		assert_int_equal(sscanf((const char *)r->name.data, "f%u", &line), 1);
	for (uint64_t addr = r->start; addr < r->end && addr < 4096; addr++)
		assert_int_equal(painted[addr], line);
	return 0;
}

static void test_random_overlaps(void **state)
{
	static uint16_t painted[4096];
	uint64_t x = 88172645463325252ULL;
	for (int round = 0; round < 50; round++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(1 << 20);
		memset(painted, 0, sizeof(painted));
		for (uint16_t line = 1; line <= 300; line++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			uint64_t start = x % 4000, size = 1 + (x >> 20) % (round % 2 ? 200 : 20);
			buf_printf(&b, "%llx %llx f%u\n", (unsigned long long)start, (unsigned long long)size, line);
			for (uint64_t i = start; i < start + size && i < 4096; i++)
				painted[i] = line;
		}
		uint64_t addrs[64];
		for (uint32_t i = 0; i < 64; i++)
			addrs[i] = i * 64 + x % 64;
		_cleanup_(close_fd)
		int fd = text_fd((const char *)b.data, b.n);
		assert_int_equal(
			perfmap_lookup(fd, addrs, 64, (struct symrange_sink){ check_painted, painted }, NULL, NULL), 0);
	}
}

static void test_oversized_file_is_read_in_part(void **state)
{
	_cleanup_(close_fd)
	int fd = text_fd("10 10 head\n", 11);
	assert_int_equal(ftruncate(fd, (off_t)PERFMAP_MAX_SIZE + 5), 0);
	uint64_t addr = 0x10;
	struct answers a = { 0 };
	struct perfmap_stats stats;
	assert_int_equal(perfmap_lookup(fd, &addr, 1, (struct symrange_sink){ take_answer, &a }, &stats, NULL), 0);
	assert_string_equal(a.name[0], "head");
	assert_int_equal(stats.n_bytes_unread, 5);
	assert_int_equal(
		perfmap_lookup(fd, &addr, PERFMAP_MAX_BATCH + 1, (struct symrange_sink){ take_answer, &a }, NULL, NULL),
		-E2BIG);
}

/* This process's own map, as root and as anybody. */
static char own_path[64];

static int open_own(struct error *err)
{
	_cleanup_(close_fd)
	int fd = -1;
	uint64_t size = 0;
	int r = perfmap_open(getpid(), &fd, &size, err);
	if (r == 0)
		assert_int_equal(size, 11);
	return r;
}

static void write_own(void)
{
	_cleanup_(close_fd)
	int fd = open(own_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(fd_write_all(fd, "10 10 mine\n", 11), 0);
}

static void test_own_map_is_found(void **state)
{
	struct error err = { 0 };
	assert_int_equal(open_own(&err), -ENOENT);
	write_own();
	assert_int_equal(open_own(&err), 0);
}

static void test_links_and_pipes_are_refused(void **state)
{
	struct error err = { 0 };
	assert_int_equal(symlink("/etc/passwd", own_path), 0);
	assert_int_equal(open_own(&err), -EPERM);
	assert_non_null(strstr(err.text, "symbolic link"));
	assert_int_equal(unlink(own_path), 0);
	assert_int_equal(mkfifo(own_path, 0600), 0);
	assert_int_equal(open_own(&err), -EPERM); /* and does not wait for a writer */
	assert_non_null(strstr(err.text, "not a regular file"));
}

static void test_foreign_owner_is_refused(void **state)
{
	struct error err = { 0 };
	write_own();
	if (chown(own_path, 12345, 12345) < 0)
		skip_because("only root can give files away");
	assert_int_equal(open_own(&err), -EPERM);
	assert_non_null(strstr(err.text, "owned by uid 12345"));
}

static void test_gone_process(void **state)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	int fd;
	uint64_t size;
	assert_int_equal(perfmap_open(pid, &fd, &size, NULL), -ESRCH);
}

static int remove_own(void **state)
{
	(void)unlink(own_path);
	return 0;
}

/* A container in small: pid 1 of its own namespace, in its own root. */
struct container {
	char root[64];
	pid_t pid; /* as seen from here */
	int alive; /* closed: the process ends */
};

static void container_main(const struct container *c, int ready, int alive)
{
	char byte = 0;
	if (chroot(c->root) == 0 && chdir("/") == 0)
		(void)!write(ready, &byte, 1);
	(void)close(ready);
	(void)!read(alive, &byte, 1);
	_exit(0);
}

/* False where this user may not do so. */
static bool container_start(struct container *c)
{
	int pid[2], ready[2], alive[2];
	assert_int_equal(pipe2(pid, O_CLOEXEC), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
	pid_t starter = fork();
	if (starter == 0) {
		(void)close(alive[1]);
		pid_t inner = unshare(CLONE_NEWPID) == 0 ? fork() : -1;
		if (inner == 0)
			container_main(c, ready[1], alive[0]);
		(void)!write(pid[1], &inner, sizeof(inner));
		_exit(0);
	}
	(void)close(pid[1]);
	(void)close(ready[1]);
	(void)close(alive[0]);
	char byte;
	bool started =
		read(pid[0], &c->pid, sizeof(c->pid)) == sizeof(c->pid) && c->pid > 0 && read(ready[0], &byte, 1) == 1;
	(void)close(pid[0]);
	(void)close(ready[0]);
	assert_int_equal(waitpid(starter, NULL, 0), starter);
	c->alive = alive[1];
	return started;
}

static void test_container_has_its_own_root_and_pids(void **state)
{
	struct container c = { .root = "/tmp/perfmap-root-XXXXXX", .alive = -1 };
	char path[128];
	if (geteuid() != 0)
		skip_because("needs root for chroot and a pid namespace");
	assert_non_null(mkdtemp(c.root));
	(void)snprintf(path, sizeof(path), "%s/var", c.root);
	assert_int_equal(mkdir(path, 0755), 0);
	/* /tmp is a link that climbs out, were it followed from here. */
	(void)snprintf(path, sizeof(path), "%s/tmp", c.root);
	assert_int_equal(symlink("../../../var", path), 0);
	(void)snprintf(path, sizeof(path), "%s/var/perf-1.map", c.root);
	_cleanup_(close_fd)
	int map = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fd_write_all(map, "10 10 inside\n", 13), 0);

	bool started = container_start(&c);
	_cleanup_(close_fd)
	int fd = -1;
	uint64_t size = 0;
	struct error err = { 0 };
	int r = started ? perfmap_open(c.pid, &fd, &size, &err) : 0;
	(void)close(c.alive);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/tmp", c.root);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/var", c.root);
	(void)rmdir(path);
	(void)rmdir(c.root);
	if (!started)
		skip_because("pid namespaces or chroot are not allowed here");
	if (r != 0)
		fail_msg("%d: %s", r, err.text);
	assert_int_equal(size, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names_may_hold_spaces),
		cmocka_unit_test(test_later_lines_win),
		cmocka_unit_test(test_bad_lines_are_counted_and_skipped),
		cmocka_unit_test(test_endless_line_is_passed_over),
		cmocka_unit_test(test_random_overlaps),
		cmocka_unit_test(test_oversized_file_is_read_in_part),
		cmocka_unit_test_teardown(test_own_map_is_found, remove_own),
		cmocka_unit_test_teardown(test_links_and_pipes_are_refused, remove_own),
		cmocka_unit_test_teardown(test_foreign_owner_is_refused, remove_own),
		cmocka_unit_test(test_gone_process),
		cmocka_unit_test(test_container_has_its_own_root_and_pids),
	};
	(void)snprintf(own_path, sizeof(own_path), "/tmp/perf-%d.map", (int)getpid());
	return cmocka_run_group_tests_name("perfmap", tests, NULL, NULL);
}
