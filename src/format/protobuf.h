/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf.h: the wire format of Protocol Buffers, read in place and written
 * forward.
 *
 *   message = { key varint (number << 3 | wire type), payload }*
 *   wire types: 0 varint, 1 eight bytes, 2 length + bytes, 5 four bytes
 *
 * A reader walks one message; nested ones are read by a reader over the
 * field's bytes. Pointers stay inside the input, so that a position is a
 * subtraction. Groups (3, 4) are refused: nobody has written them since 2008.
 *
 * https://protobuf.dev/programming-guides/encoding/ */
#pragma once

#include "base/buf.h"

#include <errno.h>

enum pb_wire { PB_VARINT = 0, PB_64 = 1, PB_BYTES = 2, PB_32 = 5 };

struct pb_reader {
	const uint8_t *at, *end;
	int short_code;	 /* what running past `end` means: -ENODATA or -EBADMSG */
	const char *why; /* set on failure */
};

struct pb_field {
	uint32_t number;
	uint32_t wire;
	uint64_t value;	    /* PB_VARINT, PB_32, PB_64 */
	struct slice bytes; /* PB_BYTES */
	const uint8_t *at;  /* where its key stands */
};

/* The outermost message: running past the end means truncated. */
static inline struct pb_reader pb_reader_of(struct slice bytes)
{
	return (struct pb_reader){ bytes.data, slice_end(bytes), -ENODATA, NULL };
}

static inline struct pb_reader pb_reader_nested(struct slice bytes)
{
	return (struct pb_reader){ bytes.data, slice_end(bytes), -EBADMSG, NULL };
}

static inline int pb_fail(struct pb_reader *r, int code, const char *why)
{
	r->why = why;
	return code;
}

/* Of a number of any length. */
static inline int pb_long_varint(struct pb_reader *r, uint64_t *ret)
{
	const uint8_t *at = r->at;
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 70; shift += 7) {
		if (at == r->end)
			return pb_fail(r, r->short_code, "ends inside a number");
		uint8_t byte = *at++;
		if (shift == 63 && byte > 1)
			break;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			r->at = at;
			*ret = v;
			return 0;
		}
	}
	return pb_fail(r, -EBADMSG, "a number longer than 64 bits");
}

/* 0, or a negative errno with r->why set and r->at where it began. */
static inline int pb_varint(struct pb_reader *r, uint64_t *ret)
{
	if (r->at != r->end && *r->at < 0x80) {
		*ret = *r->at++;
		return 0;
	}
	return pb_long_varint(r, ret);
}

/* The number at `at`, and where the next thing begins; NULL when it does not fit into 64 bits. Reads up to
 * PB_QUICK_SIZE bytes, which must be there, whatever the number's own length is: up to eight need no branch. */
#define PB_QUICK_SIZE 10

static inline const uint8_t *pb_quick(const uint8_t *at, uint64_t *ret)
{
	if (*at < 0x80) {
		*ret = *at;
		return at + 1;
	}
	uint64_t w;
	memcpy(&w, at, sizeof(w));
	uint64_t ends = ~w & 0x8080808080808080;
	unsigned size = ends ? ((unsigned)__builtin_ctzll(ends) + 1) / 8 : 8;
	w &= UINT64_MAX >> (64 - 8 * size);
	w = (w & 0x007f007f007f007f) | (w & 0x7f007f007f007f00) >> 1;
	w = (w & 0x00003fff00003fff) | (w & 0x3fff00003fff0000) >> 2;
	w = (w & 0x0fffffff) | (w & 0x0fffffff00000000) >> 4;
	if (__builtin_expect(!ends, 0)) {
		w |= (uint64_t)(at[8] & 0x7f) << 56;
		size = at[8] < 0x80 ? 9 : 10;
		if (size == 10 && at[9] > 1)
			return NULL;
		w |= size == 10 ? (uint64_t)at[9] << 63 : 0;
	}
	*ret = w;
	return at + size;
}
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are loaded as they lie");

static inline int pb_fixed(struct pb_reader *r, unsigned size, uint64_t *ret)
{
	if ((size_t)(r->end - r->at) < size)
		return pb_fail(r, r->short_code, "ends inside a number");
	uint64_t v = 0;
	for (unsigned i = 0; i < size; i++)
		v |= (uint64_t)r->at[i] << (8 * i);
	r->at += size;
	*ret = v;
	return 0;
}

static inline int pb_bytes(struct pb_reader *r, struct slice *ret)
{
	const uint8_t *at = r->at;
	uint64_t size = 0;
	int k = pb_varint(r, &size);
	if (k < 0)
		return k;
	if (size > (uint64_t)(r->end - r->at)) {
		r->at = at;
		return pb_fail(r, r->short_code,
			       r->short_code == -ENODATA ? "ends inside a field" : "a field longer than its message");
	}
	*ret = slice_of(r->at, (size_t)size);
	r->at += size;
	return 0;
}

