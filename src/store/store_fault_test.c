/* SPDX-License-Identifier: Apache-2.0 */
/* What a disk that fails, and a process that dies, may cost: nothing that was
 * acknowledged. Every call that writes fails once, one after the other, in a
 * life of a store with all that it does: log, blocks, merges; and at every one
 * of them the process ends. Then the store is opened again. Some lives seal what they write, and delete
 * some of it at their end: what was deleted is gone, and nothing else.
 *
 * Upload i has the value 2^i: the sum tells which there are, and how often. */
#include "unit.h"

#include "store/teststore.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define N_UPLOADS 14
#define ALL	  ((INT64_C(1) << N_UPLOADS) - 1)
#define DAY_MS	  INT64_C(86400000)
#define T0_MS	  (19675 * DAY_MS) /* a day that is over */
#define ENDED	  99
#define ERASED	  INT64_C(0x16) /* uploads 1, 2 and 4: of the first day, they start before the fifth */

/* ---- the disk ---- */

enum how { FAIL_EIO, FAIL_ENOSPC, FAIL_HALF, END, END_HALF, N_HOW };

static struct {
	_Atomic bool is_on;
	_Atomic int n_calls;
	int at, n; /* calls [at, at + n) fail */
	enum how how;
} fault;

/* Whether this call fails. */
static bool is_next(void)
{
	if (!fault.is_on)
		return false;
	int call = ++fault.n_calls;
	if (call < fault.at || call - fault.at >= fault.n)
		return false;
	if (fault.how == END)
		_exit(ENDED);
	errno = fault.how == FAIL_ENOSPC ? ENOSPC : EIO;
	return true;
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __real_pwrite64(int fd, const void *data, size_t size, off64_t off);
ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off64_t off);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __real_openat64(int dir, const char *name, int flags, ...);
int __wrap_openat64(int dir, const char *name, int flags, ...);

/* A part of it got through. */
static size_t half_of(size_t size)
{
	return fault.how == FAIL_HALF || fault.how == END_HALF ? size / 2 : 0;
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (!is_next())
		return __real_write(fd, data, size);
	if (half_of(size) == 0)
		return -1;
	ssize_t n = __real_write(fd, data, half_of(size));
	if (fault.how == END_HALF)
		_exit(ENDED);
	return n;
}

ssize_t __wrap_pwrite64(int fd, const void *data, size_t size, off64_t off)
{
	if (!is_next())
		return __real_pwrite64(fd, data, size, off);
	if (half_of(size) == 0)
		return -1;
	ssize_t n = __real_pwrite64(fd, data, half_of(size), off);
	if (fault.how == END_HALF)
		_exit(ENDED);
	return n;
}

int __wrap_fsync(int fd)
{
	return is_next() ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	return is_next() ? -1 : __real_fdatasync(fd);
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
	return is_next() ? -1 : __real_renameat(from_dir, from, to_dir, to);
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
	return is_next() ? -1 : __real_unlinkat(dir, name, flags);
}

int __wrap_openat64(int dir, const char *name, int flags, ...)
{
	return is_next() ? -1 : __real_openat64(dir, name, flags, 0600);
}

/* ---- one life of a store ---- */

struct life {
	struct teststore t;
	_Atomic int64_t *acked; /* shared with a child */
	_Atomic int64_t *maybe; /* too: being deleted, so that each may be there or not */
	uint64_t n_merges;
};

/* Sealed lives, which end with a deletion. */
static struct keyring *keys;
static int calls_before_erasure;

static struct store_options options = {
	.memory_limit = 64 << 20,
	.head_memory = 16 << 20,
	.tables_memory = 16 << 20,
	.build_memory = 16 << 20,
	.decode_memory = 16 << 20,
	.n_threads = 2,
	.disk_limit = 64 << 20,
	.segment_size = 700, /* a batch or three */
	.is_idle = true,
};

static void upload(struct life *l, unsigned i)
{
	char key[16];
	(void)snprintf(key, sizeof(key), "key-%u", i);
	/* Two days, so that one flush writes two blocks. */
	int r = teststore_upload(l->t.store, i, key, T0_MS + (i % 3 == 0) * DAY_MS + i * 60000, INT64_C(1) << i,
				 l->acked);
	assert_true(r <= 0);
}

/* A reader whose disk works sees what was acknowledged, whatever happens to writers. */
static void check_reading(struct life *l)
{
	int64_t total;
	bool was_on = fault.is_on;
	fault.is_on = false;
	assert_int_equal(teststore_total(l->t.store, &total), 0);
	if ((total | *l->maybe) != (*l->acked | *l->maybe))
		fail_msg("call %d: %#jx is shown, %#jx was acknowledged", fault.at, (uintmax_t)total,
			 (uintmax_t)*l->acked);
	fault.is_on = was_on;
}

