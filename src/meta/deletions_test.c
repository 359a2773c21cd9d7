/* SPDX-License-Identifier: Apache-2.0 */
#include "scratch.h"

#include "meta/deletions.h"
#include "meta/schema.h"

#include <errno.h>

static struct db *open_new(const char *name)
{
	char path[256];
	struct db *db = NULL;
	struct error err = { "" };
	(void)snprintf(path, sizeof(path), "%s", in_scratch(name));
	if (db_open(path, meta_schema, META_VERSION, &db, &err) < 0)
		fail_msg("%s", err.text);
	return db;
}

static struct deletion request(const char *tenant, struct slice selector)
{
	return (struct deletion){
		.tenant = slice_str(tenant),
		.selector = selector,
		.requested_by = slice_str("ann"),
		.from_ms = 1000,
		.to_ms = 2000,
		.requested_ms = 5000,
	};
}

static int64_t add(struct db *db, const char *tenant, struct slice selector)
{
	struct deletion d = request(tenant, selector);
	struct error err = { "" };
	int64_t id = 0;
	if (deletions_add(db, &d, &id, &err) < 0)
		fail_msg("%s", err.text);
	return id;
}

static struct deletions_page list(struct db *db, const char *tenant, bool pending_only, int64_t after)
{
	struct deletions_page p;
	struct error err = { "" };
	struct slice name = slice_str(tenant ? tenant : "");
	if (deletions_list(db, tenant ? &name : NULL, pending_only, after, &p, &err) < 0)
		fail_msg("%s", err.text);
	return p;
}

/* A request that was acknowledged must be carried out, also after a restart. */
static void requests_are_kept_until_they_are_applied(void **state)
{
	(void)state;
	struct db *db = NULL;
	assert_int_equal(meta_open(scratch, &db, NULL), 0);
	struct deletion d = request("acme", slice_str("cpu{user=\"ann\"}"));
	int64_t id = 0;
	assert_int_equal(deletions_add(db, &d, &id, NULL), 0);
	db_free(&db);
	assert_int_equal(access(in_scratch("meta.db"), F_OK), 0);

	assert_int_equal(meta_open(scratch, &db, NULL), 0);
	struct deletions_page p = list(db, NULL, true, 0);
	assert_int_equal(p.n, 1);
	assert_false(p.has_more);
	assert_int_equal(p.row[0].id, id);
	assert_int_equal(p.row[0].state, DELETION_PENDING);
	assert_true(slice_eq(p.row[0].tenant, slice_str("acme")));
	assert_true(slice_eq(p.row[0].selector, slice_str("cpu{user=\"ann\"}")));
	assert_true(slice_eq(p.row[0].requested_by, slice_str("ann")));
	assert_int_equal(p.row[0].from_ms, 1000);
	assert_int_equal(p.row[0].to_ms, 2000);
	assert_int_equal(p.row[0].requested_ms, 5000);
	assert_int_equal(p.row[0].applied_ms, 0);
	deletions_page_done(&p);

	/* Two attempts failed half way: what they took is told with the rest. */
	assert_int_equal(deletions_add_profiles(db, id, 30, NULL), 0);
	assert_int_equal(deletions_add_profiles(db, id, 10, NULL), 0);
	assert_int_equal(deletions_mark_applied(db, id, 9000, 2, NULL), 0);
	assert_int_equal(deletions_add_profiles(db, id, 1, NULL), -ENOENT);
	p = list(db, NULL, true, 0);
	assert_int_equal(p.n, 0);
	deletions_page_done(&p);
	p = list(db, NULL, false, 0);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.row[0].state, DELETION_APPLIED);
	assert_int_equal(p.row[0].applied_ms, 9000);
	assert_int_equal(p.row[0].n_profiles, 42);
	deletions_page_done(&p);
	db_free(&db);
}

static void every_older_version_takes_requests(void **state)
{
	(void)state;
	for (unsigned old = 0; old <= META_VERSION; old++) {
		char name[32], path[256];
		struct db *db = NULL;
		(void)snprintf(name, sizeof(name), "version-%u.db", old);
		(void)snprintf(path, sizeof(path), "%s", in_scratch(name));
		assert_int_equal(db_open(path, meta_schema, old, &db, NULL), 0);
		db_free(&db);
		db = open_new(name);
		assert_int_equal(add(db, "a", slice_str("{}")), 1);
		struct deletions_page p = list(db, "a", true, 0);
		assert_int_equal(p.n, 1);
		deletions_page_done(&p);
		db_free(&db);
	}
}

