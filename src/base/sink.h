/* SPDX-License-Identifier: Apache-2.0 */
/* sink.h: where output goes that is made in pieces, so that nobody has to
 * hold all of it.
 *
 *   SINK_PIECE is what a writer collects before it puts a piece: large enough
 *   that what is behind put() is a system call now and then. */
#pragma once

#include "base/buf.h"

#include <errno.h>

#define SINK_PIECE ((size_t)256 << 10)

struct sink {
	int (*put)(void *arg, struct slice piece); /* 0 or negative errno, which ends the writing */
	void *arg;
};

/* A struct buf as the place. */
static inline int sink_put_buf(void *buf, struct slice piece)
{
	struct buf *b = buf;
	buf_add(b, piece.data, piece.size);
	return b->failed ? -E2BIG : 0;
}
