/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/http_client.h"

#include "agent/http_reply.h"
#include "base/clock.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#define MAX_HOST   256
#define MAX_TARGET 4096

enum phase { IDLE, CONNECTING, SENDING, RECEIVING };

struct http_client {
	char host[MAX_HOST], port[8];
	char authority[MAX_HOST + 16]; /* of the Host header */
	unsigned timeout_ms;
	struct addrinfo *addresses, *next_address; /* next: to be tried */

	enum phase phase;
	int fd;
	bool is_reused;	     /* the connection has served a request before */
	bool answered_early; /* and cannot be used again */
	int64_t deadline_ns;
	struct buf head;
	struct slice body;
	size_t n_sent; /* of head and body */
	struct reply_parser reply;
};

static int parse_port(const char *text, char ret[static 8])
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || (*end != 0 && strcmp(end, "/") != 0) || port == 0 || port > 65535)
		return -EINVAL;
	(void)snprintf(ret, 8, "%lu", port);
	return 0;
}

static int parse_url(struct http_client *c, const char *url, struct error *err)
{
	static const char scheme[] = "http://";
	if (strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return error_set(err, -EINVAL, "\"%s\" is not an http:// address", url);
	const char *host = url + sizeof(scheme) - 1, *host_end;
	bool is_v6 = host[0] == '[';
	host_end = is_v6 ? strchr(++host, ']') : host + strcspn(host, ":/");
	if (!host_end || host_end == host || host_end - host >= MAX_HOST)
		return error_set(err, -EINVAL, "\"%s\" names no host", url);
	memcpy(c->host, host, (size_t)(host_end - host));
	const char *rest = host_end + is_v6;
	(void)snprintf(c->port, sizeof(c->port), "80");
	if (*rest == ':') {
		if (parse_port(rest + 1, c->port) < 0)
			return error_set(err, -EINVAL, "\"%s\": a port is a number from 1 to 65535", url);
	} else if (*rest != 0 && strcmp(rest, "/") != 0) {
		return error_set(err, -EINVAL, "\"%s\": nothing may follow the host and port", url);
	}
	for (const char *h = c->host; *h; h++)
		if (!isgraph((unsigned char)*h))
			return error_set(err, -EINVAL, "\"%s\" names no host", url);
	(void)snprintf(c->authority, sizeof(c->authority), is_v6 ? "[%s]:%s" : "%s:%s", c->host, c->port);
	return 0;
}

int http_client_new(const char *url, unsigned timeout_ms, struct http_client **ret, struct error *err)
{
	_cleanup_(http_client_free)
	struct http_client *c = calloc(1, sizeof(*c));
	if (!c)
		return error_set(err, -ENOMEM, "no memory");
	c->fd = -1;
	c->timeout_ms = timeout_ms;
	c->head = buf_of(MAX_TARGET + 1024);
	int r = parse_url(c, url, err);
	if (r < 0)
		return r;
	*ret = take_ptr(c);
	return 0;
}

static void close_connection(struct http_client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	c->fd = -1;
	c->phase = IDLE;
}

void http_client_abort(struct http_client *c)
{
	close_connection(c);
}

void http_client_free(struct http_client **c)
{
	if (!*c)
		return;
	close_connection(*c);
	if ((*c)->addresses)
		freeaddrinfo((*c)->addresses);
	buf_done(&(*c)->head);
	free(*c);
	*c = NULL;
}

static int resolve(struct http_client *c, struct error *err)
{
	if (c->next_address)
		return 0;
	if (c->addresses)
		freeaddrinfo(take_ptr(c->addresses));
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
	/* Without an address of its family configured, loopback is still there. */
	int r = getaddrinfo(c->host, c->port, &hints, &c->addresses);
	if (r == EAI_ADDRFAMILY || r == EAI_NONAME) {
		hints.ai_flags = AI_NUMERICSERV;
		r = getaddrinfo(c->host, c->port, &hints, &c->addresses);
	}
	if (r != 0) {
		c->addresses = NULL;
		return error_set(err, -EHOSTUNREACH, "%s: %s", c->host, gai_strerror(r));
	}
	c->next_address = c->addresses;
	return 0;
}

/* Begins to connect to the next address of the host. */
static int begin_connect(struct http_client *c, struct error *err)
{
	int r = resolve(c, err);
	if (r < 0)
		return r;
	const struct addrinfo *a = c->next_address;
	c->next_address = a->ai_next;
	c->is_reused = false;
	c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	if (c->fd < 0)
		return error_set(err, -errno, "socket: %s", strerror(errno));
	int one = 1;
	/* Without it the last segment may wait; nothing worse. */
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, a->ai_addr, a->ai_addrlen) < 0 && errno != EINPROGRESS) {
		r = error_set(err, -errno, "connecting to %s: %s", c->authority, strerror(errno));
		close_connection(c);
		return r;
	}
	c->phase = CONNECTING;
	return 0;
}

