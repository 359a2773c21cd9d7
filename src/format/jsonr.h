/* SPDX-License-Identifier: Apache-2.0 */
/* jsonr.h: JSON (RFC 8259) read once, front to back, without a tree.
 *
 *   {"samples": [[0, 1], [0]], "unit": "none"}
 *
 *   jsonr_object(&r)                  into the object
 *   while ((k = jsonr_key(&r, &key)) == 1)     k == 0: behind its '}'
 *           jsonr_array(&r), jsonr_next(&r) == 1 ..., jsonr_str(&r, &s),
 *           or jsonr_skip(&r): exactly one value per key
 *
 * The caller knows what should come and asks for it; what comes instead is an
 * error naming both. Where one part of a file is needed before another that
 * stands in front of it, jsonr_section() steps over a value and
 * jsonr_at_section() comes back to it with a reader of its own.
 *
 * Strings are slices of the input, or, when they hold escapes, of a scratch
 * buffer: valid until the next string or key of the same reader. They are
 * UTF-8; half a surrogate pair in \u becomes U+FFFD. A value that is skipped
 * is checked for matching brackets, whole strings and UTF-8, not for what
 * stands between them.
 *
 * Messages read "at byte 12: ..." with offsets from the start of the input, or
 * "ends in the middle of a string, at byte 12".
 * Errors: -EBADMSG, -ENODATA, -E2BIG (depth), -ENOMEM. After an error only
 * jsonr_done() makes sense. */
#pragma once

#include "base/buf.h"
#include "base/error.h"

#define JSONR_DEPTH_MAX 65536

enum jsonr_type { JSONR_NULL, JSONR_BOOL, JSONR_NUMBER, JSONR_STRING, JSONR_ARRAY, JSONR_OBJECT };

struct jsonr {
	const uint8_t *from, *at, *end;
	const uint8_t *token; /* start of the value or key last read */
	uint32_t depth, max_depth;
	bool fresh; /* directly behind a '[' or '{' */
	struct buf scratch;
	struct error *err;
};

/* `max_depth` of nested arrays and objects, at most JSONR_DEPTH_MAX. A byte
 * order mark is stepped over. */
void jsonr_init(struct jsonr *r, struct slice in, uint32_t max_depth, struct error *err);
void jsonr_done(struct jsonr *r);

/* The value that comes next, enum jsonr_type, or negative errno. */
int jsonr_peek(struct jsonr *r) must_check;

/* Into an object or array. */
int jsonr_object(struct jsonr *r) must_check;
int jsonr_array(struct jsonr *r) must_check;

/* 1: at the value of *ret_key, or at a further element; 0: behind the end of
 * the object or array. */
int jsonr_key(struct jsonr *r, struct slice *ret_key) must_check;
int jsonr_next_slow(struct jsonr *r) must_check;

int jsonr_str(struct jsonr *r, struct slice *ret) must_check;
/* A number; one that a double cannot hold is refused. */
int jsonr_f64(struct jsonr *r, double *ret) must_check;
/* A whole number of 64 bits: 12, -3, 4.0, 1e3. */
int jsonr_i64(struct jsonr *r, int64_t *ret) must_check;
/* A whole number from 0 to UINT32_MAX. */
int jsonr_u32_slow(struct jsonr *r, uint32_t *ret) must_check;

int jsonr_skip(struct jsonr *r) must_check;

/* Only white space is left. */
int jsonr_finish(struct jsonr *r) must_check;

/* Skips a value and says where it begins; never 0, so that 0 can mean "not there". */
int jsonr_section(struct jsonr *r, size_t *ret_off) must_check;
/* A reader standing at that value. It needs its own jsonr_done(). */
struct jsonr jsonr_at_section(const struct jsonr *r, size_t off);

/* "at byte N: ..." of the value last read; returns `code`. */
int jsonr_refuse(const struct jsonr *r, int code, const char *fmt, ...) printf_like(3, 4);

static inline int must_check jsonr_next(struct jsonr *r)
{
	if (r->at < r->end && *r->at == ',' && !r->fresh) {
		r->at++;
		return 1;
	}
	return jsonr_next_slow(r);
}

static inline int must_check jsonr_u32(struct jsonr *r, uint32_t *ret)
{
	const uint8_t *p = r->at;
	uint32_t v = 0;
	/* Nine digits fit; what follows them must not belong to a number. */
	if (r->end - p > 9) {
		while (p < r->at + 9 && (uint8_t)(*p - '0') < 10)
			v = v * 10 + (uint32_t)(*p++ - '0');
		bool plain = p > r->at && (*r->at != '0' || p == r->at + 1);
		if (plain && (*p == ',' || *p == ']')) {
			r->token = r->at;
			r->at = p;
			*ret = v;
			return 0;
		}
	}
	return jsonr_u32_slow(r, ret);
}

static inline bool jsonr_is(struct slice s, const char *text)
{
	size_t n = strlen(text);
	return s.size == n && memcmp(s.data, text, n) == 0;
}
