/* SPDX-License-Identifier: Apache-2.0 */
/* rust_v0.h: Rust names in the mangling of RFC 2603, rustc's own since 2025.
 *
 *   _RNvNtCs1234_7mycrate3foo3bar -> mycrate::foo::bar
 *
 * Written while it is read, without a tree: a reference back reads there
 * again. So a name of 200 bytes may stand for 100 MB of text; it is bounded by
 * the output, by nesting (RUST_V0_MAX_DEPTH), by RUST_V0_MAX_STEPS and, where
 * text is passed over, by not following references and not counting lifetimes
 * one by one.
 *
 * The hashes that tell crates of one name apart are left out, as in rustfilt.
 *
 * Source: the rustc book, "v0 symbol format". */
#pragma once

#include "base/slice.h"

#define RUST_V0_MAX_DEPTH 400	     /* of what is in each other: some 100 KiB of stack */
#define RUST_V0_MAX_STEPS (1u << 16) /* paths, types and constants, digits of numbers */

/* Writes the readable name to `out`, up to `size` bytes without NUL: how many;
 * -EBADMSG: not such a name; -E2BIG: it is longer; -ENOBUFS: it takes more steps
 * or depth than it may. */
int rust_v0_print(struct slice name, char *out, uint32_t size);