static void tidy(struct life *l)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	bool more = true;
	/* All is quiet by then. */
	int64_t later = now.tv_sec * INT64_C(1000) + 3600000;
	for (int i = 0; more && i < 20; i++)
		if (store_tidy(l->t.store, later, &more, NULL) < 0)
			break;
	check_reading(l);
}

static int choose_all(void *arg, const struct part *p, uint32_t series)
{
	(void)arg;
	(void)p;
	(void)series;
	return 1;
}

static void erase(struct life *l)
{
	struct store_erasure e = { .what = { choose_all, NULL, T0_MS, T0_MS + 5 * 60000 } };
	calls_before_erasure = fault.n_calls;
	*l->maybe = ERASED & *l->acked;
	int64_t chosen = *l->maybe;
	int r = store_erase(l->t.store, &e, NULL);
	if (r == 0) {
		*l->acked &= ~ERASED;
		*l->maybe = 0;
		assert_int_equal(e.n_profiles, __builtin_popcountll((unsigned long long)chosen));
	}
	check_reading(l);
}

/* Whatever fails, it goes on. */
static void live(struct life *l)
{
	struct store_status status;
	fault.n_calls = 0;
	fault.is_on = true;
	if (teststore_open(&l->t, &options) == 0) {
		for (unsigned i = 0; i < N_UPLOADS; i++) {
			upload(l, i);
			check_reading(l);
			if (i % 3 == 2) {
				(void)!store_flush(l->t.store, NULL);
				check_reading(l);
			}
			if (i % 6 == 5)
				tidy(l);
		}
		if (keys)
			erase(l);
		store_get_status(l->t.store, &status);
		l->n_merges = status.keeping.n_compactions;
		store_close(&l->t.store);
	}
	fault.is_on = false;
}

static int64_t now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* All that was acknowledged, once; with `more`, what was under way may be there too, once. */
static void check_after(struct life *l, bool more)
{
	int64_t total, start = now_ns();
	struct store_status status;
	if (teststore_open(&l->t, &options) < 0)
		fail_msg("call %d: %s", fault.at, l->t.err.text);
	assert_true(now_ns() - start < INT64_C(5000000000));
	assert_int_equal(teststore_total(l->t.store, &total), 0);
	int64_t maybe = *l->maybe, acked = *l->acked & ~maybe;
	if ((total & acked) != acked || (more ? total > ALL : (total & ~maybe) != acked))
		fail_msg("call %d, how %d: %#jx is there, %#jx was acknowledged", fault.at, fault.how, (uintmax_t)total,
			 (uintmax_t)acked);
	assert_int_equal(l->t.replay.log.n_damaged + l->t.replay.blocks.n_damaged + l->t.replay.blocks.n_missing, 0);
	assert_int_equal(l->t.replay.n_keys_lost + l->t.replay.n_undecodable, 0);
	assert_false(l->t.replay.blocks.is_rebuilt);
	store_get_status(l->t.store, &status);
	assert_int_equal(teststore_n_block_files(&l->t), status.blocks.n_blocks);
	assert_int_equal(status.n_profiles, __builtin_popcountll((unsigned long long)total));
	assert_true(status.accepting);
	/* Sent again, as an agent does that has heard nothing: what was missing is stored, the rest is known. */
	for (unsigned i = 0; i < N_UPLOADS; i++) {
		char key[16];
		(void)snprintf(key, sizeof(key), "key-%u", i);
		int r = teststore_upload(l->t.store, i, key, T0_MS, INT64_C(1) << i, NULL);
		if (!keys || !(ERASED >> i & 1))
			assert_int_equal(r, total >> i & 1);
	}
	/* Of what was deleted, the key may be known still. */
	int64_t either = keys ? ERASED : 0;
	assert_int_equal(store_flush(l->t.store, NULL), 0);
	assert_int_equal(teststore_total(l->t.store, &total), 0);
	assert_int_equal(total | either, ALL);
	store_close(&l->t.store);
	if (teststore_open(&l->t, &options) < 0)
		fail_msg("call %d: %s", fault.at, l->t.err.text);
	assert_int_equal(teststore_total(l->t.store, &total), 0);
	assert_int_equal(total | either, ALL);
	assert_int_equal(l->t.replay.blocks.n_orphans, 0);
}

