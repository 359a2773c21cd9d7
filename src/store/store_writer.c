/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "store/store_state.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/statvfs.h>

#define BATCH_BYTES   ((size_t)8 << 20)
#define BATCH_COMMITS 512
#define RECHECK_NS    500000000
#define AGE_CHECK_NS  (10 * INT64_C(1000000000))

/* ---- limits ---- */

void writer_refuse(struct store *s, enum block_reason why, int result, uint64_t limit, const struct error *err)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	s->refuse = why;
	s->refuse_result = result;
	s->refuse_limit = limit;
	s->refuse_need = 0;
	if (err)
		s->refuse_err = *err;
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
int writer_check_disk(struct store *s, uint64_t size, enum block_reason *ret_why, uint64_t *ret_limit,
		      struct error *err)
{
	const struct store_options *o = &s->options;
	uint64_t used = wal_bytes(s->wal) + blockset_bytes(s->blocks);
	if (used + size > o->disk_limit) {
		*ret_why = REFUSE_DISK_LIMIT;
		*ret_limit = o->disk_limit;
		return error_set(err, -ENOSPC,
				 "disk limit reached: profiles take %" PRIu64 " MiB of --disk-limit %" PRIu64
				 " MiB; restart with a larger --disk-limit",
				 MIB(used), MIB(o->disk_limit));
	}
	uint64_t free_bytes = disk_free(s);
	if (free_bytes < o->disk_reserve || free_bytes - o->disk_reserve < size) {
		*ret_why = REFUSE_DISK_RESERVE;
		*ret_limit = o->disk_reserve;
		return error_set(err, -ENOSPC,
				 "disk nearly full: %" PRIu64 " MiB are free at %s and --disk-reserve keeps %" PRIu64
				 " MiB for others; free some space",
				 MIB(free_bytes), s->dir, MIB(o->disk_reserve));
	}
	return 0;
}

/* Refusals that this thread looks into again by itself. */
static bool is_of_disk(enum block_reason why)
{
	return why != REFUSE_NOT && why != REFUSE_MEMORY;
}

/* While refusing: has the reason gone? */
static void recheck(struct store *s)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	enum block_reason why = s->refuse;
	uint64_t need = s->refuse_need;
	(void)pthread_mutex_unlock(&s->queue_lock);
	if (!is_of_disk(why))
		return;
	uint64_t limit;
	struct error err;
	enum block_reason again;
	(void)pthread_mutex_lock(&s->parts_lock);
	bool is_stuck = s->flush_failed;
	(void)pthread_mutex_unlock(&s->parts_lock);
	int r = is_stuck && why == REFUSE_BLOCKS ? -ENOSPC : writer_check_disk(s, need, &again, &limit, &err);
	if (r == 0)
		r = wal_probe(s->wal, NULL);
	if (r == 0)
		writer_refuse(s, REFUSE_NOT, 0, 0, NULL);
}

/* ---- sealing ---- */

int writer_seal(struct store *s, struct error *err)
{
	struct stored_head *h;
	if (s->active->head.part.n_profiles == 0)
		return 0;
	(void)pthread_mutex_lock(&s->parts_lock);
	while (s->sealed && !s->flush_failed && !s->options.is_idle)
		(void)pthread_cond_wait(&s->sealed_changed, &s->parts_lock);
	int r = s->sealed ? error_set(err, -ENOSPC, "%s", s->flush_err.text) : 0;
	(void)pthread_mutex_unlock(&s->parts_lock);
	if (r == 0 && stored_head_new(s, s->options.head_memory / 2, &h) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	wal_rotate(s->wal);
	s->log_sealed = wal_bytes(s->wal);
	(void)pthread_mutex_lock(&s->parts_lock);
	s->sealed = s->active;
	s->sealed_seq = s->active->head.last_seq;
	s->active = h;
	(void)pthread_cond_broadcast(&s->sealed_changed);
	(void)pthread_mutex_unlock(&s->parts_lock);
	return 0;
}

/* Bytes of the log that are the active head's; segments with records that cannot be read stay for long. */
static uint64_t log_of_active(const struct store *s)
{
	uint64_t bytes = wal_bytes(s->wal);
	return bytes > s->log_sealed ? bytes - s->log_sealed : 0;
}

static bool is_due(struct store *s)
{
	const struct head *h = &s->active->head;
	if (h->part.n_profiles == 0)
		return false;
	return h->budget.used >= s->options.head_memory / 16 * 7 || log_of_active(s) >= s->options.flush_log ||
	       clock_wall_ns() / 1000000 - h->arrived_from_ms >= s->options.flush_age_ms;
}

/* Without waiting: while the last head is being written, this one may still grow. */
static void seal_if_due(struct store *s)
{
	if (s->options.is_idle || !is_due(s))
		return;
	(void)pthread_mutex_lock(&s->parts_lock);
	bool is_busy = s->sealed != NULL;
	(void)pthread_mutex_unlock(&s->parts_lock);
	/* A log that grows for long is one that takes long to read again. */
	if (!is_busy || log_of_active(s) >= s->options.flush_log / 2 * 3)
		(void)!writer_seal(s, NULL);
}

/* For whoever waits until what is in memory now is in blocks. */
static void seal_if_asked(struct store *s)
{
	(void)pthread_mutex_lock(&s->parts_lock);
	bool wanted = s->seal_wanted;
	(void)pthread_mutex_unlock(&s->parts_lock);
	/* If it cannot be, the keeper's failure is the answer. */
	if (!wanted || writer_seal(s, NULL) < 0)
		return;
	(void)pthread_mutex_lock(&s->parts_lock);
	s->seal_wanted = false;
	(void)pthread_cond_broadcast(&s->sealed_changed);
	(void)pthread_mutex_unlock(&s->parts_lock);
}

/* Segments that blocks hold go. */
void writer_drop_log(struct store *s)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	uint64_t seq = s->drop_seq;
	s->drop_seq = 0;
	(void)pthread_mutex_unlock(&s->queue_lock);
	if (!seq)
		return;
	uint64_t before = wal_bytes(s->wal);
	/* One that cannot be removed is tried again with the next, and skipped at start. */
	(void)!wal_drop(s->wal, seq, s->kept.data, s->kept.n, NULL);
	uint64_t gone = before - wal_bytes(s->wal);
	s->log_sealed = s->log_sealed > gone ? s->log_sealed - gone : 0;
	(void)pthread_mutex_lock(&s->queue_lock);
	s->log_used = wal_bytes(s->wal);
	(void)pthread_mutex_unlock(&s->queue_lock);
}

