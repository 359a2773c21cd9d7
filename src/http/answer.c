/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c: what a handler reads from a request and gives back. */
#include "base/jsonw.h"
#include "http/request.h"

#include <assert.h>
#include <libdeflate.h>
#include <stdarg.h>
#include <string.h>

#define GZIP_FROM    1024
#define GZIP_LEVEL   4
#define ANSWER_SMALL (16 << 10)

const char *http_path(const struct http_request *rq)
{
	return rq->path;
}

const char *http_path_tail(const struct http_request *rq)
{
	const char *slash = strrchr(rq->path, '/');
	return slash ? slash + 1 : rq->path;
}

struct slice http_body(const struct http_request *rq)
{
	return slice_of(rq->body.data, rq->body.n);
}

void *http_take_stream(struct http_request *rq)
{
	return take_ptr(rq->stream);
}

const char *http_header(const struct http_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_HEADER_KIND, name);
}

const char *http_param(const struct http_request *rq, const char *name)
{
	return MHD_lookup_connection_value(rq->connection, MHD_GET_ARGUMENT_KIND, name);
}

struct collect {
	const char *name;
	const char **values;
	unsigned n, max;
};

static enum MHD_Result collect_value(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct collect *c = cls;
	(void)kind;
	if (strcmp(key, c->name) == 0) {
		if (c->n < c->max)
			c->values[c->n] = value ? value : "";
		c->n++;
	}
	return MHD_YES;
}

unsigned http_params(const struct http_request *rq, const char *name, const char **ret, unsigned max)
{
	struct collect c = { name, ret, 0, max };
	(void)MHD_get_connection_values(rq->connection, MHD_GET_ARGUMENT_KIND, collect_value, &c);
	return c.n;
}

struct unknown {
	const char *const *known;
	const char *found;
};

static enum MHD_Result find_unknown(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	struct unknown *u = cls;
	(void)kind;
	(void)value;
	for (const char *const *k = u->known; *k; k++)
		if (strcmp(*k, key) == 0)
			return MHD_YES;
	u->found = key;
	return MHD_NO;
}

const char *http_unknown_param(const struct http_request *rq, const char *const *known)
{
	struct unknown u = { known, NULL };
	(void)MHD_get_connection_values(rq->connection, MHD_GET_ARGUMENT_KIND, find_unknown, &u);
	return u.found;
}

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	/* Fails without memory only; the answer then goes out without it. */
	(void)MHD_add_response_header(response, name, value);
}

static void set_answer(struct http_request *rq, unsigned status, const char *content_type,
		       struct MHD_Response *response)
{
	assert(!rq->response && response);
	add_header(response, "Content-Type", content_type);
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "X-Frame-Options", "DENY");
	add_header(response, "Referrer-Policy", "no-referrer");
	add_header(response, "Cross-Origin-Resource-Policy", "same-origin");
	add_header(response, "Content-Security-Policy",
		   "default-src 'self'; connect-src 'self' ws:; img-src 'self' data:; object-src 'none'; "
		   "base-uri 'none'; frame-ancestors 'none'");
	rq->status = status;
	rq->response = response;
}

/* "gzip, deflate, br" yes; "gzip;q=0" no. */
static bool takes_gzip(const struct http_request *rq)
{
	const char *accepted = http_header(rq, "Accept-Encoding");
	const char *gzip = accepted ? strstr(accepted, "gzip") : NULL;
	return gzip && strncmp(gzip + 4, ";q=0", 4) != 0;
}

/* Replaces the body by its gzip'd form where that is smaller. */
static bool compress_body(struct buf *body)
{
	struct libdeflate_compressor *c = libdeflate_alloc_compressor(GZIP_LEVEL);
	if (!c)
		return false;
	uint8_t *out = malloc(body->n);
	size_t n = out ? libdeflate_gzip_compress(c, body->data, body->n, out, body->n) : 0;
	libdeflate_free_compressor(c);
	if (n == 0) {
		free(out);
		return false;
	}
	free(body->data);
	body->data = out;
	body->n = body->cap = n;
	return true;
}

static struct MHD_Response *response_of_static(const char *text)
{
	return MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
}

