/* SPDX-License-Identifier: Apache-2.0 */
#include "object/filewin.h"

#include <errno.h>
#include <string.h>

int filewin_init(struct filewin *w, int fd, uint64_t size, uint32_t cap)
{
	*w = (struct filewin){ .fd = fd, .size = size, .cap = cap, .moves_left = UINT32_MAX, .data = malloc(cap) };
	return w->data ? 0 : -ENOMEM;
}

void filewin_done(struct filewin *w)
{
	free(w->data);
	*w = (struct filewin){ .fd = -1 };
}

/* Fills the window from `off` with at least `least` bytes. */
static int window_move(struct filewin *w, uint64_t off, uint32_t least)
{
	if (w->moves_left == 0)
		return -E2BIG;
	w->moves_left--;
	uint64_t left = w->size - off;
	uint32_t want = left < w->cap ? (uint32_t)left : w->cap;
	w->off = off;
	w->n = 0;
	while (w->n < want) {
		ssize_t r = pread(w->fd, w->data + w->n, want - w->n, (off_t)(off + w->n));
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			break;
		w->n += (uint32_t)r;
	}
	return w->n < least ? -ENODATA : 0;
}

const void *filewin_at(struct filewin *w, uint64_t off, uint32_t size)
{
	if (w->error || size > w->cap || off > w->size || size > w->size - off)
		return NULL;
	if (off < w->off || off - w->off > w->n || size > w->n - (off - w->off)) {
		w->error = window_move(w, off, size);
		if (w->error)
			return NULL;
	}
	return w->data + (off - w->off);
}

const void *filewin_ahead(struct filewin *w, uint64_t off, uint32_t *ret_n)
{
	const void *p = filewin_at(w, off, 1);
	if (p)
		*ret_n = w->n - (uint32_t)(off - w->off);
	return p;
}

bool filewin_find(struct filewin *w, uint64_t *off, uint64_t end, uint64_t mask, uint64_t value)
{
	uint64_t word;
	while (*off < end && filewin_at(w, *off, sizeof(word))) {
		const uint8_t *p = w->data + (*off - w->off);
		uint64_t n = (w->n - (*off - w->off)) / sizeof(word);
		for (uint64_t i = 0; i < n && *off < end; i++, *off += sizeof(word)) {
			memcpy(&word, p + i * sizeof(word), sizeof(word));
			if ((word & mask) == value)
				return true;
		}
	}
	return false;
}