/* ---- a batch ---- */

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

static int stage(struct store *s, struct store_commit *c)
{
	struct stored_head *h = s->active;
	uint64_t n_folded = h->head.labels.n_folded;
	(void)pthread_rwlock_wrlock(&h->lock);
	c->result = head_prepare(&h->head, &c->record.intake, c->profile, &c->staged, &c->err);
	if (c->result == 0) {
		c->result = keys_stage(&s->keys, c->record.intake.key, c->record.intake.received_ms, &c->staged.key);
		if (c->result < 0) {
			(void)error_set(&c->err, c->result, "no memory for its key");
			head_abandon(&h->head, &c->staged);
		}
	}
	(void)pthread_rwlock_unlock(&h->lock);
	c->is_staged = c->result == 0;
	s->n_folded_now += h->head.labels.n_folded - n_folded;
	return c->result;
}

/* Into the head, unseen. -ENOBUFS: the head is full, and others of the batch are in it. */
static int prepare(struct store *s, struct store_commit *batch, struct store_commit *c, bool may_seal)
{
	enum key_state key = keys_state(&s->keys, c->record.intake.key);
	if (key != KEY_UNKNOWN) {
		c->duplicate = true;
		c->twin = key == KEY_PENDING ? find_twin(batch, c) : NULL;
		return 0;
	}
	guard_fold(&s->guard, &c->record.intake);
	if (stage(s, c) != -ENOBUFS)
		return 0;
	if (!may_seal)
		return -ENOBUFS;
	struct error why;
	int r = writer_seal(s, &why);
	if (r < 0) {
		fail(c, r, 0, &why);
		writer_refuse(s, REFUSE_BLOCKS, r, 0, &why);
		return 0;
	}
	if (stage(s, c) != -ENOBUFS)
		return 0;
	c->limit = s->options.memory_limit;
	(void)error_set(&c->err, 0,
			"memory limit reached: the profile needs more than the %zu MiB that what is in memory has of "
			"--memory-limit %zu MiB; restart with a larger --memory-limit",
			MIB(s->options.head_memory / 2), MIB(s->options.memory_limit));
	writer_refuse(s, REFUSE_MEMORY, c->result, c->limit, &c->err);
	return 0;
}

static int append(struct store *s, struct store_commit *c)
{
	enum block_reason why = REFUSE_DISK_ERROR;
	uint64_t limit = 0;
	struct error err;
	int r = writer_check_disk(s, commit_bytes(c), &why, &limit, &err);
	if (r == 0)
		r = wal_append(s->wal, &c->record, &err);
	if (r < 0) {
		fail(c, r, limit, &err);
		writer_refuse(s, why, r, limit, &err);
		(void)pthread_mutex_lock(&s->queue_lock);
		s->refuse_need = commit_bytes(c);
		(void)pthread_mutex_unlock(&s->queue_lock);
	}
	return r;
}

static void count_sync(struct store *s, uint64_t took)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	s->n_syncs++;
	s->sync_ns += took;
	if (took > s->sync_max_ns)
		s->sync_max_ns = took;
	(void)pthread_mutex_unlock(&s->queue_lock);
}

/* Log and fsync of all that is staged. When one write fails, all fail: what
 * is in the file then is cut off. A limit refuses only those beyond it. */
