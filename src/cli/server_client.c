/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/server_client.h"

#include "format/jsonr.h"

#include <errno.h>
#include <poll.h>

/* For a whole request; as long as a server waits for the body of an upload. */
#define TIMEOUT_MS 600000

int server_client_new(const char *url, struct http_client **ret, struct error *err)
{
	if (!url)
		url = getenv("WICK_SERVER");
	return http_client_new(url && *url ? url : SERVER_URL_DEFAULT, TIMEOUT_MS, ret, err);
}

int server_ask(struct http_client *c, const char *method, const char *target, struct slice body, struct buf *ret_body,
	       int *ret_status, struct error *err)
{
	struct http_reply reply = { 0 };
	ret_body->n = 0;
	*ret_status = 0;
	const struct http_content content = { "application/octet-stream", "", body };
	int r = http_client_start(c, method, target, &content, ret_body, err);
	if (r < 0)
		return r;
	while ((r = http_client_step(c, &reply, err)) == -EAGAIN) {
		struct pollfd p = { .fd = -1 };
		p.fd = http_client_fd(c, &p.events);
		if (poll(&p, 1, http_client_timeout_ms(c)) < 0 && errno != EINTR)
			return error_set(err, -errno, "poll: %s", strerror(errno));
	}
	if (r < 0)
		return r;
	*ret_status = reply.status;
	return ret_body->failed ? error_set(err, -ENOMEM, "out of memory") : 0;
}

static bool read_detail(struct slice body, struct error *ret)
{
	struct error err;
	struct jsonr json;
	struct slice key, detail;
	bool found = false;
	jsonr_init(&json, body, 16, &err);
	int r = jsonr_object(&json);
	while (r == 0 && !found && jsonr_key(&json, &key) == 1) {
		found = jsonr_is(key, "detail");
		r = found ? jsonr_str(&json, &detail) : jsonr_skip(&json);
	}
	if (found && r == 0)
		(void)error_set(ret, 0, "%.*s", SLICE_FMT(detail));
	jsonr_done(&json);
	return found && r == 0;
}

void server_detail(int status, struct slice body, struct error *ret)
{
	if (!read_detail(body, ret))
		(void)error_set(ret, 0, "HTTP %d", status);
}
