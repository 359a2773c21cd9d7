/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/upload.h"

#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <sys/random.h>
#include <xxhash.h>

#define TIMEOUT_MS   5000
#define PAUSE_MIN_MS 500
#define PAUSE_MAX_MS 60000
#define RUN_ID_SIZE  17 /* 16 hex digits */

struct item {
	struct item *next;
	char *target;
	uint8_t *data;
	size_t size;
	uint64_t n_samples;
};

struct upload {
	struct http_client *client;
	struct upload_labels labels;
	char run_id[RUN_ID_SIZE]; /* keys of two runs never meet */
	size_t max_bytes;
	struct item *oldest, **tail;
	bool is_sending; /* the oldest */
	unsigned pause_ms;
	int64_t retry_ns; /* CLOCK_MONOTONIC; not before */
	struct upload_stats stats;
};

int upload_new(const char *url, const struct upload_labels *labels, size_t max_bytes, struct upload **ret,
	       struct error *err)
{
	_cleanup_(upload_free)
	struct upload *u = calloc(1, sizeof(*u));
	uint64_t id;
	if (!u)
		return error_set(err, -ENOMEM, "no memory");
	u->tail = &u->oldest;
	u->labels = *labels;
	u->max_bytes = max_bytes;
	int r = http_client_new(url, TIMEOUT_MS, &u->client, err);
	if (r < 0)
		return r;
	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return error_set(err, -errno, "getrandom: %s", strerror(errno));
	(void)snprintf(u->run_id, sizeof(u->run_id), "%016llx", (unsigned long long)id);
	*ret = take_ptr(u);
	return 0;
}

static void free_item(struct item *i)
{
	free(i->target);
	free(i->data);
	free(i);
}

/* Takes the oldest out of the queue. */
static void pop(struct upload *u)
{
	struct item *i = u->oldest;
	u->oldest = i->next;
	if (!u->oldest)
		u->tail = &u->oldest;
	u->stats.n_queued--;
	u->stats.queued_bytes -= i->size;
	free_item(i);
}

void upload_free(struct upload **u)
{
	if (!*u)
		return;
	while ((*u)->oldest)
		pop(*u);
	http_client_free(&(*u)->client);
	free(*u);
	*u = NULL;
}

static void add_escaped(struct buf *out, const char *name, struct slice value)
{
	if (value.size == 0)
		return;
	buf_printf(out, "&%s=", name);
	for (size_t i = 0; i < value.size; i++) {
		uint8_t c = value.data[i];
		if (isalnum(c) || (c && strchr("-._~", c)))
			buf_add_byte(out, c);
		else
			buf_printf(out, "%%%02X", c);
	}
}

void upload_target(struct buf *out, const struct upload_series *s, const struct upload_labels *labels,
		   const char *run_id)
{
	uint64_t name = XXH3_64bits(s->service.data, s->service.size) ^
			XXH3_64bits_withSeed(s->container.data, s->container.size, 1) ^
			XXH3_64bits_withSeed(s->type, strlen(s->type), (uint64_t)s->start_ms);
	buf_printf(out, "/api/v1/ingest?type=%s&key=%s-%u-%016llx&from=%lld&to=%lld", s->type, run_id, s->window,
		   (unsigned long long)name, (long long)s->start_ms, (long long)s->end_ms);
	add_escaped(out, "service", s->service);
	add_escaped(out, "container", s->container);
	add_escaped(out, "host", slice_str(labels->host));
	add_escaped(out, "region", slice_str(labels->region));
	add_escaped(out, "zone", slice_str(labels->zone));
}

static void drop_oldest(struct upload *u)
{
	if (u->is_sending)
		http_client_abort(u->client);
	u->is_sending = false;
	u->stats.n_dropped++;
	u->stats.n_samples_lost += u->oldest->n_samples;
	pop(u);
}

static int refuse(struct upload *u, const struct upload_series *s, uint8_t *data, int code)
{
	free(data);
	u->stats.n_dropped++;
	u->stats.n_samples_lost += s->n_samples;
	return code;
}

