/* SPDX-License-Identifier: Apache-2.0 */
/* request.h: what http.c and answer.c share; not for others. */
#pragma once

#include "http/http.h"

#include <microhttpd.h>
#include <stdatomic.h>

struct http_server {
	struct MHD_Daemon *daemon;
	struct http_options options;
	bool is_loopback;
	uint16_t port;
	int quiesced_fd; /* the listening socket after http_server_quiesce(), else -1 */
	_Atomic size_t bodies_used, answers_used;
	_Atomic uint64_t n_requests, n_open, n_client_errors, n_server_errors, n_refused_bodies, n_refused_answers,
		n_foreign;
};

/* Gives back the place of a client that never came to be. NULL is fine. */
void http_channel_leave(struct http_channel *ch);

struct http_request {
	struct http_server *server;
	struct MHD_Connection *connection;
	const struct http_route *route; /* NULL: the fallback's */
	const char *path;
	struct buf body;
	void *stream; /* of the route's http_stream, until somebody has taken it */
	bool stream_ended;
	uint64_t n_streamed;
	size_t body_charged, answer_charged;
	int64_t started_ns;
	struct http_channel *place; /* of a handshake under way */
	bool body_too_large, body_refused;
	bool dispatched;
	bool suspended; /* written by the HTTP thread only */

	/* The answer, queued when the handler or http_resume() is through. */
	struct MHD_Response *response;
	unsigned status;
};
