/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/clock.h"
#include "base/file.h"
#include "format/pprof.h"
#include "store/scan.h"
#include "store/store_state.h"
#include "store/view.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

/* Linked with --wrap: so many calls fail. */
static _Atomic int fail_sync;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	if (fail_sync > 0) {
		fail_sync--;
		errno = EIO;
		return -1;
	}
	return __real_fdatasync(fd);
}

struct fixture {
	char dir[64];
	struct store *store;
	struct store_replay replay;
};

static struct store_options options_of(const struct fixture *f)
{
	return (struct store_options){
		.dir = f->dir,
		.memory_limit = 64 << 20,
		.head_memory = 16 << 20,
		.tables_memory = 16 << 20,
		.build_memory = 16 << 20,
		.is_idle = true,
		.decode_memory = 16 << 20,
		.n_threads = 2,
		.disk_limit = 64 << 20,
	};
}

static void open_it(struct fixture *f)
{
	struct store_options o = options_of(f);
	struct error err = { "" };
	if (store_open(&o, &f->store, &f->replay, &err) < 0)
		fail_msg("%s", err.text);
}

#define START_MS INT64_C(1700000000000)

/* What comes: up to 3 types, and when it starts. */
static unsigned n_types = 1;
static int64_t start_ms = START_MS;

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/wick-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	fail_sync = 0;
	n_types = 1;
	start_ms = START_MS;
	open_it(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[80];
	store_close(&f->store);
	(void)snprintf(command, sizeof(command), "rm -r '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* One profile on its way, and its thread's wait for the outcome. */
struct upload {
	struct store_commit commit;
	struct intake_profile profile;
	struct buf body;
	char key[16];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_done;
};

static void on_done(struct store_commit *c)
{
	struct upload *u = (struct upload *)((char *)c - offsetof(struct upload, commit));
	(void)pthread_mutex_lock(&u->lock);
	u->is_done = true;
	(void)pthread_cond_signal(&u->changed);
	(void)pthread_mutex_unlock(&u->lock);
}

static int64_t now_ms(void)
{
	return clock_wall_ns() / 1000000;
}

/* main -> f<n>: value n + 1 */
static void upload_init(struct upload *u, unsigned n, const char *key)
{
	*u = (struct upload){ .body = buf_of(1 << 20),
			      .lock = PTHREAD_MUTEX_INITIALIZER,
			      .changed = PTHREAD_COND_INITIALIZER };
	struct profile p;
	char name[16];
	struct frame_id frame;
	struct node_id node = { 0 };
	int64_t value[3] = { n + 1, n + 1, n + 1 };
	static const char *const types[] = { "cpu", "alloc", "lock" };
	(void)snprintf(name, sizeof(name), "f%u", n);
	(void)snprintf(u->key, sizeof(u->key), "%s", key);
	assert_int_equal(profile_init(&p, NULL), 0);
	for (unsigned i = 0; i < n_types; i++)
		assert_int_equal(profile_add_type(&p, slice_str(types[i]), slice_str("nanoseconds")), 0);
	const char *stack[] = { "main", name };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(dict_named_frame(&p.dict, slice_str(stack[i]), FRAME_USER, &frame), 0);
		assert_int_equal(dict_node(&p.dict, node, frame, &node), 0);
	}
	assert_int_equal(profile_add_sample(&p, node, (struct labels_id){ 0 }, value), 0);
	p.time_ns = start_ms * 1000000;
	p.duration_ns = 10000000000;
	assert_int_equal(pprof_encode(&p, &u->body), 0);
	profile_done(&p);
	struct intake *in = &u->commit.record.intake;
	in->label[SERIES_SERVICE] = slice_str("api");
	in->key = slice_str(u->key);
	in->received_ms = now_ms();
	struct slice body = slice_of(u->body.data, u->body.n);
	assert_int_equal(intake_decode(in, body, &format_limits_default, NULL, &u->profile, NULL), 0);
	u->commit.record.body = body;
	u->commit.profile = &u->profile;
	u->commit.done = on_done;
}

static void upload_wait(struct upload *u)
{
	(void)pthread_mutex_lock(&u->lock);
	while (!u->is_done)
		(void)pthread_cond_wait(&u->changed, &u->lock);
	(void)pthread_mutex_unlock(&u->lock);
}

static void upload_done(struct upload *u)
{
	intake_profile_done(&u->profile);
	buf_done(&u->body);
}

/* 0 stored, 1 duplicate, negative errno. */
static int upload(struct fixture *f, unsigned n, const char *key)
{
	struct upload u;
	upload_init(&u, n, key);
	int r = store_submit(f->store, &u.commit);
	if (r == 0) {
		upload_wait(&u);
		r = u.commit.result < 0 ? u.commit.result : u.commit.duplicate;
	}
	upload_done(&u);
	return r;
}

static int64_t total_of_part(const struct part *p)
{
	int64_t sum = 0;
	struct scan scan;
	const struct scan_options all = { .from_ms = INT64_MIN, .to_ms = INT64_MAX, .coarsest = RES_DAY };
	assert_int_equal(scan_init(&scan, p, &all, NULL), 0);
	for (uint32_t i = 0; i < p->series.n; i++) {
		assert_int_equal(scan_series(&scan, i), 0);
		for (int r; (r = scan_next(&scan)) != 0;) {
			assert_int_equal(r, 1);
			sum += scan.chunk.total;
		}
	}
	assert_int_equal(scan.stats.n_damaged, 0);
	scan_done(&scan);
	return sum;
}

/* Sum of everything a reader sees. */
static int64_t total(struct fixture *f)
{
	int64_t sum = 0;
	struct view *v;
	assert_int_equal(view_take(f->store, &v), 0);
	for (uint32_t i = 0; i < view_n_parts(v); i++) {
		const struct part *p;
		assert_int_equal(view_open(v, i, &p, NULL), 0);
		sum += total_of_part(p);
		view_close(v, i);
	}
	view_free(&v);
	return sum;
}

static void reopen(struct fixture *f)
{
	store_close(&f->store);
	open_it(f);
}

static void a_key_is_stored_once_before_and_after_a_restart(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(upload(f, 0, "a"), 0);
	assert_int_equal(upload(f, 0, "a"), 1);
	assert_int_equal(upload(f, 1, "b"), 0);
	/* Without a key, equal bytes are two profiles. */
	assert_int_equal(upload(f, 2, ""), 0);
	assert_int_equal(upload(f, 2, ""), 0);
	assert_int_equal(total(f), 1 + 2 + 3 + 3);
	reopen(f);
	assert_int_equal(f->replay.n_profiles, 4);
	assert_int_equal(total(f), 1 + 2 + 3 + 3);
	assert_int_equal(upload(f, 0, "a"), 1);
	assert_int_equal(upload(f, 9, "c"), 0);
	assert_int_equal(total(f), 1 + 2 + 3 + 3 + 10);
}

static void repeats_under_way_share_one_outcome(void **state)
{
	struct fixture *f = *state;
	struct upload u[40];
	for (unsigned i = 0; i < ARRAY_SIZE(u); i++) {
		upload_init(&u[i], 0, i % 2 ? "odd" : "even");
		assert_int_equal(store_submit(f->store, &u[i].commit), 0);
	}
	unsigned n_stored = 0;
	for (unsigned i = 0; i < ARRAY_SIZE(u); i++) {
		upload_wait(&u[i]);
		assert_int_equal(u[i].commit.result, 0);
		n_stored += !u[i].commit.duplicate;
		upload_done(&u[i]);
	}
	assert_int_equal(n_stored, 2);
	assert_int_equal(total(f), 2);
}

/* Whoever is told "stored" must find it after a crash: so nobody is told so
 * when fsync failed, and nothing of it is shown. */
static void a_failed_sync_is_never_acknowledged(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(upload(f, 0, "a"), 0);
	/* The sync, its undoing, and a few rechecks. */
	fail_sync = 4;
	assert_int_equal(upload(f, 1, "b"), -EIO);
	assert_int_equal(total(f), 1);
	struct store_status status;
	store_get_status(f->store, &status);
	assert_false(status.accepting);
	assert_non_null(strstr(status.reason, "cannot sync"));
	/* Refused without trying, until the disk is well again. */
	assert_true(upload(f, 1, "b") < 0);
	do
		store_get_status(f->store, &status);
	while (!status.accepting);
	assert_int_equal(upload(f, 1, "b"), 0);
	assert_int_equal(total(f), 3);
	reopen(f);
	assert_int_equal(total(f), 3);
	assert_int_equal(f->replay.log.n_damaged + f->replay.log.torn_bytes, 0);
}

static void a_folder_has_one_owner(void **state)
{
	struct fixture *f = *state;
	struct store_options o = options_of(f);
	struct store *second = NULL;
	struct error err;
	assert_int_equal(store_open(&o, &second, NULL, &err), -EBUSY);
	assert_non_null(strstr(err.text, "--data"));
	char pid[16];
	(void)snprintf(pid, sizeof(pid), "pid %d", (int)getpid());
	assert_non_null(strstr(err.text, pid));
}

static void limits_refuse_and_name_themselves(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(upload(f, 0, "a"), 0);
	store_close(&f->store);
	struct store_options o = options_of(f);
	struct error err;
	o.disk_limit = 1000;
	assert_int_equal(store_open(&o, &f->store, NULL, &err), 0);
	struct upload u;
	upload_init(&u, 1, "b");
	assert_int_equal(store_submit(f->store, &u.commit), 0);
	upload_wait(&u);
	assert_int_equal(u.commit.result, -ENOSPC);
	assert_int_equal(u.commit.limit, 1000);
	assert_non_null(strstr(u.commit.err.text, "--disk-limit"));
	upload_done(&u);
	store_close(&f->store);
	/* More than any disk has free. */
	o.disk_limit = UINT64_MAX / 2;
	o.disk_reserve = UINT64_MAX / 2;
	assert_int_equal(store_open(&o, &f->store, NULL, &err), 0);
	assert_int_equal(upload(f, 1, "b"), -ENOSPC);
	struct store_status status;
	store_get_status(f->store, &status);
	assert_non_null(strstr(status.reason, "--disk-reserve"));
	assert_int_equal(total(f), 1);
	store_close(&f->store);
}

static int is_service(void *arg, const struct part *p, uint32_t series)
{
	return slice_eq(part_string(p, p->series.data[series].label[SERIES_SERVICE]), slice_str(arg));
}

static unsigned n_blocks(struct fixture *f)
{
	struct store_status status;
	store_get_status(f->store, &status);
	return status.blocks.n_blocks;
}

/* Whether any file of the store has these bytes in plain. */
static bool files_have(const struct fixture *f, const char *word)
{
	char command[160];
	(void)snprintf(command, sizeof(command), "grep -rqaF '%s' '%s'", word, f->dir);
	return system(command) == 0;
}

static void flushed_and_merged_profiles_are_all_there_once(void **state)
{
	struct fixture *f = *state;
	int64_t expected = 0;
	char key[16];
	bool more = true;
	for (unsigned i = 0; i < 30; i++) {
		(void)snprintf(key, sizeof(key), "k%u", i);
		assert_int_equal(upload(f, i, key), 0);
		expected += i + 1;
		if (i % 5 == 4)
			assert_int_equal(store_flush(f->store, NULL), 0);
		assert_int_equal(total(f), expected);
	}
	assert_int_equal(n_blocks(f), 6);
	/* An hour later: their day is over and quiet, and its blocks become one. */
	while (more)
		assert_int_equal(store_tidy(f->store, now_ms() + 3600000, &more, NULL), 0);
	assert_int_equal(n_blocks(f), 1);
	assert_int_equal(total(f), expected);
	reopen(f);
	assert_int_equal(f->replay.n_profiles, 0);
	assert_int_equal(total(f), expected);
	assert_int_equal(upload(f, 3, "k3"), 1);
	assert_int_equal(upload(f, 30, "k30"), 0);
	assert_int_equal(total(f), expected + 31);
}

static void what_is_deleted_is_in_no_file(void **state)
{
	struct fixture *f = *state;
	struct error err = { "" };
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(upload(f, i, ""), 0);
	assert_int_equal(store_flush(f->store, NULL), 0);
	assert_int_equal(upload(f, 4, ""), 0);
	assert_true(files_have(f, "api"));
	struct store_erasure none = { .what = { is_service, "other", 0, INTAKE_TIME_MAX_MS } };
	assert_int_equal(store_erase(f->store, &none, &err), 0);
	assert_int_equal(none.n_profiles, 0);
	assert_int_equal(total(f), 1 + 2 + 3 + 4 + 5);
	struct store_erasure all = { .what = { is_service, "api", 0, INTAKE_TIME_MAX_MS } };
	assert_int_equal(store_erase(f->store, &all, &err), 0);
	assert_int_equal(all.n_profiles, 5);
	assert_int_equal(total(f), 0);
	reopen(f);
	assert_int_equal(total(f), 0);
	assert_false(files_have(f, "api"));
	assert_int_equal(upload(f, 9, ""), 0);
	assert_int_equal(total(f), 10);
}

static int flip_bits(const struct fixture *f, const char *name, off_t at, uint8_t bits)
{
	char path[128];
	uint8_t byte = 0;
	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	bool ok = fd >= 0 && pread(fd, &byte, 1, at) == 1;
	byte ^= bits;
	ok = ok && pwrite(fd, &byte, 1, at) == 1;
	close_fd(&fd);
	return ok ? 0 : -EIO;
}

/* Whatever the manifest alone knew is found again, or said to be lost. */
static void a_lost_manifest_costs_no_key_and_no_record_of_the_log(void **state)
{
	struct fixture *f = *state;
	struct store_options o = options_of(f);
	uint32_t n;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(upload(f, i, i % 2 ? "odd" : "even"), i > 1);
	assert_int_equal(upload(f, 4, ""), 0);
	store_close(&f->store);
	/* Nothing can be decoded with so little: all stays in the log, and behind it more is written to a block. */
	o.decode_memory = 1;
	assert_int_equal(store_open(&o, &f->store, &f->replay, NULL), 0);
	assert_int_equal(f->replay.n_undecodable, 3);
	assert_int_equal(upload(f, 5, "late"), 0);
	assert_int_equal(store_flush(f->store, NULL), 0);
	uint64_t seed = blockset_key_seed(f->store->blocks);
	store_close(&f->store);
	assert_int_equal(flip_bits(f, "blocks/manifest", 14, 1), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_open(&o, &f->store, &f->replay, NULL), 0);
		assert_true(f->replay.blocks.is_rebuilt == (i == 0) && !f->replay.blocks.is_seed_lost);
		assert_int_equal(f->replay.n_undecodable, 3);
		assert_int_equal(f->replay.n_keys_lost, 0);
		(void)blockset_kept(f->store->blocks, &n);
		assert_int_equal(n, 3);
		assert_true(blockset_key_seed(f->store->blocks) == seed);
		assert_int_equal(upload(f, 5, "late"), 1);
		store_close(&f->store);
	}
	open_it(f);
	assert_int_equal(f->replay.n_undecodable, 0);
	assert_int_equal(total(f), 1 + 2 + 5 + 6);
	assert_int_equal(upload(f, 0, "even"), 1);
}

