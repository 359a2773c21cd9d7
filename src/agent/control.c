/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUEST_MAX 64
#define ANSWER_MAX  ((size_t)1 << 20)
#define CLIENT_NS   (2 * INT64_C(1000000000))

struct client {
	int fd; /* -1 = free */
	int64_t deadline_ns;
	char request[REQUEST_MAX];
	size_t n_request;
	struct buf answer;
	size_t n_sent;
};

struct control {
	int fd;
	struct control_handler handler;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct client clients[CONTROL_CLIENTS];
};

void control_default_path(char *ret, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	ret[0] = 0;
	if (geteuid() == 0)
		(void)snprintf(ret, size, "/run/wick/agent.sock");
	else if (runtime && runtime[0] == '/')
		(void)snprintf(ret, size, "%s/wick-agent.sock", runtime);
}

static int address_of(const char *path, struct sockaddr_un *ret, struct error *err)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return error_set(err, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes", path,
				 sizeof(ret->sun_path) - 1);
	memcpy(ret->sun_path, path, strlen(path));
	return 0;
}

static int connect_to(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	int r = -errno;
	(void)close(fd);
	return r;
}

/* Only a socket that nobody answers at is removed. */
static int make_way(const struct sockaddr_un *address, struct error *err)
{
	struct stat st;
	if (lstat(address->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, -EEXIST, "%s: is there and not a socket", address->sun_path);
	int fd = connect_to(address);
	if (fd >= 0) {
		(void)close(fd);
		return error_set(err, -EADDRINUSE, "%s: another agent listens there", address->sun_path);
	}
	(void)unlink(address->sun_path);
	return 0;
}

static int listen_at(const struct sockaddr_un *address, struct error *err)
{
	char folder[sizeof(address->sun_path)];
	memcpy(folder, address->sun_path, sizeof(folder));
	char *slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = 0;
		(void)mkdir(folder, 0755);
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t mask = umask(0117);
	bool bound = fd >= 0 && bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
	int r = bound ? 0 : -errno;
	(void)umask(mask);
	if (bound && listen(fd, CONTROL_CLIENTS) < 0)
		r = -errno;
	if (r < 0) {
		if (fd >= 0)
			(void)close(fd);
		return error_set(err, r, "%s: %s", address->sun_path, strerror(-r));
	}
	return fd;
}

int control_open(const char *path, struct control_handler h, struct control **ret, struct error *err)
{
	struct sockaddr_un address;
	int r = address_of(path, &address, err);
	if (r == 0)
		r = make_way(&address, err);
	if (r < 0)
		return r;
	_cleanup_(control_free)
	struct control *c = calloc(1, sizeof(*c));
	if (!c)
		return error_set(err, -ENOMEM, "no memory");
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		c->clients[i].fd = -1;
	c->handler = h;
	c->fd = listen_at(&address, err);
	if (c->fd < 0)
		return c->fd;
	memcpy(c->path, address.sun_path, sizeof(c->path));
	*ret = take_ptr(c);
	return 0;
}

static void hang_up(struct client *c)
{
	if (c->fd >= 0)
		(void)close(c->fd);
	buf_done(&c->answer);
	*c = (struct client){ .fd = -1 };
}

void control_free(struct control **c)
{
	if (!*c)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++)
		hang_up(&(*c)->clients[i]);
	if ((*c)->fd >= 0)
		(void)close((*c)->fd);
	if ((*c)->path[0])
		(void)unlink((*c)->path);
	free(*c);
	*c = NULL;
}

void control_poll(const struct control *c, struct pollfd fds[static CONTROL_FDS])
{
	fds[CONTROL_CLIENTS] = (struct pollfd){ .fd = c ? c->fd : -1, .events = POLLIN };
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		const struct client *k = c ? &c->clients[i] : NULL;
		fds[i] = (struct pollfd){ .fd = k ? k->fd : -1, .events = k && k->answer.n ? POLLOUT : POLLIN };
	}
}

static void accept_client(struct control *c, int64_t now_ns)
{
	struct client *free_client = NULL;
	for (size_t i = 0; i < CONTROL_CLIENTS && !free_client; i++)
		free_client = c->clients[i].fd < 0 ? &c->clients[i] : NULL;
	int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (!free_client) {
		(void)close(fd);
		return;
	}
	*free_client = (struct client){ .fd = fd, .deadline_ns = now_ns + CLIENT_NS, .answer = buf_of(ANSWER_MAX) };
}

static void answer(struct control *c, struct client *k, size_t n)
{
	if (!c->handler.answer(c->handler.arg, slice_of(k->request, n), &k->answer))
		buf_add_str(&k->answer, "{\"detail\":\"known requests: status, unwind\"}\n");
	if (k->answer.failed || k->answer.n == 0)
		hang_up(k);
}

static void read_request(struct control *c, struct client *k)
{
	ssize_t n = recv(k->fd, k->request + k->n_request, sizeof(k->request) - k->n_request, 0);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			hang_up(k);
		return;
	}
	k->n_request += (size_t)n;
	const char *newline = memchr(k->request, '\n', k->n_request);
	if (newline)
		answer(c, k, (size_t)(newline - k->request));
	else if (k->n_request == sizeof(k->request))
		hang_up(k);
}

static void write_answer(struct client *k)
{
	ssize_t n = send(k->fd, k->answer.data + k->n_sent, k->answer.n - k->n_sent, MSG_NOSIGNAL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		k->n_sent += (size_t)n;
	if (n < 0 || k->n_sent == k->answer.n)
		hang_up(k);
}

void control_step(struct control *c, const struct pollfd fds[static CONTROL_FDS], int64_t now_ns)
{
	if (!c)
		return;
	for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
		struct client *k = &c->clients[i];
		if (k->fd < 0)
			continue;
		if (fds[i].fd == k->fd && fds[i].revents && k->answer.n)
			write_answer(k);
		else if (fds[i].fd == k->fd && fds[i].revents)
			read_request(c, k);
		if (k->fd >= 0 && now_ns > k->deadline_ns)
			hang_up(k);
	}
	if (fds[CONTROL_CLIENTS].revents)
		accept_client(c, now_ns);
}

int control_ask(const char *path, const char *request, struct buf *out, struct error *err)
{
	struct sockaddr_un address;
	int r = address_of(path, &address, err);
	if (r < 0)
		return r;
	_cleanup_(close_fd)
	int fd = connect_to(&address);
	if (fd < 0)
		return error_set(err, fd, "%s: %s", path,
				 fd == -ENOENT || fd == -ECONNREFUSED ? "no agent listens there" : strerror(-fd));
	const struct timeval patience = { .tv_sec = 5 };
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
		return error_set(err, -EIO, "%s: %s", path, strerror(errno));
	for (;;) {
		uint8_t *room = buf_room(out, 4096);
		ssize_t n = room ? recv(fd, room, 4096, 0) : -1;
		if (n == 0)
			return 0;
		if (n < 0)
			return error_set(err, -EIO, "%s: %s", path, room ? strerror(errno) : "too long an answer");
		out->n += (size_t)n;
	}
}
