/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "base/clock.h"
#include "store/replay.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SEGMENT_SIZE  ((uint64_t)64 << 20)
#define BATCH_BYTES   ((size_t)8 << 20)
#define BATCH_COMMITS 512
#define RECHECK_NS    500000000
#define MIB(n)	      ((n) >> 20)

/* Why commits are refused. */
enum block {
	BLOCK_NONE,
	BLOCK_MEMORY, /* each commit is tried all the same: one may still fit */
	BLOCK_DISK_LIMIT,
	BLOCK_DISK_RESERVE,
	BLOCK_DISK_ERROR,
};

struct store {
	struct store_options options;
	char *dir;
	int dir_fd, lock_fd;
	struct wal *wal; /* the writer's, once it runs */

	/* Guards `head`. Taken last, never together with queue_lock. */
	pthread_rwlock_t head_lock;
	struct head head;

	/* Guards all below. */
	pthread_mutex_t queue_lock;
	pthread_cond_t wake;
	struct store_commit *first, **last;
	bool stop;
	enum block block;
	struct error block_err;
	int block_result;
	uint64_t block_limit, block_need;
	uint64_t disk_used;
	uint64_t n_stored, n_duplicates, n_refused, n_failed;
	uint64_t n_syncs, sync_ns, sync_max_ns;

	pthread_t writer;
	bool has_writer;
};

/* ---- opening ---- */

/* mkdir -p */
static int make_dirs(const char *path, struct error *err)
{
	char part[PATH_MAX];
	size_t n = strlen(path);
	if (n == 0 || n >= sizeof(part))
		return error_set(err, -ENAMETOOLONG, "data folder: the path has %zu bytes", n);
	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != 0)
			continue;
		part[i] = 0;
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return error_set(err, -errno,
					 "data folder %s cannot be created: %m; choose another with --data", path);
		part[i] = path[i];
	}
	return 0;
}

/* One process per folder. The lock dies with the process. */
static int lock_dir(struct store *s, struct error *err)
{
	s->lock_fd = openat(s->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (s->lock_fd < 0)
		return error_set(err, -errno, "data folder %s is not writable: %m; choose another with --data", s->dir);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		char pid[16] = "";
		ssize_t n = pread(s->lock_fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? n : 0] = 0;
		pid[strcspn(pid, "\n")] = 0;
		return error_set(err, -EBUSY,
				 "data folder %s is in use by another wick-server (pid %s): stop it or choose another "
				 "folder with --data",
				 s->dir, pid[0] ? pid : "unknown");
	}
	/* Only there to be read by people: a full disk may refuse it. */
	if (ftruncate(s->lock_fd, 0) == 0)
		(void)dprintf(s->lock_fd, "%d\n", (int)getpid());
	return 0;
}

static int open_log(struct store *s, struct store_replay *replay, struct error *err)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/wal", s->dir) >= (int)sizeof(path))
		return error_set(err, -ENAMETOOLONG, "data folder %s: the path is too long", s->dir);
	int r = wal_open(path, s->options.segment_size ? s->options.segment_size : SEGMENT_SIZE, &s->wal, err);
	if (r < 0)
		return r;
	int64_t start = clock_mono_ns();
	r = replay_run(s->wal, &s->head, &s->options, replay, err);
	replay->took_ns = clock_mono_ns() - start;
	if (r < 0)
		return r;
	s->disk_used = wal_bytes(s->wal);
	r = wal_probe(s->wal, NULL);
	if (r < 0)
		return error_set(err, r,
				 "data folder %s cannot be written: %s; free some space or choose another with --data",
				 s->dir, strerror(-r));
	return 0;
}

static void *writer_thread(void *arg);

static int start_writer(struct store *s, struct error *err)
{
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&s->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	int e = pthread_create(&s->writer, NULL, writer_thread, s);
	if (e)
		return error_set(err, -e, "cannot start the writer thread: %s", strerror(e));
	s->has_writer = true;
	return 0;
}

