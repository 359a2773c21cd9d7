/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles reach the server once it is there, in order, or are counted. */
#include "agent/testserver.h"
#include "agent/upload.h"
#include "format/inflate.h"
#include "format/otlp.h"
#include "format/pprof.h"
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

#define AWAY	  "HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n"
#define NOT_FOUND "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"

static struct upload *start_with(const char *url, size_t max_bytes, struct spool *spool)
{
	static const struct upload_labels labels = { .host = "web 1", .region = "", .zone = "b/c" };
	struct upload *u = NULL;
	struct error err;
	assert_int_equal(upload_new(url, &labels, max_bytes, spool, &u, &err), 0);
	return u;
}

static struct upload *start(const char *url, size_t max_bytes)
{
	return start_with(url, max_bytes, NULL);
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
	struct buf a = buf_of(4096), b = buf_of(4096), key = buf_of(4096);
	struct upload_labels labels = { .host = "web 1", .region = "", .zone = "b/c" };
	struct upload_series s = { .service = slice_str("caf\xc3\xa9&key=x"),
				   .container = slice_str("4f53"),
				   .type = "cpu:nanoseconds",
				   .window = 3,
				   .start_ms = 1000,
				   .end_ms = 2000 };
	upload_target(&a, &s, &labels, slice_str("00ff-3"));
	buf_add_byte(&a, 0);
	const char *text = (const char *)a.data;
	assert_non_null(strstr(text, "/api/v1/ingest?type=cpu:nanoseconds&key=00ff-3&"));
	assert_non_null(strstr(text, "&from=1000&to=2000"));
	assert_non_null(strstr(text, "&service=caf%C3%A9%26key%3Dx&container=4f53&host=web%201&zone=b%2Fc"));
	assert_null(strstr(text, "region"));
	upload_key(&key, &s, "00ff");
	assert_true(slice_has_prefix(slice_of(key.data, key.n), "00ff-3-"));
	assert_true(key.n < PARCEL_KEY_SIZE);
	/* Another container is another profile; so is another type, and the same
	 * window of a sampler that began again. */
	for (int i = 0; i < 3; i++) {
		struct upload_series other = s;
		other.container = i == 0 ? slice_str("4f54") : s.container;
		other.type = i == 1 ? "agent_cpu:nanoseconds" : s.type;
		other.start_ms = i == 2 ? 1500 : s.start_ms;
		b.n = 0;
		upload_key(&b, &other, "00ff");
		assert_false(slice_eq(slice_of(key.data, key.n), slice_of(b.data, b.n)));
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
	assert_non_null(strstr(s.last_head, "POST /v1development/profiles HTTP/1.1\r\n"));
	assert_non_null(strstr(s.last_head, "\r\nContent-Type: application/x-protobuf\r\nContent-Encoding: zstd\r\n"));
	assert_non_null(strstr(s.last_head, "\r\nX-Wick-Key: "));
}

static void test_retried_until_taken(void **state)
{
	static const struct test_exchange script[] = {
		{ .close_unread = true },
		{ .reply = "HTTP/1.1 507 Full\r\nContent-Length: 8\r\n\r\n\x08\x08\x12\x04"
			   "full" }, /* a google.rpc.Status */
		{ .reply = "HTTP/1.1 502 Bad\r\nContent-Length: 7\r\n\r\n<html>\n" },
		{ .reply = OK_EMPTY },
	};
	struct test_server s;
	struct error err;
	test_server_start(&s, script, ARRAY_SIZE(script));
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
	assert_string_equal(err.text, "the server answered 507: full");
	upload_hurry(u);
	assert_false(drain(u, &err));
	assert_non_null(strstr(err.text, "the server answered 502: <html>"));
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

/* A real one, as the shipper makes it. */
static uint8_t *make_otlp(size_t *size)
{
	struct profile p;
	struct frame_id frame;
	struct node_id node = { 0 };
	_cleanup_(buf_done)
	struct buf plain = buf_of(1 << 20), out = buf_of(1 << 20);
	const struct otlp_text resource[] = { { "service.name", slice_str("api") } };
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(profile_add_type(&p, slice_str("cpu"), slice_str("nanoseconds")), 0);
	assert_int_equal(dict_named_frame(&p.dict, slice_str("main"), FRAME_USER, &frame), 0);
	assert_int_equal(dict_node(&p.dict, node, frame, &node), 0);
	for (int i = 1; i < 3; i++)
		assert_int_equal(profile_add_sample_at(&p, node, (struct labels_id){ 0 }, (int64_t[]){ 5 }, i), 0);
	assert_int_equal(profile_add_comment(&p, slice_str("wick.window samples=2")), 0);
	assert_int_equal(otlp_encode_resource(&p, resource, 1, &plain), 0);
	assert_int_equal(zstd_compress(slice_of(plain.data, plain.n), 3, &out), 0);
	profile_done(&p);
	return buf_take(&out, size);
}

static void test_pprof_says_the_same(void **state)
{
	struct profile p;
	struct error err;
	size_t size;
	uint8_t *data = make_otlp(&size);
	_cleanup_(parcel_free)
	struct parcel *parcel = parcel_new(slice_str("key"), slice_str("/target"), data, size);
	_cleanup_(buf_done)
	struct buf out = buf_of(1 << 20);
	assert_int_equal(parcel_to_pprof(parcel, &out), 0);
	assert_int_equal(profile_init(&p, NULL), 0);
	assert_int_equal(pprof_decode(slice_of(out.data, out.n), &format_limits_default, &p, &err), 0);
	assert_int_equal(profile_n_samples(&p), 1);
	assert_int_equal(p.value[0].data[0], 10);
	assert_int_equal(p.labels.data[0].v, 0); /* the target says the service */
	assert_string_equal(strtab_cstr(&p.dict.strings, p.comments.data[0]), "wick.window samples=2");
	profile_done(&p);
	/* What is none of ours is an error, and no more. */
	parcel->data[parcel->size / 2] ^= 0xff;
	assert_true(parcel_to_pprof(parcel, &out) < 0);
}

/* An agent that is newer than its server still delivers; when the server comes
 * back it may be a newer one, too. */
static void test_servers_without_otlp_get_pprof(void **state)
{
	static const struct test_exchange script[] = { { .reply = NOT_FOUND },
						       { .reply = OK_EMPTY },
						       { .reply = OK_EMPTY } };
	struct test_server s;
	struct error err = { "" };
	struct upload_series series = { .service = slice_str("api"), .type = "cpu:nanoseconds", .n_samples = 2 };
	test_server_start(&s, script, ARRAY_SIZE(script));
	_cleanup_(upload_free)
	struct upload *u = start(s.url, 100000);
	for (int i = 0; i < 2; i++) {
		size_t size;
		uint8_t *data = make_otlp(&size);
		assert_int_equal(upload_add(u, &series, data, size), 0);
		assert_true(drain(u, &err));
	}
	test_server_join(&s);
	assert_int_equal(upload_stats(u).n_sent, 2);
	assert_int_equal(s.n_requests, 3);
	assert_true(upload_stats(u).sends_pprof);
	assert_non_null(strstr(s.last_head, "POST /api/v1/ingest?type=cpu:nanoseconds&key="));
	assert_memory_equal(s.last_body, "\x1f\x8b", 2);
	size_t size;
	uint8_t *data = make_otlp(&size);
	assert_int_equal(upload_add(u, &series, data, size), 0);
	assert_false(drain(u, &err));
	assert_false(upload_stats(u).sends_pprof);
	assert_int_equal(upload_stats(u).n_samples_lost, 0);
}

/* ---- with a spool ---- */

static char folder[] = "/tmp/wick-upload-test-XXXXXX";

static int make_folder(void **state)
{
	(void)strcpy(folder + strlen(folder) - 6, "XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	DIR *d = opendir(folder);
	for (struct dirent *e; d && (e = readdir(d));)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		(void)closedir(d);
	return rmdir(folder);
}

static struct spool *open_spool(uint64_t limit)
{
	struct spool *s = NULL;
	struct error err;
	if (spool_open(folder, limit, &s, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

/* Steps until everything, what is spooled, too, has been sent or a step failed. */
static bool drain_all(struct upload *u, struct error *err)
{
	while (upload_timeout_ms(u) >= 0) {
		if (!upload_step(u, err))
			return false;
		struct pollfd p = { .fd = -1 };
		p.fd = upload_fd(u, &p.events);
		if (p.fd >= 0)
			(void)poll(&p, 1, upload_timeout_ms(u));
	}
	return true;
}

static const char *key_of(const struct test_server *s)
{
	const char *key = strstr(s->last_head, "X-Wick-Key: ");
	assert_non_null(key);
	return key;
}

/* What was queued when the server went away, and what came meanwhile, is sent
 * once when it is back, by another agent, with the keys that it had. */
static void test_spooled_while_away(void **state)
{
	static const struct test_exchange down[] = { { .close_unread = true } };
	static const struct test_exchange up[] = { { .reply = OK_EMPTY },
						   { .reply = OK_EMPTY },
						   { .reply = OK_EMPTY } };
	struct test_server s;
	struct error err;
	char sent[64] = "";
	struct spool *spool = open_spool(1 << 20);
	test_server_start(&s, down, 1);
	struct upload *u = start_with(s.url, 1000, spool);
	assert_int_equal(add(u, "first", 1), 0);
	assert_int_equal(upload_stats(u).n_queued, 1);
	assert_false(drain(u, &err));
	test_server_join(&s);
	assert_int_equal(upload_stats(u).n_queued, 0);
	assert_int_equal(add(u, "second", 1), 0);
	assert_int_equal(add(u, "third", 1), 0);
	assert_int_equal(upload_stats(u).n_queued, 0);
	assert_int_equal(spool_stats(spool).n_files, 3);
	upload_free(&u);
	spool_free(&spool);

	spool = open_spool(1 << 20);
	test_server_start(&s, up, 3);
	u = start_with(s.url, 1000, spool);
	for (int i = 0; i < 3; i++) {
		while (upload_stats(u).n_sent < (uint64_t)i + 1) {
			assert_true(upload_step(u, &err));
			struct pollfd p = { .fd = -1 };
			p.fd = upload_fd(u, &p.events);
			(void)poll(&p, 1, upload_timeout_ms(u) < 0 ? 0 : upload_timeout_ms(u));
		}
		if (i == 2)
			(void)snprintf(sent, sizeof(sent), "%s", key_of(&s));
	}
	assert_true(drain_all(u, &err));
	test_server_join(&s);
	assert_string_equal(s.last_body, "third");
	assert_int_equal(s.n_requests, 3);
	assert_int_equal(spool_stats(spool).n_files, 0);
	assert_int_equal(upload_stats(u).n_samples_lost, 0);
	/* This run's keys begin otherwise: it was kept, not made again. */
	assert_int_equal(add(u, "fourth", 1), 0);
	upload_spill(u);
	struct parcel *p = spool_take(spool);
	assert_non_null(p);
	assert_null(strstr(sent, p->key));
	assert_int_equal(strncmp(sent + 12, p->key, 16) != 0, 1);
	parcel_free(&p);
	upload_free(&u);
	spool_free(&spool);
}

/* A long backlog does not make what is new wait. */
static void test_new_ones_go_first(void **state)
{
	static const struct test_exchange script[] = {
		{ .close_unread = true }, { .reply = OK_EMPTY }, { .reply = OK_EMPTY },
		{ .reply = OK_EMPTY },	  { .reply = OK_EMPTY },
	};
	struct test_server s;
	struct error err;
	struct spool *spool = open_spool(1 << 20);
	test_server_start(&s, script, ARRAY_SIZE(script));
	struct upload *u = start_with(s.url, 1000, spool);
	assert_int_equal(add(u, "old 1", 1), 0);
	assert_false(drain(u, &err));
	assert_int_equal(add(u, "old 2", 1), 0);
	assert_int_equal(add(u, "old 3", 1), 0);
	upload_hurry(u);
	while (upload_stats(u).n_sent == 0) {
		assert_true(upload_step(u, &err));
		struct pollfd p = { .fd = -1 };
		p.fd = upload_fd(u, &p.events);
		if (upload_stats(u).n_sent == 0 && p.fd >= 0)
			(void)poll(&p, 1, 1000);
	}
	assert_false(upload_stats(u).is_away);
	assert_int_equal(add(u, "new", 1), 0);
	assert_int_equal(upload_stats(u).n_queued, 1);
	assert_true(drain_all(u, &err));
	test_server_join(&s);
	assert_int_equal(upload_stats(u).n_sent, 4);
	assert_int_equal(spool_stats(spool).n_files, 0);
	assert_string_equal(s.last_body, "old 3");
	upload_free(&u);
	spool_free(&spool);
}

/* A disk that takes nothing more costs the oldest, as without a spool; each is counted. */
static void test_a_full_spool_is_counted(void **state)
{
	struct error err;
	struct spool *spool = open_spool(2 * 4096);
	struct upload *u = start_with("http://127.0.0.1:9", 20, spool);
	assert_int_equal(add(u, "12345678", 1), 0);
	assert_false(drain(u, &err));
	for (uint64_t i = 2; i <= 5; i++)
		assert_int_equal(add(u, "12345678", i), 0);
	assert_int_equal(spool_stats(spool).n_files, 2);
	assert_int_equal(upload_stats(u).n_dropped, 3);
	assert_int_equal(upload_stats(u).n_samples_lost, 6);
	assert_string_equal(upload_spool_problem(u), "");
	/* Nothing can be written: the queue takes what it can. */
	struct rlimit was, none;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = (struct rlimit){ 0, was.rlim_max };
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(add(u, "12345678", 100), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_non_null(strstr(upload_spool_problem(u), folder));
	assert_int_equal(upload_stats(u).n_queued, 2);
	assert_int_equal(spool_stats(spool).n_failed > 0, 1);
	/* Room again: nothing but what was counted is gone. */
	assert_int_equal(add(u, "12345678", 100), 0);
	assert_int_equal(upload_stats(u).n_queued, 0);
	assert_string_equal(upload_spool_problem(u), "");
	upload_free(&u);
	spool_free(&spool);
}

#define SPOOLED(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_sent_in_order),
		cmocka_unit_test(test_retried_until_taken),
		cmocka_unit_test(test_refused_ones_do_not_block),
		cmocka_unit_test(test_bounded_oldest_go),
		cmocka_unit_test(test_pprof_says_the_same),
		cmocka_unit_test(test_servers_without_otlp_get_pprof),
		SPOOLED(test_spooled_while_away),
		SPOOLED(test_new_ones_go_first),
		SPOOLED(test_a_full_spool_is_counted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
