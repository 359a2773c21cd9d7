/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "store/rows.h"

#include <errno.h>

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void rows_of_a_place_become_one(void **state)
{
	(void)state;
	struct row rows[] = { { 3, 0, 5 }, { 1, 2, 7 },	 { 3, 0, 6 },	      { 1, 1, 1 },
			      { 2, 0, 4 }, { 2, 0, -4 }, { 1, 2, INT64_MAX }, { 0, 0, 0 } };
	assert_int_equal(rows_fold(rows, ARRAY_SIZE(rows)), 3);
	assert_true(rows[0].node == 1 && rows[0].labels == 1 && rows[0].value == 1);
	/* Too much for a number stays the largest there is. */
	assert_true(rows[1].node == 1 && rows[1].labels == 2 && rows[1].value == INT64_MAX);
	assert_true(rows[2].node == 3 && rows[2].value == 11);
	assert_true(rows_total(rows, 3) == INT64_MAX);
	assert_int_equal(rows_fold(rows, 0), 0);
}

static void the_scale_divides_every_value(void **state)
{
	(void)state;
	static const struct {
		int64_t values[3], scale;
	} cases[] = {
		{ { 10000000, 30000000, 20000000 }, 10000000 },
		{ { 6, 10, 15 }, 1 },
		{ { -6, 12, 0 }, 6 },
		{ { 0, 0, 0 }, 1 },
		{ { INT64_MIN, INT64_MIN, 0 }, 1 },
		{ { INT64_MAX, INT64_MAX, 0 }, INT64_MAX },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct row rows[3];
		for (unsigned k = 0; k < 3; k++)
			rows[k] = (struct row){ .value = cases[i].values[k] };
		assert_true(rows_scale(rows, 3) == cases[i].scale);
	}
	assert_int_equal(rows_scale(NULL, 0), 1);
}

struct packed {
	struct buf column[N_ROW_COLUMNS];
};

static void packed_init(struct packed *p)
{
	for (int i = 0; i < N_ROW_COLUMNS; i++)
		p->column[i] = buf_of(1 << 20);
}

static void packed_done(struct packed *p)
{
	for (int i = 0; i < N_ROW_COLUMNS; i++)
		buf_done(&p->column[i]);
}

static void open_reader(struct rows_reader *r, const struct packed *p)
{
	struct column c[N_ROW_COLUMNS];
	for (int i = 0; i < N_ROW_COLUMNS; i++)
		c[i] = (struct column){ .p = p->column[i].data, .end = p->column[i].data + p->column[i].n };
	rows_reader_open(r, c);
}

#define N_CHUNKS 50
#define CHUNK	 40

static uint32_t random_rows(struct row *rows, uint32_t *seed)
{
	uint32_t n = next(seed) % CHUNK;
	for (uint32_t i = 0; i < n; i++)
		rows[i] = (struct row){ next(seed) % 1000, next(seed) % 7, (int64_t)(next(seed) % 500) * 3 };
	return rows_fold(rows, n);
}

/* Chunks one behind the other, some of them passed over. */
static void what_was_packed_comes_back(void **state)
{
	(void)state;
	static struct row rows[N_CHUNKS][CHUNK];
	uint32_t n[N_CHUNKS], seed = 3;
	int64_t scale[N_CHUNKS];
	struct packed p;
	struct membudget budget = membudget_of(1 << 16);
	struct rows_reader r;
	packed_init(&p);
	for (unsigned i = 0; i < N_CHUNKS; i++) {
		n[i] = random_rows(rows[i], &seed);
		scale[i] = rows_scale(rows[i], n[i]);
		rows_put(p.column, rows[i], n[i], scale[i]);
	}
	rows_reader_init(&r, 999, 6, &budget);
	for (unsigned every = 1; every < 5; every++) {
		open_reader(&r, &p);
		for (unsigned i = 0; i < N_CHUNKS; i++) {
			struct rows got;
			if (i % every) {
				rows_skip(&r, n[i]);
				continue;
			}
			assert_int_equal(rows_get(&r, n[i], scale[i], &got), 0);
			assert_int_equal(got.n, n[i]);
			for (uint32_t k = 0; k < n[i]; k++) {
				assert_int_equal(got.node[k], rows[i][k].node);
				assert_int_equal(got.labels[k], rows[i][k].labels);
				assert_int_equal(got.value[k], rows[i][k].value);
			}
		}
	}
	rows_reader_done(&r);
	assert_int_equal(budget.used, 0);
	packed_done(&p);
}

