/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include "base/clock.h"
#include "store/replay.h"
#include "store/store_state.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SEGMENT_SIZE	 ((uint64_t)64 << 20)
#define FLUSH_LOG	 ((uint64_t)192 << 20)
#define FLUSH_LOG_MIN	 ((uint64_t)1 << 20)
#define FLUSH_AGE_MS	 (60 * INT64_C(60000))
#define RAW_AGE_MS	 (30 * INT64_C(86400000))
#define SUMS_AGE_MS	 (400 * INT64_C(86400000))
#define MAX_SERIES	 100000
#define MAX_VALUES	 10000
#define KEYS_SHARE(max)	 ((max) / 8) /* of the memory of heads */
#define GUARD_SHARE(max) ((max) / 16)

/* ---- heads ---- */

int stored_head_new(const struct store *s, size_t memory_max, struct stored_head **ret)
{
	struct stored_head *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	int r = head_init(&h->head, memory_max, s->options.max_values);
	if (r < 0) {
		free(h);
		return r;
	}
	pthread_rwlockattr_t attr;
	(void)pthread_rwlockattr_init(&attr);
	/* A stream of queries must not keep the writer out. */
	(void)pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	(void)pthread_rwlock_init(&h->lock, &attr);
	(void)pthread_rwlockattr_destroy(&attr);
	h->n_refs = 1;
	*ret = h;
	return 0;
}

void stored_head_unref(struct stored_head *h)
{
	if (!h || --h->n_refs > 0)
		return;
	head_done(&h->head);
	(void)pthread_rwlock_destroy(&h->lock);
	free(h);
}

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

static int add_key(void *arg, const struct key_row *row)
{
	return keys_add(arg, row, clock_wall_ns() / 1000000);
}

uint32_t store_load_keys(struct store *s)
{
	keys_done(&s->keys);
	keys_init(&s->keys, blockset_key_seed(s->blocks), KEYS_SHARE(s->options.head_memory));
	return blockset_read_keys(s->blocks, clock_wall_ns() / 1000000 - KEYS_MAX_AGE_MS, add_key, &s->keys);
}

static int open_blocks(struct store *s, struct store_replay *replay, struct error *err)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/blocks", s->dir) >= (int)sizeof(path))
		return error_set(err, -ENAMETOOLONG, "data folder %s: the path is too long", s->dir);
	int r = blockset_open(path, s->options.tables_memory, s->options.keys, &s->blocks, &replay->blocks, err);
	if (r < 0 && r != -EPROTONOSUPPORT && r != -ENOKEY && r != -EKEYREJECTED)
		error_append(err, "; free some space or choose another folder with --data");
	if (r < 0)
		return r;
	const struct guard_limits limits = { s->options.max_series, s->options.max_values };
	guard_init(&s->guard, &limits, blockset_key_seed(s->blocks), GUARD_SHARE(s->options.head_memory));
	replay->n_keys_lost = store_load_keys(s);
	/* Another seed: no key is the same. */
	struct blockset_stats stats;
	blockset_get_stats(s->blocks, &stats);
	if (replay->blocks.is_seed_lost)
		replay->n_keys_lost = stats.n_blocks;
	return 0;
}

static int open_log(struct store *s, struct store_replay *replay, struct error *err)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/wal", s->dir) >= (int)sizeof(path))
		return error_set(err, -ENAMETOOLONG, "data folder %s: the path is too long", s->dir);
	int64_t start = clock_mono_ns();
	int r = replay_run(s, path, replay, err);
	replay->took_ns = clock_mono_ns() - start;
	if (r < 0)
		return r;
	s->log_used = wal_bytes(s->wal);
	r = wal_probe(s->wal, NULL);
	if (r < 0)
		return error_set(err, r,
				 "data folder %s cannot be written: %s; free some space or choose another with --data",
				 s->dir, strerror(-r));
	return 0;
}

