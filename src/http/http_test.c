/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/clock.h"
#include "http/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>

#define BODY_MAX 1000

#define STREAM_MAX 5000

struct fixture {
	struct http_server *server;
	struct http_channel *channel;
	struct http_request *waiting;
	pthread_t resumer;
	_Atomic unsigned n_taken, n_dropped; /* bytes, streams */
	_Atomic bool is_waiting;
	_Atomic unsigned n_gone;
};

static void echo(struct http_request *rq, void *ctx)
{
	(void)ctx;
	struct buf body = buf_of(1 << 20);
	const char *values[4];
	unsigned n = http_params(rq, "v", values, ARRAY_SIZE(values));
	buf_printf(&body, "%u values, %zu bytes", n, http_body(rq).size);
	if (http_param(rq, "long"))
		for (int i = 0; i < 1000; i++)
			buf_add_str(&body, " again");
	http_answer(rq, 200, "text/plain", &body);
}

static void *resume(void *arg)
{
	struct fixture *f = arg;
	struct buf body = buf_of(100);
	buf_add_str(&body, "later");
	http_answer(f->waiting, 200, "text/plain", &body);
	http_resume(f->waiting);
	return NULL;
}

static void later(struct http_request *rq, void *ctx)
{
	struct fixture *f = ctx;
	http_suspend(rq);
	f->waiting = rq;
	assert_int_equal(pthread_create(&f->resumer, NULL, resume, f), 0);
}

/* Answers once nobody is there to read it. */
static void gone(struct http_request *rq, void *ctx)
{
	struct fixture *f = ctx;
	f->is_waiting = true;
	while (!http_is_gone(rq))
		(void)sched_yield();
	f->n_gone++;
	http_answer_error(rq, 503, "unavailable", NULL, -1, "gone");
}

static void live(struct http_request *rq, void *ctx)
{
	struct fixture *f = ctx;
	http_channel_join(f->channel, rq);
}

static void *count_open(struct http_request *rq, void *ctx)
{
	if (strcmp(http_path_tail(rq), "closed") != 0)
		return ctx;
	http_answer_error(rq, 503, "busy", NULL, -1, "not now");
	return NULL;
}

static bool count_take(void *stream, const void *data, size_t size)
{
	struct fixture *f = stream;
	f->n_taken += (unsigned)size;
	return f->n_taken < 3000;
}

static void count_drop(void *stream)
{
	struct fixture *f = stream;
	f->n_dropped++;
}

static void counted(struct http_request *rq, void *ctx)
{
	struct fixture *f = http_take_stream(rq);
	struct buf body = buf_of(100);
	buf_printf(&body, "%s: %u", http_path_tail(rq), f->n_taken);
	http_answer(rq, 200, "text/plain", &body);
}

static const struct http_stream count = { count_open, count_take, count_drop, 60 };

