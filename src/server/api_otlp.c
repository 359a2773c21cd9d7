/* SPDX-License-Identifier: Apache-2.0 */
/* api_otlp.c: POST profiles as OTLP/HTTP has it, acknowledged when they are on
 * disk.
 *
 *   HTTP thread: decode, one part for each series, suspend, store_submit() each
 *   writer:      on_stored(): the last one answers and resumes
 *
 * What was stored is not undone when the rest is refused: then the answer is
 * a partial success. Errors are a google.rpc.Status, as the answer's encoding
 * is the request's: protobuf.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp-response */
#include "base/clock.h"
#include "format/protobuf.h"
#include "server/ingest.h"
#include "server/param.h"
#include "server/server.h"
#include "store/intake_otlp.h"

#include <errno.h>
#include <stdarg.h>

#define CONTENT_TYPE "application/x-protobuf"

enum { RESPONSE_PARTIAL_SUCCESS = 1 };
enum { PARTIAL_REJECTED = 1, PARTIAL_MESSAGE = 2 };
enum { STATUS_CODE = 1, STATUS_MESSAGE = 2 };
/* google.rpc.Code */
enum { RPC_INVALID_ARGUMENT = 3, RPC_RESOURCE_EXHAUSTED = 8, RPC_INTERNAL = 13, RPC_UNAVAILABLE = 14 };

struct otlp_commit {
	struct store_commit commit;
	struct otlp_post *post;
	struct buf packed;
	uint32_t n_samples;
	int64_t to_ms;
};

struct otlp_post {
	struct server *server;
	struct http_request *rq;
	struct intake intake;
	struct intake_parts parts;
	struct otlp_commit *commits; /* one for each part */
	struct membudget budget;
	size_t granted;
	/* Commits that may still be refused or stored, and one for the HTTP thread. */
	_Atomic uint32_t n_open;
};

static void post_free(struct otlp_post **post)
{
	struct otlp_post *p = *post;
	if (!p)
		return;
	for (uint32_t i = 0; p->commits && i < p->parts.n; i++)
		buf_done(&p->commits[i].packed);
	free(p->commits);
	intake_parts_done(&p->parts);
	if (p->granted)
		workmem_give(&p->server->work, p->granted);
	free(p);
	*post = NULL;
}

/* ---- answers ---- */

static void answer_status(struct http_request *rq, unsigned status, unsigned code, const char *fmt, ...)
	printf_like(4, 5);

static void answer_status(struct http_request *rq, unsigned status, unsigned code, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct buf out = buf_of(2048);
	pb_put_uint(&out, STATUS_CODE, code);
	pb_put_bytes(&out, STATUS_MESSAGE, slice_str(text));
	http_answer(rq, status, CONTENT_TYPE, &out);
}

static void answer_stored(struct http_request *rq, uint32_t n_rejected, const char *why)
{
	struct buf out = buf_of(2048), partial = buf_of(2048);
	if (n_rejected) {
		pb_put_uint(&partial, PARTIAL_REJECTED, n_rejected);
		pb_put_bytes(&partial, PARTIAL_MESSAGE, slice_str(why));
		pb_put_bytes(&out, RESPONSE_PARTIAL_SUCCESS, slice_of(partial.data, partial.n));
	}
	buf_done(&partial);
	http_answer(rq, 200, CONTENT_TYPE, &out);
}

static void answer_failure(struct server *s, struct http_request *rq, int r, const struct error *err)
{
	switch (r) {
	case -EAGAIN:
		answer_status(rq, 503, RPC_UNAVAILABLE, "other requests use the %zu MiB that decoding has; try again",
			      s->work.max >> 20);
		return;
	case -EBADMSG:
	case -ENODATA:
		s->n_malformed++;
		answer_status(rq, 400, RPC_INVALID_ARGUMENT, "%s", err->text);
		return;
	case -E2BIG:
	case -ENOBUFS:
		s->n_too_large++;
		answer_status(rq, 413, RPC_RESOURCE_EXHAUSTED, "%s; decoding has %zu MiB of --memory-limit", err->text,
			      s->work.max >> 20);
		return;
	case -EPROTONOSUPPORT:
		s->n_unsupported++;
		answer_status(rq, 422, RPC_INVALID_ARGUMENT, "%s", err->text);
		return;
	default:
		answer_status(rq, 500, RPC_INTERNAL, "%s", err->text[0] ? err->text : "out of memory");
	}
}

/* When no commit is open any more. */
static void answer(struct otlp_post *p)
{
	uint32_t n_stored = 0, n_full = 0;
	const char *why = "";
	for (uint32_t i = p->parts.n; i-- > 0;) {
		const struct intake_part *part = &p->parts.data[i];
		const struct store_commit *c = &p->commits[i].commit;
		n_stored += part->result == 0 && c->result == 0;
		n_full += part->result == 0 && c->result < 0;
		if (part->result < 0 || c->result < 0)
			why = part->result < 0 ? part->error.text : c->err.text;
	}
	uint32_t n_rejected = p->parts.n - n_stored;
	p->server->n_unsupported += n_rejected - n_full;
	p->server->n_out_of_space += n_full > 0;
	/* What has keys may be sent again: nothing is stored twice. */
	bool again = n_full && (n_stored == 0 || p->intake.key.size);
	if (again)
		answer_status(p->rq, 507, RPC_RESOURCE_EXHAUSTED, "%s", why);
	else if (n_stored == 0 && n_rejected)
		answer_status(p->rq, 400, RPC_INVALID_ARGUMENT, "%s", why);
	else
		answer_stored(p->rq, n_rejected, why);
}

