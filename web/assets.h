/* SPDX-License-Identifier: Apache-2.0 */
/* assets.h: the dashboard, as the server hands it out.
 *
 * Every file is stored gzip'd. `path` is what the browser asks for: "/",
 * "/app.<hash>.js", "/app.<hash>.css", "/favicon.svg"; names with a hash
 * never change their content and may be cached for ever. `etag` has its
 * quotes. The array is made by tools/embed.py from what web/build.mjs built. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct web_asset {
	const char *path;
	const char *content_type;
	const char *etag;
	const uint8_t *gz;
	size_t gz_size;
};

extern const struct web_asset web_assets[];
extern const size_t n_web_assets;
