/* SPDX-License-Identifier: Apache-2.0 */
/* http_reply.h: parses the answer of an HTTP/1.1 server as it arrives.
 *
 *   status line, headers | body by Content-Length, chunks, or until close
 *
 * Pure: bytes in, state out. Interim answers (1xx) are skipped. */
#pragma once

#include "agent/http_client.h"

#define HTTP_HEAD_MAX 16384
#define HTTP_BODY_MAX ((uint64_t)1 << 20)

enum reply_state {
	REPLY_HEAD,
	REPLY_BODY_SIZED,
	REPLY_BODY_OPEN, /* until the connection closes */
	REPLY_CHUNK_SIZE,
	REPLY_CHUNK_DATA,
	REPLY_CHUNK_END,
	REPLY_TRAILER,
	REPLY_DONE,
};

struct reply_parser {
	enum reply_state state;
	bool keep_alive;
	uint64_t left;	    /* of the body or chunk */
	uint64_t body_size; /* so far */
	uint32_t n_line, n_head;
	bool first_line_done, chunked, has_length;
	uint32_t n_text;
	struct http_reply reply;
	struct buf *body; /* all of it goes here; NULL: only the start is kept */
	char line[1024];  /* longer header lines are cut: none of ours is */
};

void reply_init(struct reply_parser *p, struct buf *body);

/* Takes `data`, all of it unless state becomes REPLY_DONE. -EBADMSG not HTTP,
 * -E2BIG over a limit. */
int reply_feed(struct reply_parser *p, struct slice data) must_check;

/* The connection was closed: 0 when that ends the answer, else -ECONNRESET. */
int reply_closed(struct reply_parser *p) must_check;
