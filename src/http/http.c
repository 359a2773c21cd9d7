/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http.h"

#include "base/clock.h"
#include "http/request.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

/* A body must be through within this time, however slowly it trickles. */
#define BODY_TIMEOUT_S	  60
#define CONNECTION_MEMORY ((size_t)64 << 10)

/* ---- who may ask ------------------------------------------------------ */

/* "localhost", "127.0.0.1:8080", "[::1]:4040": names that only this machine
 * resolves to itself. Any port: it may have been forwarded. */
static bool is_loopback_name(const char *host)
{
	size_t n;
	if (host[0] == '[') {
		const char *end = strchr(host, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		n = (size_t)(end + 1 - host);
	} else {
		n = strcspn(host, ":");
	}
	char name[64];
	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = 0;
	struct in_addr v4;
	return strcasecmp(name, "localhost") == 0 || strcmp(name, "[::1]") == 0 ||
	       (inet_pton(AF_INET, name, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127);
}

static bool is_own_origin(const char *origin, const char *host)
{
	static const char scheme[] = "http://";
	return host && strncmp(origin, scheme, sizeof(scheme) - 1) == 0 &&
	       strcasecmp(origin + sizeof(scheme) - 1, host) == 0;
}

/* False when the request was answered with 403. */
static bool check_origin(struct http_request *rq, const char *method)
{
	const char *host = http_header(rq, "Host");
	const char *origin = http_header(rq, "Origin");
	bool changes = strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0;
	if (rq->server->is_loopback && host && !is_loopback_name(host)) {
		rq->server->n_foreign++;
		http_answer_error(rq, 403, "forbidden", "Host", -1,
				  "this server answers as localhost only, not as \"%.100s\"", host);
		return false;
	}
	if (origin && (changes || http_header(rq, "Upgrade")) && !is_own_origin(origin, host)) {
		rq->server->n_foreign++;
		http_answer_error(rq, 403, "forbidden", "Origin", -1, "pages of \"%.100s\" may not use this server",
				  origin);
		return false;
	}
	return true;
}

bool http_is_gone(const struct http_request *rq)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(rq->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	char byte;
	if (!info)
		return false;
	ssize_t n = recv(info->connect_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* ---- one request ------------------------------------------------------ */

struct find_nul {
	const char *name;
};

static enum MHD_Result check_argument(void *cls, enum MHD_ValueKind kind, const char *key, size_t key_size,
				      const char *value, size_t value_size)
{
	struct find_nul *found = cls;
	(void)kind;
	if (strlen(key) == key_size && (!value || strlen(value) == value_size))
		return MHD_YES;
	found->name = key;
	return MHD_NO;
}

static bool is_path(const char *route, const char *path)
{
	size_t n = strlen(route);
	if (route[n - 1] != '/')
		return strcmp(route, path) == 0;
	return strncmp(route, path, n) == 0 && path[n] && !strchr(path + n, '/');
}

static const struct http_route *find_route(const struct http_server *s, const char *method, const char *path,
					   bool *ret_path_known)
{
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	*ret_path_known = false;
	for (unsigned i = 0; i < s->options.n_routes; i++) {
		const struct http_route *r = &s->options.routes[i];
		if (!is_path(r->path, path))
			continue;
		*ret_path_known = true;
		if (strcmp(r->method, method) == 0)
			return r;
	}
	return NULL;
}

static bool charge_body(struct http_request *rq, size_t size)
{
	struct http_server *s = rq->server;
	size_t before = atomic_fetch_add(&s->bodies_used, size);
	if (before + size > s->options.bodies_max) {
		atomic_fetch_sub(&s->bodies_used, size);
		rq->body_refused = true;
		return false;
	}
	rq->body_charged += size;
	return true;
}

static void answer_body_error(struct http_request *rq)
{
	struct http_server *s = rq->server;
	size_t max = rq->route ? rq->route->body_max : 0;
	if (rq->body_too_large) {
		http_answer_error(rq, 413, "too_large", "body", (int64_t)max,
				  max ? "the body is larger than the limit of %zu bytes"
				      : "this request takes no body (limit %zu bytes)",
				  max);
		return;
	}
	s->n_refused_bodies++;
	http_answer_error(rq, 503, "too_many_requests", "body", (int64_t)s->options.bodies_max,
			  "requests of more than %zu bytes are being worked on; try again", s->options.bodies_max);
}

/* The length a client announces is checked before a byte of it is read. */
static bool check_length(struct http_request *rq)
{
	const char *text = http_header(rq, "Content-Length");
	if (!text)
		return true;
	char *end;
	errno = 0;
	unsigned long long length = strtoull(text, &end, 10);
	if (errno || *end || end == text) {
		http_answer_error(rq, 400, "bad_request", "Content-Length", -1, "Content-Length is not a number");
		return false;
	}
	size_t max = rq->route ? rq->route->body_max : 0;
	bool is_streamed = rq->route && rq->route->stream;
	rq->body_too_large = length > max;
	if (rq->body_too_large || (length && !is_streamed && !charge_body(rq, (size_t)length))) {
		answer_body_error(rq);
		return false;
	}
	return true;
}

/* Everything that can be said from the headers. */
static void begin(struct http_request *rq, const char *method)
{
	struct find_nul found = { NULL };
	(void)MHD_get_connection_values_n(rq->connection, MHD_GET_ARGUMENT_KIND, check_argument, &found);
	if (found.name) {
		http_answer_error(rq, 400, "bad_request", found.name, -1, "parameter %.64s holds a NUL byte",
				  found.name);
		return;
	}
	if (!check_origin(rq, method))
		return;
	bool known;
	rq->route = find_route(rq->server, method, rq->path, &known);
	if (!rq->route && (known || (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0))) {
		http_answer_error(rq, known ? 405 : 404, known ? "method_not_allowed" : "not_found", NULL, -1,
				  known ? "%.200s does not take %.16s" : "there is no %.200s to %.16s", rq->path,
				  method);
		return;
	}
	if (!check_length(rq))
		return;
	if (rq->route && rq->route->stream)
		rq->stream = rq->route->stream->open(rq, rq->server->options.ctx);
	else
		rq->body = buf_of(rq->route ? rq->route->body_max : 0);
}

static void drop_stream(struct http_request *rq)
{
	if (rq->stream)
		rq->route->stream->drop(take_ptr(rq->stream));
}

static void stream_body(struct http_request *rq, const char *data, size_t size)
{
	rq->n_streamed += size;
	if (rq->n_streamed > rq->route->body_max) {
		rq->body_too_large = true;
		drop_stream(rq);
	} else if (!rq->stream_ended) {
		rq->stream_ended = !rq->route->stream->take(rq->stream, data, size);
	}
}

static void release_body(struct http_request *rq)
{
	atomic_fetch_sub(&rq->server->bodies_used, rq->body_charged);
	rq->body_charged = 0;
	buf_done(&rq->body);
}

static void take_body(struct http_request *rq, const char *data, size_t size)
{
	if (rq->body_too_large || rq->body_refused)
		return;
	if (rq->stream) {
		stream_body(rq, data, size);
		return;
	}
	size_t have = rq->body.n + size;
	rq->body_too_large = have > rq->body.max;
	if (!rq->body_too_large && (have <= rq->body_charged || charge_body(rq, have - rq->body_charged))) {
		buf_add(&rq->body, data, size);
		rq->body_refused = rq->body.failed;
	}
	/* The rest is read and dropped; others may have the room meanwhile. */
	if (rq->body_too_large || rq->body_refused)
		release_body(rq);
}

static void dispatch(struct http_request *rq)
{
	const struct http_options *o = &rq->server->options;
	rq->dispatched = true;
	if (rq->body_too_large || rq->body_refused)
		answer_body_error(rq);
	else if (rq->route)
		rq->route->handle(rq, o->ctx);
	else if (!o->fallback || !o->fallback(rq, o->ctx))
		http_answer_error(rq, 404, "not_found", NULL, -1, "there is no %.200s", rq->path);
}

static enum MHD_Result send_answer(struct http_request *rq)
{
	if (rq->status >= 500)
		rq->server->n_server_errors++;
	else if (rq->status >= 400)
		rq->server->n_client_errors++;
	struct MHD_Response *response = take_ptr(rq->response);
	enum MHD_Result r = MHD_queue_response(rq->connection, rq->status, response);
	MHD_destroy_response(response);
	return r;
}

/* Within reason: an answer is only possible behind the body. */
static bool is_late(const struct http_request *rq)
{
	unsigned timeout_s = rq->route && rq->route->stream ? rq->route->stream->timeout_s : BODY_TIMEOUT_S;
	return clock_mono_ns() - rq->started_ns > timeout_s * INT64_C(1000000000);
}

/* Called with the headers, with each piece of the body, at its end, and again
 * after a resume. MHD_NO closes the connection. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *data, size_t *size, void **state)
{
	struct http_server *s = cls;
	struct http_request *rq = *state;
	(void)version;
	if (!rq) {
		rq = calloc(1, sizeof(*rq));
		if (!rq)
			return MHD_NO;
		*rq = (struct http_request){
			.server = s, .connection = connection, .path = url, .started_ns = clock_mono_ns()
		};
		*state = rq;
		s->n_requests++;
		s->n_open++;
		begin(rq, method);
		return rq->response ? send_answer(rq) : MHD_YES;
	}
	if (*size) {
		take_body(rq, data, *size);
		*size = 0;
		return is_late(rq) ? MHD_NO : MHD_YES;
	}
	if (!rq->dispatched) {
		dispatch(rq);
		/* Suspended: another thread has it and may be answering right now. */
		if (rq->suspended)
			return MHD_YES;
	}
	return rq->response ? send_answer(rq) : MHD_YES;
}

static void on_completed(void *cls, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode code)
{
	struct http_server *s = cls;
	struct http_request *rq = *state;
	(void)connection;
	(void)code;
	if (!rq)
		return;
	release_body(rq);
	drop_stream(rq);
	http_channel_leave(rq->place);
	atomic_fetch_sub(&s->answers_used, rq->answer_charged);
	if (rq->response)
		MHD_destroy_response(rq->response);
	free(rq);
	*state = NULL;
	s->n_open--;
}

void http_suspend(struct http_request *rq)
{
	assert(!rq->response);
	rq->suspended = true;
	MHD_suspend_connection(rq->connection);
}

void http_resume(struct http_request *rq)
{
	assert(rq->response);
	MHD_resume_connection(rq->connection);
}

/* ---- the server ------------------------------------------------------- */

static int listen_at(const struct http_options *o, bool *ret_loopback, uint16_t *ret_port, struct error *err)
{
	char name[64], port[8];
	size_t n = strlen(o->address);
	bool bracketed = n > 2 && o->address[0] == '[' && o->address[n - 1] == ']';
	(void)snprintf(name, sizeof(name), "%.*s", bracketed ? (int)n - 2 : (int)n, o->address + bracketed);
	(void)snprintf(port, sizeof(port), "%u", o->port);
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *info;
	if (n >= sizeof(name) || getaddrinfo(name, port, &hints, &info) != 0)
		return error_set(err, -EINVAL, "\"%.64s\" is not a numeric address", o->address);
	struct sockaddr_storage address = { 0 };
	socklen_t size = info->ai_addrlen;
	memcpy(&address, info->ai_addr, size);
	freeaddrinfo(info);

	_cleanup_(close_fd)
	int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return error_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 256) < 0) {
		int r = -errno;
		if (r == -EADDRINUSE)
			return error_set(err, r,
					 "%s:%u is in use: another program (or wick-server) listens there; choose "
					 "another with --listen ADDRESS:PORT",
					 o->address, o->port);
		return error_set(err, r, "cannot listen on %s:%u: %s", o->address, o->port, strerror(-r));
	}
	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		return error_set(err, -errno, "getsockname: %s", strerror(errno));
	if (address.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
		*ret_port = ntohs(v6->sin6_port);
		*ret_loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	} else {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
		*ret_port = ntohs(v4->sin_port);
		*ret_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	}
	return take_fd(fd);
}

