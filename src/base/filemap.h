/* SPDX-License-Identifier: Apache-2.0 */
/* filemap.h: a whole file to read from, without a copy where that pays.
 *
 * A large regular file is mapped, anything else is read. As with any map, the
 * file must not be cut while it is in use: reading behind its new end is a
 * SIGBUS, for which the program has a message. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

struct filemap {
	struct slice bytes;
	void *map; /* NULL: `copy` holds the bytes */
	struct buf copy;
};

/* "-" = stdin. -E2BIG past `max` bytes. */
int filemap_init(struct filemap *f, const char *path, size_t max, struct error *err) must_check;
void filemap_done(struct filemap *f);
