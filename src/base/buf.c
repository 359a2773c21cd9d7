/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

uint8_t *buf_room(struct buf *b, size_t size)
{
	if (b->failed)
		return NULL;
	if (b->cap - b->n >= size)
		return b->data + b->n;
	if (size > b->max || b->n > b->max - size) {
		b->failed = true;
		return NULL;
	}
	size_t cap = b->cap + b->cap / 2 + 256;
	if (cap < b->n + size)
		cap = b->n + size;
	if (cap > b->max)
		cap = b->max;
	uint8_t *p = realloc(b->data, cap);
	if (!p) {
		b->failed = true;
		return NULL;
	}
	b->data = p;
	b->cap = cap;
	return b->data + b->n;
}

void buf_add(struct buf *b, const void *data, size_t size)
{
	if (size == 0)
		return;
	uint8_t *p = buf_room(b, size);
	if (p) {
		memcpy(p, data, size);
		b->n += size;
	}
}

void buf_add_str(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_add_byte(struct buf *b, uint8_t byte)
{
	buf_add(b, &byte, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	char small[256];
	int n = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (n < 0) {
		b->failed = true;
	} else if ((size_t)n < sizeof(small)) {
		buf_add(b, small, (size_t)n);
	} else {
		uint8_t *p = buf_room(b, (size_t)n + 1);
		if (p) {
			(void)vsnprintf((char *)p, (size_t)n + 1, fmt, again);
			b->n += (size_t)n;
		}
	}
	va_end(again);
}

uint8_t *buf_take(struct buf *b, size_t *ret_size)
{
	*ret_size = b->n;
	uint8_t *p = b->data;
	*b = (struct buf){ .max = b->max };
	return p;
}
