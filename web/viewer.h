/* SPDX-License-Identifier: Apache-2.0 */
/* viewer.h: the self-contained flame graph page, before its data is put in.
 *
 * ASCII HTML with two placeholders, each of which occurs once:
 *
 *   @@WICK_TITLE@@   text, HTML-escaped by the caller
 *   @@WICK_SLAB@@    a slab (docs/slab-format.md) as base64
 *
 * Made by tools/embed.py from what web/build.mjs built. */
#pragma once

#include <stddef.h>

extern const char web_viewer_html[]; /* NUL after the last byte, not counted */
extern const size_t web_viewer_html_size;
