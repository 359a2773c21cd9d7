/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the server does, the agent goes on sampling. */
#include "agent/http_client.h"
#include "agent/http_reply.h"
#include "agent/testserver.h"
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static int finish(struct http_client *c, struct http_reply *reply, struct error *err)
{
	for (;;) {
		int r = http_client_step(c, reply, err);
		if (r != -EAGAIN)
			return r;
		struct pollfd p = { .fd = -1 };
		p.fd = http_client_fd(c, &p.events);
		(void)poll(&p, 1, http_client_timeout_ms(c));
	}
}

static int post(struct http_client *c, struct slice body, struct http_reply *reply, struct error *err)
{
	const struct http_content b = { "text/plain", "X-Test: a\r\n", body };
	int r = http_client_start(c, "POST", "/x?y=1", &b, NULL, err);
	return r < 0 ? r : finish(c, reply, err);
}

static struct http_client *client(const char *url, unsigned timeout_ms)
{
	struct http_client *c = NULL;
	struct error err;
	assert_int_equal(http_client_new(url, timeout_ms, &c, &err), 0);
	return c;
}

static void test_keep_alive(void **state)
{
	static const struct test_exchange script[] = {
		{ .reply = OK_EMPTY },
		{ .reply = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 507 Full\r\nContent-Length: 9\r\nRetry-After: "
			   "7\r\n\r\nlog is full" },
	};
	struct test_server s;
	struct http_reply reply;
	struct error err;
	test_server_start(&s, script, 2);
	_cleanup_(http_client_free)
	struct http_client *c = client(s.url, 5000);
	assert_int_equal(post(c, slice_str("first"), &reply, &err), 0);
	assert_int_equal(reply.status, 200);
	assert_int_equal(post(c, slice_str("second"), &reply, &err), 0);
	assert_int_equal(reply.status, 507);
	assert_int_equal(reply.retry_after_s, 7);
	assert_string_equal(reply.text, "log is fu");
	test_server_join(&s);
	assert_int_equal(s.n_connections, 1);
	assert_non_null(strstr(s.last_head, "POST /x?y=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(s.last_head, "\r\nX-Test: a\r\n"));
	assert_string_equal(s.last_body, "second");
}

static void test_chunked_byte_by_byte(void **state)
{
	static const struct test_exchange script[] = {
		{ .split = true,
		  .reply = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n "
			   "world\r\n0\r\nT: 1\r\n\r\n" },
		{ .reply = OK_EMPTY },
	};
	struct test_server s;
	struct http_reply reply;
	struct error err;
	test_server_start(&s, script, 2);
	_cleanup_(http_client_free)
	struct http_client *c = client(s.url, 5000);
	assert_int_equal(post(c, slice_str("a"), &reply, &err), 0);
	assert_string_equal(reply.text, "hello world");
	assert_int_equal(post(c, slice_str("b"), &reply, &err), 0);
	test_server_join(&s);
	assert_int_equal(s.n_connections, 1);
}

static void test_the_whole_answer(void **state)
{
	static const struct test_exchange script[] = {
		{ .reply =
			  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na\tb\nc\r\n2\r\n12\r\n0\r\n\r\n" },
		{ .reply = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", .close_after = true },
	};
	struct test_server s;
	struct http_reply reply;
	struct error err;
	_cleanup_(buf_done)
	struct buf body = buf_of(8);
	const struct http_content nothing = { "text/plain", "", slice_str("") };
	test_server_start(&s, script, 2);
	_cleanup_(http_client_free)
	struct http_client *c = client(s.url, 5000);
	assert_int_equal(http_client_start(c, "GET", "/list", &nothing, &body, &err), 0);
	assert_int_equal(finish(c, &reply, &err), 0);
	assert_true(slice_eq(slice_of(body.data, body.n), slice_str("a\tb\nc12")));
	/* One byte more than there is room for. */
	body.n = 0;
	assert_int_equal(http_client_start(c, "GET", "/list", &nothing, &body, &err), 0);
	assert_int_equal(finish(c, &reply, &err), -E2BIG);
	test_server_join(&s);
	assert_non_null(strstr(s.last_head, "GET /list HTTP/1.1\r\n"));
}

/* An idle connection that the server closed is no failure. */
static void test_stale_connection_is_replaced(void **state)
{
	static const struct test_exchange script[] = {
		{ .reply = OK_EMPTY, .close_after = true },
		{ .reply = OK_EMPTY },
	};
	struct test_server s;
	struct http_reply reply;
	struct error err;
	test_server_start(&s, script, 2);
	_cleanup_(http_client_free)
	struct http_client *c = client(s.url, 5000);
	assert_int_equal(post(c, slice_str("a"), &reply, &err), 0);
	assert_int_equal(post(c, slice_str("b"), &reply, &err), 0);
	test_server_join(&s);
	assert_int_equal(s.n_requests, 2);
	assert_string_equal(s.last_body, "b");
}

static void test_early_close(void **state)
{
	static const struct test_exchange script[] = { { .close_unread = true } };
	struct test_server s;
	struct http_reply reply;
	struct error err;
	test_server_start(&s, script, 1);
	_cleanup_(http_client_free)
	struct http_client *c = client(s.url, 5000);
	assert_true(post(c, slice_str("a"), &reply, &err) < 0);
	assert_non_null(strstr(err.text, "127.0.0.1"));
	test_server_join(&s);
}

static void test_silent_server_times_out(void **state)
{
	static const struct test_exchange script[] = { { .never = true } };
	struct test_server s;
	struct http_reply reply;
	struct error err;
	test_server_start(&s, script, 1);
	_cleanup_(http_client_free)
	struct http_client *c = client(s.url, 100);
	assert_int_equal(post(c, slice_str("a"), &reply, &err), -ETIMEDOUT);
	test_server_join(&s);
}

/* 413 comes before the body was read: the answer counts, not the broken pipe. */
static void test_answer_before_the_body(void **state)
{
	static const struct test_exchange script[] = {
		{ .reply_unread = true, .reply = "HTTP/1.1 413 No\r\nContent-Length: 5\r\n\r\nlarge" },
	};
	struct test_server s;
	struct http_reply reply;
	struct error err;
	size_t size = (size_t)32 << 20;
	_cleanup_(free_ptr)
	uint8_t *body = calloc(1, size);
	assert_non_null(body);
	test_server_start(&s, script, 1);
	_cleanup_(http_client_free)
	struct http_client *c = client(s.url, 5000);
	int r = post(c, slice_of(body, size), &reply, &err);
	test_server_join(&s);
	/* The kernel may drop what was received when it resets the connection. */
	if (r == 0)
		assert_int_equal(reply.status, 413);
	else
		assert_true(r == -ECONNRESET || r == -EPIPE);
}

static void test_nobody_listens(void **state)
{
	struct test_server s;
	struct http_reply reply;
	struct error err;
	test_server_start(&s, NULL, 0);
	test_server_join(&s);
	_cleanup_(http_client_free)
	struct http_client *c = client(s.url, 5000);
	assert_int_equal(post(c, slice_str("a"), &reply, &err), -ECONNREFUSED);
	assert_non_null(strstr(err.text, "Connection refused"));
}

static void test_urls(void **state)
{
	static const char *const bad[] = { "",
					   "127.0.0.1:4040",
					   "https://x",
					   "http://",
					   "http://:80",
					   "http://x:0",
					   "http://x:65536",
					   "http://x:1a",
					   "http://x:",
					   "http://x/path",
					   "http://[::1",
					   "http://a b",
					   "http://x\r\nEvil: 1" };
	struct error err;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct http_client *c = NULL;
		assert_int_equal(http_client_new(bad[i], 1, &c, &err), -EINVAL);
		assert_null(c);
	}
	static const char *const good[] = { "http://x", "http://x/", "http://x:1", "http://127.0.0.1:4040/",
					    "http://[::1]:4040" };
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_(http_client_free)
		struct http_client *c = client(good[i], 1);
		assert_non_null(c);
	}
}

static int feed(const char *text, struct reply_parser *p)
{
	reply_init(p, NULL);
	return reply_feed(p, slice_str(text));
}

static void test_replies_that_are_none(void **state)
{
	static const char *const bad[] = {
		"\r\n",
		"HTTP/2 200\r\n",
		"HTTP/1.1 99 x\r\n",
		"HTTP/1.1 600 x\r\n",
		"HTTP/1.1 x\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
	};
	struct reply_parser p;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(feed(bad[i], &p), -EBADMSG);
	assert_int_equal(feed("HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n", &p), -E2BIG);
	assert_int_equal(feed("HTTP/1.1 200 OK\r\n\r\n", &p), 0);
	uint8_t page[4096];
	memset(page, 'x', sizeof(page));
	int r = 0;
	for (int i = 0; i < 1000 && r == 0; i++)
		r = reply_feed(&p, slice_of(page, sizeof(page)));
	assert_int_equal(r, -E2BIG);
	assert_int_equal(feed("HTTP/1.1 200 OK\r\n", &p), 0);
	for (int i = 0; i < 10 && r != 0; i++)
		r = reply_feed(&p, slice_of(page, sizeof(page)));
	assert_int_equal(r, 0);
	assert_int_equal(reply_closed(&p), -ECONNRESET);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keep_alive),
		cmocka_unit_test(test_chunked_byte_by_byte),
		cmocka_unit_test(test_the_whole_answer),
		cmocka_unit_test(test_stale_connection_is_replaced),
		cmocka_unit_test(test_early_close),
		cmocka_unit_test(test_silent_server_times_out),
		cmocka_unit_test(test_answer_before_the_body),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_replies_that_are_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