static uint64_t n_profiles(struct fixture *f)
{
	struct store_status status;
	store_get_status(f->store, &status);
	return status.n_profiles;
}

/* Nine profiles, of three types or of one, several at the very same time. */
static void upload_nine(struct fixture *f)
{
	for (unsigned i = 0; i < 9; i++) {
		n_types = i == 1 || i == 4 ? 1 : 3;
		start_ms = START_MS + (i < 5 ? 0 : 600000);
		assert_int_equal(upload(f, i, ""), 0);
		if (i == 6)
			assert_int_equal(store_flush(f->store, NULL), 0);
	}
	assert_int_equal(store_flush(f->store, NULL), 0);
}

static void a_deletion_counts_each_profile_once(void **state)
{
	struct fixture *f = *state;
	struct error err = { "" };
	for (int is_thin = 0; is_thin < 2; is_thin++) {
		upload_nine(f);
		assert_int_equal(n_profiles(f), 9);
		/* All of it becomes one block; later its single profiles go. */
		for (bool more = is_thin; more;)
			assert_int_equal(store_tidy(f->store, now_ms() + 3600000, &more, NULL), 0);
		for (bool more = is_thin; more;)
			assert_int_equal(store_tidy(f->store, now_ms() + INT64_C(35) * 86400000, &more, NULL), 0);
		assert_int_equal(n_profiles(f), 9);
		struct store_erasure early = { .what = { is_service, "api", START_MS, START_MS + 60000 } };
		assert_int_equal(store_erase(f->store, &early, &err), 0);
		assert_int_equal(early.n_profiles, 5);
		assert_int_equal(n_profiles(f), 4);
		reopen(f);
		assert_int_equal(n_profiles(f), 4);
		struct store_erasure rest = { .what = { is_service, "api", 0, INTAKE_TIME_MAX_MS } };
		assert_int_equal(store_erase(f->store, &rest, &err), 0);
		assert_int_equal(rest.n_profiles, 4);
		assert_int_equal(n_profiles(f), 0);
	}
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(a_key_is_stored_once_before_and_after_a_restart),
		CASE(repeats_under_way_share_one_outcome),
		CASE(a_failed_sync_is_never_acknowledged),
		CASE(a_folder_has_one_owner),
		CASE(limits_refuse_and_name_themselves),
		CASE(flushed_and_merged_profiles_are_all_there_once),
		CASE(what_is_deleted_is_in_no_file),
		CASE(a_deletion_counts_each_profile_once),
		CASE(a_lost_manifest_costs_no_key_and_no_record_of_the_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
