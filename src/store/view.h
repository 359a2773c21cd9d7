/* SPDX-License-Identifier: Apache-2.0 */
/* view.h: everything stored at one moment, part by part.
 *
 *   part 0      what came in last; it may grow while the view is held
 *   part 1      what is being written to a block, if anything is
 *   part 2 ...  blocks
 *
 * While a view is held no profile is in none of its parts or in two. One part
 * at a time is open in a thread. */
#pragma once

#include "store/part.h"

struct store;
struct view;

/* -ENOMEM. */
int view_take(struct store *s, struct view **ret) must_check;
void view_free(struct view **v); /* for _cleanup_ */

uint32_t view_n_parts(const struct view *v);
/* Whether the part may have profiles that meet [from, to). */
bool view_may_have(const struct view *v, uint32_t i, int64_t from_ms, int64_t to_ms);

/* The same number for a block in every view, and for no other; 0: it is no block. */
uint64_t view_part_id(const struct view *v, uint32_t i);

/* Calls `see` for each value type that a part in the range has, until one fails. */
int view_types(struct view *v, int64_t from_ms, int64_t to_ms, int (*see)(void *arg, struct slice type), void *arg);

/* Opens part i: it does not change until view_close(). Commits wait for part 0.
 * -EBADMSG, -EIO: a block that cannot be read; -ENOBUFS: one too large for the
 * memory of the store. */
int view_open(struct view *v, uint32_t i, const struct part **ret, struct error *err) must_check;
void view_close(struct view *v, uint32_t i);

/* Nodes of all parts in the range, each part's counted for itself. */
uint64_t view_n_nodes(const struct view *v, int64_t from_ms, int64_t to_ms);
uint32_t view_n_blocks(const struct view *v, int64_t from_ms, int64_t to_ms);
