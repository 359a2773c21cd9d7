/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/testserver.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>
#include <sys/socket.h>

/* Reads one request; false: the client closed. */
static bool read_request(struct test_server *s, int fd, bool head_only)
{
	size_t n = 0;
	char *end = NULL;
	s->last_head[0] = 0;
	while (!end) {
		if (n + 1 >= sizeof(s->last_head) || recv(fd, s->last_head + n, 1, 0) != 1)
			return false;
		s->last_head[++n] = 0;
		end = strstr(s->last_head, "\r\n\r\n");
	}
	if (head_only)
		return true;
	const char *length = strstr(s->last_head, "Content-Length: ");
	size_t left = length ? strtoul(length + 16, NULL, 10) : 0, kept = 0;
	while (left > 0) {
		char data[4096];
		ssize_t got = recv(fd, data, left < sizeof(data) ? left : sizeof(data), 0);
		if (got <= 0)
			return false;
		for (ssize_t i = 0; i < got && kept < sizeof(s->last_body) - 1; i++)
			s->last_body[kept++] = data[i];
		left -= (size_t)got;
	}
	s->last_body[kept] = 0;
	s->n_requests++;
	return true;
}

static void send_reply(int fd, const struct test_exchange *e)
{
	size_t size = strlen(e->reply), step = e->split ? 1 : size;
	for (size_t i = 0; i < size; i += step)
		if (send(fd, e->reply + i, step, MSG_NOSIGNAL) < 0)
			return;
}

static void wait_for_close(int fd)
{
	char byte;
	while (recv(fd, &byte, 1, 0) > 0)
		;
}

/* True when the connection can go on. */
static bool serve_one(struct test_server *s, int fd, const struct test_exchange *e)
{
	if (e->close_unread)
		return false;
	if (!read_request(s, fd, e->reply_unread))
		return false;
	if (e->reply)
		send_reply(fd, e);
	if (e->never)
		wait_for_close(fd);
	return !e->close_after && !e->never && !e->reply_unread;
}

static void *serve(void *arg)
{
	struct test_server *s = arg;
	int fd = -1;
	for (size_t i = 0; i < s->n_exchanges; i++) {
		if (fd < 0) {
			fd = accept(s->listener, NULL, NULL);
			s->n_connections++;
		}
		if (!serve_one(s, fd, &s->exchanges[i])) {
			(void)close(fd);
			fd = -1;
		}
	}
	close_fd(&fd);
	return NULL;
}

void test_server_start(struct test_server *s, const struct test_exchange *exchanges, size_t n)
{
	*s = (struct test_server){ .exchanges = exchanges, .n_exchanges = n };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(a);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int failed = s->listener < 0 || bind(s->listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
		     listen(s->listener, 8) < 0 || getsockname(s->listener, (struct sockaddr *)&a, &size) < 0;
	assert(!failed);
	(void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d", ntohs(a.sin_port));
	failed = pthread_create(&s->thread, NULL, serve, s);
	assert(!failed);
}

void test_server_join(struct test_server *s)
{
	(void)pthread_join(s->thread, NULL);
	(void)close(s->listener);
}