/* A limit that holds at start is said then, not with the first profile. */
static void set_first_refusal(struct store *s)
{
	struct error why;
	enum block_reason reason;
	uint64_t limit;
	int r = writer_check_disk(s, 0, &reason, &limit, &why);
	if (r < 0)
		writer_refuse(s, reason, r, limit, &why);
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
		r = open_blocks(s, replay, err);
	if (r == 0)
		r = open_log(s, replay, err);
	if (r < 0)
		return r;
	set_first_refusal(s);
	r = writer_start(s, err);
	return r == 0 && !s->options.is_idle ? keeper_start(s, err) : r;
}

static void set_defaults(struct store_options *o)
{
	if (!o->segment_size)
		o->segment_size = SEGMENT_SIZE;
	if (!o->flush_log)
		o->flush_log = FLUSH_LOG;
	/* The log is the larger form of what blocks hold: where the disk is small it must not fill that. */
	uint64_t share = o->disk_limit / 12 > FLUSH_LOG_MIN ? o->disk_limit / 12 : FLUSH_LOG_MIN;
	if (o->disk_limit && o->flush_log > share)
		o->flush_log = share;
	if (!o->flush_age_ms)
		o->flush_age_ms = FLUSH_AGE_MS;
	if (!o->raw_age_ms)
		o->raw_age_ms = RAW_AGE_MS;
	if (!o->sums_age_ms)
		o->sums_age_ms = SUMS_AGE_MS;
	if (!o->max_series)
		o->max_series = MAX_SERIES;
	if (!o->max_values)
		o->max_values = MAX_VALUES;
}

int store_open(const struct store_options *options, struct store **ret, struct store_replay *ret_replay,
	       struct error *err)
{
	_cleanup_(store_close)
	struct store *s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "no memory");
	s->options = *options;
	set_defaults(&s->options);
	s->dir_fd = s->lock_fd = -1;
	s->last = &s->first;
	(void)pthread_mutex_init(&s->parts_lock, NULL);
	(void)pthread_cond_init(&s->sealed_changed, NULL);
	(void)pthread_mutex_init(&s->queue_lock, NULL);
	struct store_replay replay = { 0 };
	int r = store_init(s, &replay, err);
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
	writer_stop(s);
	keeper_stop(s);
	wal_free(&s->wal);
	stored_head_unref(s->active);
	stored_head_unref(s->sealed);
	keys_done(&s->keys);
	guard_done(&s->guard);
	blockset_close(&s->blocks);
	vec_done(NULL, &s->kept);
	close_fd(&s->lock_fd);
	close_fd(&s->dir_fd);
	(void)pthread_mutex_destroy(&s->parts_lock);
	(void)pthread_cond_destroy(&s->sealed_changed);
	(void)pthread_mutex_destroy(&s->queue_lock);
	free(s->dir);
	free(s);
	*store = NULL;
}

/* ---- for other threads ---- */

static uint64_t disk_free(const struct store *s)
{
	struct statvfs v;
	return fstatvfs(s->dir_fd, &v) < 0 ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize;
}

static void status_of_head(struct store_status *ret, struct stored_head *h, bool is_active)
{
	(void)pthread_rwlock_rdlock(&h->lock);
	const struct part *p = &h->head.part;
	ret->memory_used += h->head.budget.used;
	ret->n_profiles += p->n_profiles;
	if (is_active) {
		ret->n_series = p->series.n;
		ret->n_nodes = dict_n_nodes(&p->names.dict);
		ret->n_label_sets = part_n_label_sets(p);
	}
	if (p->n_profiles && (ret->oldest_ms == 0 || p->oldest_ms < ret->oldest_ms))
		ret->oldest_ms = p->oldest_ms;
	if (p->n_profiles && p->newest_ms > ret->newest_ms)
		ret->newest_ms = p->newest_ms;
	(void)pthread_rwlock_unlock(&h->lock);
}

