/* SPDX-License-Identifier: Apache-2.0 */
/* The moment after a block took the place of what was in memory: by then the
 * next of it may be waiting to be written, and its part of the log must stay.
 * The keeper is held there until that is so; then the log goes as far as it is
 * allowed to, and the process ends. */
#include "unit.h"

#include "store/teststore.h"
#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define ENDED 99
#define T0_MS INT64_C(1700000000000)

static const struct store_options options = {
	.memory_limit = 64 << 20,
	.head_memory = 16 << 20,
	.tables_memory = 16 << 20,
	.build_memory = 16 << 20,
	.decode_memory = 16 << 20,
	.n_threads = 1,
	.disk_limit = 64 << 20,
	.flush_log = 1, /* each batch */
};

static struct teststore t;
static _Atomic int64_t *acked; /* shared with the child */
static _Atomic bool is_armed, was_held;
static _Atomic uint64_t log_of_both;

/* The keeper is the last thread that opening a store starts. */
static _Atomic unsigned n_threads;
static _Thread_local unsigned thread_number;

struct start {
	void *(*run)(void *arg);
	void *arg;
};

int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *arg), void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *arg), void *arg);
int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);
int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);

static void *run_numbered(void *arg)
{
	struct start start = *(struct start *)arg;
	free(arg);
	thread_number = ++n_threads;
	return start.run(start.arg);
}

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *arg), void *arg)
{
	struct start *start = malloc(sizeof(*start));
	if (!start)
		return ENOMEM;
	*start = (struct start){ run, arg };
	unsigned before = n_threads;
	int e = __real_pthread_create(ret, attr, run_numbered, start);
	while (e == 0 && n_threads == before)
		(void)sched_yield();
	return e;
}

static bool is_sealed(void)
{
	struct view *v;
	struct store_status status;
	if (view_take(t.store, &v) < 0)
		return false;
	store_get_status(t.store, &status);
	bool is = view_n_parts(v) - view_n_blocks(v, INT64_MIN, INT64_MAX) == 2;
	view_free(&v);
	return is;
}

static unsigned n_blocks(void)
{
	struct store_status status;
	store_get_status(t.store, &status);
	return status.blocks.n_blocks;
}

static uint64_t log_bytes(void)
{
	struct store_status status;
	store_get_status(t.store, &status);
	return status.log_bytes;
}

/* Asked for how long writing the block took. */
int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	if (is_armed && !was_held && thread_number == n_threads && n_blocks() == 1) {
		was_held = true;
		if (teststore_upload(t.store, 2, "", T0_MS, 2, acked) != 0)
			_exit(1);
		while (!is_sealed())
			(void)sched_yield();
		log_of_both = log_bytes();
	}
	return __real_clock_gettime(id, ret);
}

/* The next block is begun. */
int __wrap_openat64(int dir, const char *name, int flags, ...)
{
	if (is_armed && was_held && thread_number == n_threads && strstr(name, ".tmp")) {
		while (log_bytes() >= log_of_both)
			(void)sched_yield();
		_exit(ENDED);
	}
	return __real_openat64(dir, name, flags, 0600);
}

static void live(void)
{
	if (teststore_open(&t, &options) < 0)
		_exit(1);
	is_armed = true;
	if (teststore_upload(t.store, 1, "", T0_MS, 1, acked) != 0)
		_exit(1);
	for (;;)
		(void)pause();
}

static void the_log_of_what_no_block_holds_stays(void **state)
{
	(void)state;
	int status = 0;
	int64_t total;
	acked = mmap(NULL, sizeof(*acked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(acked != MAP_FAILED);
	teststore_make(&t);
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		(void)alarm(120);
		live();
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == ENDED);
	assert_int_equal(*acked, 1 + 2);
	assert_int_equal(teststore_open(&t, &options), 0);
	assert_int_equal(teststore_total(t.store, &total), 0);
	assert_int_equal(total, 1 + 2);
	teststore_remove(&t);
	(void)munmap(acked, sizeof(*acked));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_of_what_no_block_holds_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
