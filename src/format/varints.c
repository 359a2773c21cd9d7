/* SPDX-License-Identifier: Apache-2.0 */
#include "format/varints.h"

/* Bit i: byte i of eight is the last of its number. The product brings the
 * eight top bits side by side. */
static inline uint64_t ends_of_8(const uint8_t *at)
{
	uint64_t w;
	memcpy(&w, at, sizeof(w));
	return ((~w >> 7 & 0x0101010101010101) * 0x0102040810204080) >> 56;
}

static inline uint64_t ends_of_64(const uint8_t *at)
{
	uint64_t mask = 0;
	for (unsigned i = 0; i < 8; i++)
		mask |= ends_of_8(at + 8 * i) << (8 * i);
	return mask;
}

/* The number in the first `size` (1-4) bytes. */
static inline uint32_t number_at(const uint8_t *at, size_t size)
{
	uint32_t w;
	memcpy(&w, at, sizeof(w));
	w &= UINT32_MAX >> ((32 - 8 * size) & 31);
	w = (w & 0x007f007f) | (w & 0x7f007f00) >> 1;
	return (w & 0x3fff) | (w & 0x3fff0000) >> 2;
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are loaded as they lie");

bool varints_read(struct slice bytes, uint32_t *out, uint32_t *ret_n)
{
	const uint8_t *at = bytes.data;
	size_t from = 0, longest = 0;
	uint32_t n = 0;
	for (size_t block = 0; block < bytes.size; block += 64) {
		uint64_t ends = ends_of_64(at + block);
		if (bytes.size - block < 64)
			ends &= ((uint64_t)1 << (bytes.size - block)) - 1;
		for (; ends; ends &= ends - 1) {
			size_t to = block + (unsigned)__builtin_ctzll(ends) + 1;
			longest |= to - from - 1;
			out[n++] = number_at(at + from, to - from);
			from = to;
		}
	}
	*ret_n = n;
	return from == bytes.size && longest < 4;
}