static void a_column_of_labels_without_a_byte_is_zeros(void **state)
{
	(void)state;
	const struct row rows[] = { { 1, 0, 5 }, { 4, 0, 10 } };
	struct packed p;
	struct rows_reader r;
	struct rows got;
	packed_init(&p);
	rows_put(p.column, rows, 2, 5);
	p.column[ROW_LABELS].n = 0;
	rows_reader_init(&r, 4, 0, NULL);
	open_reader(&r, &p);
	assert_int_equal(rows_get(&r, 2, 5, &got), 0);
	assert_null(got.labels);
	assert_true(got.node[1] == 4 && got.value[1] == 10);
	rows_reader_done(&r);
	packed_done(&p);
}

/* Of (rows, largest ids, number asked for). */
static int get(const struct row *rows, uint32_t n, uint32_t max_node, uint32_t max_labels, uint32_t want, int64_t scale)
{
	struct packed p;
	struct rows_reader r;
	struct rows got;
	packed_init(&p);
	rows_put(p.column, rows, n, 1);
	rows_reader_init(&r, max_node, max_labels, NULL);
	open_reader(&r, &p);
	int e = rows_get(&r, want, scale, &got);
	rows_reader_done(&r);
	packed_done(&p);
	return e;
}

static void rows_of_what_is_not_there_are_refused(void **state)
{
	(void)state;
	const struct row rows[] = { { 1, 3, INT64_MAX / 2 }, { 9, 1, 1 } };
	assert_int_equal(get(rows, 2, 9, 3, 2, 1), 0);
	assert_int_equal(get(rows, 2, 8, 3, 2, 1), -EBADMSG);
	assert_int_equal(get(rows, 2, 9, 2, 2, 1), -EBADMSG);
	assert_int_equal(get(rows, 2, 9, 3, 3, 1), -EBADMSG);
	assert_int_equal(get(rows, 2, 9, 3, UINT32_MAX, 1), -EBADMSG);
	assert_int_equal(get(rows, 2, 9, 3, 2, 3), -EBADMSG);
	/* Ids that leave 32 bits and would come back to a small one. */
	const struct row far[] = { { UINT32_MAX, 0, 1 }, { 5, 0, 1 } };
	assert_int_equal(get(far, 2, UINT32_MAX - 1, 0, 2, 1), -EBADMSG);
}

static void rows_beyond_the_budget_are_refused(void **state)
{
	(void)state;
	static struct row rows[1000];
	struct packed p;
	struct membudget budget = membudget_of(8000);
	struct rows_reader r;
	struct rows got;
	for (uint32_t i = 0; i < ARRAY_SIZE(rows); i++)
		rows[i] = (struct row){ i, 0, 1 };
	packed_init(&p);
	rows_put(p.column, rows, ARRAY_SIZE(rows), 1);
	rows_reader_init(&r, ARRAY_SIZE(rows), 0, &budget);
	open_reader(&r, &p);
	assert_int_equal(rows_get(&r, ARRAY_SIZE(rows), 1, &got), -ENOBUFS);
	assert_int_equal(rows_get(&r, 100, 1, &got), 0);
	assert_int_equal(got.node[99], 99);
	rows_reader_done(&r);
	assert_int_equal(budget.used, 0);
	packed_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_of_a_place_become_one),
		cmocka_unit_test(the_scale_divides_every_value),
		cmocka_unit_test(what_was_packed_comes_back),
		cmocka_unit_test(a_column_of_labels_without_a_byte_is_zeros),
		cmocka_unit_test(rows_of_what_is_not_there_are_refused),
		cmocka_unit_test(rows_beyond_the_budget_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
