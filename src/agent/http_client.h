/* SPDX-License-Identifier: Apache-2.0 */
/* http_client.h: requests over HTTP/1.1 with keep-alive, without blocking.
 *
 *   idle -> connecting -> sending -> receiving -> idle
 *                 any failure or timeout -> closed, -errno
 *
 * One request at a time. http_client_step() never waits; only the first
 * look-up of a host name may (addresses are kept until connecting fails).
 * The answer's head may have 16 KiB, its body 1 MiB, of which the start is
 * kept, or all that a buffer takes. Source: RFC 9112. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define HTTP_REPLY_TEXT 256

struct http_client;

struct http_reply {
	int status;
	char text[HTTP_REPLY_TEXT]; /* start of the body */
	uint32_t retry_after_s;	    /* 0 = not given */
};

/* "http://HOST[:PORT]", HOST a name, an IPv4 address or [IPv6]. -EINVAL with
 * what is wrong. */
int http_client_new(const char *url, unsigned timeout_ms, struct http_client **ret, struct error *err) must_check;
void http_client_free(struct http_client **c); /* for _cleanup_ */

/* What describes a body: its type, and further lines that end in "\r\n", or "". */
struct http_content {
	const char *type, *headers;
	struct slice bytes;
};

/* Starts a request ("GET": an empty body); body->bytes and `target`
 * ("/path?query") stay valid until it has ended. The answer's whole body is
 * added to `ret_body` unless that is NULL, and may have ret_body->max bytes. */
int http_client_start(struct http_client *c, const char *method, const char *target, const struct http_content *body,
		      struct buf *ret_body, struct error *err) must_check;

/* fd and poll(2) events to wait for; -1 when there is no request. */
int http_client_fd(const struct http_client *c, short *ret_events);
int http_client_timeout_ms(const struct http_client *c); /* -1 = none */

/* Goes on as far as possible. -EAGAIN: not finished. 0: *ret is the answer,
 * whatever its status. Other: the connection is closed and the request over. */
int http_client_step(struct http_client *c, struct http_reply *ret, struct error *err) must_check;

/* Gives up on a request. */
void http_client_abort(struct http_client *c);
