/* SPDX-License-Identifier: Apache-2.0 */
/* column.h: numbers as bytes, one column behind the other (docs/block-format.md).
 *
 *   writing   columns_u(c, 0, v), columns_d(c, 1, v) ... columns_write()   | size | values | size | values | ...
 *   reading   columns_next() -> struct column -> column_u(), column_d() ...
 *
 * A reader never leaves its bytes: what is missing or too long reads as 0 and
 * sets `bad`, which is looked at once per column or table. */
#pragma once

#include "base/buf.h"

#define VARINT_MAX 10 /* bytes */

static inline uint8_t *varint_write(uint8_t *p, uint64_t v)
{
	while (v >= 128) {
		*p++ = (uint8_t)(v | 128);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

static inline uint64_t zigzag(int64_t v)
{
	return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* ---- writing ---- */

#define COLUMNS_MAX 24

/* The columns of a table, filled row by row or column by column. */
struct columns {
	struct buf column[COLUMNS_MAX];
	uint64_t last[COLUMNS_MAX]; /* of columns_d() */
};

void columns_init(struct columns *c);
void columns_done(struct columns *c);
/* Empty again; keeps the memory. */
void columns_reset(struct columns *c);

static inline void columns_u(struct columns *c, unsigned k, uint64_t v)
{
	uint8_t *p = buf_room(&c->column[k], VARINT_MAX);
	if (p)
		c->column[k].n += (size_t)(varint_write(p, v) - p);
}

static inline void columns_z(struct columns *c, unsigned k, int64_t v)
{
	columns_u(c, k, zigzag(v));
}

/* The difference to the value before in this column. */
static inline void columns_d(struct columns *c, unsigned k, uint64_t v)
{
	columns_z(c, k, (int64_t)(v - c->last[k]));
	c->last[k] = v;
}

/* A reference by order of first use; `next` belongs to the table. */
static inline void columns_r(struct columns *c, unsigned k, uint32_t id, uint32_t *next)
{
	columns_u(c, k, id == *next ? 0 : id == 0 ? 1 : (uint64_t)(*next - id) + 1);
	*next += id == *next;
}

/* Appends columns 0 .. n - 1 to `out`, each led by its size. Whatever had no
 * room makes out->failed. */
void columns_write(const struct columns *c, unsigned n, struct buf *out);

/* ---- reading ---- */

struct column {
	const uint8_t *p, *end;
	uint64_t last; /* of column_d() */
	bool bad;
};

/* Takes the next column off `rest`. -EBADMSG: there is none, or it is cut. */
int columns_next(struct slice *rest, struct column *ret) must_check;

/* The rest of a number of several bytes. */
uint64_t column_u_slow(struct column *c);

static inline uint64_t column_u(struct column *c)
{
	if (c->p < c->end && *c->p < 128)
		return *c->p++;
	return column_u_slow(c);
}

/* ---- many numbers, of which most take a byte or two ----
 *
 *   for (uint32_t end = i + column_n_ample(&c, n - i); i < end; i++)
 *           use((number = column_next(number.p, &c.bad)).v)
 *
 * A column of which functions elsewhere have the address lives in memory: the
 * place to read from does not, so. */

struct column_number {
	const uint8_t *p; /* behind it */
	uint64_t v;
};

/* As column_u() of all of them. */
struct column_number column_next_slow(const uint8_t *p, bool *bad);

/* At least VARINT_MAX bytes are left. */
static inline struct column_number column_next(const uint8_t *p, bool *bad)
{
	if (p[0] < 128)
		return (struct column_number){ p + 1, p[0] };
	if (p[1] < 128)
		return (struct column_number){ p + 2, (p[0] & 127) | (uint64_t)p[1] << 7 };
	return column_next_slow(p, bad);
}

/* How many of n numbers can be read so for certain. */
static inline uint32_t column_n_ample(const struct column *c, uint32_t n)
{
	size_t ample = (size_t)(c->end - c->p) / VARINT_MAX;
	return ample < n ? (uint32_t)ample : n;
}

static inline int64_t column_z(struct column *c)
{
	return unzigzag(column_u(c));
}

static inline uint64_t column_d(struct column *c)
{
	return c->last += (uint64_t)column_z(c);
}

/* As column_u(), for numbers that are at most `max`; more is bad. */
static inline uint32_t column_u32(struct column *c, uint32_t max)
{
	uint64_t v = column_u(c);
	if (v <= max)
		return (uint32_t)v;
	c->bad = true;
	return 0;
}

/* A time in ms, far enough from the ends that a duration can be added. */
#define COLUMN_TIME_MAX (INT64_MAX / 4)

static inline int64_t column_time(struct column *c)
{
	int64_t v = (int64_t)column_d(c);
	if (v >= -COLUMN_TIME_MAX && v <= COLUMN_TIME_MAX)
		return v;
	c->bad = true;
	return 0;
}

/* A reference to a row of a table of rows 0 .. n. */
static inline uint32_t column_r(struct column *c, uint32_t *next, uint32_t n)
{
	uint64_t code = column_u(c);
	uint64_t id = code == 0 ? (*next)++ : code == 1 ? 0 : *next - (code - 1);
	if (id <= n && (code < 2 || code <= *next))
		return (uint32_t)id;
	c->bad = true;
	return 0;
}

/* Leaves n numbers out. */
static inline void column_skip(struct column *c, uint32_t n)
{
	while (n > 0 && c->p < c->end)
		n -= *c->p++ < 128;
	c->bad = c->bad || n > 0;
}

/* All has been read, and nothing was bad. */
static inline bool column_is_over(const struct column *c)
{
	return !c->bad && c->p == c->end;
}
