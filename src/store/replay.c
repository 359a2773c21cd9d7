/* SPDX-License-Identifier: Apache-2.0 */
#include "store/replay.h"

#include "base/clock.h"
#include "store/store_state.h"

#include <errno.h>

#define THREADS_MAX 16

struct replay {
	struct store *store;
	uint64_t last_seq;	     /* blocks hold records up to here */
	bool is_rebuilt;	     /* the manifest is: which of those no block holds is not known */
	bool is_alone;		     /* one thread, in order: may write blocks */
	struct store_replay *report; /* head_lock */
	struct error *err;
	int result;		   /* wal_lock; the first failure ends all */
	bool is_full;		   /* head_lock: memory has no room for more */
	pthread_mutex_t wal_lock;  /* log, result, err */
	pthread_mutex_t head_lock; /* head, keys, kept, report; never both */
};

static bool is_kept(const struct replay *p, uint64_t seq)
{
	uint32_t n;
	const uint64_t *kept = blockset_kept(p->store->blocks, &n);
	for (uint32_t i = 0; i < n; i++)
		if (kept[i] == seq)
			return true;
	return false;
}

/* In a block, as far as is known without decoding it. */
static bool is_in_block(const struct replay *p, uint64_t seq)
{
	return seq <= p->last_seq && !p->is_rebuilt && !is_kept(p, seq);
}

/* 1 and a record of its own, 0 at the end or after a failure. */
static int take_record(struct replay *p, struct buf *bytes, struct wal_record *ret)
{
	struct wal_record record;
	(void)pthread_mutex_lock(&p->wal_lock);
	int r = 0;
	while (p->result == 0 && (r = wal_next(p->store->wal, &record, p->err)) == 1 && is_in_block(p, record.seq))
		p->report->n_in_blocks++;
	if (r == 1) {
		int e = wal_record_copy(&record, bytes, ret);
		if (e < 0)
			r = error_set(p->err, e, "no memory for a record of the log");
	}
	if (r < 0)
		p->result = r;
	(void)pthread_mutex_unlock(&p->wal_lock);
	return r == 1 && p->result == 0;
}

static void stop(struct replay *p, int result)
{
	(void)pthread_mutex_lock(&p->wal_lock);
	if (p->result == 0)
		p->result = result;
	(void)pthread_mutex_unlock(&p->wal_lock);
}

static int put(struct replay *p, const struct wal_record *record, const struct intake_profile *profile)
{
	struct store *s = p->store;
	struct staged staged;
	int r = head_prepare(&s->active->head, &record->intake, profile, &staged, NULL);
	if (r < 0)
		return r;
	r = keys_stage(&s->keys, record->intake.key, record->intake.received_ms, &staged.key);
	if (r < 0) {
		head_abandon(&s->active->head, &staged);
		return r;
	}
	staged.seq = record->seq;
	keys_settle(&s->keys, &staged.key, true);
	head_publish(&s->active->head, &staged);
	p->report->n_profiles++;
	return 0;
}

/* What is in memory becomes a block. */
static int make_room(struct replay *p)
{
	struct store *s = p->store;
	struct stored_head *h;
	int r = stored_head_new(s, s->options.head_memory / 2, &h);
	if (r < 0)
		return r;
	s->sealed = s->active;
	s->sealed_seq = s->sealed->head.last_seq;
	s->active = h;
	p->report->n_flushes++;
	return keeper_flush(s, p->err);
}

/* With head_lock. */
static int apply(struct replay *p, const struct wal_record *record, const struct intake_profile *profile)
{
	/* A batch that failed half way may have been sent again. */
	if (keys_state(&p->store->keys, record->intake.key) == KEY_STORED) {
		p->report->n_duplicates++;
		return 0;
	}
	int r = put(p, record, profile);
	if (r != -ENOBUFS && r != -EDQUOT)
		return r;
	if (!p->is_alone) {
		p->is_full = true;
		return r;
	}
	if (p->store->active->head.part.n_profiles)
		r = make_room(p);
	return r < 0 ? r : put(p, record, profile);
}

/* A record that cannot be read stays in the log. */
static int keep_record(struct replay *p, uint64_t seq)
{
	struct store *s = p->store;
	p->report->n_undecodable++;
	int r = s->kept.n < MANIFEST_MAX_KEPT ? vec_reserve(NULL, &s->kept, 1) : -E2BIG;
	if (r == 0)
		s->kept.data[s->kept.n++] = seq;
	return r == -E2BIG ? error_set(p->err, r,
				       "more than %d records of the log cannot be read: a larger "
				       "--memory-limit may help",
				       MANIFEST_MAX_KEPT)
			   : r;
}