void store_get_status(struct store *s, struct store_status *ret)
{
	*ret = (struct store_status){
		.memory_limit = s->options.head_memory,
		.disk_limit = s->options.disk_limit,
		.disk_free = disk_free(s),
	};
	(void)pthread_mutex_lock(&s->parts_lock);
	blockset_get_stats(s->blocks, &ret->blocks);
	if (ret->blocks.n_blocks) {
		ret->n_profiles = ret->blocks.n_profiles;
		ret->oldest_ms = ret->blocks.oldest_ms;
		ret->newest_ms = ret->blocks.newest_ms;
	}
	status_of_head(ret, s->active, true);
	if (s->sealed)
		status_of_head(ret, s->sealed, false);
	(void)pthread_mutex_unlock(&s->parts_lock);
	(void)pthread_mutex_lock(&s->queue_lock);
	ret->accepting = s->refuse == REFUSE_NOT;
	if (!ret->accepting)
		memcpy(ret->reason, s->refuse_err.text, sizeof(ret->reason));
	ret->log_bytes = s->log_used;
	ret->n_stored = s->n_stored;
	ret->n_duplicates = s->n_duplicates;
	ret->n_refused = s->n_refused;
	ret->n_failed = s->n_failed;
	ret->n_keys = s->n_keys;
	ret->n_keys_forgotten = s->n_keys_forgotten;
	ret->n_syncs = s->n_syncs;
	ret->sync_ns = s->sync_ns;
	ret->sync_max_ns = s->sync_max_ns;
	ret->keeping = s->keeping;
	ret->n_folded_values = s->n_folded_values;
	ret->n_folded_series = s->n_folded_series;
	ret->n_folded_label_sets = s->n_folded_label_sets;
	(void)pthread_mutex_unlock(&s->queue_lock);
	ret->disk_used = ret->log_bytes + ret->blocks.bytes;
	/* Announced while there is time to act. */
	uint64_t margin = s->options.disk_reserve * 3 + ((uint64_t)1 << 30);
	ret->is_low = ret->disk_free < margin || ret->disk_used > ret->disk_limit / 100 * 95;
}

int store_flush(struct store *s, struct error *err)
{
	assert(s->options.is_idle);
	/* All of it in this thread: what a test sees is the same each time. */
	writer_stop(s);
	int r = s->sealed ? keeper_flush(s, err) : 0;
	if (r == 0)
		r = writer_seal(s, err);
	if (r == 0 && s->sealed)
		r = keeper_flush(s, err);
	writer_drop_log(s);
	s->stop = false;
	int e = writer_start(s, NULL);
	return r < 0 ? r : e;
}

int store_tidy(struct store *s, int64_t now_ms, bool *ret_more, struct error *err)
{
	assert(s->options.is_idle);
	return keeper_tidy(s, now_ms, ret_more, err);
}

int store_erase(struct store *s, struct store_erasure *e, struct error *err)
{
	e->n_profiles = e->n_blocks = 0;
	e->is_done = false;
	e->result = 0;
	if (s->options.is_idle) {
		int r = store_flush(s, err);
		return r == 0 ? keeper_erase(s, e, err) : r;
	}
	(void)pthread_mutex_lock(&s->parts_lock);
	bool is_busy = s->erasure != NULL;
	if (!is_busy) {
		s->erasure = e;
		s->seal_wanted = true;
	}
	(void)pthread_mutex_unlock(&s->parts_lock);
	if (is_busy)
		return error_set(err, -EBUSY, "something else is being deleted");
	writer_wake(s);
	(void)pthread_mutex_lock(&s->parts_lock);
	while (!e->is_done)
		(void)pthread_cond_wait(&s->sealed_changed, &s->parts_lock);
	s->erasure = NULL;
	(void)pthread_mutex_unlock(&s->parts_lock);
	if (e->result < 0 && err)
		*err = e->err;
	return e->result;
}

void store_cancel_erasures(struct store *s)
{
	(void)pthread_mutex_lock(&s->parts_lock);
	s->cancel_erasure = true;
	(void)pthread_cond_broadcast(&s->sealed_changed);
	(void)pthread_mutex_unlock(&s->parts_lock);
}