static void set_block(struct store *s, enum block block, int result, uint64_t limit, const struct error *why);
static int check_disk(struct store *s, uint64_t size, enum block *ret_block, uint64_t *ret_limit, struct error *err);

/* A limit that holds at start is said then, not with the first profile. */
static void set_first_block(struct store *s, const struct store_replay *replay)
{
	struct error why;
	enum block block;
	uint64_t limit;
	if (replay->n_left_out) {
		(void)error_set(&why, 0,
				"memory limit reached at start: %" PRIu64
				" profiles of the log are not shown; the store's "
				"share of --memory-limit %zu MiB is %zu MiB; restart with a larger --memory-limit",
				replay->n_left_out, MIB(s->options.memory_limit), MIB(s->options.head_memory));
		set_block(s, BLOCK_MEMORY, -ENOBUFS, s->options.memory_limit, &why);
		return;
	}
	int r = check_disk(s, 0, &block, &limit, &why);
	if (r < 0)
		set_block(s, block, r, limit, &why);
}

static int store_init(struct store *s, struct store_replay *replay, struct error *err)
{
	s->dir = strdup(s->options.dir);
	if (!s->dir)
		return -ENOMEM;
	int r = make_dirs(s->dir, err);
	if (r < 0)
		return r;
	s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return error_set(err, -errno, "data folder %s: %m; choose another with --data", s->dir);
	r = lock_dir(s, err);
	if (r == 0)
		r = open_log(s, replay, err);
	if (r < 0)
		return r;
	set_first_block(s, replay);
	return start_writer(s, err);
}

int store_open(const struct store_options *options, struct store **ret, struct store_replay *ret_replay,
	       struct error *err)
{
	_cleanup_(store_close)
	struct store *s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "no memory");
	s->options = *options;
	s->dir_fd = s->lock_fd = -1;
	s->last = &s->first;
	pthread_rwlockattr_t attr;
	(void)pthread_rwlockattr_init(&attr);
	/* A stream of queries must not keep the writer out. */
	(void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	(void)pthread_rwlock_init(&s->head_lock, &attr);
	(void)pthread_rwlockattr_destroy(&attr);
	(void)pthread_mutex_init(&s->queue_lock, NULL);
	int r = head_init(&s->head, options->head_memory);
	if (r < 0)
		return error_set(err, r, "no memory for the store");
	struct store_replay replay = { 0 };
	r = store_init(s, &replay, err);
	if (r < 0)
		return r;
	if (ret_replay)
		*ret_replay = replay;
	*ret = take_ptr(s);
	return 0;
}

void store_close(struct store **store)
{
	struct store *s = *store;
	if (!s)
		return;
	if (s->has_writer) {
		(void)pthread_mutex_lock(&s->queue_lock);
		s->stop = true;
		(void)pthread_cond_signal(&s->wake);
		(void)pthread_mutex_unlock(&s->queue_lock);
		(void)pthread_join(s->writer, NULL);
		(void)pthread_cond_destroy(&s->wake);
	}
	wal_free(&s->wal);
	head_done(&s->head);
	close_fd(&s->lock_fd);
	close_fd(&s->dir_fd);
	(void)pthread_rwlock_destroy(&s->head_lock);
	(void)pthread_mutex_destroy(&s->queue_lock);
	free(s->dir);
	free(s);
	*store = NULL;
}

/* ---- limits ---- */

static void set_block(struct store *s, enum block block, int result, uint64_t limit, const struct error *why)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	s->block = block;
	s->block_result = result;
	s->block_limit = limit;
	s->block_need = 0;
	if (why)
		s->block_err = *why;
	(void)pthread_mutex_unlock(&s->queue_lock);
}

