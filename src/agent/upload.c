/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/upload.h"

#include "base/clock.h"
#include "format/protobuf.h"

#include <ctype.h>
#include <errno.h>
#include <sys/random.h>
#include <xxhash.h>

#define TIMEOUT_MS   5000
#define PAUSE_MIN_MS 500
#define PAUSE_MAX_MS 60000
#define RUN_ID_SIZE  17 /* 16 hex digits */
#define OTLP_TARGET  "/v1development/profiles"
#define ANSWER_MAX   ((size_t)1 << 20) /* of the client, too */

enum { RPC_STATUS_MESSAGE = 2 };

struct upload {
	struct http_client *client;
	struct upload_labels labels;
	struct spool *spool;
	char run_id[RUN_ID_SIZE]; /* keys of two runs never meet */
	size_t max_bytes;
	struct parcel *oldest, **tail; /* in memory, but the one being sent */
	struct parcel *sending;	       /* NULL: none */
	bool is_spooled;	       /* it came from the spool */
	bool is_under_way;	       /* its request */
	struct buf pprof;	       /* what is sent of it to a server without OTLP */
	struct buf answer;
	unsigned pause_ms;
	int64_t retry_ns; /* CLOCK_MONOTONIC; not before */
	struct error spool_problem;
	struct upload_stats stats;
};

int upload_new(const char *url, const struct upload_labels *labels, size_t max_bytes, struct spool *spool,
	       struct upload **ret, struct error *err)
{
	_cleanup_(upload_free)
	struct upload *u = calloc(1, sizeof(*u));
	uint64_t id;
	if (!u)
		return error_set(err, -ENOMEM, "no memory");
	u->tail = &u->oldest;
	u->labels = *labels;
	u->max_bytes = max_bytes;
	u->spool = spool;
	int r = http_client_new(url, TIMEOUT_MS, &u->client, err);
	if (r < 0)
		return r;
	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return error_set(err, -errno, "getrandom: %s", strerror(errno));
	(void)snprintf(u->run_id, sizeof(u->run_id), "%016llx", (unsigned long long)id);
	*ret = take_ptr(u);
	return 0;
}

/* ---- the queue ---- */

static void count(struct upload *u, const struct parcel *p, bool is_more)
{
	u->stats.n_queued += is_more ? 1 : -1u;
	u->stats.queued_bytes += is_more ? p->size : -p->size;
}

/* Takes the oldest out of the queue; it still counts. */
static struct parcel *unlink_oldest(struct upload *u)
{
	struct parcel *p = u->oldest;
	if (p)
		u->oldest = p->next;
	if (!u->oldest)
		u->tail = &u->oldest;
	if (p)
		p->next = NULL;
	return p;
}

/* The one being sent is the oldest, too. */
static void put_back(struct upload *u)
{
	struct parcel *p = take_ptr(u->sending);
	p->next = u->oldest;
	if (!u->oldest)
		u->tail = &p->next;
	u->oldest = p;
}

static void stop_sending(struct upload *u)
{
	if (u->is_under_way)
		http_client_abort(u->client);
	u->is_under_way = false;
	if (!u->sending)
		return;
	if (!u->is_spooled) {
		put_back(u);
		return;
	}
	spool_end(u->spool, false);
	parcel_free(&u->sending);
}

static void end_sending(struct upload *u)
{
	buf_done(&u->pprof);
	buf_done(&u->answer);
	if (u->is_spooled)
		spool_end(u->spool, true);
	else
		count(u, u->sending, false);
	parcel_free(&u->sending);
}

static bool spool_oldest(struct upload *u)
{
	if (!u->spool || spool_put(u->spool, u->oldest, &u->spool_problem) < 0)
		return false;
	u->spool_problem.text[0] = 0;
	struct parcel *p = unlink_oldest(u);
	count(u, p, false);
	parcel_free(&p);
	return true;
}

static void drop_oldest(struct upload *u)
{
	struct parcel *p = unlink_oldest(u);
	u->stats.n_dropped++;
	u->stats.n_samples_lost += p->n_samples;
	count(u, p, false);
	parcel_free(&p);
}

static void spool_queue(struct upload *u)
{
	while (u->oldest && spool_oldest(u))
		;
}

void upload_spill(struct upload *u)
{
	if (u->sending && !u->is_spooled)
		stop_sending(u);
	spool_queue(u);
}

void upload_free(struct upload **u)
{
	if (!*u)
		return;
	stop_sending(*u);
	while ((*u)->oldest) {
		struct parcel *p = unlink_oldest(*u);
		parcel_free(&p);
	}
	buf_done(&(*u)->pprof);
	buf_done(&(*u)->answer);
	http_client_free(&(*u)->client);
	free(*u);
	*u = NULL;
}

