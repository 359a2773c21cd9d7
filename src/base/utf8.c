/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

size_t utf8_sequence(const uint8_t *s, size_t size)
{
	if (size == 0)
		return 0;
	uint8_t c = s[0];
	if (c < 0x80)
		return 1;
	size_t n = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
	if (n == 0 || size < n)
		return 0;
	/* The second byte's range closes over-long forms, surrogates and
	 * code points past U+10FFFF. */
	uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

size_t utf8_valid_size(const uint8_t *s, size_t size)
{
	size_t at = 0;
	for (size_t n; (n = utf8_sequence(s + at, size - at)); at += n)
		;
	return at;
}

size_t utf8_count(const uint8_t *s, size_t size)
{
	size_t count = 0;
	for (size_t at = 0; at < size; count++) {
		size_t n = utf8_sequence(s + at, size - at);
		at += n ? n : 1;
	}
	return count;
}

bool utf8_is_character(uint64_t c)
{
	return c < 0x110000 && (c < 0xd800 || c > 0xdfff);
}

size_t utf8_encode(uint32_t c, char out[static 4])
{
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const uint8_t first[] = { 0, 0x00, 0xc0, 0xe0, 0xf0 };
	out[0] = (char)(first[n] | c >> (6 * (n - 1)));
	for (size_t i = 1; i < n; i++)
		out[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
	return n;
}
