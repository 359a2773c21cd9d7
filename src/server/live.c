/* SPDX-License-Identifier: Apache-2.0 */
/* live.c: WebSocket live: "there is news", never the data itself; and the log
 * line when the store stops or starts taking profiles.
 *
 *   live_profile(), live_names() --> thread: at most two messages a second
 *
 * The message carries the services that got profiles since the last one. */
#include "base/clock.h"
#include "base/jsonw.h"
#include "base/log.h"
#include "server/server.h"

#include <errno.h>
#include <inttypes.h>

#define INTERVAL_MS  500
#define MAX_SERVICES 100 /* of one message; a page reloads what it shows anyway */

struct live {
	struct server *server;
	pthread_t thread;
	uint64_t seq; /* the thread's */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	bool stop;
	bool news;
	int64_t newest_ms;
	unsigned n_services;
	char services[MAX_SERVICES][INTAKE_LABEL_MAX + 1];
};

void live_profile(struct live *l, struct slice service, int64_t to_ms)
{
	(void)pthread_mutex_lock(&l->lock);
	l->news = true;
	if (to_ms > l->newest_ms)
		l->newest_ms = to_ms;
	bool known = l->n_services == MAX_SERVICES;
	for (unsigned i = 0; !known && i < l->n_services; i++)
		known = slice_eq(slice_str(l->services[i]), service);
	if (!known)
		(void)snprintf(l->services[l->n_services++], sizeof(l->services[0]), "%.*s", SLICE_FMT(service));
	(void)pthread_cond_signal(&l->wake);
	(void)pthread_mutex_unlock(&l->lock);
}

void live_names(struct live *l)
{
	(void)pthread_mutex_lock(&l->lock);
	l->news = true;
	(void)pthread_cond_signal(&l->wake);
	(void)pthread_mutex_unlock(&l->lock);
}

/* Under the lock: the message, and a clean slate. */
static void write_event(struct live *l, bool accepting, struct buf *out)
{
	struct jsonw w = { .out = out };
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "event", "profiles");
	jsonw_u64(&w, "seq", ++l->seq);
	jsonw_i64(&w, "newest_ms", l->newest_ms);
	jsonw_array(&w, "services");
	for (unsigned i = 0; i < l->n_services; i++)
		jsonw_cstr(&w, NULL, l->services[i]);
	jsonw_end(&w, ']');
	jsonw_bool(&w, "accepting", accepting);
	jsonw_end(&w, '}');
	buf_add_byte(out, 0);
	l->n_services = 0;
	l->news = false;
}

static void greet(struct live *l)
{
	char text[64];
	(void)snprintf(text, sizeof(text), "{\"event\":\"hello\",\"seq\":%llu}", (unsigned long long)l->seq);
	http_channel_greet(l->server->channel, text);
}

/* Waits on `wake`, for news too if `or_news`; false when it is time to end.
 * Called and returns with the lock held. */
static bool wait_interval(struct live *l, bool or_news)
{
	int64_t until = clock_mono_ns() + (int64_t)INTERVAL_MS * 1000000;
	struct timespec ts = { .tv_sec = until / 1000000000, .tv_nsec = until % 1000000000 };
	int e = 0;
	while (!l->stop && !(or_news && l->news) && e == 0)
		e = pthread_cond_timedwait(&l->wake, &l->lock, &ts);
	return !l->stop;
}

static void say_accepting(const struct store_status *status)
{
	if (status->accepting)
		log_info("taking profiles again");
	else
		log_warn("refusing profiles: %s", status->reason);
}

/* Long before ingest is refused, so that somebody can act. */
static void say_low(const struct store_status *status)
{
	if (status->is_low)
		log_warn("disk space is running low used=%" PRIu64 " limit=%" PRIu64 " free=%" PRIu64
			 ": free some, or give another --disk-limit",
			 status->disk_used, status->disk_limit, status->disk_free);
	else
		log_info("disk space is no longer low free=%" PRIu64, status->disk_free);
}

static void *live_thread(void *arg)
{
	struct live *l = arg;
	struct store_status first;
	store_get_status(l->server->store, &first); /* what main() said at start */
	bool was_accepting = first.accepting, was_low = false;
	(void)pthread_mutex_lock(&l->lock);
	while (wait_interval(l, true)) {
		(void)pthread_mutex_unlock(&l->lock);
		struct store_status status;
		store_get_status(l->server->store, &status);
		if (status.is_low != was_low)
			say_low(&status);
		was_low = status.is_low;
		(void)pthread_mutex_lock(&l->lock);
		if (!l->news && status.accepting == was_accepting)
			continue;
		if (status.accepting != was_accepting)
			say_accepting(&status);
		was_accepting = status.accepting;
		_cleanup_(buf_done)
		struct buf out = buf_of(256 << 10);
		write_event(l, status.accepting, &out);
		(void)pthread_mutex_unlock(&l->lock);
		greet(l);
		if (!out.failed)
			http_channel_send(l->server->channel, (const char *)out.data);
		(void)pthread_mutex_lock(&l->lock);
		if (!wait_interval(l, false))
			break;
	}
	(void)pthread_mutex_unlock(&l->lock);
	return NULL;
}

int live_start(struct server *s, struct live **ret, struct error *err)
{
	struct live *l = calloc(1, sizeof(*l));
	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	l->server = s;
	/* A restarted server must not repeat the numbers of the one before. */
	l->seq = (uint64_t)clock_wall_ns() / 1000000;
	greet(l);
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&l->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_mutex_init(&l->lock, NULL);
	int e = pthread_create(&l->thread, NULL, live_thread, l);
	if (e) {
		free(l);
		return error_set(err, -e, "cannot start the live thread: %s", strerror(e));
	}
	*ret = l;
	return 0;
}

void live_stop(struct live *l)
{
	if (!l)
		return;
	(void)pthread_mutex_lock(&l->lock);
	l->stop = true;
	(void)pthread_cond_signal(&l->wake);
	(void)pthread_mutex_unlock(&l->lock);
	(void)pthread_join(l->thread, NULL);
	(void)pthread_cond_destroy(&l->wake);
	(void)pthread_mutex_destroy(&l->lock);
	free(l);
}

void api_live(struct http_request *rq, void *ctx)
{
	struct server *s = ctx;
	if (s->stopping)
		http_answer_error(rq, 503, "too_many_requests", NULL, -1, "the server is stopping; try again");
	else
		http_channel_join(s->channel, rq);
}
