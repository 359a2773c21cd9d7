/* SPDX-License-Identifier: Apache-2.0 */
#include "format/markup.h"

#include "base/utf8.h"

static const char *entity(uint8_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return c < 0x20 || c == 0x7f ? "\xef\xbf\xbd" : NULL;
	}
}

/* U+FFFE, U+FFFF */
static bool is_noncharacter(const uint8_t *s)
{
	return s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe;
}

void markup_put_text(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.size;) {
		size_t n = utf8_sequence(s.data + i, s.size - i);
		const char *instead = n == 1 ? entity(s.data[i]) : NULL;
		if (n == 0 || (n == 3 && is_noncharacter(s.data + i)))
			instead = "\xef\xbf\xbd";
		if (instead)
			buf_add_str(out, instead);
		else
			buf_add(out, s.data + i, n);
		i += n ? n : 1;
	}
}
