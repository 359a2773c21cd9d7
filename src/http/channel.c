/* SPDX-License-Identifier: Apache-2.0 */
/* channel.c: WebSocket broadcast (RFC 6455), framing by wslay.
 *
 *   any thread: join, send ──▶ inbox (lock) ──▶ eventfd ──▶ one thread: epoll over all clients
 *
 * The lock protects the inbox and the counters only. A client belongs to the
 * thread; what it has not read yet waits in wslay's queue, whose size is
 * looked at after each message. */
#include "http/http.h"

#include "base/clock.h"
#include "http/request.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#define MESSAGES_WAITING   64
#define CLIENT_MESSAGE_MAX 4096

struct client {
	struct client *next;
	struct http_channel *channel;
	struct MHD_UpgradeResponseHandle *handle;
	int fd;
	wslay_event_context_ptr ws;
	char *greeting;
	uint8_t *early; /* bytes that came with the handshake */
	size_t early_n, early_off;
	int64_t heard_ns;
	bool dead;
	bool wants_write;
};

struct http_channel {
	struct http_channel_options options;
	pthread_t thread;
	int epoll, event;
	struct client *clients; /* the thread's */

	pthread_mutex_t lock;
	struct client *joined; /* inbox */
	char *messages[MESSAGES_WAITING];
	unsigned n_messages;
	char *greeting; /* NULL: none */
	bool stop;
	struct http_channel_stats stats;
};

/* ---- wslay's callbacks ------------------------------------------------ */

