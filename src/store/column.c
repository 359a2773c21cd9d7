/* SPDX-License-Identifier: Apache-2.0 */
#include "store/column.h"

#include <errno.h>

void columns_init(struct columns *c)
{
	*c = (struct columns){ 0 };
	for (int k = 0; k < COLUMNS_MAX; k++)
		c->column[k] = buf_of(UINT32_MAX);
}

void columns_done(struct columns *c)
{
	for (int k = 0; k < COLUMNS_MAX; k++)
		buf_done(&c->column[k]);
}

void columns_reset(struct columns *c)
{
	for (int k = 0; k < COLUMNS_MAX; k++) {
		c->column[k].n = 0;
		c->last[k] = 0;
	}
}

void columns_write(const struct columns *c, unsigned n, struct buf *out)
{
	for (unsigned k = 0; k < n; k++) {
		uint8_t *p = buf_room(out, VARINT_MAX);
		if (p)
			out->n += (size_t)(varint_write(p, c->column[k].n) - p);
		buf_add(out, c->column[k].data, c->column[k].n);
		out->failed = out->failed || c->column[k].failed;
	}
}

int columns_next(struct slice *rest, struct column *ret)
{
	struct column head = { .p = rest->data, .end = rest->data + rest->size };
	uint64_t size = column_u(&head);
	size_t left = (size_t)(head.end - head.p);
	if (head.bad || size > left)
		return -EBADMSG;
	*ret = (struct column){ .p = head.p, .end = head.p + size };
	*rest = slice_of(head.p + size, left - (size_t)size);
	return 0;
}

uint64_t column_u_slow(struct column *c)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64 && c->p < c->end; shift += 7) {
		uint8_t byte = *c->p++;
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 127) << shift;
		if (byte < 128)
			return v;
	}
	c->bad = true;
	return 0;
}

struct column_number column_next_slow(const uint8_t *p, bool *bad)
{
	struct column c = { .p = p, .end = p + VARINT_MAX };
	uint64_t v = column_u_slow(&c);
	*bad = *bad || c.bad;
	return (struct column_number){ c.p, v };
}
