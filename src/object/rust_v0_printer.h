/* SPDX-License-Identifier: Apache-2.0 */
/* rust_v0_printer.h: what reading and writing of Rust's v0 names share: paths
 * and types (rust_v0.c), and constants. The first failure sticks: what follows
 * reads and writes nothing. */
#pragma once

#include "object/rust_v0.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>

struct rust_v0 {
	const char *name, *at, *end; /* behind the prefix */
	char *out;
	uint32_t n, size;
	uint32_t depth, steps;
	uint64_t n_lifetimes; /* of binders around */
	bool is_skipping;     /* reads on and writes nothing */
	int error;
};

/* One identifier: what of it is ASCII, and the rest. */
struct rust_v0_name {
	struct slice ascii, punycode;
};

/* `in_value`: of an expression, where "::<" is written. */
void rust_v0_path(struct rust_v0 *p, bool in_value);
void rust_v0_type(struct rust_v0 *p);
void rust_v0_const(struct rust_v0 *p, bool in_value);

/* Reads at an earlier place, unless nothing would be written. */
void rust_v0_follow(struct rust_v0 *p, void (*print)(struct rust_v0 *, bool), bool in_value);

/* 0: there is none. */
uint64_t rust_v0_disambiguator(struct rust_v0 *p);
struct rust_v0_name rust_v0_identifier(struct rust_v0 *p);
void rust_v0_put(struct rust_v0 *p, const struct rust_v0_name *id);

static inline void fail(struct rust_v0 *p, int error)
{
	if (!p->error)
		p->error = error;
	p->at = p->end;
}

static inline void put_bytes(struct rust_v0 *p, const char *text, size_t size)
{
	if (p->is_skipping || p->error)
		return;
	if (size > p->size - p->n) {
		fail(p, -E2BIG);
		return;
	}
	memcpy(p->out + p->n, text, size);
	p->n += (uint32_t)size;
}

static inline void put(struct rust_v0 *p, const char *text)
{
	put_bytes(p, text, strlen(text));
}

static inline void put_number(struct rust_v0 *p, uint64_t n)
{
	char text[24];
	(void)snprintf(text, sizeof(text), "%" PRIu64, n);
	put(p, text);
}

static inline void put_character(struct rust_v0 *p, uint32_t c)
{
	char text[4];
	put_bytes(p, text, utf8_encode(c, text));
}

/* False when that was too much work: there may be zeros without end in front of
 * a number, and references back to it. */
static inline bool step(struct rust_v0 *p)
{
	if (p->steps == RUST_V0_MAX_STEPS)
		fail(p, -ENOBUFS);
	else
		p->steps++;
	return !p->error;
}

static inline bool enter(struct rust_v0 *p)
{
	if (p->depth == RUST_V0_MAX_DEPTH)
		fail(p, -ENOBUFS);
	else if (step(p))
		p->depth++;
	return !p->error;
}

/* 0 at the end. */
static inline char look(const struct rust_v0 *p)
{
	return p->at < p->end ? *p->at : 0;
}

static inline char next(struct rust_v0 *p)
{
	char c = look(p);
	if (c)
		p->at++;
	else
		fail(p, -EBADMSG);
	return c;
}

static inline bool eat(struct rust_v0 *p, char c)
{
	bool is_it = look(p) == c;
	p->at += is_it;
	return is_it;
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}
