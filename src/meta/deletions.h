/* SPDX-License-Identifier: Apache-2.0 */
/* deletions.h: what was asked to be deleted, for privacy's sake.
 *
 *   added: pending --> applied: what it selects is gone from the files --> removed
 *
 * A request is on disk before it is acknowledged. Ids rise and are never used
 * again. The selector is kept as it was written and means nothing here. */
#pragma once

#include "base/arena.h"
#include "meta/db.h"

#define DELETIONS_PENDING_MAX	   10000
#define DELETIONS_PAGE		   64
#define DELETION_SELECTOR_SIZE_MAX 16384
#define DELETION_NAME_SIZE_MAX	   256 /* of the tenant, of who asked */

enum deletion_state { DELETION_PENDING, DELETION_APPLIED };

struct deletion {
	int64_t id;
	struct slice tenant, selector, requested_by;
	int64_t from_ms, to_ms; /* [from, to) */
	int64_t requested_ms;
	enum deletion_state state;
	int64_t applied_ms, n_profiles; /* of applied ones, else 0 */
};

/* Adds a pending one; id, state and what belongs to applied ones are ignored.
 * -EINVAL: no selector, or an interval that ends before it begins; -E2BIG: a
 * text is too long, or DELETIONS_PENDING_MAX are pending. */
int deletions_add(struct db *db, const struct deletion *d, int64_t *ret_id, struct error *err) must_check;

/* Rows by id, at most DELETIONS_PAGE of them. */
struct deletions_page {
	struct deletion row[DELETIONS_PAGE];
	uint32_t n;
	bool has_more; /* behind the last row's id */
	struct arena texts;
};

/* Those with ids above `after_id`: of one tenant (NULL: of all), pending ones
 * only if asked for. `ret` wants deletions_page_done() only when 0 is returned. */
int deletions_list(struct db *db, const struct slice *tenant, bool pending_only, int64_t after_id,
		   struct deletions_page *ret, struct error *err) must_check;
void deletions_page_done(struct deletions_page *p);

/* Profiles that an attempt took which did not get to the end; they join those of the next. -ENOENT: it is not
 * there, or not pending. */
int deletions_add_profiles(struct db *db, int64_t id, int64_t n_profiles, struct error *err) must_check;

/* `n_profiles`: taken by the last attempt. -ENOENT: it is not there, or not pending. */
int deletions_mark_applied(struct db *db, int64_t id, int64_t applied_ms, int64_t n_profiles,
			   struct error *err) must_check;

/* Forgets those applied before `before_ms`. */
int deletions_remove_applied(struct db *db, int64_t before_ms, uint64_t *ret_n, struct error *err) must_check;