int upload_add(struct upload *u, const struct upload_series *s, uint8_t *data, size_t size)
{
	_cleanup_(buf_done)
	struct buf target = buf_of(4096);
	if (size > u->max_bytes)
		return refuse(u, s, data, -E2BIG);
	upload_target(&target, s, &u->labels, u->run_id);
	buf_add_byte(&target, 0);
	struct item *i = target.failed ? NULL : calloc(1, sizeof(*i));
	if (!i)
		return refuse(u, s, data, -ENOMEM);
	while (u->stats.queued_bytes + size > u->max_bytes)
		drop_oldest(u);
	size_t target_size;
	i->target = (char *)buf_take(&target, &target_size);
	i->data = data;
	i->size = size;
	i->n_samples = s->n_samples;
	*u->tail = i;
	u->tail = &i->next;
	u->stats.n_queued++;
	u->stats.queued_bytes += size;
	return 0;
}

int upload_fd(const struct upload *u, short *ret_events)
{
	return http_client_fd(u->client, ret_events);
}

int upload_timeout_ms(const struct upload *u)
{
	if (u->is_sending)
		return http_client_timeout_ms(u->client);
	if (!u->oldest)
		return -1;
	int64_t left = u->retry_ns - clock_mono_ns();
	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

/* Waits before the next attempt: twice as long as before, a fifth of it at
 * random so that agents do not come back together. */
static void pause_sending(struct upload *u, unsigned at_least_ms)
{
	uint32_t dice = 0;
	u->is_sending = false;
	u->stats.n_failed++;
	u->pause_ms = u->pause_ms ? 2 * u->pause_ms : PAUSE_MIN_MS;
	if (u->pause_ms > PAUSE_MAX_MS)
		u->pause_ms = PAUSE_MAX_MS;
	unsigned wait_ms = u->pause_ms > at_least_ms ? u->pause_ms : at_least_ms;
	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) == (ssize_t)sizeof(dice))
		wait_ms += dice % (wait_ms / 5 + 1);
	u->retry_ns = clock_mono_ns() + (int64_t)wait_ms * 1000000;
}

/* These say something about the profile; all else, about the server. */
static bool is_final(int status)
{
	return status == 400 || status == 413 || status == 415 || status == 422;
}

static bool take_reply(struct upload *u, const struct http_reply *reply, struct error *err)
{
	if (reply->status >= 200 && reply->status < 300) {
		u->is_sending = false;
		u->pause_ms = 0;
		u->stats.n_sent++;
		u->stats.n_bytes += u->oldest->size;
		pop(u);
		return true;
	}
	(void)error_set(err, -EIO, "the server answered %d: %s", reply->status, reply->text);
	if (is_final(reply->status)) {
		u->is_sending = false;
		u->stats.n_refused++;
		u->stats.n_samples_lost += u->oldest->n_samples;
		pop(u);
	} else {
		pause_sending(u, reply->retry_after_s * 1000);
	}
	return false;
}

bool upload_step(struct upload *u, struct error *err)
{
	for (;;) {
		struct http_reply reply;
		int r = 0;
		if (!u->is_sending) {
			if (!u->oldest || clock_mono_ns() < u->retry_ns)
				return true;
			const struct http_content pprof = { "application/octet-stream", "",
							    slice_of(u->oldest->data, u->oldest->size) };
			r = http_client_post(u->client, u->oldest->target, &pprof, err);
			u->is_sending = r == 0;
		}
		if (r == 0)
			r = http_client_step(u->client, &reply, err);
		if (r == -EAGAIN)
			return true;
		if (r < 0) {
			pause_sending(u, 0);
			return false;
		}
		if (!take_reply(u, &reply, err))
			return false;
	}
}

void upload_hurry(struct upload *u)
{
	u->retry_ns = 0;
}

struct upload_stats upload_stats(const struct upload *u)
{
	return u->stats;
}