static const struct http_route routes[] = {
	{ "POST", "/echo", echo, BODY_MAX, NULL }, { "GET", "/echo", echo, 0, NULL },
	{ "GET", "/later", later, 0, NULL },	   { "GET", "/gone", gone, 0, NULL },
	{ "GET", "/live", live, 0, NULL },	   { "PUT", "/count/", counted, STREAM_MAX, &count },
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error err = { "" };
	const struct http_channel_options channel = { .n_clients = 2, .queue_max = 4096, .ping_s = 60 };
	const struct http_options options = {
		.address = "127.0.0.1",
		.n_threads = 2,
		.n_connections = 50,
		.idle_timeout_s = 10,
		.bodies_max = 1500,
		.routes = routes,
		.n_routes = ARRAY_SIZE(routes),
		.ctx = f,
	};
	assert_int_equal(http_channel_start(&channel, &f->channel, &err), 0);
	http_channel_greet(f->channel, "hello");
	assert_int_equal(http_server_start(&options, &f->server, &err), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	http_channel_stop(f->channel);
	http_server_stop(f->server);
	http_channel_free(f->channel);
	free(f);
	return 0;
}

static int dial(const struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(http_server_port(f->server)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void put(int fd, const void *data, size_t size)
{
	assert_int_equal(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Reads until `want` is there or the peer closes. */
static size_t take(int fd, char *out, size_t size, const char *want)
{
	size_t n = 0;
	out[0] = 0;
	while (n < size - 1 && !(want && memmem(out, n, want, strlen(want)))) {
		ssize_t k = recv(fd, out + n, size - 1 - n, 0);
		if (k <= 0)
			break;
		n += (size_t)k;
		out[n] = 0;
	}
	return n;
}

/* One request on one connection; the whole answer. */
static const char *ask(const struct fixture *f, const char *request)
{
	static char answer[65536];
	int fd = dial(f);
	put(fd, request, strlen(request));
	(void)shutdown(fd, SHUT_WR);
	(void)take(fd, answer, sizeof(answer), NULL);
	(void)close(fd);
	return answer;
}

static void expect(const struct fixture *f, const char *request, const char *status, const char *text)
{
	const char *answer = ask(f, request);
	if (strncmp(answer + strlen("HTTP/1.1 "), status, strlen(status)) != 0 || !strstr(answer, text))
		fail_msg("%s\nanswered\n%s\nwanted %s %s", request, answer, status, text);
}

#define H "Host: localhost\r\nConnection: close\r\n"

static void requests_are_served_or_refused_with_a_reason(void **state)
{
	const struct fixture *f = *state;
	expect(f, "GET /echo?v=1&v=2&x=3 HTTP/1.1\r\n" H "\r\n", "200", "2 values, 0 bytes");
	expect(f, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabcde", "200", "0 values, 5 bytes");
	expect(f, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "200",
	       "0 values, 3 bytes");
	expect(f, "GET /later HTTP/1.1\r\n" H "\r\n", "200", "later");
	assert_int_equal(pthread_join(f->resumer, NULL), 0);
	expect(f, "GET /absent HTTP/1.1\r\n" H "\r\n", "404", "not_found");
	expect(f, "DELETE /echo HTTP/1.1\r\n" H "\r\n", "405", "does not take DELETE");
	expect(f, "POST /echo HTTP/1.1\r\n" H "Content-Length: 1001\r\n\r\n", "413", "\"limit\":1000");
	expect(f, "POST /echo HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", "4", "");
	expect(f, "GET /echo?v=a%00b HTTP/1.1\r\n" H "\r\n", "400", "NUL");
	expect(f, "GET /live HTTP/1.1\r\n" H "\r\n", "400", "WebSocket");
	struct http_stats stats;
	http_server_stats(f->server, &stats);
	assert_true(stats.n_requests >= 9 && stats.n_client_errors >= 5);
}

static void chunked_bodies_have_the_same_limit(void **state)
{
	const struct fixture *f = *state;
	char request[8192];
	int n = snprintf(request, sizeof(request), "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n");
	for (int i = 0; i < 4; i++)
		n += snprintf(request + n, sizeof(request) - (size_t)n, "200\r\n%0512d\r\n", 0);
	(void)snprintf(request + n, sizeof(request) - (size_t)n, "0\r\n\r\n");
	expect(f, request, "413", "\"limit\":1000");
}

/* Loopback asks for no password: a web page must not reach through it. */
static void foreign_pages_are_refused(void **state)
{
	const struct fixture *f = *state;
	expect(f, "GET /echo HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "403", "localhost only");
	expect(f, "GET /echo HTTP/1.1\r\nHost: 127.0.0.1.evil.example:4040\r\nConnection: close\r\n\r\n", "403", "");
	expect(f, "POST /echo HTTP/1.1\r\n" H "Origin: http://evil.example\r\nContent-Length: 0\r\n\r\n", "403",
	       "evil.example");
	expect(f, "POST /echo HTTP/1.1\r\n" H "Origin: null\r\nContent-Length: 0\r\n\r\n", "403", "");
	expect(f, "POST /echo HTTP/1.1\r\n" H "Origin: http://localhost\r\nContent-Length: 0\r\n\r\n", "200", "");
	expect(f, "GET /echo HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nConnection: close\r\n\r\n", "200", "");
	expect(f, "GET /echo HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\n\r\n", "200", "");
}

static void bodies_in_flight_are_bounded(void **state)
{
	const struct fixture *f = *state;
	char answer[4096];
	int slow = dial(f);
	static const char half[] = "POST /echo HTTP/1.1\r\n" H "Content-Length: 900\r\n\r\nx";
	put(slow, half, sizeof(half) - 1);
	struct http_stats stats;
	do
		http_server_stats(f->server, &stats);
	while (stats.bodies_used == 0);
	expect(f, "POST /echo HTTP/1.1\r\n" H "Content-Length: 700\r\n\r\n", "503", "try again");
	char rest[899];
	memset(rest, 'x', sizeof(rest));
	put(slow, rest, sizeof(rest));
	(void)take(slow, answer, sizeof(answer), "900 bytes");
	assert_non_null(strstr(answer, "900 bytes"));
	(void)close(slow);
	do
		http_server_stats(f->server, &stats);
	while (stats.bodies_used);
	assert_int_equal(stats.n_refused_bodies, 1);
}

/* A client that goes on sending what was refused keeps no memory. */
static void refused_bodies_give_their_room_back(void **state)
{
	const struct fixture *f = *state;
	int greedy = dial(f);
	static const char head[] = "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n";
	char chunk[900 + 7];
	memset(chunk, 'x', sizeof(chunk));
	memcpy(chunk, "384\r\n", 5);
	memcpy(chunk + sizeof(chunk) - 2, "\r\n", 2);
	put(greedy, head, sizeof(head) - 1);
	put(greedy, chunk, sizeof(chunk));
	struct http_stats stats;
	do
		http_server_stats(f->server, &stats);
	while (stats.bodies_used == 0);
	put(greedy, chunk, sizeof(chunk));
	do
		http_server_stats(f->server, &stats);
	while (stats.bodies_used);
	char answer[4096];
	put(greedy, "0\r\n\r\n", 5);
	(void)take(greedy, answer, sizeof(answer), "too_large");
	assert_non_null(strstr(answer, "413"));
	(void)close(greedy);
}

static void long_answers_are_compressed_on_request(void **state)
{
	const struct fixture *f = *state;
	expect(f, "GET /echo?long=1 HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\n\r\n", "200", "Content-Encoding: gzip");
	expect(f, "GET /echo?long=1 HTTP/1.1\r\n" H "\r\n", "200", "again again");
	expect(f, "GET /echo HTTP/1.1\r\n" H "Accept-Encoding: gzip\r\n\r\n", "200", "0 values");
}

static int join(const struct fixture *f, char *answer, size_t size, const char *until)
{
	static const char handshake[] = "GET /live HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
					"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
					"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
	int fd = dial(f);
	put(fd, handshake, sizeof(handshake) - 1);
	(void)take(fd, answer, size, until);
	return fd;
}

static void live_clients_get_every_message(void **state)
{
	struct fixture *f = *state;
	char answer[4096];
	int a = join(f, answer, sizeof(answer), "hello");
	/* The example of RFC 6455 §1.3. */
	assert_non_null(strstr(answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	assert_non_null(strstr(answer, "\x81\x05hello"));
	int b = join(f, answer, sizeof(answer), "hello");
	int c = join(f, answer, sizeof(answer), "limit\":2");
	assert_non_null(strstr(answer, "503"));
	(void)close(c);
	http_channel_send(f->channel, "news");
	(void)take(a, answer, sizeof(answer), "news");
	assert_non_null(strstr(answer, "\x81\x04news"));
	(void)take(b, answer, sizeof(answer), "news");
	assert_non_null(strstr(answer, "\x81\x04news"));
	/* A masked ping is answered; rubbish ends the connection, not the server. */
	put(a, "\x89\x82\0\0\0\0hi", 8);
	(void)take(a, answer, sizeof(answer), "hi");
	assert_non_null(strstr(answer, "\x8a\x02hi"));
	put(a, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	(void)take(a, answer, sizeof(answer), NULL);
	(void)close(a);
	(void)close(b);
	struct http_channel_stats stats;
	do
		http_channel_stats(f->channel, &stats);
	while (stats.n_clients);
	assert_int_equal(stats.n_messages, 1);
}

/* Somebody who does not read must not cost memory without end. */
static void slow_clients_are_cut(void **state)
{
	struct fixture *f = *state;
	char answer[4096], text[2048];
	int slow = join(f, answer, sizeof(answer), "hello");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	struct http_channel_stats stats;
	do {
		http_channel_send(f->channel, text);
		http_channel_stats(f->channel, &stats);
	} while (stats.n_cut == 0);
	assert_int_equal(stats.n_clients, 0);
	(void)close(slow);
}

static void taken_ports_say_so(void **state)
{
	const struct fixture *f = *state;
	struct http_options options = { .address = "127.0.0.1", .port = http_server_port(f->server), .n_threads = 1 };
	struct http_server *second;
	struct error err;
	assert_int_equal(http_server_start(&options, &second, &err), -98);
	assert_non_null(strstr(err.text, "--listen"));
	options.address = "localhost";
	assert_int_equal(http_server_start(&options, &second, &err), -22);
	options.address = "192.0.2.1";
	assert_true(http_server_start(&options, &second, &err) < 0);
	assert_non_null(strstr(err.text, "192.0.2.1"));
}

static const char *put_stream(const struct fixture *f, const char *path, unsigned announced, unsigned sent)
{
	char request[STREAM_MAX * 2];
	int n = snprintf(request, sizeof(request),
			 "PUT %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %u\r\nConnection: close\r\n\r\n", path,
			 announced);
	memset(request + n, 'x', sent);
	request[(unsigned)n + sent] = 0;
	return ask(f, request);
}

/* Far more than the 1500 bytes that bodies have in memory. */
static void large_bodies_pass_through(void **state)
{
	struct fixture *f = *state;
	assert_non_null(strstr(put_stream(f, "/count/me", 2900, 2900), "me: 2900"));
	f->n_taken = 0;
	assert_non_null(strstr(put_stream(f, "/count/none", 0, 0), "none: 0"));
	/* Enough was said: the rest is read and dropped. */
	const char *answer = put_stream(f, "/count/more", STREAM_MAX, STREAM_MAX);
	assert_non_null(strstr(answer, "200 OK"));
	assert_true(f->n_taken >= 3000);
	assert_int_equal(f->n_dropped, 0);
}

static void a_client_that_goes_is_noticed(void **state)
{
	struct fixture *f = *state;
	const char request[] = "GET /gone HTTP/1.1\r\n" H "\r\n";
	int fd = dial(f);
	put(fd, request, strlen(request));
	while (!f->is_waiting)
		(void)sched_yield();
	assert_int_equal(f->n_gone, 0);
	(void)close(fd);
	while (!f->n_gone)
		(void)sched_yield();
}

static void streams_that_do_not_come_through(void **state)
{
	struct fixture *f = *state;
	assert_non_null(strstr(put_stream(f, "/count/large", STREAM_MAX + 1, 0), "413"));
	assert_int_equal(f->n_dropped, 0);
	assert_non_null(strstr(put_stream(f, "/count/closed", 10, 0), "503"));
	assert_non_null(strstr(put_stream(f, "/count/", 10, 10), "404"));
	assert_non_null(strstr(put_stream(f, "/count/a/b", 10, 10), "404"));
	assert_non_null(
		strstr(ask(f, "GET /count/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), "405"));
	/* Chunks say their length too late for a 413 at once. */
	char request[STREAM_MAX * 2];
	int n = snprintf(request, sizeof(request),
			 "PUT /count/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: "
			 "close\r\n\r\n%x\r\n",
			 STREAM_MAX + 1);
	memset(request + n, 'x', STREAM_MAX + 1);
	(void)snprintf(request + n + STREAM_MAX + 1, 16, "\r\n0\r\n\r\n");
	assert_non_null(strstr(ask(f, request), "413"));
	assert_int_equal(f->n_dropped, 1);
	/* The client goes away. */
	(void)put_stream(f, "/count/gone", 3000, 100);
	for (int64_t until = clock_mono_ns() + INT64_C(10000000000); f->n_dropped < 2 && clock_mono_ns() < until;)
		(void)sched_yield();
	assert_int_equal(f->n_dropped, 2);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(requests_are_served_or_refused_with_a_reason),
		CASE(chunked_bodies_have_the_same_limit),
		CASE(foreign_pages_are_refused),
		CASE(bodies_in_flight_are_bounded),
		CASE(refused_bodies_give_their_room_back),
		CASE(long_answers_are_compressed_on_request),
		CASE(live_clients_get_every_message),
		CASE(slow_clients_are_cut),
		CASE(taken_ports_say_so),
		CASE(large_bodies_pass_through),
		CASE(streams_that_do_not_come_through),
		CASE(a_client_that_goes_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
