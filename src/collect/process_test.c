/* SPDX-License-Identifier: Apache-2.0 */
/* Processes as samples name them: who they are, across exec and exit. */
#include "collect/process.h"
#include "unit.h"

#include "base/clock.h"

#include <string.h>
#include <sys/wait.h>

struct fixture {
	struct binary_table *binaries;
	struct process_table *processes;
};

static int setup(void **state)
{
	static struct fixture f;
	f.binaries = binary_table_new(64, 8);
	f.processes = process_table_new(2, "the-agent", f.binaries);
	*state = &f;
	return f.processes ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	process_table_free(&f->processes);
	binary_table_free(&f->binaries);
	return 0;
}

/* A child that lives until its end of the pipe is closed. */
static pid_t child(int *ret_fd, const char *program)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		char byte;
		(void)close(ends[1]);
		if (program && read(ends[0], &byte, 1) == 1) {
			(void)dup2(ends[0], 0);
			(void)execlp(program, program, NULL);
		}
		while (read(ends[0], &byte, 1) > 0)
			;
		_exit(0);
	}
	(void)close(ends[0]);
	*ret_fd = ends[1];
	return pid;
}

static void end_child(pid_t pid, int fd)
{
	int status;
	(void)close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_own_process(void **state)
{
	struct fixture *f = *state;
	struct record_sample s = { .tgid = (uint32_t)getpid(), .image = 7 };
	struct process *p = process_get(f->processes, &s, clock_mono_ns());
	assert_non_null(p);
	assert_string_equal(p->service, "the-agent");
	assert_true(p->start_time > 0);
	assert_false(p->is_gone);
	uint64_t here = (uint64_t)(uintptr_t)&test_own_process, vaddr;
	const struct process_map *m = process_find_map(f->processes, p, here, true, clock_mono_ns());
	assert_non_null(m);
	assert_non_null(m->binary);
	assert_true(m->binary->is_elf);
	assert_non_null(strstr(m->binary->path, "process_test"));
	assert_true(binary_vaddr(m->binary, here - m->start + m->offset, &vaddr));
	assert_true(binary_fd(m->binary) >= 0);
	assert_null(process_find_map(f->processes, p, 4096, false, clock_mono_ns()));
	/* Held open during the window, not longer. */
	struct binary *b = binary_ref(m->binary);
	binary_table_end_window(f->binaries, clock_mono_ns());
	assert_int_equal(b->fd, -1);
	binary_unref(b);
}

static void test_exec_is_another_image(void **state)
{
	struct fixture *f = *state;
	int fd;
	pid_t pid = child(&fd, "cat");
	struct record_sample s = { .tgid = (uint32_t)pid, .image = 1 };
	struct process *p = process_get(f->processes, &s, clock_mono_ns());
	assert_string_equal(p->comm, "process_test");
	uint64_t before = p->serial;
	/* Same image: not read again. */
	assert_ptr_equal(process_get(f->processes, &s, clock_mono_ns()), p);
	assert_int_equal(write(fd, "x\n", 2), 2);
	char path[64], comm[32] = "";
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	while (strncmp(comm, "cat\n", 4) != 0) {
		FILE *file = fopen(path, "re");
		assert_non_null(file);
		assert_non_null(fgets(comm, sizeof(comm), file));
		(void)fclose(file);
	}
	s.image = 2;
	p = process_get(f->processes, &s, clock_mono_ns());
	assert_true(p->serial != before);
	assert_string_equal(p->comm, "cat");
	/* While it exits it has no image; it is still the same. */
	s.image = 0;
	assert_ptr_equal(process_get(f->processes, &s, clock_mono_ns()), p);
	end_child(pid, fd);
}

static void test_gone_before_the_first_look(void **state)
{
	struct fixture *f = *state;
	int fd;
	pid_t pid = child(&fd, NULL);
	end_child(pid, fd);
	struct record_sample s = { .tgid = (uint32_t)pid, .image = 1, .comm = "short" };
	struct process *p = process_get(f->processes, &s, clock_mono_ns());
	assert_true(p->is_gone);
	assert_string_equal(p->service, "short");
	assert_null(process_find_map(f->processes, p, 4096, true, clock_mono_ns()));
	assert_int_equal(process_table_stats(f->processes).n_gone, 1);
}

static void test_kernel_threads(void **state)
{
	struct fixture *f = *state;
	struct record_sample s = { .tgid = 2, .flags = SAMPLE_KTHREAD, .comm = "kthreadd" };
	struct process *p = process_get(f->processes, &s, clock_mono_ns());
	assert_string_equal(p->service, "kernel");
	assert_string_equal(p->container, "");
}

static void test_bounded(void **state)
{
	struct fixture *f = *state;
	for (uint32_t i = 0; i < 5; i++) {
		struct record_sample s = { .tgid = 1000000 + i, .image = 1, .comm = "x" };
		assert_non_null(process_get(f->processes, &s, 1000 + i));
	}
	struct process_table_stats stats = process_table_stats(f->processes);
	assert_int_equal(stats.n, 2);
	assert_int_equal(stats.n_evicted, 3);
	process_table_end_window(f->processes, 1000 + 120ll * 1000000000);
	assert_int_equal(process_table_stats(f->processes).n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_own_process, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exec_is_another_image, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_before_the_first_look, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kernel_threads, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
