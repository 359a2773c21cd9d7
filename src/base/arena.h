/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h: bump allocation with one lifetime and a hard cap.
 *
 *   blocks:  [64 KiB] -> [64 KiB] -> [large]    newest first
 *
 * Allocation failure is sticky: `failed` stays set and is checked once per
 * unit of work. Not thread-safe. */
#pragma once

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t used; /* bytes taken from the system */
	size_t max;  /* cap on `used` */
	bool failed;
};

void arena_init(struct arena *a, size_t max);
void arena_done(struct arena *a);
/* Forgets everything, keeps one block for reuse. */
void arena_reset(struct arena *a);

/* Zeroed memory aligned to 16, or NULL (sticky) at the cap. */
void *arena_alloc(struct arena *a, size_t size) must_check;
/* Copy of n bytes with a NUL behind them, or NULL. */
char *arena_strndup(struct arena *a, const char *s, size_t n) must_check;