int http_client_start(struct http_client *c, const char *method, const char *target, const struct http_content *body,
		      struct buf *ret_body, struct error *err)
{
	c->head.n = 0;
	buf_printf(&c->head,
		   "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: wick/" WICK_VERSION
		   "\r\nContent-Type: %s\r\n%sContent-Length: %zu\r\n\r\n",
		   method, target, c->authority, body->type, body->headers, body->bytes.size);
	if (c->head.failed) {
		c->head.failed = false;
		return error_set(err, -E2BIG, "the request's target is too long");
	}
	c->body = body->bytes;
	c->n_sent = 0;
	c->answered_early = false;
	c->deadline_ns = clock_mono_ns() + (int64_t)c->timeout_ms * 1000000;
	reply_init(&c->reply, ret_body);
	if (c->fd >= 0) {
		c->is_reused = true;
		c->phase = SENDING;
		return 0;
	}
	return begin_connect(c, err);
}

int http_client_fd(const struct http_client *c, short *ret_events)
{
	*ret_events = c->phase == RECEIVING ? POLLIN : c->phase == SENDING ? POLLIN | POLLOUT : POLLOUT;
	return c->phase == IDLE ? -1 : c->fd;
}

int http_client_timeout_ms(const struct http_client *c)
{
	if (c->phase == IDLE)
		return -1;
	int64_t left = c->deadline_ns - clock_mono_ns();
	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

static int finish_connect(struct http_client *c, struct error *err)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT };
	if (poll(&p, 1, 0) == 0)
		return -EAGAIN;
	int e = 0;
	socklen_t size = sizeof(e);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &size) < 0)
		e = errno;
	if (e == 0) {
		c->next_address = c->addresses; /* it works: the first choice next time */
		c->phase = SENDING;
		return 0;
	}
	close_connection(c);
	int r = error_set(err, -e, "connecting to %s: %s", c->authority, strerror(e));
	return c->next_address ? begin_connect(c, err) : r;
}

/* A server that refuses a body may answer before it has read it all. */
static int send_failed(struct http_client *c, int e)
{
	uint8_t byte;
	bool is_closing = e == EPIPE || e == ECONNRESET;
	if (e == EINTR)
		return -EAGAIN;
	if (!is_closing && e != EAGAIN)
		return -e;
	if (recv(c->fd, &byte, 1, MSG_PEEK) <= 0)
		return -e;
	c->answered_early = true;
	c->phase = RECEIVING;
	return 0;
}

static int send_more(struct http_client *c)
{
	while (c->n_sent < c->head.n + c->body.size) {
		bool in_head = c->n_sent < c->head.n;
		const uint8_t *data = in_head ? c->head.data + c->n_sent : c->body.data + (c->n_sent - c->head.n);
		size_t n = in_head ? c->head.n - c->n_sent : c->head.n + c->body.size - c->n_sent;
		ssize_t sent = send(c->fd, data, n, MSG_NOSIGNAL | (in_head && c->body.size ? MSG_MORE : 0));
		if (sent < 0)
			return send_failed(c, errno);
		c->n_sent += (size_t)sent;
	}
	c->phase = RECEIVING;
	return 0;
}

static int receive_more(struct http_client *c)
{
	uint8_t data[4096];
	while (c->reply.state != REPLY_DONE) {
		ssize_t n = recv(c->fd, data, sizeof(data), 0);
		if (n < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		int r = n == 0 ? reply_closed(&c->reply) : reply_feed(&c->reply, slice_of(data, (size_t)n));
		if (r < 0)
			return r;
	}
	return 0;
}

static int advance(struct http_client *c, struct error *err)
{
	int r = 0;
	while (r == 0) {
		switch (c->phase) {
		case CONNECTING:
			r = finish_connect(c, err);
			break;
		case SENDING:
			r = send_more(c);
			break;
		case RECEIVING:
			r = receive_more(c);
			if (r == 0)
				return 0;
			break;
		case IDLE:
			return error_set(err, -EINVAL, "no request");
		}
	}
	return r;
}

int http_client_step(struct http_client *c, struct http_reply *ret, struct error *err)
{
	bool was_connecting = c->phase == CONNECTING;
	int r = advance(c, err);
	if (r == 0) {
		*ret = c->reply.reply;
		c->phase = IDLE;
		if (!c->reply.keep_alive || c->answered_early)
			close_connection(c);
		return 0;
	}
	if (r == -EAGAIN && http_client_timeout_ms(c) > 0)
		return -EAGAIN;
	/* A server may close an idle connection at any time: the request was not
	 * looked at, so it is sent again on a new one. */
	bool was_stale = c->is_reused && r != -EAGAIN && c->reply.n_head == 0 && c->reply.reply.status == 0;
	close_connection(c);
	if (was_stale) {
		c->n_sent = 0;
		r = begin_connect(c, err);
		return r < 0 ? r : -EAGAIN;
	}
	if (r == -EAGAIN)
		return error_set(err, -ETIMEDOUT, "%s did not answer within %u ms", c->authority, c->timeout_ms);
	/* finish_connect() has said it. */
	return was_connecting && c->n_sent == 0 ? r : error_set(err, r, "%s: %s", c->authority, strerror(-r));
}
