/* SPDX-License-Identifier: Apache-2.0 */
/* api_ingest.c: POST ingest: a profile in, acknowledged when it is on disk.
 *
 *   HTTP thread: parameters, decode, suspend, store_submit
 *   writer:      on_stored: release the memory, answer, resume */
#include "base/clock.h"
#include "base/jsonw.h"
#include "format/inflate.h"
#include "server/ingest.h"
#include "server/param.h"
#include "server/server.h"

#include <errno.h>

#define BASE_SIZE ((size_t)4 << 20)

/* Memory per byte of inflated profile: itself, its columns, and the head's
 * work to take it in. */
#define SIZE_PER_BYTE 8

struct ingest {
	struct store_commit commit;
	struct server *server;
	struct http_request *rq;
	struct intake_profile profile;
	struct membudget budget;
	struct buf packed;
	size_t granted;
	int64_t to_ms;
	uint32_t n_samples;
	bool has_profile;
};

/* Gives everything back but the request. */
static void ingest_free(struct ingest **i)
{
	if (!*i)
		return;
	if ((*i)->has_profile)
		intake_profile_done(&(*i)->profile);
	buf_done(&(*i)->packed);
	if ((*i)->granted)
		workmem_give(&(*i)->server->work, (*i)->granted);
	free(*i);
	*i = NULL;
}

