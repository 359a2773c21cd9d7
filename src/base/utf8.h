/* SPDX-License-Identifier: Apache-2.0 */
/* utf8.h: validity of UTF-8 (RFC 3629). */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Length of the valid sequence at s (1-4), 0 when there is none. */
size_t utf8_sequence(const uint8_t *s, size_t size);
