/* SPDX-License-Identifier: Apache-2.0 */
/* naming.h: names for the places of a window, object by object.
 *
 *   places, sorted by object and address
 *      |  known in the cache?  -> name
 *      '- the rest, one batch per object -> symbols | kallsyms | perf map -> cache -> name
 *
 * No symbol table stays in memory: sources are streamed through (object/),
 * and ranges met lately stay in a cache of bounded size. A cached name is
 * "readable\0as the linker spells it", or the readable one alone where both
 * are the same. */
#pragma once

#include "agent/window.h"

struct naming;

struct naming_stats {
	uint64_t n_places, n_unnamed;
	uint64_t n_lookups; /* batches */
	uint64_t n_failed;  /* of those: files that could not be read */
};

/* `temp_dir` holds the index of the kernel's symbols, unlinked. NULL: no memory. */
struct naming *naming_new(size_t cache_size, const char *temp_dir);
void naming_free(struct naming **n); /* for _cleanup_ */

/* Fills name, system_name and module of all places. What has no name stays
 * with name 0. -ENOBUFS when the window cannot hold the names; those found so
 * far are in place. */
int naming_window(struct naming *n, struct window *w, int64_t now_ns) must_check;

/* Gives back what is remembered of names; it is looked up again when needed. */
void naming_forget(struct naming *n);

/* Lower-case hex, "" = not known. */
const char *naming_kernel_build_id(const struct naming *n);

/* Why kernel frames have no names; NULL when they have, or none was met. */
const char *naming_kernel_problem(const struct naming *n);

struct naming_stats naming_stats(const struct naming *n);