/* Clients that ask much and read slowly must not fill the memory with what
 * they have not read. Answers as small as an error are not counted. */
static bool charge_answer(struct http_request *rq, size_t size)
{
	struct http_server *s = rq->server;
	size_t max = s->options.answers_max;
	if (size <= ANSWER_SMALL || max == 0)
		return true;
	if (atomic_fetch_add(&s->answers_used, size) + size > max) {
		atomic_fetch_sub(&s->answers_used, size);
		return false;
	}
	rq->answer_charged = size;
	return true;
}

void http_answer(struct http_request *rq, unsigned status, const char *content_type, struct buf *body)
{
	if (body->failed) {
		buf_done(body);
		set_answer(rq, 500, "application/json",
			   response_of_static("{\"detail\":\"the answer is too large\",\"code\":\"internal\"}"));
		return;
	}
	bool gzipped = body->n >= GZIP_FROM && takes_gzip(rq) && compress_body(body);
	if (!charge_answer(rq, body->n)) {
		buf_done(body);
		rq->server->n_refused_answers++;
		http_answer_error(rq, 503, "too_many_requests", NULL, (int64_t)rq->server->options.answers_max,
				  "more than %zu bytes of answers wait to be read; try again",
				  rq->server->options.answers_max);
		return;
	}
	size_t size;
	uint8_t *data = buf_take(body, &size);
	struct MHD_Response *response =
		MHD_create_response_from_buffer(size, data, data ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	assert(response);
	if (gzipped)
		add_header(response, "Content-Encoding", "gzip");
	add_header(response, "Vary", "Accept-Encoding");
	add_header(response, "Cache-Control", "no-store");
	set_answer(rq, status, content_type, response);
}

void http_answer_json(struct http_request *rq, unsigned status, struct buf *body)
{
	http_answer(rq, status, "application/json", body);
}

/* Our own bytes: the size at their end can be believed. */
static struct MHD_Response *response_inflated(struct slice gz)
{
	const uint8_t *t = gz.data + gz.size - 4;
	size_t size = (size_t)t[0] | (size_t)t[1] << 8 | (size_t)t[2] << 16 | (size_t)t[3] << 24;
	struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
	char *out = malloc(size + 1);
	bool ok = d && out && libdeflate_gzip_decompress(d, gz.data, gz.size, out, size, NULL) == LIBDEFLATE_SUCCESS;
	libdeflate_free_decompressor(d);
	if (ok)
		return MHD_create_response_from_buffer(size, out, MHD_RESPMEM_MUST_FREE);
	free(out);
	return response_of_static("");
}

void http_answer_file(struct http_request *rq, const struct http_file *file)
{
	char etag[128];
	(void)snprintf(etag, sizeof(etag), "\"%s\"", file->etag);
	const char *have = http_header(rq, "If-None-Match");
	bool is_same = have && strstr(have, etag);
	bool gzipped = !is_same && takes_gzip(rq);
	struct MHD_Response *response =
		is_same	  ? response_of_static("")
		: gzipped ? MHD_create_response_from_buffer(file->gz.size, (void *)(uintptr_t)file->gz.data,
							    MHD_RESPMEM_PERSISTENT)
			  : response_inflated(file->gz);
	assert(response);
	if (gzipped)
		add_header(response, "Content-Encoding", "gzip");
	add_header(response, "Vary", "Accept-Encoding");
	add_header(response, "ETag", etag);
	add_header(response, "Cache-Control", file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
	set_answer(rq, is_same ? 304 : 200, file->content_type, response);
}

void http_answer_error(struct http_request *rq, unsigned status, const char *code, const char *field, int64_t limit,
		       const char *fmt, ...)
{
	char detail[1024];
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	struct buf body = buf_of(16 << 10);
	struct jsonw w = { .out = &body };
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "detail", detail);
	jsonw_cstr(&w, "code", code);
	if (field)
		jsonw_cstr(&w, "field", field);
	if (limit >= 0)
		jsonw_i64(&w, "limit", limit);
	jsonw_end(&w, '}');
	http_answer_json(rq, status, &body);
}