static void life_init(struct life *l)
{
	teststore_make(&l->t);
	l->acked = mmap(NULL, 2 * sizeof(*l->acked), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(l->acked != MAP_FAILED);
	l->maybe = l->acked + 1;
	*l->acked = *l->maybe = 0;
}

static void life_done(struct life *l)
{
	teststore_remove(&l->t);
	(void)munmap(l->acked, 2 * sizeof(*l->acked));
}

/* How many calls there are. */
static int calls_of_a_life(void)
{
	struct life l = { 0 };
	fault.at = INT32_MAX;
	fault.n = 0;
	life_init(&l);
	live(&l);
	assert_int_equal(*l.acked, keys ? ALL & ~ERASED : ALL);
	assert_true(l.n_merges > 1);
	int n = fault.n_calls;
	check_after(&l, false);
	life_done(&l);
	assert_true(n > 50);
	return n;
}

static void fail_at(int at, enum how how, int n, unsigned *lost)
{
	struct life l = { 0 };
	life_init(&l);
	fault.at = at;
	fault.n = n;
	fault.how = how;
	live(&l);
	*lost += *l.acked != ALL;
	check_after(&l, false);
	life_done(&l);
}

static void fail_each(enum how how, int n)
{
	int calls = calls_of_a_life();
	unsigned lost = 0;
	for (int at = 1; at <= calls; at++)
		fail_at(at, how, n, &lost);
	print_message("# %d calls, %u of them cost an upload its acknowledgement\n", calls, lost);
	assert_true(lost > 0);
}

static void a_call_that_fails_costs_nothing_that_was_acknowledged(void **state)
{
	(void)state;
	fail_each(FAIL_EIO, 1);
}

static void a_disk_that_is_full_for_a_while_costs_nothing_that_was_acknowledged(void **state)
{
	(void)state;
	fail_each(FAIL_ENOSPC, 12);
}

static void a_disk_that_dies_costs_nothing_that_was_acknowledged(void **state)
{
	(void)state;
	fail_each(FAIL_EIO, INT32_MAX);
}

static void writes_that_end_half_way_cost_nothing_that_was_acknowledged(void **state)
{
	(void)state;
	fail_each(FAIL_HALF, 2);
}

/* Whether it ended there. */
static bool end_at(int at, enum how how)
{
	struct life l = { 0 };
	int status = 0;
	life_init(&l);
	fault.at = at;
	fault.n = 1;
	fault.how = how;
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		live(&l);
		_exit(0);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == ENDED || WEXITSTATUS(status) == 0));
	check_after(&l, true);
	life_done(&l);
	return WEXITSTATUS(status) == ENDED;
}

static void end_at_each(enum how how)
{
	int calls = calls_of_a_life(), ended = 0;
	for (int at = 1; at <= calls; at++)
		ended += end_at(at, how);
	assert_true(how == END ? ended == calls : ended > 0);
	print_message("# ended at %d of %d calls\n", ended, calls);
}

static void a_process_that_ends_at_any_call_loses_nothing_that_was_acknowledged(void **state)
{
	(void)state;
	end_at_each(END);
}

static void a_process_that_ends_within_a_write_loses_nothing_that_was_acknowledged(void **state)
{
	(void)state;
	end_at_each(END_HALF);
}

/* Each third call of the deletion, and some of those before. */
static int next_sample(int at)
{
	return at + (at > calls_before_erasure ? 3 : 13);
}

static void sealed_lives_that_delete_lose_nothing_else(void **state)
{
	(void)state;
	static const char text[] = "2026-a 0101010101010101010101010101010101010101010101010101010101010101\n";
	unsigned lost = 0, n = 0;
	assert_int_equal(keyring_parse(slice_str(text), &keys, NULL), 0);
	options.keys = keys;
	int calls = calls_of_a_life(), before = calls_before_erasure;
	assert_true(calls > before + 10);
	for (int at = 1; at <= calls; calls_before_erasure = before, at = next_sample(at), n++) {
		fail_at(at, FAIL_EIO, 1, &lost);
		fail_at(at, FAIL_EIO, INT32_MAX, &lost);
		assert_true(end_at(at, END));
	}
	print_message("# %u of %d calls, %d before the deletion\n", n, calls, before);
	options.keys = NULL;
	keyring_free(&keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_that_fails_costs_nothing_that_was_acknowledged),
		cmocka_unit_test(a_disk_that_is_full_for_a_while_costs_nothing_that_was_acknowledged),
		cmocka_unit_test(a_disk_that_dies_costs_nothing_that_was_acknowledged),
		cmocka_unit_test(writes_that_end_half_way_cost_nothing_that_was_acknowledged),
		cmocka_unit_test(a_process_that_ends_at_any_call_loses_nothing_that_was_acknowledged),
		cmocka_unit_test(a_process_that_ends_within_a_write_loses_nothing_that_was_acknowledged),
		cmocka_unit_test(sealed_lives_that_delete_lose_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
