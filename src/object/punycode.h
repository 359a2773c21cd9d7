/* SPDX-License-Identifier: Apache-2.0 */
/* punycode.h: characters beyond ASCII as letters and digits (RFC 3492), as
 * Rust's identifiers are spelled in symbols.
 *
 *   "mnchen" and "3ya"  ->  m \u00fc n c h e n */
#pragma once

#include "base/slice.h"

#define PUNYCODE_MAX 256 /* characters of one identifier */

struct punycode {
	uint32_t text[PUNYCODE_MAX];
	size_t n;
};

/* `ascii`: the characters that are, in order; `digits`: where which others go.
 * False when they are damaged, or too many. */
bool punycode_decode(struct slice ascii, struct slice digits, struct punycode *ret);
