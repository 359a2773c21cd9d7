/* SPDX-License-Identifier: Apache-2.0 */
/* teststore.h: a store in a folder of its own, and uploads that tell by their value who they are.
 *
 * For unit tests: whatever goes wrong here fails the running case. */
#pragma once

#include "base/error.h"
#include "store/store.h"

#include <stdatomic.h>

struct teststore {
	char dir[64];
	struct store *store;
	struct store_replay replay;
	struct error err;
};

/* A folder, in memory where that can be had. */
void teststore_make(struct teststore *t);
/* Closes the store and removes the folder. */
void teststore_remove(struct teststore *t);
int teststore_open(struct teststore *t, const struct store_options *o) must_check; /* o->dir is set */

/* One profile of service "api", stack main -> f<n % 16>, that starts at `at_ms`; its only value is `value`.
 * `key`: "" = none. 0 stored, 1 duplicate, negative errno. When it is stored, `value` is added to *acked, on
 * the store's thread. */
int teststore_upload(struct store *s, unsigned n, const char *key, int64_t at_ms, int64_t value,
		     _Atomic int64_t *acked);

/* The sum of all that a reader sees, single profiles and sums alike. Negative errno: a part cannot be
 * read, or pages are damaged. */
int teststore_total(struct store *s, int64_t *ret) must_check;

/* Files in the folder of blocks, but for the manifest. */
unsigned teststore_n_block_files(const struct teststore *t);
