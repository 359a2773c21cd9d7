/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h: UTF-8 (RFC 3629): validity, counting, and encoding. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of the valid sequence at s (1-4), 0 when there is none. */
size_t utf8_sequence(const uint8_t *s, size_t size);

/* Bytes before the first that begins no valid sequence: `size` when all is valid. */
size_t utf8_valid_size(const uint8_t *s, size_t size);

/* Characters; a byte that belongs to none counts as one. */
size_t utf8_count(const uint8_t *s, size_t size);

/* Whether `c` is a character: below 0x110000 and no surrogate. */
bool utf8_is_character(uint64_t c);

/* Writes a character: 1 to 4 bytes. */
size_t utf8_encode(uint32_t c, char out[static 4]);
