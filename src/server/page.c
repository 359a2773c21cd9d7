/* SPDX-License-Identifier: Apache-2.0 */
/* page.c: the dashboard's files, which are part of the program. */
#include "server/server.h"
#include "web/assets.h"

/* "/app.1a2b3c.js": two dots; content never changes under such a name. */
static bool has_hash(const char *path)
{
	const char *dot = strchr(path, '.');
	return dot && strchr(dot + 1, '.');
}

bool page_file(struct http_request *rq, void *ctx)
{
	(void)ctx;
	for (size_t i = 0; i < n_web_assets; i++) {
		const struct web_asset *a = &web_assets[i];
		if (strcmp(a->path, http_path(rq)) != 0)
			continue;
		char etag[96];
		size_t n = strlen(a->etag);
		(void)snprintf(etag, sizeof(etag), "%.*s", n > 2 ? (int)n - 2 : 0, a->etag + 1);
		struct http_file file = {
			.content_type = a->content_type,
			.etag = etag,
			.gz = slice_of(a->gz, a->gz_size),
			.immutable = has_hash(a->path),
		};
		http_answer_file(rq, &file);
		return true;
	}
	return false;
}
