/* SPDX-License-Identifier: Apache-2.0 */
/* server_client.h: what the command line asks of a wick-server. */
#pragma once

#include "agent/http_client.h"

#define SERVER_URL_DEFAULT "http://127.0.0.1:4040"

/* The server of --server, else $WICK_SERVER, else this machine's. */
int server_client_new(const char *url, struct http_client **ret, struct error *err) must_check;

/* Sends a request and waits for its answer: 0 and its HTTP status, with the
 * whole body in *ret_body (emptied first). Otherwise no answer came. */
int server_ask(struct http_client *c, const char *method, const char *target, struct slice body, struct buf *ret_body,
	       int *ret_status, struct error *err) must_check;

/* The "detail" of an error's body, "HTTP 503" where it has none. */
void server_detail(int status, struct slice body, struct error *ret);