bool ingest_is_key(struct slice key)
{
	for (size_t i = 0; i < key.size; i++) {
		uint8_t c = key.data[i];
		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
		      c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* Answers and returns false when a parameter is bad. */
static bool read_params(struct http_request *rq, struct intake *in)
{
	static const char *const known[] = { "service", "host", "container", "region", "zone",
					     "type",	"from", "to",	     "key",    NULL };
	if (!param_check(rq, known))
		return false;
	for (int i = 0; i < N_SERIES_LABELS; i++)
		if (!param_text(rq, series_label_name((enum series_label)i), INTAKE_LABEL_MAX, &in->label[i]))
			return false;
	if (!param_text(rq, "type", INTAKE_TYPE_MAX, &in->type) || !param_text(rq, "key", INTAKE_KEY_MAX, &in->key) ||
	    !param_int(rq, "from", 0, INTAKE_TIME_MAX_MS, 0, &in->from_ms) ||
	    !param_int(rq, "to", 0, INTAKE_TIME_MAX_MS, 0, &in->to_ms))
		return false;
	if (in->label[SERIES_SERVICE].size == 0) {
		http_answer_error(rq, 400, "bad_request", "service", -1,
				  "service is missing: name the program this profile is of");
		return false;
	}
	if (!ingest_is_key(in->key)) {
		http_answer_error(rq, 400, "bad_request", "key", -1,
				  "key may hold letters, digits, '_', '.' and '-' only");
		return false;
	}
	if (in->from_ms && in->to_ms && in->from_ms > in->to_ms) {
		http_answer_error(rq, 400, "bad_request", "from", -1, "from is after to");
		return false;
	}
	in->received_ms = clock_wall_ns() / 1000000;
	return true;
}

/* How large the body probably is inflated. */
static size_t guess_inflated(struct slice body)
{
	size_t guess = body.size;
	if (codec_of(body) == CODEC_GZIP && body.size >= 18) {
		const uint8_t *t = body.data + body.size - 4;
		guess = (size_t)t[0] | (size_t)t[1] << 8 | (size_t)t[2] << 16 | (size_t)t[3] << 24;
	} else if (codec_of(body) == CODEC_ZSTD) {
		guess = body.size * 8;
	}
	return guess < body.size ? body.size : guess;
}

size_t ingest_memory(struct slice body)
{
	return BASE_SIZE + guess_inflated(body) * SIZE_PER_BYTE;
}

static int decode_within(struct ingest *in, struct slice body, size_t want, struct error *err)
{
	struct server *s = in->server;
	if (!workmem_take(&s->work, want, INGEST_WAIT_MS, &in->granted))
		return -EAGAIN;
	struct format_limits limits = format_limits_default;
	if (limits.inflated_size > in->granted / 4)
		limits.inflated_size = in->granted / 4;
	in->budget = membudget_of(in->granted / 2);
	int r = intake_decode(&in->commit.record.intake, body, &limits, &in->budget, &in->profile, err);
	if (r < 0) {
		workmem_give(&s->work, in->granted);
		in->granted = 0;
		return r;
	}
	in->has_profile = true;
	return 0;
}

static int decode(struct ingest *in, struct slice body, struct error *err)
{
	size_t want = ingest_memory(body);
	int r = decode_within(in, body, want, err);
	if ((r == -ENOBUFS || r == -E2BIG) && want < in->server->work.max)
		r = decode_within(in, body, in->server->work.max, err);
	if (r == 0)
		r = wal_record_set_body(&in->commit.record, body, &in->packed);
	return r;
}

static void answer_failure(struct server *s, struct http_request *rq, int r, const struct error *err)
{
	switch (r) {
	case -EAGAIN:
		http_answer_error(rq, 503, "too_many_requests", NULL, (int64_t)s->work.max,
				  "other requests use the %zu MiB that decoding has; try again", s->work.max >> 20);
		return;
	case -EBADMSG:
		s->n_malformed++;
		http_answer_error(rq, 400, "malformed", "body", -1, "%s", err->text);
		return;
	case -ENODATA:
		s->n_malformed++;
		http_answer_error(rq, 400, "truncated", "body", -1, "%s", err->text);
		return;
	case -E2BIG:
	case -ENOBUFS:
		s->n_too_large++;
		http_answer_error(rq, 413, "too_large", "body", (int64_t)s->work.max,
				  "%s; decoding has %zu MiB of --memory-limit", err->text, s->work.max >> 20);
		return;
	case -EPROTONOSUPPORT:
		s->n_unsupported++;
		http_answer_error(rq, 422, "unsupported", "body", -1, "%s", err->text);
		return;
	default:
		http_answer_error(rq, 500, "internal", NULL, -1, "%s", err->text[0] ? err->text : "out of memory");
	}
}

/* The store said no, at once or after trying: a limit, or the disk. */
static void answer_refused(struct server *s, struct http_request *rq, const struct store_commit *c)
{
	s->n_out_of_space++;
	http_answer_error(rq, 507, "out_of_space", NULL, c->limit ? (int64_t)c->limit : -1, "%s", c->err.text);
}

static void answer_stored(struct http_request *rq, bool duplicate, uint32_t n_samples)
{
	struct buf out = buf_of(256);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "status", duplicate ? "duplicate" : "stored");
	jsonw_u64(&w, "samples", n_samples);
	jsonw_end(&w, '}');
	http_answer_json(rq, 200, &out);
}

/* On the writer thread. */
static void on_stored(struct store_commit *c)
{
	struct ingest *in = (struct ingest *)((char *)c - offsetof(struct ingest, commit));
	struct server *s = in->server;
	struct http_request *rq = in->rq;
	if (c->result < 0) {
		answer_refused(s, rq, c);
	} else {
		if (!c->duplicate) {
			s->n_ingest_samples += in->n_samples;
			live_profile(s->live, c->record.intake.label[SERIES_SERVICE], in->to_ms);
			namer_poke(s->namer);
		}
		answer_stored(rq, c->duplicate, in->n_samples);
	}
	ingest_free(&in);
	waiting_end(s, rq);
}

void api_ingest(struct http_request *rq, void *ctx)
{
	struct server *s = ctx;
	struct slice body = http_body(rq);
	_cleanup_(ingest_free)
	struct ingest *in = calloc(1, sizeof(*in));
	if (!in) {
		http_answer_error(rq, 500, "internal", NULL, -1, "out of memory");
		return;
	}
	in->server = s;
	in->rq = rq;
	in->packed = buf_of(BODY_MAX + (1 << 20));
	if (!read_params(rq, &in->commit.record.intake))
		return;
	s->n_ingest_bytes += body.size;
	struct error err = { "" };
	int r = decode(in, body, &err);
	if (r < 0) {
		answer_failure(s, rq, r, &err);
		return;
	}
	in->to_ms = in->profile.to_ms;
	in->n_samples = profile_n_samples(&in->profile.profile);
	in->commit.profile = &in->profile;
	in->commit.done = on_stored;
	if (!waiting_begin(s, rq))
		return;
	if (store_submit(s->store, &in->commit) < 0) {
		answer_refused(s, rq, &in->commit);
		waiting_end(s, rq);
		return;
	}
	in = NULL; /* on_stored() has it */
}