/* ---- what comes in ---- */

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

void upload_key(struct buf *out, const struct upload_series *s, const char *run_id)
{
	uint64_t name = XXH3_64bits(s->service.data, s->service.size) ^
			XXH3_64bits_withSeed(s->container.data, s->container.size, 1) ^
			XXH3_64bits_withSeed(s->type, strlen(s->type), (uint64_t)s->start_ms);
	buf_printf(out, "%s-%u-%016llx", run_id, s->window, (unsigned long long)name);
}

void upload_target(struct buf *out, const struct upload_series *s, const struct upload_labels *labels, struct slice key)
{
	buf_printf(out, "/api/v1/ingest?type=%s&key=%.*s&from=%lld&to=%lld", s->type, SLICE_FMT(key),
		   (long long)s->start_ms, (long long)s->end_ms);
	add_escaped(out, "service", s->service);
	add_escaped(out, "container", s->container);
	add_escaped(out, "host", slice_str(labels->host));
	add_escaped(out, "region", slice_str(labels->region));
	add_escaped(out, "zone", slice_str(labels->zone));
}

static int refuse(struct upload *u, const struct upload_series *s, uint8_t *data, int code)
{
	free(data);
	u->stats.n_dropped++;
	u->stats.n_samples_lost += s->n_samples;
	return code;
}

/* NULL: no memory. */
static struct parcel *make_parcel(const struct upload *u, const struct upload_series *s, uint8_t *data, size_t size)
{
	_cleanup_(buf_done)
	struct buf key = buf_of(PARCEL_KEY_SIZE), target = buf_of(PARCEL_TARGET_MAX);
	upload_key(&key, s, u->run_id);
	upload_target(&target, s, &u->labels, slice_of(key.data, key.n));
	struct parcel *p = NULL;
	if (!key.failed && !target.failed)
		p = parcel_new(slice_of(key.data, key.n), slice_of(target.data, target.n), data, size);
	if (!p)
		return NULL;
	p->n_samples = s->n_samples;
	p->start_ms = s->start_ms;
	return p;
}

int upload_add(struct upload *u, const struct upload_series *s, uint8_t *data, size_t size)
{
	if (size > u->max_bytes || size > PARCEL_DATA_MAX)
		return refuse(u, s, data, -E2BIG);
	struct parcel *p = make_parcel(u, s, data, size);
	if (!p)
		return refuse(u, s, data, -ENOMEM);
	*u->tail = p;
	u->tail = &p->next;
	count(u, p, true);
	if (u->stats.is_away)
		spool_queue(u);
	while (u->stats.queued_bytes > u->max_bytes) {
		if (u->sending && !u->is_spooled)
			stop_sending(u);
		if (!spool_oldest(u))
			drop_oldest(u);
	}
	return 0;
}

/* ---- sending ---- */

int upload_fd(const struct upload *u, short *ret_events)
{
	return http_client_fd(u->client, ret_events);
}

int upload_timeout_ms(const struct upload *u)
{
	if (u->is_under_way)
		return http_client_timeout_ms(u->client);
	if (!u->sending && !u->oldest && !(u->spool && spool_stats(u->spool).n_files))
		return -1;
	int64_t left = u->retry_ns - clock_mono_ns();
	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

/* Waits before the next attempt: twice as long as before, a fifth of it at
 * random so that agents do not come back together. */
static void pause_sending(struct upload *u, unsigned at_least_ms)
{
	uint32_t dice = 0;
	u->is_under_way = false;
	stop_sending(u);
	u->stats.n_failed++;
	u->stats.is_away = true;
	u->stats.sends_pprof = false; /* it may come back as another */
	u->pause_ms = u->pause_ms ? 2 * u->pause_ms : PAUSE_MIN_MS;
	if (u->pause_ms > PAUSE_MAX_MS)
		u->pause_ms = PAUSE_MAX_MS;
	unsigned wait_ms = u->pause_ms > at_least_ms ? u->pause_ms : at_least_ms;
	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) == (ssize_t)sizeof(dice))
		wait_ms += dice % (wait_ms / 5 + 1);
	u->retry_ns = clock_mono_ns() + (int64_t)wait_ms * 1000000;
	upload_spill(u);
}

/* These say something about the profile; all else, about the server. */
static bool is_final(int status)
{
	return status == 400 || status == 413 || status == 415 || status == 422;
}

/* A wick from before OTLP has no such path, or does not know the type. */
static bool knows_no_otlp(const struct upload *u, int status)
{
	return !u->stats.sends_pprof && (status == 404 || status == 405 || status == 415);
}

