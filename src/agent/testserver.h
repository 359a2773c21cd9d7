/* SPDX-License-Identifier: Apache-2.0 */
/* testserver.h: a server for tests that does, connection by connection, what
 * a script says, in a thread of its own. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct test_exchange {
	const char *reply; /* sent once the request was read; NULL = none */
	bool split;	   /* byte by byte */
	bool close_after;  /* the connection */
	bool close_unread; /* at once, without reading */
	bool reply_unread; /* reply after the head, without reading the body; then close */
	bool never;	   /* read, then stay silent until the client closes */
};

struct test_server {
	int listener;
	char url[64];
	pthread_t thread;
	const struct test_exchange *exchanges; /* in this order */
	size_t n_exchanges;
	size_t n_requests; /* read whole */
	size_t n_connections;
	char last_head[8192];
	char last_body[8192];
};

void test_server_start(struct test_server *s, const struct test_exchange *exchanges, size_t n);
/* Waits until the script has ended. */
void test_server_join(struct test_server *s);
