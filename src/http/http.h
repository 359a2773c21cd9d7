/* SPDX-License-Identifier: Apache-2.0 */
/* http.h: routes and bodies over libmicrohttpd. Knows no profiling word.
 *
 *   epoll threads ── request complete ──▶ route->handle(request)
 *                                            ├─ http_answer_*()             at once, or
 *                                            └─ http_suspend(), return      later, from any one thread:
 *                                               http_answer_*(), http_resume()
 *
 * A handler runs with the whole body in memory; the sum of all bodies being
 * held is bounded (503 beyond it, counted). Bodies too large for that go
 * elsewhere as they come (struct http_stream). Parameters and headers stay valid
 * until the request is answered and resumed. Each request is answered exactly
 * once: asserted.
 *
 * Since loopback needs no password, requests that a foreign page could forge
 * are refused: a Host that is not the bound address, and any method but GET or
 * HEAD, or a WebSocket, with an Origin that is not our own. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "base/slice.h"

struct http_server;
struct http_request;

/* Where a body goes piece by piece, on an HTTP thread: take() must be quick. */
struct http_stream {
	/* With the headers. NULL: it has answered, and the body is not read. */
	void *(*open)(struct http_request *rq, void *ctx);
	/* False: no more of it, the rest is dropped. The handler is called all the same. */
	bool (*take)(void *stream, const void *data, size_t size);
	/* Instead of the handler: the client went away, or the body was too large. */
	void (*drop)(void *stream);
	unsigned timeout_s; /* for the whole body */
};

struct http_route {
	const char *method; /* "GET" serves HEAD, too */
	const char *path;   /* exact; one that ends in "/" wants one more segment, http_path_tail() */
	void (*handle)(struct http_request *rq, void *ctx);
	size_t body_max;		  /* 0: takes no body; 413 beyond it */
	const struct http_stream *stream; /* NULL: in memory */
};

/* Asked when no route has the path: answers and returns true, or false (404). */
typedef bool (*http_fallback)(struct http_request *rq, void *ctx);

struct http_options {
	const char *address; /* numeric IPv4 or "[IPv6]"; "127.0.0.1" */
	uint16_t port;	     /* 0 = any free one */
	unsigned n_threads;
	unsigned n_connections;	 /* at most; further ones wait in the kernel's queue */
	unsigned idle_timeout_s; /* a connection that stands still is cut */
	size_t bodies_max;	 /* bytes of all bodies together */
	size_t answers_max;	 /* bytes of all answers being sent, but small ones; 0 = no limit */
	const struct http_route *routes;
	unsigned n_routes;
	http_fallback fallback; /* NULL = 404 */
	void *ctx;		/* for handlers */
};

struct http_stats {
	uint64_t n_requests, n_client_errors, n_server_errors;
	uint64_t n_open;	    /* requests not yet answered to the end, WebSockets included */
	uint64_t n_refused_bodies;  /* 503: too many bytes in flight */
	uint64_t n_refused_answers; /* 503: too many bytes that clients have not read yet */
	uint64_t n_foreign;	    /* 403: Host or Origin not ours */
	uint64_t bodies_used;	    /* bytes now */
	uint64_t answers_used;	    /* bytes now */
};

/* -EADDRINUSE, -EACCES ...: the error names the address and the remedy. *ret
 * is set before the first request is handled, NULL on failure. */
int http_server_start(const struct http_options *options, struct http_server **ret, struct error *err) must_check;
/* Takes no new connection from now on; those open are served on. */
void http_server_quiesce(struct http_server *s);
/* Every suspended request must have been resumed. */
void http_server_stop(struct http_server *s);
uint16_t http_server_port(const struct http_server *s);
void http_server_stats(const struct http_server *s, struct http_stats *ret);

const char *http_path(const struct http_request *rq);
/* What follows the last slash. */
const char *http_path_tail(const struct http_request *rq);
struct slice http_body(const struct http_request *rq);
/* What open() returned, now the handler's own. */
void *http_take_stream(struct http_request *rq);
/* NULL when absent; the first one when repeated. */
const char *http_header(const struct http_request *rq, const char *name);
const char *http_param(const struct http_request *rq, const char *name);
/* All values of a repeated parameter, at most `max`; returns how many there are. */
unsigned http_params(const struct http_request *rq, const char *name, const char **ret, unsigned max);
/* A parameter that is none of `known` (NULL-terminated), or NULL. */
const char *http_unknown_param(const struct http_request *rq, const char *const *known);

/* Answers. Bodies over 1 KiB are gzip'd when the client takes it, unless they
 * say to be gzip'd already. `body` is emptied and freed by the answer. */
void http_answer(struct http_request *rq, unsigned status, const char *content_type, struct buf *body);
void http_answer_json(struct http_request *rq, unsigned status, struct buf *body);

/* An embedded file: gzip'd, immutable under its name or checked by ETag. */
struct http_file {
	const char *content_type;
	const char *etag; /* without quotes */
	struct slice gz;
	bool immutable;
};
void http_answer_file(struct http_request *rq, const struct http_file *file);

/* {"detail", "code", "field"?, "limit"?}; field may be NULL, limit < 0 = none. */
void http_answer_error(struct http_request *rq, unsigned status, const char *code, const char *field, int64_t limit,
		       const char *fmt, ...) printf_like(6, 7);

/* Whether the client has closed its connection: nobody reads the answer. From
 * any thread, until the request is answered. */
bool http_is_gone(const struct http_request *rq);

/* Between these two the request belongs to whoever will resume it. */
void http_suspend(struct http_request *rq);
void http_resume(struct http_request *rq);

/* ---- WebSocket: a broadcast channel ---------------------------------- */

struct http_channel;

struct http_channel_options {
	unsigned n_clients; /* further ones get 503 */
	size_t queue_max;   /* bytes waiting for one client; beyond it, it is cut */
	unsigned ping_s;    /* a client silent for twice this is cut */
};

struct http_channel_stats {
	uint64_t n_clients; /* now, handshakes under way included */
	uint64_t n_cut;	    /* slow or silent */
	uint64_t n_messages;
};

/* One thread of its own. */
int http_channel_start(const struct http_channel_options *options, struct http_channel **ret,
		       struct error *err) must_check;
/* Closes all clients and takes no more; its thread has ended. */
void http_channel_stop(struct http_channel *c);
/* After http_server_stop(): until then, requests may know it. NULL is fine. */
void http_channel_free(struct http_channel *c);
/* What each client gets first from now on; from any thread. */
void http_channel_greet(struct http_channel *c, const char *text);
/* For a handler of a GET route: upgrades the connection. */
void http_channel_join(struct http_channel *c, struct http_request *rq);
/* To all clients, from any thread. */
void http_channel_send(struct http_channel *c, const char *text);
void http_channel_stats(struct http_channel *c, struct http_channel_stats *ret);
