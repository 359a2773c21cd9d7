/* SPDX-License-Identifier: Apache-2.0 */
/* control.h: the agent's local socket, for `wick agent status`.
 *
 *   client: "status\n" or "unwind\n"       agent: one JSON document, and the end
 *
 * A Unix socket that its owner and group may use. A few clients at a time,
 * each for CLIENT_MS at most: a slow one cannot hold anything up. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#include <poll.h>

#define CONTROL_CLIENTS 4
#define CONTROL_FDS	(CONTROL_CLIENTS + 1)

struct control;

/* Writes the answer. False: the request is not known. */
struct control_handler {
	bool (*answer)(void *arg, struct slice request, struct buf *out);
	void *arg;
};

/* Where an agent of this user listens: /run/wick/agent.sock, or in the user's
 * own runtime folder. Empty: there is no such folder. */
void control_default_path(char *ret, size_t size);

/* -EADDRINUSE: another agent listens there. A socket left behind is replaced. */
int control_open(const char *path, struct control_handler h, struct control **ret, struct error *err) must_check;
void control_free(struct control **c); /* for _cleanup_; removes the socket */

/* Fills CONTROL_FDS entries to poll; `c` may be NULL. */
void control_poll(const struct control *c, struct pollfd fds[static CONTROL_FDS]);
/* Goes on with what poll said; `fds` as filled by control_poll(). */
void control_step(struct control *c, const struct pollfd fds[static CONTROL_FDS], int64_t now_ns);

/* For the client: sends the request and appends the answer. -ENOENT or
 * -ECONNREFUSED: no agent listens there. */
int control_ask(const char *path, const char *request, struct buf *out, struct error *err) must_check;
