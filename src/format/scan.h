/* SPDX-License-Identifier: Apache-2.0 */
/* scan.h: one line of text, read from left to right in place.
 *
 *   struct scan s = scan_of(line);
 *   if (scan_text(&s, "calls=") && scan_u64(&s, 10, &n) == 0 && scan_byte(&s, ' ')) ...
 *
 * What does not match is not stepped over. */
#pragma once

#include "base/cleanup.h"
#include "base/slice.h"

#include <errno.h>

struct scan {
	const uint8_t *at, *end;
};

static inline struct scan scan_of(struct slice s)
{
	return (struct scan){ s.data, s.size ? s.data + s.size : s.data };
}

static inline struct slice scan_rest(const struct scan *s)
{
	return slice_of(s->at, (size_t)(s->end - s->at));
}

static inline bool scan_is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Steps over blanks; true when there was one. */
static inline bool scan_blanks(struct scan *s)
{
	const uint8_t *from = s->at;
	while (s->at < s->end && scan_is_blank(*s->at))
		s->at++;
	return s->at > from;
}

static inline bool scan_done(const struct scan *s)
{
	return s->at == s->end;
}

static inline bool scan_byte(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != (uint8_t)c)
		return false;
	s->at++;
	return true;
}

static inline bool scan_text(struct scan *s, const char *text)
{
	if (!slice_has_prefix(scan_rest(s), text))
		return false;
	s->at += strlen(text);
	return true;
}

/* Up to the next blank; may be empty. */
static inline struct slice scan_word(struct scan *s)
{
	const uint8_t *from = s->at;
	while (s->at < s->end && !scan_is_blank(*s->at))
		s->at++;
	return slice_of(from, (size_t)(s->at - from));
}

static inline uint32_t scan_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10 : UINT32_MAX;
}

/* Digits of base 10 or 16, at least one: 0, -EBADMSG (none) or -ERANGE (more
 * than 64 bits). */
static inline int must_check scan_u64(struct scan *s, uint32_t base, uint64_t *ret)
{
	const uint8_t *p = s->at;
	uint64_t v = 0;
	bool fits = true;
	for (uint32_t digit; p < s->end && (digit = scan_digit(*p)) < base; p++)
		fits = fits && !__builtin_mul_overflow(v, base, &v) && !__builtin_add_overflow(v, digit, &v);
	if (p == s->at)
		return -EBADMSG;
	if (!fits)
		return -ERANGE;
	s->at = p;
	*ret = v;
	return 0;
}

/* The same with an optional '-', base 10. */
static inline int must_check scan_i64(struct scan *s, int64_t *ret)
{
	struct scan t = *s;
	bool negative = scan_byte(&t, '-');
	uint64_t v;
	int r = scan_u64(&t, 10, &v);
	if (r < 0)
		return r;
	if (v > (uint64_t)INT64_MAX)
		return -ERANGE;
	*s = t;
	*ret = negative ? -(int64_t)v : (int64_t)v;
	return 0;
}

static inline struct slice slice_trimmed(struct slice s)
{
	while (s.size && scan_is_blank(s.data[0]))
		s = slice_of(s.data + 1, s.size - 1);
	while (s.size && scan_is_blank(s.data[s.size - 1]))
		s.size--;
	return s;
}

static inline bool slice_contains(struct slice s, const char *text)
{
	return s.data && s.size && memmem(s.data, s.size, text, strlen(text)) != NULL;
}

/* The first or last `c`, or NULL. */
static inline const uint8_t *slice_first(struct slice s, char c)
{
	return s.data && s.size ? memchr(s.data, c, s.size) : NULL;
}

static inline const uint8_t *slice_last(struct slice s, char c)
{
	return s.data && s.size ? memrchr(s.data, c, s.size) : NULL;
}