static void applying_twice_is_refused(void **state)
{
	(void)state;
	struct error err = { "" };
	struct db *db = open_new("twice.db");
	int64_t id = add(db, "a", slice_str("{}"));
	assert_int_equal(deletions_mark_applied(db, id, 9000, 1, NULL), 0);
	assert_int_equal(deletions_mark_applied(db, id, 9999, 2, &err), -ENOENT);
	assert_string_equal(err.text, "no deletion 1 is pending");
	assert_int_equal(deletions_mark_applied(db, 77, 9999, 2, &err), -ENOENT);
	assert_string_equal(err.text, "no deletion 77 is pending");
	struct deletions_page p = list(db, NULL, false, 0);
	assert_int_equal(p.row[0].applied_ms, 9000);
	assert_int_equal(p.row[0].n_profiles, 1);
	deletions_page_done(&p);
	db_free(&db);
}

/* Whoever may ask for a deletion must not be able to do anything else. */
static void texts_are_only_texts(void **state)
{
	(void)state;
	static const struct slice texts[] = {
		{ (const uint8_t *)"'); DROP TABLE deletions; --", 28 },
		{ (const uint8_t *)"{a=\"' OR 1=1 --\"}", 17 },
		{ (const uint8_t *)"?1 :x @y $z %s", 14 },
		{ (const uint8_t *)"a\0b", 3 },
		{ (const uint8_t *)"\xff\xfe", 2 },
	};
	struct db *db = open_new("texts.db");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct deletion d = request("a", texts[i]);
		int64_t id;
		d.tenant = d.requested_by = texts[i];
		assert_int_equal(deletions_add(db, &d, &id, NULL), 0);
	}
	struct deletions_page p = list(db, NULL, true, 0);
	assert_int_equal(p.n, ARRAY_SIZE(texts));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_true(slice_eq(p.row[i].selector, texts[i]));
		assert_true(slice_eq(p.row[i].tenant, texts[i]));
		assert_true(slice_eq(p.row[i].requested_by, texts[i]));
	}
	deletions_page_done(&p);
	p = list(db, "' OR '1'='1", false, 0);
	assert_int_equal(p.n, 0);
	deletions_page_done(&p);
	db_free(&db);
}

/* Page by page each row once, and of one tenant only its own. */
static void lists_come_in_pages(void **state)
{
	(void)state;
	enum { N = 2 * DELETIONS_PAGE + 1 };
	static char longest[DELETION_SELECTOR_SIZE_MAX];
	struct db *db = open_new("pages.db");
	memset(longest, 'x', sizeof(longest));
	for (int i = 0; i < N; i++) {
		int64_t id = add(db, i % 2 ? "odd" : "", slice_of(longest, sizeof(longest)));
		assert_int_equal(id, i + 1);
		if (i % 4 == 3)
			assert_int_equal(deletions_mark_applied(db, id, 9000 + i, 0, NULL), 0);
	}
	static const struct {
		const char *tenant;
		bool pending_only;
		int expected;
	} rows[] = { { NULL, false, N },     { NULL, true, N - N / 4 }, { "odd", false, N / 2 },
		     { "odd", true, N / 4 }, { "", false, N / 2 + 1 },	{ "even", false, 0 } };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t last = 0;
		int n = 0;
		for (bool more = true; more;) {
			struct deletions_page p = list(db, rows[i].tenant, rows[i].pending_only, last);
			assert_true(p.n == DELETIONS_PAGE || !p.has_more);
			for (uint32_t k = 0; k < p.n; k++, n++) {
				assert_true(p.row[k].id > last);
				last = p.row[k].id;
				assert_int_equal(p.row[k].selector.size, sizeof(longest));
				assert_true(!rows[i].pending_only || p.row[k].state == DELETION_PENDING);
			}
			more = p.has_more;
			deletions_page_done(&p);
		}
		assert_int_equal(n, rows[i].expected);
	}
	db_free(&db);
}

