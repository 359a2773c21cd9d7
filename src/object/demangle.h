/* SPDX-License-Identifier: Apache-2.0 */
/* demangle.h: readable names for C++ (Itanium) and Rust (legacy and v0).
 *
 *   _ZN3net4http5parseEv     -> net::http::parse()
 *   _RNvCs1234_7mycrate3foo  -> mycrate::foo
 *
 * libiberty does the work inside hard bounds of ours, because a mangled name
 * of 200 bytes may stand for 100 MB of text: input over DEMANGLE_MAX_INPUT or
 * output over SYMBOL_NAME_MAX leaves the name as it is. (libiberty itself
 * refuses C++ names over 1 KiB, whose parse needs too much stack.)
 * Thread-safe; allocates nothing that outlives the call. */
#pragma once

#include "object/symrange.h"

#define DEMANGLE_MAX_INPUT 4096
#define DEMANGLE_BUF	   (SYMBOL_NAME_MAX + 1)

/* The readable name, in `buf` or, when there is none, `name` itself. */
struct slice demangle(struct slice name, char buf[static DEMANGLE_BUF]);