/* What becomes of a record; `profile` NULL: it cannot be read. With head_lock. */
static int settle(struct replay *p, const struct wal_record *record, struct intake_profile *profile)
{
	int r = 0;
	/* Of those up to last_seq, what can be read, or has a key that a block holds, was written to a block. */
	if (p->is_rebuilt && record->seq <= p->last_seq &&
	    (profile || keys_state(&p->store->keys, record->intake.key) == KEY_STORED))
		p->report->n_in_blocks++;
	else
		r = profile ? apply(p, record, profile) : keep_record(p, record->seq);
	if (profile)
		intake_profile_done(profile);
	return r;
}

static void *replay_thread(void *arg)
{
	struct replay *p = arg;
	size_t memory = p->store->options.decode_memory;
	_cleanup_(buf_done)
	struct buf bytes = buf_of(WAL_BODY_MAX + WAL_META_MAX);
	struct format_limits limits = format_limits_default;
	if (limits.inflated_size > memory)
		limits.inflated_size = memory;
	struct wal_record record;
	while (take_record(p, &bytes, &record)) {
		struct membudget budget = membudget_of(memory);
		struct intake_profile profile;
		int r = intake_decode(&record.intake, record.body, &limits, &budget, &profile, NULL);
		(void)pthread_mutex_lock(&p->head_lock);
		r = settle(p, &record, r == 0 ? &profile : NULL);
		(void)pthread_mutex_unlock(&p->head_lock);
		if (r < 0)
			stop(p, r);
	}
	return NULL;
}

static int run_once(struct store *s, const char *dir, unsigned n_threads, struct store_replay *report, bool *ret_full,
		    struct error *err)
{
	struct replay p = {
		.store = s,
		.last_seq = blockset_last_seq(s->blocks),
		.is_rebuilt = report->blocks.is_rebuilt,
		.is_alone = n_threads == 1,
		.report = report,
		.err = err,
		.wal_lock = PTHREAD_MUTEX_INITIALIZER,
		.head_lock = PTHREAD_MUTEX_INITIALIZER,
	};
	int r = wal_open(dir, s->options.segment_size, p.last_seq, &s->wal, err);
	if (r == 0)
		wal_use_keys(s->wal, s->options.keys);
	/* The log holds what two heads held. */
	if (r == 0)
		r = stored_head_new(s, s->options.head_memory, &s->active);
	if (r < 0)
		return r;
	pthread_t threads[THREADS_MAX];
	unsigned n = 0;
	/* This thread is one of them: replay works where no thread can be had. */
	while (n + 1 < n_threads && n < THREADS_MAX && pthread_create(&threads[n], NULL, replay_thread, &p) == 0)
		n++;
	(void)replay_thread(&p);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	report->log = *wal_get_report(s->wal);
	*ret_full = p.is_full;
	return p.result;
}

/* Back to what was there before the log was opened. */
static void forget(struct store *s, struct store_replay *report)
{
	wal_free(&s->wal);
	stored_head_unref(s->active);
	s->active = NULL;
	s->kept.n = 0;
	*report = (struct store_replay){ .blocks = report->blocks };
	report->n_keys_lost = store_load_keys(s);
}

int replay_run(struct store *s, const char *dir, struct store_replay *ret, struct error *err)
{
	bool is_full = false;
	int r = run_once(s, dir, s->options.n_threads > 1 ? s->options.n_threads : 2, ret, &is_full, err);
	if (r < 0 && is_full) {
		forget(s, ret);
		r = run_once(s, dir, 1, ret, &is_full, err);
	}
	if (r == -ENOBUFS && !err->text[0])
		r = error_set(err, r,
			      "a profile of the log does not fit into memory: restart with a larger --memory-limit");
	if (r < 0)
		return r;
	s->active->head.budget.max = s->options.head_memory / 2;
	if (ret->blocks.is_rebuilt)
		r = blockset_settle(s->blocks, s->kept.data, s->kept.n, err);
	if (r < 0)
		return r;
	/* Segments that blocks hold, if a crash came before they went. */
	(void)!wal_drop(s->wal, blockset_last_seq(s->blocks), s->kept.data, s->kept.n, NULL);
	return 0;
}