/* Free bytes of the disk the log is on; what cannot be asked is not a limit. */
static uint64_t disk_free(const struct store *s)
{
	struct statvfs v;
	if (fstatvfs(s->dir_fd, &v) < 0)
		return UINT64_MAX;
	return (uint64_t)v.f_bavail * v.f_frsize;
}

/* Is there room for `size` more bytes of log? */
static int check_disk(struct store *s, uint64_t size, enum block *ret_block, uint64_t *ret_limit, struct error *err)
{
	const struct store_options *o = &s->options;
	if (wal_bytes(s->wal) + size > o->disk_limit) {
		*ret_block = BLOCK_DISK_LIMIT;
		*ret_limit = o->disk_limit;
		return error_set(err, -ENOSPC,
				 "disk limit reached: the log takes %" PRIu64 " MiB of --disk-limit %" PRIu64
				 " MiB; restart with a larger --disk-limit",
				 MIB(wal_bytes(s->wal)), MIB(o->disk_limit));
	}
	uint64_t free_bytes = disk_free(s);
	if (free_bytes < o->disk_reserve || free_bytes - o->disk_reserve < size) {
		*ret_block = BLOCK_DISK_RESERVE;
		*ret_limit = o->disk_reserve;
		return error_set(err, -ENOSPC,
				 "disk nearly full: %" PRIu64 " MiB are free at %s and --disk-reserve keeps %" PRIu64
				 " MiB for others; free some space",
				 MIB(free_bytes), s->dir, MIB(o->disk_reserve));
	}
	return 0;
}

/* While refusing: has the reason gone? Called by the writer only. */
static void recheck_block(struct store *s)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	enum block block = s->block;
	uint64_t need = s->block_need;
	(void)pthread_mutex_unlock(&s->queue_lock);
	if (block == BLOCK_NONE || block == BLOCK_MEMORY)
		return;
	enum block again;
	uint64_t limit;
	struct error err;
	int r = check_disk(s, need, &again, &limit, &err);
	if (r == 0)
		r = wal_probe(s->wal, NULL);
	if (r == 0)
		set_block(s, BLOCK_NONE, 0, 0, NULL);
}

/* ---- the writer ---- */

static size_t commit_bytes(const struct store_commit *c)
{
	return WAL_HEADER_SIZE + WAL_META_MAX + c->record.body.size;
}

static void fail(struct store_commit *c, int result, uint64_t limit, const struct error *err)
{
	c->result = result;
	c->limit = limit;
	c->err = *err;
}

static struct store_commit *find_twin(struct store_commit *batch, const struct store_commit *c)
{
	for (struct store_commit *b = batch; b != c; b = b->next)
		if (b->is_staged && slice_eq(b->record.intake.key, c->record.intake.key))
			return b;
	return NULL;
}

/* Into the head, unseen. */
static void prepare(struct store *s, struct store_commit *batch, struct store_commit *c)
{
	(void)pthread_rwlock_wrlock(&s->head_lock);
	enum key_state key = head_key_state(&s->head, c->record.intake.key);
	if (key == KEY_UNKNOWN) {
		c->result = head_prepare(&s->head, &c->record.intake, c->profile, &c->staged, &c->err);
		c->is_staged = c->result == 0;
	}
	size_t used = s->head.budget.used;
	(void)pthread_rwlock_unlock(&s->head_lock);
	if (key == KEY_UNKNOWN && c->result == -ENOBUFS) {
		c->limit = s->options.memory_limit;
		(void)error_set(&c->err, 0,
				"memory limit reached: the store holds %zu MiB; its share of --memory-limit %zu MiB is "
				"%zu MiB; restart with a larger --memory-limit",
				MIB(used), MIB(s->options.memory_limit), MIB(s->options.head_memory));
		set_block(s, BLOCK_MEMORY, c->result, c->limit, &c->err);
	}
	if (key != KEY_UNKNOWN) {
		c->duplicate = true;
		c->twin = key == KEY_PENDING ? find_twin(batch, c) : NULL;
	}
}

