/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h: growing output bytes with a maximum and a sticky failure flag.
 *
 * Writers append without checking each call and look at `failed` once:
 *
 *   _cleanup_(buf_done) struct buf b = buf_of(64 << 20);
 *   buf_printf(&b, "...");
 *   if (b.failed) return -E2BIG;
 */
#pragma once

#include "base/cleanup.h"
#include "base/slice.h"

struct buf {
	uint8_t *data;
	size_t n, cap, max;
	bool failed;
};

static inline struct buf buf_of(size_t max)
{
	return (struct buf){ .max = max };
}

void buf_done(struct buf *b);

/* Room for `size` more bytes, or NULL (sticky). The caller adds to b->n. */
uint8_t *buf_room(struct buf *b, size_t size);

void buf_add(struct buf *b, const void *data, size_t size);
void buf_add_str(struct buf *b, const char *s);
void buf_add_byte(struct buf *b, uint8_t byte);
void buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);

/* Hands the bytes over to the caller, who free()s them. */
uint8_t *buf_take(struct buf *b, size_t *ret_size);
