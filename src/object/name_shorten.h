/* SPDX-License-Identifier: Apache-2.0 */
/* name_shorten.h: long names in short, by leaving out what is in brackets.
 *
 *   std::map<int, std::vector<a::B> >::find(int const&)     51 bytes
 *   std::map<int, std::vector<...> >::find(int const&)      at most 50
 *   std::map<...>::find(...)                                at most 40
 *
 * From the inside: what is nested deepest goes first, everywhere at once.
 * Brackets are <> of C++ and Rust, () of parameters, [] of Go's generics
 * behind a name; not those of operators ("operator<", "operator()"), of
 * "(anonymous namespace)", of Go's receivers ("(*T)") or an arrow's. What does
 * not fit without any of them either loses its middle. A shortened name always
 * shows that it is: by "...". */
#pragma once

#include "base/slice.h"

#define NAME_SHORTEN_MIN 8
#define NAME_SHORTEN_MAX ((size_t)1 << 20) /* longer ones just lose their middle */

/* Writes `name` to `out` in at most `max` bytes (NAME_SHORTEN_MIN at least) and
 * a NUL; returns how many bytes without it. What fits is copied. */
size_t name_shorten(struct slice name, size_t max, char *out);