/* ---- storing ---- */

/* By the writer and by the HTTP thread: whoever is the last. */
static void close_one(struct otlp_post *p)
{
	if (--p->n_open > 0)
		return;
	struct server *s = p->server;
	struct http_request *rq = p->rq;
	answer(p);
	post_free(&p);
	waiting_end(s, rq);
}

/* On the writer thread. */
static void on_stored(struct store_commit *c)
{
	struct otlp_commit *oc = (struct otlp_commit *)((char *)c - offsetof(struct otlp_commit, commit));
	struct server *s = oc->post->server;
	if (c->result == 0 && !c->duplicate) {
		s->n_ingest_samples += oc->n_samples;
		live_profile(s->live, c->record.intake.label[SERIES_SERVICE], oc->to_ms);
		namer_poke(s->namer);
	}
	close_one(oc->post);
}

static void check_texts(struct intake_part *part)
{
	for (int i = 0; part->result == 0 && i < N_SERIES_LABELS; i++) {
		const char *text = (const char *)part->intake.label[i].data;
		if (!param_is_text(text) || strlen(text) != part->intake.label[i].size)
			part->result = error_set(&part->error, -EINVAL, "%s must be UTF-8 without control characters",
						 series_label_name((enum series_label)i));
	}
}

static int prepare(struct otlp_post *p, struct slice body)
{
	p->commits = calloc((size_t)p->parts.n + 1, sizeof(*p->commits));
	int r = p->commits ? 0 : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < p->parts.n; i++) {
		struct intake_part *part = &p->parts.data[i];
		struct otlp_commit *oc = &p->commits[i];
		check_texts(part);
		if (part->result < 0)
			continue;
		oc->post = p;
		oc->n_samples = profile_n_samples(&part->profile.profile);
		oc->to_ms = part->profile.to_ms;
		oc->packed = buf_of(BODY_MAX + (1 << 20));
		oc->commit.record.intake = part->intake;
		oc->commit.profile = &part->profile;
		oc->commit.done = on_stored;
		bool is_own = part->body.n > 0;
		r = wal_record_set_body(&oc->commit.record, is_own ? slice_of(part->body.data, part->body.n) : body,
					&oc->packed);
		if (is_own)
			buf_done(&part->body);
	}
	return r;
}

static int decode_within(struct otlp_post *p, struct slice body, size_t want, struct error *err)
{
	struct server *s = p->server;
	if (!workmem_take(&s->work, want, INGEST_WAIT_MS, &p->granted))
		return -EAGAIN;
	struct format_limits limits = format_limits_default;
	if (limits.inflated_size > p->granted / 4)
		limits.inflated_size = p->granted / 4;
	p->budget = membudget_of(p->granted / 2);
	int r = intake_split(&p->intake, body, &limits, &p->budget, &p->parts, err);
	if (r < 0) {
		workmem_give(&s->work, p->granted);
		p->granted = 0;
	}
	return r;
}

static int decode(struct otlp_post *p, struct slice body, struct error *err)
{
	size_t want = ingest_memory(body);
	int r = decode_within(p, body, want, err);
	if ((r == -ENOBUFS || r == -E2BIG) && want < p->server->work.max)
		r = decode_within(p, body, p->server->work.max, err);
	return r < 0 ? r : prepare(p, body);
}

static void submit(struct otlp_post *p)
{
	uint32_t n = p->parts.n;
	p->n_open = n + 1;
	for (uint32_t i = 0; i < n; i++) {
		struct otlp_commit *oc = &p->commits[i];
		int r = p->parts.data[i].result;
		if (r == 0)
			r = store_submit(p->server->store, &oc->commit);
		if (r == 0)
			continue; /* on_stored() closes it, or has */
		oc->commit.result = r;
		close_one(p);
	}
	close_one(p);
}

/* Answers and returns false when it is nothing for us. */
static bool read_head(struct http_request *rq, struct intake *in)
{
	const char *type = http_header(rq, "Content-Type"), *key = http_header(rq, "X-Wick-Key");
	if (type && strncasecmp(type, "application/json", strlen("application/json")) == 0) {
		answer_status(rq, 415, RPC_INVALID_ARGUMENT, "JSON is not read: send protobuf (" CONTENT_TYPE ")");
		return false;
	}
	in->key = slice_str(key ? key : "");
	if (in->key.size > INTAKE_KEY_MAX || !ingest_is_key(in->key)) {
		answer_status(rq, 400, RPC_INVALID_ARGUMENT,
			      "X-Wick-Key may hold letters, digits, '_', '.' and '-' only, at most %d", INTAKE_KEY_MAX);
		return false;
	}
	in->received_ms = clock_wall_ns() / 1000000;
	return true;
}

void api_otlp(struct http_request *rq, void *ctx)
{
	struct server *s = ctx;
	struct slice body = http_body(rq);
	_cleanup_(post_free)
	struct otlp_post *p = calloc(1, sizeof(*p));
	if (!p) {
		answer_status(rq, 500, RPC_INTERNAL, "out of memory");
		return;
	}
	p->server = s;
	p->rq = rq;
	if (!read_head(rq, &p->intake))
		return;
	s->n_ingest_bytes += body.size;
	struct error err = { "" };
	int r = decode(p, body, &err);
	if (r < 0)
		answer_failure(s, rq, r, &err);
	else if (waiting_begin(s, rq))
		submit(take_ptr(p));
}