int http_server_start(const struct http_options *options, struct http_server **ret, struct error *err)
{
	_cleanup_(free_ptr)
	struct http_server *s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "out of memory");
	s->options = *options;
	s->quiesced_fd = -1;
	int fd = listen_at(options, &s->is_loopback, &s->port, err);
	if (fd < 0)
		return fd;
	/* A pool of one is no pool for libmicrohttpd. */
	struct MHD_OptionItem pool[] = {
		{ options->n_threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)options->n_threads,
		  NULL },
		{ MHD_OPTION_END, 0, NULL },
	};
	/* Requests may come before this function is through, and ask for it. */
	*ret = s;
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_ITC, 0, NULL,
		NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_CONNECTION_LIMIT, options->n_connections, MHD_OPTION_CONNECTION_TIMEOUT,
		options->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_ARRAY, pool,
		MHD_OPTION_END);
	if (!s->daemon) {
		*ret = NULL;
		(void)close(fd);
		return error_set(err, -EIO, "cannot start the HTTP server on %s:%u", options->address, s->port);
	}
	s = NULL;
	return 0;
}

void http_server_quiesce(struct http_server *s)
{
	/* Closed only after the threads, which may still be handling it. */
	s->quiesced_fd = MHD_quiesce_daemon(s->daemon);
	if (s->quiesced_fd != MHD_INVALID_SOCKET)
		(void)shutdown(s->quiesced_fd, SHUT_RDWR);
}

void http_server_stop(struct http_server *s)
{
	if (!s)
		return;
	MHD_stop_daemon(s->daemon);
	if (s->quiesced_fd >= 0)
		(void)close(s->quiesced_fd);
	free(s);
}

uint16_t http_server_port(const struct http_server *s)
{
	return s->port;
}

void http_server_stats(const struct http_server *s, struct http_stats *ret)
{
	*ret = (struct http_stats){
		.n_requests = s->n_requests,
		.n_open = s->n_open,
		.n_client_errors = s->n_client_errors,
		.n_server_errors = s->n_server_errors,
		.n_refused_bodies = s->n_refused_bodies,
		.n_refused_answers = s->n_refused_answers,
		.n_foreign = s->n_foreign,
		.bodies_used = s->bodies_used,
		.answers_used = s->answers_used,
	};
}
