/* SPDX-License-Identifier: Apache-2.0 */
/* rust_legacy.h: Rust names in the mangling of before 2025.
 *
 *   _ZN4core3fmt9Formatter9write_fmt17h0123456789abcdefE -> core::fmt::Formatter::write_fmt
 *
 * C++ names look the same, but for the hash at the end, which is left out.
 *
 * Source: compiler/rustc_symbol_mangling/src/legacy.rs of rustc. */
#pragma once

#include "base/slice.h"

/* Writes the readable name to `out`, up to `size` bytes without NUL: how many;
 * -EBADMSG: not such a name; -E2BIG: it is longer. */
int rust_legacy_print(struct slice name, char *out, uint32_t size);