static int append(struct store *s, struct store_commit *c)
{
	enum block block = BLOCK_DISK_ERROR;
	uint64_t limit = 0;
	struct error err;
	int r = check_disk(s, commit_bytes(c), &block, &limit, &err);
	if (r == 0)
		r = wal_append(s->wal, &c->record, &err);
	if (r < 0) {
		fail(c, r, limit, &err);
		set_block(s, block, r, limit, &err);
		(void)pthread_mutex_lock(&s->queue_lock);
		s->block_need = commit_bytes(c);
		(void)pthread_mutex_unlock(&s->queue_lock);
	}
	return r;
}

/* Log and fsync of all that is staged. When one write fails, all fail: what
 * is in the file then is cut off. A limit refuses only those beyond it. */
static int make_durable(struct store *s, struct store_commit *batch, struct error *err)
{
	int r = 0;
	for (struct store_commit *c = batch; c && r == 0; c = c->next) {
		if (!c->is_staged)
			continue;
		uint64_t before = wal_bytes(s->wal);
		if (append(s, c) < 0 && wal_bytes(s->wal) != before)
			r = error_set(err, c->result, "%s", c->err.text);
	}
	if (r < 0) {
		wal_rollback(s->wal);
		return r;
	}
	int64_t start = clock_mono_ns();
	r = wal_sync(s->wal, err);
	uint64_t took = (uint64_t)(clock_mono_ns() - start);
	(void)pthread_mutex_lock(&s->queue_lock);
	s->n_syncs++;
	s->sync_ns += took;
	if (took > s->sync_max_ns)
		s->sync_max_ns = took;
	(void)pthread_mutex_unlock(&s->queue_lock);
	if (r < 0)
		set_block(s, BLOCK_DISK_ERROR, r, 0, err);
	return r;
}

static void settle(struct store *s, struct store_commit *batch, int result, const struct error *err)
{
	(void)pthread_rwlock_wrlock(&s->head_lock);
	for (struct store_commit *c = batch; c; c = c->next) {
		if (!c->is_staged)
			continue;
		if (c->result == 0 && result < 0)
			fail(c, result, 0, err);
		if (c->result == 0)
			head_publish(&s->head, &c->staged);
		else
			head_abandon(&s->head, &c->staged);
	}
	(void)pthread_rwlock_unlock(&s->head_lock);
}

static void count_and_answer(struct store *s, struct store_commit *batch)
{
	uint64_t stored = 0, duplicates = 0, failed = 0;
	for (struct store_commit *c = batch; c; c = c->next) {
		if (c->twin && c->twin->result < 0)
			fail(c, c->twin->result, c->twin->limit, &c->twin->err);
		failed += c->result < 0;
		duplicates += c->result == 0 && c->duplicate;
		stored += c->result == 0 && !c->duplicate;
	}
	(void)pthread_mutex_lock(&s->queue_lock);
	s->n_stored += stored;
	s->n_duplicates += duplicates;
	s->n_failed += failed;
	s->disk_used = wal_bytes(s->wal);
	if (stored && s->block == BLOCK_MEMORY)
		s->block = BLOCK_NONE;
	(void)pthread_mutex_unlock(&s->queue_lock);
	while (batch) {
		struct store_commit *next = batch->next;
		batch->done(batch);
		batch = next;
	}
}

static void commit_batch(struct store *s, struct store_commit *batch)
{
	struct error err = { .text = "" };
	for (struct store_commit *c = batch; c; c = c->next)
		prepare(s, batch, c);
	int r = make_durable(s, batch, &err);
	settle(s, batch, r, &err);
	count_and_answer(s, batch);
}

/* Takes up to a batch from the queue; waits while it is empty. NULL: nothing
 * came before a recheck is due, or the store closes (*ret_stop). */
