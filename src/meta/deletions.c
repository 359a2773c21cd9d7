/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/deletions.h"

#include <errno.h>
#include <inttypes.h>

#define PAGE_TEXTS_MAX (DELETIONS_PAGE * (DELETION_SELECTOR_SIZE_MAX + 2 * DELETION_NAME_SIZE_MAX + 4096))

static int check_text(const char *what, struct slice text, size_t max, struct error *err)
{
	if (text.size > max)
		return error_set(err, -E2BIG, "%s has %zu bytes: the limit is %zu", what, text.size, max);
	return 0;
}

static int check(const struct deletion *d, struct error *err)
{
	if (d->selector.size == 0)
		return error_set(err, -EINVAL, "a deletion needs a selector");
	if (d->from_ms >= d->to_ms)
		return error_set(err, -EINVAL, "the interval ends before it begins");
	int r = check_text("the selector", d->selector, DELETION_SELECTOR_SIZE_MAX, err);
	if (r == 0)
		r = check_text("the tenant's name", d->tenant, DELETION_NAME_SIZE_MAX, err);
	if (r == 0)
		r = check_text("the name of who asks", d->requested_by, DELETION_NAME_SIZE_MAX, err);
	return r;
}

int deletions_add(struct db *db, const struct deletion *d, int64_t *ret_id, struct error *err)
{
	static const char sql[] = "INSERT INTO deletions (tenant, selector, requested_by, from_ms, to_ms, requested_ms)"
				  " SELECT ?1, ?2, ?3, ?4, ?5, ?6"
				  " WHERE (SELECT count(*) FROM deletions WHERE applied_ms IS NULL) < ?7";
	_cleanup_(db_query_done)
	struct db_query q = { 0 };
	int r = check(d, err);
	if (r == 0)
		r = db_query_init(&q, db, sql, err);
	if (r < 0)
		return r;
	db_bind_text(&q, d->tenant);
	db_bind_text(&q, d->selector);
	db_bind_text(&q, d->requested_by);
	db_bind_int(&q, d->from_ms);
	db_bind_int(&q, d->to_ms);
	db_bind_int(&q, d->requested_ms);
	db_bind_int(&q, DELETIONS_PENDING_MAX);
	r = db_step(&q, err);
	if (r < 0)
		return r;
	if (db_n_changed(&q) == 0)
		return error_set(err, -E2BIG, "%d deletions are pending, which is the limit: try again later",
				 DELETIONS_PENDING_MAX);
	*ret_id = db_last_id(&q);
	return 0;
}

static struct slice keep(struct arena *a, struct slice text)
{
	return slice_of(arena_strndup(a, (const char *)text.data, text.size), text.size);
}

static void read_row(struct db_query *q, struct deletions_page *p)
{
	p->row[p->n++] = (struct deletion){
		.id = db_int(q, 0),
		.tenant = keep(&p->texts, db_text(q, 1)),
		.selector = keep(&p->texts, db_text(q, 2)),
		.requested_by = keep(&p->texts, db_text(q, 3)),
		.from_ms = db_int(q, 4),
		.to_ms = db_int(q, 5),
		.requested_ms = db_int(q, 6),
		.state = db_is_null(q, 7) ? DELETION_PENDING : DELETION_APPLIED,
		.applied_ms = db_int(q, 7),
		.n_profiles = db_int(q, 8),
	};
}

static int read_page(struct db_query *q, struct deletions_page *p, struct error *err)
{
	int r;
	while ((r = db_step(q, err)) == 1) {
		p->has_more = p->n == DELETIONS_PAGE;
		if (p->has_more)
			break;
		read_row(q, p);
		if (p->texts.failed)
			return error_set(err, -ENOBUFS, "no memory for the list of deletions");
	}
	return r < 0 ? r : 0;
}

int deletions_list(struct db *db, const struct slice *tenant, bool pending_only, int64_t after_id,
		   struct deletions_page *ret, struct error *err)
{
	static const char all[] = "SELECT id, tenant, selector, requested_by, from_ms, to_ms, requested_ms, applied_ms,"
				  " n_profiles FROM deletions WHERE id > ?1 AND (?2 IS NULL OR tenant = ?2)"
				  " ORDER BY id LIMIT ?3",
			  pending[] =
				  "SELECT id, tenant, selector, requested_by, from_ms, to_ms, requested_ms, applied_ms,"
				  " n_profiles FROM deletions WHERE id > ?1 AND (?2 IS NULL OR tenant = ?2)"
				  " AND applied_ms IS NULL ORDER BY id LIMIT ?3";
	_cleanup_(db_query_done)
	struct db_query q = { 0 };
	int r = db_query_init(&q, db, pending_only ? pending : all, err);
	if (r < 0)
		return r;
	db_bind_int(&q, after_id);
	if (tenant)
		db_bind_text(&q, *tenant);
	else
		db_bind_null(&q);
	db_bind_int(&q, DELETIONS_PAGE + 1);
	ret->n = 0;
	ret->has_more = false;
	arena_init(&ret->texts, PAGE_TEXTS_MAX);
	r = read_page(&q, ret, err);
	if (r < 0)
		deletions_page_done(ret);
	return r;
}

void deletions_page_done(struct deletions_page *p)
{
	arena_done(&p->texts);
	p->n = 0;
}

/* Changes one that is pending. */
static int change(struct db *db, const char *sql, int64_t id, int64_t n_profiles, const int64_t *applied_ms,
		  struct error *err)
{
	_cleanup_(db_query_done)
	struct db_query q = { 0 };
	int r = db_query_init(&q, db, sql, err);
	if (r < 0)
		return r;
	db_bind_int(&q, id);
	db_bind_int(&q, n_profiles);
	if (applied_ms)
		db_bind_int(&q, *applied_ms);
	r = db_step(&q, err);
	if (r == 0 && db_n_changed(&q) == 0)
		return error_set(err, -ENOENT, "no deletion %" PRId64 " is pending", id);
	return r;
}

int deletions_add_profiles(struct db *db, int64_t id, int64_t n_profiles, struct error *err)
{
	return change(db, "UPDATE deletions SET n_profiles = n_profiles + ?2 WHERE id = ?1 AND applied_ms IS NULL", id,
		      n_profiles, NULL, err);
}

int deletions_mark_applied(struct db *db, int64_t id, int64_t applied_ms, int64_t n_profiles, struct error *err)
{
	return change(db,
		      "UPDATE deletions SET n_profiles = n_profiles + ?2, applied_ms = ?3"
		      " WHERE id = ?1 AND applied_ms IS NULL",
		      id, n_profiles, &applied_ms, err);
}

int deletions_remove_applied(struct db *db, int64_t before_ms, uint64_t *ret_n, struct error *err)
{
	_cleanup_(db_query_done)
	struct db_query q = { 0 };
	int r = db_query_init(&q, db, "DELETE FROM deletions WHERE applied_ms < ?1", err);
	if (r < 0)
		return r;
	db_bind_int(&q, before_ms);
	r = db_step(&q, err);
	if (r == 0)
		*ret_n = (uint64_t)db_n_changed(&q);
	return r;
}
