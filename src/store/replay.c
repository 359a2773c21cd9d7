/* SPDX-License-Identifier: Apache-2.0 */
#include "store/replay.h"

#include <errno.h>
#include <pthread.h>

#define THREADS_MAX 16

struct replay {
	struct wal *wal;
	struct head *head;
	size_t decode_memory;
	struct store_replay *report; /* head_lock */
	struct error *err;
	int result;		   /* wal_lock; the first failure ends all */
	pthread_mutex_t wal_lock;  /* wal, result, err */
	pthread_mutex_t head_lock; /* head, report; never both */
};

/* 1 and a record of its own, 0 at the end or after a failure. */
static int take_record(struct replay *p, struct buf *bytes, struct wal_record *ret)
{
	struct wal_record record;
	(void)pthread_mutex_lock(&p->wal_lock);
	int r = p->result < 0 ? 0 : wal_next(p->wal, &record, p->err);
	if (r == 1) {
		int e = wal_record_copy(&record, bytes, ret);
		if (e < 0)
			r = error_set(p->err, e, "no memory for a record of the log");
	}
	if (r < 0)
		p->result = r;
	(void)pthread_mutex_unlock(&p->wal_lock);
	return r == 1;
}

static void apply(struct replay *p, const struct intake *in, const struct intake_profile *profile)
{
	struct staged staged;
	(void)pthread_mutex_lock(&p->head_lock);
	/* A batch that failed half way may have been sent again. */
	if (head_key_state(p->head, in->key) == KEY_STORED) {
		p->report->n_duplicates++;
	} else if (head_prepare(p->head, in, profile, &staged, NULL) < 0) {
		p->report->n_left_out++;
	} else {
		head_publish(p->head, &staged);
		p->report->n_profiles++;
	}
	(void)pthread_mutex_unlock(&p->head_lock);
}

static void *replay_thread(void *arg)
{
	struct replay *p = arg;
	_cleanup_(buf_done)
	struct buf bytes = buf_of(WAL_BODY_MAX + WAL_META_MAX);
	struct format_limits limits = format_limits_default;
	if (limits.inflated_size > p->decode_memory)
		limits.inflated_size = p->decode_memory;
	struct wal_record record;
	while (take_record(p, &bytes, &record)) {
		struct membudget budget = membudget_of(p->decode_memory);
		struct intake_profile profile;
		if (intake_decode(&record.intake, record.body, &limits, &budget, &profile, NULL) < 0) {
			(void)pthread_mutex_lock(&p->head_lock);
			p->report->n_undecodable++;
			(void)pthread_mutex_unlock(&p->head_lock);
			continue;
		}
		apply(p, &record.intake, &profile);
		intake_profile_done(&profile);
	}
	return NULL;
}

int replay_run(struct wal *wal, struct head *head, const struct store_options *options, struct store_replay *ret,
	       struct error *err)
{
	struct replay p = {
		.wal = wal,
		.head = head,
		.decode_memory = options->decode_memory,
		.report = ret,
		.err = err,
		.wal_lock = PTHREAD_MUTEX_INITIALIZER,
		.head_lock = PTHREAD_MUTEX_INITIALIZER,
	};
	pthread_t threads[THREADS_MAX];
	unsigned n = 0;
	/* This thread is one of them: replay works where no thread can be had. */
	while (n + 1 < options->n_threads && n < THREADS_MAX &&
	       pthread_create(&threads[n], NULL, replay_thread, &p) == 0)
		n++;
	(void)replay_thread(&p);
	while (n > 0)
		(void)pthread_join(threads[--n], NULL);
	ret->log = *wal_get_report(wal);
	return p.result;
}