static struct store_commit *take_batch(struct store *s, bool *ret_stop)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	while (!s->first && !s->stop) {
		bool waiting_for_disk = s->block != BLOCK_NONE && s->block != BLOCK_MEMORY;
		if (!waiting_for_disk) {
			(void)pthread_cond_wait(&s->wake, &s->queue_lock);
			continue;
		}
		int64_t until = clock_mono_ns() + RECHECK_NS;
		struct timespec ts = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };
		if (pthread_cond_timedwait(&s->wake, &s->queue_lock, &ts) == ETIMEDOUT)
			break;
	}
	struct store_commit *batch = s->first, **end = &s->first;
	size_t bytes = 0, n = 0;
	while (*end && n < BATCH_COMMITS && (n == 0 || bytes + (*end)->record.body.size <= BATCH_BYTES)) {
		bytes += (*end)->record.body.size;
		n++;
		end = &(*end)->next;
	}
	struct store_commit *rest = *end;
	*end = NULL;
	if (batch) {
		s->first = rest;
		if (!rest)
			s->last = &s->first;
	}
	*ret_stop = s->stop && !batch;
	(void)pthread_mutex_unlock(&s->queue_lock);
	return batch;
}

static void *writer_thread(void *arg)
{
	struct store *s = arg;
	bool stop = false;
	while (!stop) {
		struct store_commit *batch = take_batch(s, &stop);
		if (batch)
			commit_batch(s, batch);
		else
			recheck_block(s);
	}
	return NULL;
}

/* ---- for other threads ---- */

int store_submit(struct store *s, struct store_commit *c)
{
	c->next = c->twin = NULL;
	c->is_staged = c->duplicate = false;
	c->result = 0;
	c->limit = 0;
	(void)pthread_mutex_lock(&s->queue_lock);
	bool refuse = s->stop || (s->block != BLOCK_NONE && s->block != BLOCK_MEMORY);
	if (refuse) {
		s->n_refused++;
		if (s->stop)
			c->result = error_set(&c->err, -ENOSPC, "the server is stopping");
		else
			fail(c, s->block_result, s->block_limit, &s->block_err);
	} else {
		*s->last = c;
		s->last = &c->next;
		(void)pthread_cond_signal(&s->wake);
	}
	(void)pthread_mutex_unlock(&s->queue_lock);
	return refuse ? c->result : 0;
}

const struct head *store_read_begin(struct store *s)
{
	(void)pthread_rwlock_rdlock(&s->head_lock);
	return &s->head;
}

void store_read_end(struct store *s)
{
	(void)pthread_rwlock_unlock(&s->head_lock);
}

void store_get_status(struct store *s, struct store_status *ret)
{
	*ret = (struct store_status){
		.memory_limit = s->options.head_memory,
		.disk_limit = s->options.disk_limit,
	};
	const struct head *h = store_read_begin(s);
	ret->memory_used = h->budget.used;
	ret->n_profiles = h->n_profiles;
	ret->n_series = h->series.n;
	ret->n_nodes = dict_n_nodes(&h->names.dict);
	ret->n_label_sets = h->names.labels_off.n - 1;
	ret->n_keys = h->keys.n;
	ret->oldest_ms = h->oldest_ms;
	ret->newest_ms = h->newest_ms;
	store_read_end(s);
	(void)pthread_mutex_lock(&s->queue_lock);
	ret->accepting = s->block == BLOCK_NONE;
	if (!ret->accepting)
		memcpy(ret->reason, s->block_err.text, sizeof(ret->reason));
	ret->disk_used = s->disk_used;
	ret->n_stored = s->n_stored;
	ret->n_duplicates = s->n_duplicates;
	ret->n_refused = s->n_refused;
	ret->n_failed = s->n_failed;
	ret->n_syncs = s->n_syncs;
	ret->sync_ns = s->sync_ns;
	ret->sync_max_ns = s->sync_max_ns;
	(void)pthread_mutex_unlock(&s->queue_lock);
}