/* Who asked for what is kept as long as it was said to be, no longer. */
static void old_applied_ones_are_removed(void **state)
{
	(void)state;
	struct db *db = open_new("old.db");
	int64_t first = add(db, "a", slice_str("{}")), second = add(db, "a", slice_str("{}"));
	int64_t pending = add(db, "a", slice_str("{}")), third = add(db, "a", slice_str("{}"));
	uint64_t n = 99;
	assert_int_equal(deletions_mark_applied(db, first, 100, 0, NULL), 0);
	assert_int_equal(deletions_mark_applied(db, second, 199, 0, NULL), 0);
	assert_int_equal(deletions_mark_applied(db, third, 200, 0, NULL), 0);
	assert_int_equal(deletions_remove_applied(db, 200, &n, NULL), 0);
	assert_int_equal(n, 2);
	struct deletions_page p = list(db, NULL, false, 0);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.row[0].id, pending);
	assert_int_equal(p.row[1].id, third);
	deletions_page_done(&p);
	assert_int_equal(deletions_remove_applied(db, INT64_MAX, &n, NULL), 0);
	assert_int_equal(n, 1);
	/* An id that was once told to somebody stays theirs. */
	assert_int_equal(add(db, "a", slice_str("{}")), third + 1);
	db_free(&db);
}

static void limits_are_named(void **state)
{
	(void)state;
	static char longer[DELETION_SELECTOR_SIZE_MAX + 1];
	struct slice names = slice_of(longer, DELETION_NAME_SIZE_MAX + 1);
	struct error err = { "" };
	int64_t id = -1;
	struct db *db = open_new("limits.db");
	memset(longer, 'x', sizeof(longer));
	struct deletion d = request("a", slice_of(longer, sizeof(longer)));
	assert_int_equal(deletions_add(db, &d, &id, &err), -E2BIG);
	assert_string_equal(err.text, "the selector has 16385 bytes: the limit is 16384");
	d = request("a", slice_str(""));
	assert_int_equal(deletions_add(db, &d, &id, &err), -EINVAL);
	assert_string_equal(err.text, "a deletion needs a selector");
	d = request("a", slice_str("{}"));
	d.tenant = names;
	assert_int_equal(deletions_add(db, &d, &id, &err), -E2BIG);
	assert_string_equal(err.text, "the tenant's name has 257 bytes: the limit is 256");
	d = request("a", slice_str("{}"));
	d.requested_by = names;
	assert_int_equal(deletions_add(db, &d, &id, &err), -E2BIG);
	assert_string_equal(err.text, "the name of who asks has 257 bytes: the limit is 256");
	d = request("a", slice_str("{}"));
	d.to_ms = d.from_ms;
	assert_int_equal(deletions_add(db, &d, &id, &err), -EINVAL);
	assert_string_equal(err.text, "the interval ends before it begins");
	assert_int_equal(id, -1);
	db_free(&db);
}

static void add_many(struct db *db, int64_t n)
{
	_cleanup_(db_query_done)
	struct db_query q;
	assert_int_equal(
		db_query_init(&q, db,
			      "INSERT INTO deletions (tenant, selector, from_ms, to_ms, requested_ms, requested_by)"
			      " WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < ?1)"
			      " SELECT 'a', '{}', 0, 1, 0, 'ann' FROM i",
			      NULL),
		0);
	db_bind_int(&q, n);
	assert_int_equal(db_step(&q, NULL), 0);
}

/* Requests that nobody applies must not fill the disk. */
static void pending_ones_are_bounded(void **state)
{
	(void)state;
	struct error err = { "" };
	int64_t id = -1;
	struct db *db = open_new("many.db");
	add_many(db, DELETIONS_PENDING_MAX - 1);
	assert_int_equal(add(db, "a", slice_str("{}")), DELETIONS_PENDING_MAX);
	struct deletion d = request("a", slice_str("{}"));
	assert_int_equal(deletions_add(db, &d, &id, &err), -E2BIG);
	assert_string_equal(err.text, "10000 deletions are pending, which is the limit: try again later");
	assert_int_equal(id, -1);
	assert_int_equal(deletions_mark_applied(db, 5, 9000, 0, NULL), 0);
	assert_int_equal(add(db, "a", slice_str("{}")), DELETIONS_PENDING_MAX + 1);
	db_free(&db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_kept_until_they_are_applied),
		cmocka_unit_test(every_older_version_takes_requests),
		cmocka_unit_test(applying_twice_is_refused),
		cmocka_unit_test(texts_are_only_texts),
		cmocka_unit_test(lists_come_in_pages),
		cmocka_unit_test(old_applied_ones_are_removed),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(pending_ones_are_bounded),
	};
	return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