static int make_durable(struct store *s, struct store_commit *batch, const struct store_commit *end, struct error *err)
{
	int r = 0;
	for (struct store_commit *c = batch; c != end && r == 0; c = c->next) {
		if (!c->is_staged)
			continue;
		uint64_t before = wal_bytes(s->wal);
		if (append(s, c) < 0 && wal_bytes(s->wal) != before)
			r = error_set(err, c->result, "%s", c->err.text);
		c->staged.seq = c->record.seq;
	}
	if (r < 0) {
		wal_rollback(s->wal);
		return r;
	}
	int64_t start = clock_mono_ns();
	r = wal_sync(s->wal, err);
	count_sync(s, (uint64_t)(clock_mono_ns() - start));
	if (r < 0)
		writer_refuse(s, REFUSE_DISK_ERROR, r, 0, err);
	return r;
}

static void settle(struct store *s, struct store_commit *batch, const struct store_commit *end, int result,
		   const struct error *err)
{
	struct stored_head *h = s->active;
	(void)pthread_rwlock_wrlock(&h->lock);
	for (struct store_commit *c = batch; c != end; c = c->next) {
		if (!c->is_staged)
			continue;
		if (c->result == 0 && result < 0)
			fail(c, result, 0, err);
		keys_settle(&s->keys, &c->staged.key, c->result == 0);
		if (c->result == 0)
			head_publish(&h->head, &c->staged);
		else
			head_abandon(&h->head, &c->staged);
	}
	(void)pthread_rwlock_unlock(&h->lock);
}

static void count_and_answer(struct store *s, struct store_commit *batch, const struct store_commit *end)
{
	uint64_t stored = 0, duplicates = 0, failed = 0;
	for (struct store_commit *c = batch; c != end; c = c->next) {
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
	s->log_used = wal_bytes(s->wal);
	s->n_keys = keys_count(&s->keys);
	s->n_keys_forgotten = s->keys.n_forgotten;
	s->n_folded_values = s->guard.n_folded_values;
	s->n_folded_series = s->guard.n_folded_series;
	s->n_folded_label_sets += s->n_folded_now;
	s->n_folded_now = 0;
	if (stored && s->refuse == REFUSE_MEMORY)
		s->refuse = REFUSE_NOT;
	(void)pthread_mutex_unlock(&s->queue_lock);
	while (batch != end) {
		struct store_commit *next = batch->next;
		batch->done(batch);
		batch = next;
	}
}

/* As many as the head has room for; what is left, or NULL. */
static struct store_commit *commit_some(struct store *s, struct store_commit *batch)
{
	struct error err = { .text = "" };
	struct store_commit *end = batch;
	while (end && prepare(s, batch, end, end == batch) == 0)
		end = end->next;
	int r = make_durable(s, batch, end, &err);
	settle(s, batch, end, r, &err);
	count_and_answer(s, batch, end);
	return end;
}

/* ---- the thread ---- */

static void wait_until(struct store *s, int64_t until)
{
	struct timespec ts = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };
	(void)pthread_cond_timedwait(&s->wake, &s->queue_lock, &ts);
}

/* Takes up to a batch from the queue; waits while it is empty. NULL: nothing
 * came before something else is due, or the store closes (*ret_stop). */
static struct store_commit *take_batch(struct store *s, bool *ret_stop)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	int64_t until = clock_mono_ns() + (is_of_disk(s->refuse) ? RECHECK_NS : AGE_CHECK_NS);
	while (!s->first && !s->stop && !s->drop_seq && !s->is_woken && clock_mono_ns() < until)
		wait_until(s, until);
	s->is_woken = false;
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
		if (!batch)
			recheck(s);
		while (batch)
			batch = commit_some(s, batch);
		writer_drop_log(s);
		if (!stop) {
			seal_if_asked(s);
			seal_if_due(s);
		}
	}
	return NULL;
}

int writer_start(struct store *s, struct error *err)
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

void writer_stop(struct store *s)
{
	if (!s->has_writer)
		return;
	(void)pthread_mutex_lock(&s->queue_lock);
	s->stop = true;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->queue_lock);
	(void)pthread_join(s->writer, NULL);
	/* The keeper signals as long as there is a writer. */
	(void)pthread_mutex_lock(&s->queue_lock);
	s->has_writer = false;
	(void)pthread_mutex_unlock(&s->queue_lock);
	(void)pthread_cond_destroy(&s->wake);
}

void writer_wake(struct store *s)
{
	(void)pthread_mutex_lock(&s->queue_lock);
	s->is_woken = true;
	(void)pthread_cond_signal(&s->wake);
	(void)pthread_mutex_unlock(&s->queue_lock);
}

int store_submit(struct store *s, struct store_commit *c)
{
	c->next = c->twin = NULL;
	c->is_staged = c->duplicate = false;
	c->result = 0;
	c->limit = 0;
	(void)pthread_mutex_lock(&s->queue_lock);
	bool refuse = s->stop || is_of_disk(s->refuse);
	if (refuse) {
		s->n_refused++;
		if (s->stop)
			c->result = error_set(&c->err, -ENOSPC, "the server is stopping");
		else
			fail(c, s->refuse_result, s->refuse_limit, &s->refuse_err);
	} else {
		*s->last = c;
		s->last = &c->next;
		(void)pthread_cond_signal(&s->wake);
	}
	(void)pthread_mutex_unlock(&s->queue_lock);
	return refuse ? c->result : 0;
}
