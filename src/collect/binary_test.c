/* SPDX-License-Identifier: Apache-2.0 */
/* What is lost when this fails: debug files of a container are looked for on
 * the host, where something else has that name. */
#include "collect/binary.h"
#include "unit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static char scratch[] = "/tmp/binary-test-XXXXXX";

/* A child whose root is `root` and that has mapped its /program, if it may. */
static pid_t child_in(const char *root, int *ret_fd)
{
	int to_child[2], to_us[2];
	char byte = 0;
	assert_int_equal(pipe(to_child), 0);
	assert_int_equal(pipe(to_us), 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = chroot(root) == 0 && chdir("/") == 0 ? open("/program", O_RDONLY) : -1;
		void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
		byte = p != MAP_FAILED;
		(void)!write(to_us[1], &byte, 1);
		(void)close(to_child[1]);
		(void)!read(to_child[0], &byte, 1);
		_exit(0);
	}
	(void)close(to_child[0]);
	assert_int_equal(read(to_us[0], &byte, 1), 1);
	(void)close(to_us[0]);
	(void)close(to_us[1]);
	*ret_fd = to_child[1];
	return byte ? pid : -pid;
}

static void end_child(pid_t pid, int fd)
{
	(void)close(fd);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The mapping of a process's file of that inode. */
static struct mapped_file find_mapping(pid_t pid, ino_t inode)
{
	char path[64], line[1024];
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	_cleanup_(close_file)
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		struct mapped_file m;
		unsigned major, minor;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " r-x%*c %*x %x:%x %" SCNu64, &m.start, &m.end, &major, &minor,
			   &m.inode) == 5 &&
		    m.inode == inode) {
			m.device = makedev(major, minor);
			return m;
		}
	}
	fail_msg("no such mapping");
	return (struct mapped_file){ 0 };
}

static void expect_root(const struct binary *b, const char *path)
{
	struct stat want, have;
	_cleanup_(close_fd)
	int root = binary_open_root(b);
	assert_true(root >= 0);
	assert_int_equal(stat(path, &want), 0);
	assert_int_equal(fstat(root, &have), 0);
	assert_int_equal(have.st_ino, want.st_ino);
	assert_int_equal(have.st_dev, want.st_dev);
}

static void test_own_root(void **state)
{
	struct stat st;
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	struct mapped_file m = find_mapping(getpid(), st.st_ino);
	_cleanup_(binary_table_free)
	struct binary_table *t = binary_table_new(4, 4);
	struct binary *b = binary_get(t, getpid(), &m, 0);
	assert_non_null(b);
	expect_root(b, "/");
	binary_unref(b);
}

static void test_root_of_the_process(void **state)
{
	char path[64];
	struct stat st;
	int fd;
	(void)snprintf(path, sizeof(path), "%s/program", scratch);
	int program = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
	assert_true(program >= 0);
	assert_int_equal(ftruncate(program, 4096), 0);
	assert_int_equal(fstat(program, &st), 0);
	(void)close(program);
	pid_t pid = child_in(scratch, &fd);
	if (pid < 0) {
		end_child(-pid, fd);
		skip_because("no right to chroot");
	}
	struct mapped_file m = find_mapping(pid, st.st_ino);
	_cleanup_(binary_table_free)
	struct binary_table *t = binary_table_new(4, 4);
	struct binary *b = binary_get(t, pid, &m, 0);
	assert_non_null(b);
	/* map_files shows the path from our root: that is as good. */
	if (strcmp(b->path, path) == 0) {
		expect_root(b, "/");
		free(b->path);
		b->path = strdup("/program");
	}
	assert_string_equal(b->path, "/program");
	expect_root(b, scratch);
	end_child(pid, fd);
	assert_int_equal(binary_open_root(b), -1);
	binary_unref(b);
}

static int make_scratch(void **state)
{
	return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "%s/program", scratch);
	(void)unlink(path);
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_root),
		cmocka_unit_test(test_root_of_the_process),
	};
	return cmocka_run_group_tests_name("binary", tests, make_scratch, remove_scratch);
}
