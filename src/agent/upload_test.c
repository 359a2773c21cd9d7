/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles reach the server once it is there, in order, or are counted. */
#include "agent/testserver.h"
#include "agent/upload.h"
#include "unit.h"

#include <poll.h>
#include <string.h>

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static struct upload *start(const char *url, size_t max_bytes)
{
	static const struct upload_labels labels = { .host = "web 1", .region = "", .zone = "b/c" };
	struct upload *u = NULL;
	struct error err;
	assert_int_equal(upload_new(url, &labels, max_bytes, &u, &err), 0);
	return u;
}

static int add(struct upload *u, const char *text, uint64_t n_samples)
{
	struct upload_series s = { .service = slice_str("api"),
				   .container = slice_str(""),
				   .type = "cpu:nanoseconds",
				   .window = 3,
				   .start_ms = 1000,
				   .end_ms = 2000,
				   .n_samples = n_samples };
	uint8_t *data = (uint8_t *)strdup(text);
	assert_non_null(data);
	return upload_add(u, &s, data, strlen(text));
}

/* Steps until the queue is empty or a step failed; true: empty. */
static bool drain(struct upload *u, struct error *err)
{
	while (upload_stats(u).n_queued) {
		if (!upload_step(u, err))
			return false;
		struct pollfd p = { .fd = -1 };
		p.fd = upload_fd(u, &p.events);
		if (upload_stats(u).n_queued)
			(void)poll(&p, 1, upload_timeout_ms(u));
	}
	return true;
}

static void test_target(void **state)
{
	_cleanup_(buf_done)
	struct buf a = buf_of(4096), b = buf_of(4096);
	struct upload_labels labels = { .host = "web 1", .region = "", .zone = "b/c" };
	struct upload_series s = { .service = slice_str("caf\xc3\xa9&key=x"),
				   .container = slice_str("4f53"),
				   .type = "cpu:nanoseconds",
				   .window = 3,
				   .start_ms = 1000,
				   .end_ms = 2000 };
	upload_target(&a, &s, &labels, "00ff");
	buf_add_byte(&a, 0);
	const char *text = (const char *)a.data;
	assert_non_null(strstr(text, "/api/v1/ingest?type=cpu:nanoseconds&key=00ff-3-"));
	assert_non_null(strstr(text, "&from=1000&to=2000"));
	assert_non_null(strstr(text, "&service=caf%C3%A9%26key%3Dx&container=4f53&host=web%201&zone=b%2Fc"));
	assert_null(strstr(text, "region"));
	/* Another container is another profile: its key differs. */
	s.container = slice_str("4f54");
	upload_target(&b, &s, &labels, "00ff");
	const char *key = strstr(text, "key=");
	buf_add_byte(&b, 0);
	assert_int_not_equal(strncmp(key, strstr((const char *)b.data, "key="), 30), 0);
	/* So is another type, and the same window of a sampler that began again. */
	for (int i = 0; i < 2; i++) {
		_cleanup_(buf_done)
		struct buf c = buf_of(4096);
		struct upload_series other = s;
		other.type = i == 0 ? "agent_cpu:nanoseconds" : s.type;
		other.start_ms = i == 0 ? s.start_ms : 1500;
		upload_target(&c, &other, &labels, "00ff");
		buf_add_byte(&c, 0);
		const char *ours = strstr((const char *)b.data, "key="), *theirs = strstr((const char *)c.data, "key=");
		assert_int_not_equal(strncmp(ours, theirs, 30), 0);
	}
}

static void test_sent_in_order(void **state)
{
	static const struct test_exchange script[] = { { .reply = OK_EMPTY }, { .reply = OK_EMPTY } };
	struct test_server s;
	struct error err;
	test_server_start(&s, script, 2);
	_cleanup_(upload_free)
	struct upload *u = start(s.url, 1000);
	assert_int_equal(add(u, "first", 1), 0);
	assert_int_equal(add(u, "second", 1), 0);
	assert_true(drain(u, &err));
	test_server_join(&s);
	assert_string_equal(s.last_body, "second");
	assert_int_equal(upload_stats(u).n_sent, 2);
	assert_int_equal(upload_stats(u).n_bytes, 11);
	assert_int_equal(s.n_connections, 1);
}

static void test_retried_until_taken(void **state)
{
	static const struct test_exchange script[] = {
		{ .close_unread = true },
		{ .reply = "HTTP/1.1 507 Full\r\nContent-Length: 4\r\n\r\nfull" },
		{ .reply = OK_EMPTY },
	};
	struct test_server s;
	struct error err;
	test_server_start(&s, script, 3);
	_cleanup_(upload_free)
	struct upload *u = start(s.url, 1000);
	assert_int_equal(add(u, "profile", 5), 0);
	assert_false(drain(u, &err));
	/* It waits, and does not ask the server meanwhile. */
	assert_true(upload_timeout_ms(u) > 0);
	assert_true(upload_step(u, &err));
	assert_int_equal(upload_stats(u).n_failed, 1);
	upload_hurry(u);
	assert_false(drain(u, &err));
	assert_non_null(strstr(err.text, "507"));
	assert_int_equal(upload_stats(u).n_queued, 1);
	upload_hurry(u);
	assert_true(drain(u, &err));
	test_server_join(&s);
	assert_string_equal(s.last_body, "profile");
	assert_int_equal(upload_stats(u).n_samples_lost, 0);
}

static void test_refused_ones_do_not_block(void **state)
{
	static const struct test_exchange script[] = {
		{ .reply = "HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n" },
		{ .reply = OK_EMPTY },
	};
	struct test_server s;
	struct error err;
	test_server_start(&s, script, 2);
	_cleanup_(upload_free)
	struct upload *u = start(s.url, 1000);
	assert_int_equal(add(u, "bad", 7), 0);
	assert_int_equal(add(u, "good", 1), 0);
	assert_false(drain(u, &err));
	assert_true(drain(u, &err));
	test_server_join(&s);
	struct upload_stats stats = upload_stats(u);
	assert_int_equal(stats.n_refused, 1);
	assert_int_equal(stats.n_samples_lost, 7);
	assert_int_equal(stats.n_sent, 1);
}

static void test_bounded_oldest_go(void **state)
{
	_cleanup_(upload_free)
	struct upload *u = start("http://127.0.0.1:9", 20);
	for (uint64_t i = 1; i <= 10; i++) {
		assert_int_equal(add(u, "12345678", i), 0);
		assert_true(upload_stats(u).queued_bytes <= 20);
	}
	struct upload_stats stats = upload_stats(u);
	assert_int_equal(stats.n_queued, 2);
	assert_int_equal(stats.n_dropped, 8);
	assert_int_equal(stats.n_samples_lost, 36);
	/* What never fits is counted, too. */
	assert_true(add(u, "123456789012345678901", 100) < 0);
	assert_int_equal(upload_stats(u).n_samples_lost, 136);
	assert_int_equal(upload_stats(u).n_queued, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_sent_in_order),
		cmocka_unit_test(test_retried_until_taken),
		cmocka_unit_test(test_refused_ones_do_not_block),
		cmocka_unit_test(test_bounded_oldest_go),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
