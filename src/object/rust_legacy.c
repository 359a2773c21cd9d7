/* SPDX-License-Identifier: Apache-2.0 */
#include "object/rust_legacy.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <errno.h>

#define HASH_SIZE     17 /* "h" and 16 digits */
#define HASH_DISTINCT 5	 /* digits a hash has at least; "h0000000000000000" is a name */

struct writer {
	char *out;
	uint32_t n, size;
	bool is_full;
};

static void put(struct writer *w, struct slice s)
{
	if (s.size > w->size - w->n)
		w->is_full = true;
	if (w->is_full || s.size == 0)
		return;
	memcpy(w->out + w->n, s.data, s.size);
	w->n += (uint32_t)s.size;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_hash(struct slice s)
{
	uint32_t seen = 0;
	if (s.size != HASH_SIZE || s.data[0] != 'h')
		return false;
	for (size_t i = 1; i < s.size; i++) {
		uint8_t c = s.data[i];
		if (!is_digit(c) && !(c >= 'a' && c <= 'f'))
			return false;
		seen |= 1u << (c & 15) << (is_digit(c) ? 0 : 9);
	}
	return __builtin_popcount(seen) >= HASH_DISTINCT;
}

/* Whether C++ may be ruled out. */
static bool ends_with_hash(struct slice name)
{
	size_t n = strlen("17") + HASH_SIZE + strlen("E");
	if (name.size < n || name.data[name.size - 1] != 'E' || memcmp(name.data + name.size - n, "17", 2) != 0)
		return false;
	return is_hash(slice_of(name.data + name.size - 1 - HASH_SIZE, HASH_SIZE));
}

/* "$LT$" and the like; 0: none of these. */
static size_t put_escape(struct writer *w, struct slice s)
{
	static const struct {
		const char *code, *text;
	} escapes[] = {
		{ "$SP$", "@" }, { "$BP$", "*" }, { "$RF$", "&" }, { "$LT$", "<" },
		{ "$GT$", ">" }, { "$LP$", "(" }, { "$RP$", ")" }, { "$C$", "," },
	};
	for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
		if (slice_has_prefix(s, escapes[i].code)) {
			put(w, slice_str(escapes[i].text));
			return strlen(escapes[i].code);
		}
	/* "$u7b$" */
	const uint8_t *end = s.size > 3 ? memchr(s.data + 1, '$', s.size - 1) : NULL;
	if (!end || s.data[1] != 'u' || end - s.data < 3 || end - s.data > 8)
		return 0;
	uint32_t c = 0;
	for (const uint8_t *d = s.data + 2; d < end; d++) {
		if (!is_digit(*d) && !(*d >= 'a' && *d <= 'f'))
			return 0;
		c = c << 4 | (uint32_t)(*d <= '9' ? *d - '0' : *d - 'a' + 10);
	}
	if (!utf8_is_character(c) || c < 0x20)
		return 0;
	char text[4];
	put(w, slice_of(text, utf8_encode(c, text)));
	return (size_t)(end - s.data) + 1;
}

static void put_identifier(struct writer *w, struct slice s)
{
	/* Identifiers do not begin with "$". */
	if (s.size >= 2 && s.data[0] == '_' && s.data[1] == '$')
		s = slice_of(s.data + 1, s.size - 1);
	while (s.size) {
		size_t n = 1;
		if (s.data[0] == '$') {
			n = put_escape(w, s);
			if (n == 0) {
				/* Not one of ours: as it is. */
				put(w, s);
				return;
			}
		} else if (slice_has_prefix(s, "..")) {
			put(w, slice_str("::"));
			n = 2;
		} else {
			put(w, slice_of(s.data, 1));
		}
		s = slice_of(s.data + n, s.size - n);
	}
}

/* Takes "3fmt" off the front. */
static bool take_identifier(struct slice *s, struct slice *ret)
{
	size_t n = 0, i = 0;
	for (; i < s->size && is_digit(s->data[i]) && n < s->size; i++)
		n = n * 10 + s->data[i] - '0';
	if (n == 0 || n > s->size - i)
		return false;
	*ret = slice_of(s->data + i, n);
	*s = slice_of(s->data + i + n, s->size - i - n);
	return true;
}

int rust_legacy_print(struct slice name, char *out, uint32_t size)
{
	struct writer w = { .out = out, .size = size };
	struct slice rest, id = { 0 }, last;
	if (!slice_has_prefix(name, "_ZN") || !ends_with_hash(name))
		return -EBADMSG;
	rest = slice_of(name.data + 3, name.size - 3);
	while (!slice_eq(rest, slice_str("E"))) {
		last = id;
		if (!take_identifier(&rest, &id))
			return -EBADMSG;
		put(&w, slice_str(w.n ? "::" : ""));
		put_identifier(&w, last);
	}
	if (id.size != HASH_SIZE || w.n == 0)
		return -EBADMSG;
	return w.is_full ? -E2BIG : (int)w.n;
}