static ssize_t on_recv(wslay_event_context_ptr ws, uint8_t *data, size_t size, int flags, void *arg)
{
	struct client *c = arg;
	(void)flags;
	if (c->early_off < c->early_n) {
		size_t n = c->early_n - c->early_off < size ? c->early_n - c->early_off : size;
		memcpy(data, c->early + c->early_off, n);
		c->early_off += n;
		return (ssize_t)n;
	}
	ssize_t n;
	do
		n = recv(c->fd, data, size, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n > 0) {
		c->heard_ns = clock_mono_ns();
		return n;
	}
	bool again = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
	if (!again)
		c->dead = true;
	wslay_event_set_error(ws, again ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

static ssize_t on_send(wslay_event_context_ptr ws, const uint8_t *data, size_t size, int flags, void *arg)
{
	struct client *c = arg;
	int more = flags & WSLAY_MSG_MORE ? MSG_MORE : 0;
	ssize_t n;
	do
		n = send(c->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT | more);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	bool again = errno == EAGAIN || errno == EWOULDBLOCK;
	if (!again)
		c->dead = true;
	wslay_event_set_error(ws, again ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
	return -1;
}

/* ---- one client, on the channel's thread ------------------------------- */

static void client_free(struct client *c)
{
	if (c->ws)
		wslay_event_context_free(c->ws);
	if (c->handle)
		(void)MHD_upgrade_action(c->handle, MHD_UPGRADE_ACTION_CLOSE);
	free(c->greeting);
	free(c->early);
	free(c);
}

static void client_flush(struct client *c)
{
	if (!c->dead && wslay_event_want_write(c->ws) && wslay_event_send(c->ws) != 0)
		c->dead = true;
	if (wslay_event_get_close_sent(c->ws) && wslay_event_get_close_received(c->ws))
		c->dead = true;
	bool wants_write = !c->dead && wslay_event_want_write(c->ws);
	if (wants_write == c->wants_write || c->dead)
		return;
	struct epoll_event event = { .events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = c };
	c->dead = epoll_ctl(c->channel->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0;
	c->wants_write = wants_write;
}

static void client_queue(struct client *c, uint8_t opcode, const char *text)
{
	struct wslay_event_msg message = { opcode, (const uint8_t *)text, strlen(text) };
	if (c->dead)
		return;
	if (wslay_event_queue_msg(c->ws, &message) != 0 ||
	    wslay_event_get_queued_msg_length(c->ws) > c->channel->options.queue_max) {
		c->dead = true;
		return;
	}
	client_flush(c);
}

static void client_begin(struct client *c)
{
	static const struct wslay_event_callbacks callbacks = { .recv_callback = on_recv, .send_callback = on_send };
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };
	int flags = fcntl(c->fd, F_GETFL);
	c->heard_ns = clock_mono_ns();
	if (flags < 0 || fcntl(c->fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    wslay_event_context_server_init(&c->ws, &callbacks, c) != 0 ||
	    epoll_ctl(c->channel->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0) {
		c->dead = true;
		return;
	}
	wslay_event_config_set_max_recv_msg_length(c->ws, CLIENT_MESSAGE_MAX);
	if (c->greeting)
		client_queue(c, WSLAY_TEXT_FRAME, c->greeting);
	if (c->early_n && !c->dead && wslay_event_recv(c->ws) != 0)
		c->dead = true;
}

static void client_event(struct client *c, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && wslay_event_recv(c->ws) != 0)
		c->dead = true;
	client_flush(c);
}

/* ---- the thread -------------------------------------------------------- */

/* Removes dead clients, pings the others when it is time. */
static void sweep(struct http_channel *ch, bool ping)
{
	int64_t silent = clock_mono_ns() - 2 * (int64_t)ch->options.ping_s * 1000000000;
	uint64_t n_gone = 0, n_cut = 0;
	for (struct client **at = &ch->clients; *at;) {
		struct client *c = *at;
		if (ping && c->heard_ns < silent)
			c->dead = true;
		if (ping)
			client_queue(c, WSLAY_PING, "");
		if (!c->dead) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		(void)epoll_ctl(ch->epoll, EPOLL_CTL_DEL, c->fd, NULL);
		n_gone++;
		n_cut += !c->ws || !wslay_event_get_close_received(c->ws);
		client_free(c);
	}
	(void)pthread_mutex_lock(&ch->lock);
	ch->stats.n_clients -= n_gone;
	ch->stats.n_cut += n_cut;
	(void)pthread_mutex_unlock(&ch->lock);
}

/* Takes what other threads left; false when it is time to end. */
static bool take_inbox(struct http_channel *ch)
{
	char *messages[MESSAGES_WAITING];
	(void)pthread_mutex_lock(&ch->lock);
	struct client *joined = ch->joined;
	unsigned n = ch->n_messages;
	bool stop = ch->stop;
	memcpy(messages, ch->messages, n * sizeof(*messages));
	ch->joined = NULL;
	ch->n_messages = 0;
	(void)pthread_mutex_unlock(&ch->lock);
	while (joined) {
		struct client *c = joined;
		joined = c->next;
		c->next = ch->clients;
		ch->clients = c;
		client_begin(c);
	}
	for (unsigned i = 0; i < n; i++) {
		for (struct client *c = ch->clients; c; c = c->next)
			client_queue(c, WSLAY_TEXT_FRAME, messages[i]);
		free(messages[i]);
	}
	return !stop;
}

static void *channel_thread(void *arg)
{
	struct http_channel *ch = arg;
	int64_t ping_ns = (int64_t)ch->options.ping_s * 1000000000;
	int64_t next_ping = clock_mono_ns() + ping_ns;
	bool running = true;
	while (running) {
		struct epoll_event events[32];
		int64_t wait_ms = (next_ping - clock_mono_ns()) / 1000000;
		int n = epoll_wait(ch->epoll, events, ARRAY_SIZE(events), wait_ms < 0 ? 0 : (int)wait_ms + 1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr) {
				client_event(events[i].data.ptr, events[i].events);
				continue;
			}
			uint64_t count;
			(void)!read(ch->event, &count, sizeof(count));
			running = take_inbox(ch);
		}
		bool ping = clock_mono_ns() >= next_ping;
		if (ping)
			next_ping = clock_mono_ns() + ping_ns;
		sweep(ch, ping);
	}
	for (struct client *c = ch->clients; c; c = c->next)
		c->dead = true;
	sweep(ch, false);
	return NULL;
}

static void wake(struct http_channel *ch)
{
	uint64_t one = 1;
	/* Full means that a wake-up is pending already. */
	(void)!write(ch->event, &one, sizeof(one));
}

int http_channel_start(const struct http_channel_options *options, struct http_channel **ret, struct error *err)
{
	struct http_channel *ch = calloc(1, sizeof(*ch));
	if (!ch)
		return error_set(err, -ENOMEM, "out of memory");
	ch->options = *options;
	ch->epoll = epoll_create1(EPOLL_CLOEXEC);
	ch->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct epoll_event event = { .events = EPOLLIN };
	int r = 0;
	if (ch->epoll < 0 || ch->event < 0 || epoll_ctl(ch->epoll, EPOLL_CTL_ADD, ch->event, &event) < 0)
		r = -errno;
	if (r == 0)
		r = -pthread_mutex_init(&ch->lock, NULL);
	if (r == 0)
		r = -pthread_create(&ch->thread, NULL, channel_thread, ch);
	if (r < 0) {
		close_fd(&ch->epoll);
		close_fd(&ch->event);
		free(ch);
		return error_set(err, r, "cannot start the live channel: %s", strerror(-r));
	}
	*ret = ch;
	return 0;
}

void http_channel_stop(struct http_channel *ch)
{
	(void)pthread_mutex_lock(&ch->lock);
	bool first = !ch->stop;
	ch->stop = true;
	(void)pthread_mutex_unlock(&ch->lock);
	if (!first)
		return;
	wake(ch);
	(void)pthread_join(ch->thread, NULL);
	/* Nothing is added any more. */
	while (ch->joined) {
		struct client *c = ch->joined;
		ch->joined = c->next;
		client_free(c);
		http_channel_leave(ch);
	}
}

void http_channel_free(struct http_channel *ch)
{
	if (!ch)
		return;
	http_channel_stop(ch);
	for (unsigned i = 0; i < ch->n_messages; i++)
		free(ch->messages[i]);
	free(ch->greeting);
	(void)close(ch->epoll);
	(void)close(ch->event);
	(void)pthread_mutex_destroy(&ch->lock);
	free(ch);
}

void http_channel_greet(struct http_channel *ch, const char *text)
{
	char *copy = strdup(text);
	if (!copy)
		return;
	(void)pthread_mutex_lock(&ch->lock);
	char *old = ch->greeting;
	ch->greeting = copy;
	(void)pthread_mutex_unlock(&ch->lock);
	free(old);
}

void http_channel_send(struct http_channel *ch, const char *text)
{
	char *copy = strdup(text);
	if (!copy)
		return;
	(void)pthread_mutex_lock(&ch->lock);
	bool full = ch->n_messages == MESSAGES_WAITING || ch->stop;
	if (!full) {
		ch->messages[ch->n_messages++] = copy;
		ch->stats.n_messages++;
	}
	(void)pthread_mutex_unlock(&ch->lock);
	if (full)
		free(copy); /* clients tell by the sequence number that they missed something */
	else
		wake(ch);
}

void http_channel_stats(struct http_channel *ch, struct http_channel_stats *ret)
{
	(void)pthread_mutex_lock(&ch->lock);
	*ret = ch->stats;
	(void)pthread_mutex_unlock(&ch->lock);
}

/* ---- the handshake, on an HTTP thread ---------------------------------- */

static void on_upgraded(void *cls, struct MHD_Connection *connection, void *con_cls, const char *extra,
			size_t extra_size, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
	struct http_channel *ch = cls;
	struct http_request *rq = con_cls;
	struct client *c = calloc(1, sizeof(*c));
	(void)connection;
	if (!c) {
		(void)MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
		return;
	}
	rq->place = NULL; /* the client's from here on */
	*c = (struct client){ .channel = ch, .fd = fd, .handle = handle };
	if (extra_size) {
		c->early = malloc(extra_size);
		if (c->early) {
			memcpy(c->early, extra, extra_size);
			c->early_n = extra_size;
		}
	}
	(void)pthread_mutex_lock(&ch->lock);
	bool stop = ch->stop;
	if (!stop) {
		c->greeting = ch->greeting ? strdup(ch->greeting) : NULL;
		c->next = ch->joined;
		ch->joined = c;
	}
	(void)pthread_mutex_unlock(&ch->lock);
	if (stop) {
		client_free(c);
		http_channel_leave(ch);
		return;
	}
	wake(ch);
}

/* Sec-WebSocket-Accept: base64(SHA-1(key + GUID)), RFC 6455 §4.2.2. */
static int accept_key(const char *key, char *ret, size_t size)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[128];
	uint8_t digest[20];
	int n = snprintf(text, sizeof(text), "%s%s", key, guid);
	if (n < 0 || (size_t)n >= sizeof(text))
		return -EINVAL;
	if (gnutls_hash_fast(GNUTLS_DIG_SHA1, text, (size_t)n, digest) < 0)
		return -EIO;
	gnutls_datum_t in = { digest, sizeof(digest) }, out;
	if (gnutls_base64_encode2(&in, &out) < 0)
		return -EIO;
	(void)snprintf(ret, size, "%.*s", (int)out.size, (const char *)out.data);
	gnutls_free(out.data);
	return 0;
}

/* Reserves a place; given back when the client goes, or with the request when
 * its handshake breaks off. */
static bool take_place(struct http_channel *ch)
{
	(void)pthread_mutex_lock(&ch->lock);
	bool free_place = ch->stats.n_clients < ch->options.n_clients && !ch->stop;
	if (free_place)
		ch->stats.n_clients++;
	(void)pthread_mutex_unlock(&ch->lock);
	return free_place;
}

void http_channel_leave(struct http_channel *ch)
{
	if (!ch)
		return;
	(void)pthread_mutex_lock(&ch->lock);
	ch->stats.n_clients--;
	(void)pthread_mutex_unlock(&ch->lock);
}

void http_channel_join(struct http_channel *ch, struct http_request *rq)
{
	const char *upgrade = http_header(rq, "Upgrade"), *key = http_header(rq, "Sec-WebSocket-Key");
	const char *version = http_header(rq, "Sec-WebSocket-Version");
	char accept[64];
	if (!upgrade || strcasecmp(upgrade, "websocket") != 0 || !key || !version || strcmp(version, "13") != 0 ||
	    accept_key(key, accept, sizeof(accept)) < 0) {
		http_answer_error(rq, 400, "bad_request", "Upgrade", -1,
				  "this address speaks WebSocket (RFC 6455, version 13) only");
		return;
	}
	if (!take_place(ch)) {
		http_answer_error(rq, 503, "too_many_requests", NULL, ch->options.n_clients,
				  "%u live connections are open, which is the limit", ch->options.n_clients);
		return;
	}
	rq->place = ch;
	/* The client is made when the connection is ours. */
	struct MHD_Response *response = MHD_create_response_for_upgrade(on_upgraded, ch);
	if (!response) {
		http_answer_error(rq, 503, "internal", NULL, -1, "out of memory");
		return;
	}
	(void)MHD_add_response_header(response, "Upgrade", "websocket");
	(void)MHD_add_response_header(response, "Sec-WebSocket-Accept", accept);
	rq->status = MHD_HTTP_SWITCHING_PROTOCOLS;
	rq->response = response;
}
