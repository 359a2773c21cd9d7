/* SPDX-License-Identifier: Apache-2.0 */
/* demangle.h: readable names for C++ (itanium.h) and Rust (rust_v0.h,
 * rust_legacy.h).
 *
 *   _ZN3net4http5parseEv       -> net::http::parse()
 *   _ZN3net4http5parseEv.cold  -> net::http::parse() [clone .cold]
 *   _RNvCs1234_7mycrate3foo    -> mycrate::foo
 *
 * A mangled name of 200 bytes may stand for 100 MB of text, or for none and
 * take as long: both demanglers end at so many bytes and so many steps, which
 * takes a millisecond. A name that is longer than SYMBOL_NAME_MAX, up to 64 KiB,
 * is shortened to that, and shows it (name_shorten.h); beyond, and when it is
 * none, the name stays as it is. One that was cut to SYMBOL_NAME_MAX by who read
 * it gets "..." for its end, so that no name is cut silently. ".llvm.HASH",
 * which rustc and clang append to names they had to make unique, is left out:
 * it is another one in each build.
 *
 * Thread-safe; allocates nothing that outlives the call. */
#pragma once

#include "object/symrange.h"

#define DEMANGLE_MAX_INPUT (16u << 10)
#define DEMANGLE_BUF	   (SYMBOL_NAME_MAX + 1)

/* The readable name, in `buf` or, when there is none, `name` itself. */
struct slice demangle(struct slice name, char buf[static DEMANGLE_BUF]);