/* The message of a google.rpc.Status, as one line; other answers are text. */
static void tell_answer(const struct upload *u, const struct http_reply *reply, struct error *err)
{
	char text[HTTP_REPLY_TEXT];
	struct pb_reader r = pb_reader_of(slice_of(u->answer.data, u->answer.n));
	struct pb_field f = { 0 };
	(void)snprintf(text, sizeof(text), "%s", reply->text);
	while (!u->stats.sends_pprof && pb_next(&r, &f) > 0)
		if (f.number == RPC_STATUS_MESSAGE && f.wire == PB_BYTES)
			(void)snprintf(text, sizeof(text), "%.*s", SLICE_FMT(f.bytes));
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	(void)error_set(err, -EIO, "the server answered %d: %s", reply->status, text);
}

static void count_refused(struct upload *u)
{
	u->stats.n_refused++;
	u->stats.n_samples_lost += u->sending->n_samples;
	end_sending(u);
}

static bool take_reply(struct upload *u, const struct http_reply *reply, struct error *err)
{
	u->is_under_way = false;
	if (reply->status >= 200 && reply->status < 300) {
		u->pause_ms = 0;
		u->stats.is_away = false;
		u->spool_problem.text[0] = 0;
		u->stats.n_sent++;
		u->stats.n_bytes += u->stats.sends_pprof ? u->pprof.n : u->sending->size;
		end_sending(u);
		return true;
	}
	if (knows_no_otlp(u, reply->status)) {
		u->stats.sends_pprof = true;
		return true;
	}
	tell_answer(u, reply, err);
	if (is_final(reply->status)) {
		count_refused(u);
	} else {
		pause_sending(u, reply->retry_after_s * 1000);
	}
	return false;
}

/* What is new goes before what is old, which has waited anyway. */
static bool choose(struct upload *u)
{
	if (u->sending)
		return true;
	if (clock_mono_ns() < u->retry_ns)
		return false;
	u->is_spooled = !u->oldest;
	u->sending = u->oldest ? unlink_oldest(u) : u->spool ? spool_take(u->spool) : NULL;
	/* Not the memory to read one: later. */
	if (!u->sending && u->spool && spool_stats(u->spool).n_files)
		u->retry_ns = clock_mono_ns() + PAUSE_MAX_MS * INT64_C(1000000);
	return u->sending != NULL;
}

static bool convert(struct upload *u, struct error *err)
{
	buf_done(&u->pprof);
	u->pprof = buf_of(PARCEL_DATA_MAX);
	int r = u->stats.sends_pprof ? parcel_to_pprof(u->sending, &u->pprof) : 0;
	if (r == 0)
		return true;
	(void)error_set(err, r, "a profile cannot be written as pprof: %s", strerror(-r));
	count_refused(u);
	return false;
}

static int post(struct upload *u, struct error *err)
{
	char headers[PARCEL_KEY_SIZE + 64];
	const struct parcel *p = u->sending;
	buf_done(&u->answer);
	u->answer = buf_of(ANSWER_MAX);
	if (!u->stats.sends_pprof) {
		(void)snprintf(headers, sizeof(headers), "Content-Encoding: zstd\r\nX-Wick-Key: %s\r\n", p->key);
		const struct http_content otlp = { "application/x-protobuf", headers, slice_of(p->data, p->size) };
		return http_client_start(u->client, "POST", OTLP_TARGET, &otlp, &u->answer, err);
	}
	const struct http_content pprof = { "application/octet-stream", "", slice_of(u->pprof.data, u->pprof.n) };
	return http_client_start(u->client, "POST", p->target, &pprof, &u->answer, err);
}

bool upload_step(struct upload *u, struct error *err)
{
	struct http_reply reply;
	int r = 0;
	if (!u->is_under_way) {
		if (!choose(u))
			return true;
		if (!convert(u, err))
			return false;
		r = post(u, err);
		u->is_under_way = r == 0;
	}
	if (r == 0)
		r = http_client_step(u->client, &reply, err);
	if (r == -EAGAIN)
		return true;
	if (r < 0) {
		pause_sending(u, 0);
		return false;
	}
	return take_reply(u, &reply, err);
}

void upload_hurry(struct upload *u)
{
	u->retry_ns = 0;
}

struct upload_stats upload_stats(const struct upload *u)
{
	struct upload_stats stats = u->stats;
	if (u->spool) {
		struct spool_stats spool = spool_stats(u->spool);
		stats.n_dropped += spool.n_dropped;
		stats.n_samples_lost += spool.n_samples_lost;
	}
	return stats;
}

const char *upload_spool_problem(const struct upload *u)
{
	return u->spool_problem.text;
}
