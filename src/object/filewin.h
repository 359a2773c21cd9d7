/* SPDX-License-Identifier: Apache-2.0 */
/* filewin.h: a file seen through one small window, moved by pread.
 *
 *   file   [.........|=== window ===|......................]
 *                     off            off + n
 *
 * For structures that are read forward or near each other. A request that
 * does not lie inside the window moves it to start there. The first failure
 * of pread, or a file that turned out shorter than `size`, is kept in
 * `error`; requests outside the file are an ordinary NULL. A reader of untrusted
 * structures may bound its work by moves_left: the move after the last fails
 * with -E2BIG. */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>

struct filewin {
	int fd; /* the caller's */
	uint64_t size;
	uint64_t off;
	uint32_t n, cap;
	uint32_t moves_left; /* UINT32_MAX from filewin_init */
	uint8_t *data;
	int error; /* 0 or -errno */
};

/* 0 or -ENOMEM. `cap` is the largest request. */
int filewin_init(struct filewin *w, int fd, uint64_t size, uint32_t cap) must_check;
void filewin_done(struct filewin *w);

/* `size` bytes at `off`, valid until the next call; NULL when they are not in
 * the file, more than the window holds, or could not be read. */
const void *filewin_at(struct filewin *w, uint64_t off, uint32_t size) must_check;
/* As many bytes at `off` as are at hand, at least one. */
const void *filewin_ahead(struct filewin *w, uint64_t off, uint32_t *ret_n) must_check;

/* The next of the 8-byte words at *off, *off + 8 ... that has `value` in the
 * bits of `mask` and lies before `end`: true and its place in *off. */
bool filewin_find(struct filewin *w, uint64_t *off, uint64_t end, uint64_t mask, uint64_t value) must_check;