/* As pb_next(), whatever the next field is like. */
static inline int pb_next_any(struct pb_reader *r, struct pb_field *ret)
{
	if (r->at == r->end)
		return 0;
	uint64_t key = 0;
	ret->at = r->at;
	int k = pb_varint(r, &key);
	if (k < 0)
		return k;
	if (key >> 3 == 0 || key >> 3 > (1 << 29) - 1) {
		r->at = ret->at;
		return pb_fail(r, -EBADMSG, "a field number out of range");
	}
	ret->number = (uint32_t)(key >> 3);
	ret->wire = (uint32_t)key & 7;
	switch (ret->wire) {
	case PB_VARINT:
		k = pb_varint(r, &ret->value);
		break;
	case PB_64:
		k = pb_fixed(r, 8, &ret->value);
		break;
	case PB_BYTES:
		k = pb_bytes(r, &ret->bytes);
		break;
	case PB_32:
		k = pb_fixed(r, 4, &ret->value);
		break;
	default:
		r->at = ret->at;
		return pb_fail(r, -EBADMSG, "an unknown wire type");
	}
	return k < 0 ? k : 1;
}

/* 1: *ret is the next field; 0: no more; negative errno. Inline are fields whose key and number, or size, have a byte
 * each. */
static inline int pb_next(struct pb_reader *r, struct pb_field *ret)
{
	const uint8_t *at = r->at;
	ptrdiff_t left = r->end - at;
	if (left < 2 || at[0] >= 0x80 || at[0] < 8 || at[1] >= 0x80)
		return pb_next_any(r, ret);
	uint32_t wire = at[0] & 7;
	if (wire == PB_BYTES && at[1] <= left - 2) {
		ret->bytes = slice_of(at + 2, at[1]);
		r->at = at + 2 + at[1];
	} else if (wire == PB_VARINT) {
		ret->value = at[1];
		r->at = at + 2;
	} else {
		return pb_next_any(r, ret);
	}
	ret->at = at;
	ret->number = at[0] >> 3;
	ret->wire = wire;
	return 1;
}

/* The first byte of a field whose number is below 16: all of its key. */
static inline uint8_t pb_key(uint32_t number, enum pb_wire wire)
{
	return (uint8_t)(number << 3 | (uint32_t)wire);
}

/* Whether the next field has this key of PB_BYTES and a size of one or two bytes, and is whole: then *ret is what it
 * holds. For runs of rows; of whatever else comes pb_next() knows what it is. */
static inline bool pb_next_row(struct pb_reader *r, uint8_t key, struct slice *ret)
{
	const uint8_t *at = r->at;
	size_t left = (size_t)(r->end - at), head = 2;
	if (left < 3 || at[0] != key)
		return false;
	size_t size = at[1];
	if (size >= 0x80) {
		if (at[2] >= 0x80)
			return false;
		size = (size & 0x7f) | (size_t)at[2] << 7;
		head = 3;
	}
	if (size > left - head)
		return false;
	*ret = slice_of(at + head, size);
	r->at = at + head + size;
	return true;
}

/* What is there of a field that pb_next() found no end of. False: it is cut in
 * its key or length, or holds no bytes. */
static inline bool pb_rest(const struct pb_reader *r, const struct pb_field *f, struct slice *ret)
{
	struct pb_reader t = *r;
	uint64_t size;
	if (r->at == f->at || f->wire != PB_BYTES || pb_varint(&t, &size) < 0)
		return false;
	*ret = slice_of(t.at, (size_t)(t.end - t.at));
	return true;
}

static inline void pb_put_varint(struct buf *b, uint64_t v)
{
	uint8_t *p = buf_room(b, 10);
	if (!p)
		return;
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	b->n = (size_t)(p - b->data);
}

static inline void pb_put_key(struct buf *b, uint32_t number, enum pb_wire wire)
{
	pb_put_varint(b, (uint64_t)number << 3 | wire);
}

/* Left out when 0, as proto3 does. */
static inline void pb_put_uint(struct buf *b, uint32_t number, uint64_t v)
{
	if (v == 0)
		return;
	pb_put_key(b, number, PB_VARINT);
	pb_put_varint(b, v);
}

static inline void pb_put_bytes(struct buf *b, uint32_t number, struct slice bytes)
{
	pb_put_key(b, number, PB_BYTES);
	pb_put_varint(b, bytes.size);
	buf_add(b, bytes.data, bytes.size);
}
