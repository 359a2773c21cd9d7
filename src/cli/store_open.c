/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/store_open.h"

#include "store/folder.h"

#include <errno.h>

#define MEMORY ((size_t)1 << 30) /* of heads, of tables ...: what a server with 5 GiB has */

int store_place_open(const struct store_place *p, bool create, struct store **ret, struct error *err)
{
	const struct store_options options = {
		.dir = p->data,
		.memory_limit = MEMORY * 5,
		.head_memory = MEMORY,
		.tables_memory = MEMORY,
		.build_memory = MEMORY,
		.decode_memory = MEMORY,
		.n_threads = 1,
		.disk_limit = UINT64_MAX / 4,
		.keys = p->keys,
		.is_idle = true,
	};
	int r = 0;
	if (!create) {
		struct folder f;
		r = folder_open(&f, p->data, p->keys, err);
		folder_close(&f);
	}
	if (r == 0)
		r = store_open(&options, ret, NULL, err);
	if (r == -EBUSY)
		error_append(err, "; wick backup copies a folder while its server runs");
	return r;
}
