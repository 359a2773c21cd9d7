/* SPDX-License-Identifier: Apache-2.0 */
#include "server/eraser.h"

#include "base/clock.h"
#include "base/log.h"
#include "query/select.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>

#define RETRY_NS (60 * INT64_C(1000000000))
#define KEEP_MS	 (400 * INT64_C(86400000)) /* how long it is told what was deleted */

struct eraser {
	struct server *server;
	pthread_t thread;
	struct log_gate gate;

	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	bool stop, is_poked;
};

/* Matchers of a deletion against the series of parts. */
struct choice {
	struct matchers *matchers;
	struct pattern_work work;
};

static int chooses(void *arg, const struct part *p, uint32_t series)
{
	struct choice *c = arg;
	for (uint32_t i = 0; i < c->matchers->n; i++) {
		int label = series_label_find(c->matchers->matcher[i].name);
		struct slice value =
			label < 0 ? slice_of(NULL, 0) : part_string(p, p->series.data[series].label[label]);
		int r = matcher_test(&c->matchers->matcher[i], value, &c->work, NULL);
		if (r != 1)
			return r;
	}
	return 1;
}

static int carry_out(struct eraser *e, const struct deletion *d, struct error *err)
{
	struct choice choice = { 0 };
	int r = matchers_parse(d->selector, &choice.matchers, err);
	if (r == 0)
		r = pattern_work_init(&choice.work);
	if (r < 0) {
		matchers_free(&choice.matchers);
		return r;
	}
	struct store_erasure erasure = {
		.what = { .chooses = chooses, .arg = &choice, .from_ms = d->from_ms, .to_ms = d->to_ms },
	};
	r = store_erase(e->server->store, &erasure, err);
	pattern_work_done(&choice.work);
	matchers_free(&choice.matchers);
	if (r < 0) {
		if (erasure.n_profiles)
			(void)!deletions_add_profiles(e->server->meta, d->id, (int64_t)erasure.n_profiles, NULL);
		return r;
	}
	log_info("deleted selector=%.*s from=%" PRId64 " to=%" PRId64 " profiles=%" PRIu64, SLICE_FMT(d->selector),
		 d->from_ms, d->to_ms, erasure.n_profiles);
	return deletions_mark_applied(e->server->meta, d->id, clock_wall_ns() / 1000000, (int64_t)erasure.n_profiles,
				      err);
}

static bool is_stopping(struct eraser *e)
{
	(void)pthread_mutex_lock(&e->lock);
	bool stop = e->stop;
	(void)pthread_mutex_unlock(&e->lock);
	return stop;
}

/* False: something is still pending. */
static bool carry_out_all(struct eraser *e)
{
	struct deletions_page page;
	struct error err = { "" };
	bool all = true, more = true;
	for (int64_t after = 0; more;) {
		if (deletions_list(e->server->meta, NULL, true, after, &page, &err) < 0) {
			log_warn_every(&e->gate, 60, "deletions cannot be read: %s", err.text);
			return false;
		}
		for (uint32_t i = 0; i < page.n && !is_stopping(e); i++) {
			after = page.row[i].id;
			if (carry_out(e, &page.row[i], &err) == 0)
				continue;
			log_warn_every(&e->gate, 60, "a deletion is put off id=%" PRId64 ": %s", after, err.text);
			all = false;
		}
		more = page.has_more && !is_stopping(e);
		deletions_page_done(&page);
	}
	uint64_t n;
	(void)!deletions_remove_applied(e->server->meta, clock_wall_ns() / 1000000 - KEEP_MS, &n, NULL);
	return all;
}

static void *eraser_thread(void *arg)
{
	struct eraser *e = arg;
	(void)pthread_mutex_lock(&e->lock);
	while (!e->stop) {
		e->is_poked = false;
		(void)pthread_mutex_unlock(&e->lock);
		bool all = carry_out_all(e);
		(void)pthread_mutex_lock(&e->lock);
		int64_t until = clock_mono_ns() + RETRY_NS;
		struct timespec ts = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };
		int r = 0;
		while (!e->stop && !e->is_poked && r == 0)
			r = all ? pthread_cond_wait(&e->wake, &e->lock)
				: pthread_cond_timedwait(&e->wake, &e->lock, &ts);
	}
	(void)pthread_mutex_unlock(&e->lock);
	return NULL;
}

int eraser_start(struct server *s, struct eraser **ret, struct error *err)
{
	struct eraser *e = calloc(1, sizeof(*e));
	if (!e)
		return error_set(err, -ENOMEM, "out of memory");
	e->server = s;
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&e->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_mutex_init(&e->lock, NULL);
	int r = pthread_create(&e->thread, NULL, eraser_thread, e);
	if (r) {
		free(e);
		return error_set(err, -r, "cannot start the thread that deletes: %s", strerror(r));
	}
	*ret = e;
	return 0;
}

void eraser_poke(struct eraser *e)
{
	(void)pthread_mutex_lock(&e->lock);
	e->is_poked = true;
	(void)pthread_cond_signal(&e->wake);
	(void)pthread_mutex_unlock(&e->lock);
}

void eraser_stop(struct eraser *e)
{
	if (!e)
		return;
	(void)pthread_mutex_lock(&e->lock);
	e->stop = true;
	(void)pthread_cond_signal(&e->wake);
	(void)pthread_mutex_unlock(&e->lock);
	store_cancel_erasures(e->server->store);
	(void)pthread_join(e->thread, NULL);
	(void)pthread_cond_destroy(&e->wake);
	(void)pthread_mutex_destroy(&e->lock);
	free(e);
}
