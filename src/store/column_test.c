/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "store/column.h"

#include <errno.h>

/* Where the number of bytes changes, and the ends. */
static uint64_t edge(unsigned i)
{
	unsigned bit = i / 3;
	return bit == 64 ? UINT64_MAX : (UINT64_C(1) << bit) + i % 3 - 1;
}
#define N_EDGES (64 * 3 + 1)

static void open_columns(const struct columns *c, unsigned n, struct buf *bytes, struct column *out)
{
	bytes->n = 0;
	columns_write(c, n, bytes);
	assert_false(bytes->failed);
	struct slice rest = slice_of(bytes->data, bytes->n);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(columns_next(&rest, &out[i]), 0);
	assert_int_equal(rest.size, 0);
}

static void every_number_comes_back_as_it_was(void **state)
{
	(void)state;
	struct columns c;
	struct column in[3];
	_cleanup_(buf_done)
	struct buf bytes = buf_of(1 << 20);
	columns_init(&c);
	for (unsigned i = 0; i < N_EDGES; i++) {
		columns_u(&c, 0, edge(i));
		columns_z(&c, 1, (int64_t)edge(i));
		columns_d(&c, 2, edge(i));
	}
	open_columns(&c, 3, &bytes, in);
	for (unsigned i = 0; i < N_EDGES; i++) {
		assert_true(column_u(&in[0]) == edge(i));
		assert_true(column_z(&in[1]) == (int64_t)edge(i));
		assert_true(column_d(&in[2]) == edge(i));
	}
	for (int i = 0; i < 3; i++)
		assert_true(column_is_over(&in[i]));
	/* One more is not there. */
	assert_int_equal(column_u(&in[0]), 0);
	assert_true(in[0].bad);
	columns_reset(&c);
	columns_d(&c, 2, 5);
	open_columns(&c, 3, &bytes, in);
	assert_true(in[0].p == in[0].end && column_d(&in[2]) == 5);
	columns_done(&c);
}

static void references_come_back_and_those_to_nothing_do_not(void **state)
{
	(void)state;
	static const uint32_t rows[] = { 1, 2, 1, 0, 3, 3, 1, 0, 2, 4 };
	struct columns c;
	struct column in;
	uint32_t next = 1;
	_cleanup_(buf_done)
	struct buf bytes = buf_of(1 << 20);
	columns_init(&c);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		columns_r(&c, 0, rows[i], &next);
	assert_int_equal(next, 5);
	open_columns(&c, 1, &bytes, &in);
	next = 1;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(column_r(&in, &next, 4), rows[i]);
	assert_true(column_is_over(&in));
	/* A table of three rows has no fourth. */
	open_columns(&c, 1, &bytes, &in);
	next = 1;
	for (unsigned i = 0; i + 1 < ARRAY_SIZE(rows); i++)
		(void)column_r(&in, &next, 3);
	assert_false(in.bad);
	assert_int_equal(column_r(&in, &next, 3), 0);
	assert_true(in.bad);
	/* Back to before the first row, just and by far. */
	static const uint64_t behind[] = { 4, 5, UINT64_C(1) << 32, (UINT64_C(1) << 32) + 3, UINT64_MAX };
	for (unsigned i = 0; i < ARRAY_SIZE(behind); i++) {
		uint8_t code[VARINT_MAX];
		struct column far = { .p = code, .end = varint_write(code, behind[i]) };
		next = 3;
		assert_int_equal(column_r(&far, &next, 100), 0);
		assert_true(far.bad);
	}
	columns_done(&c);
}

static void a_number_that_does_not_end_is_bad(void **state)
{
	(void)state;
	uint8_t bytes[VARINT_MAX + 2];
	memset(bytes, 0xff, sizeof(bytes));
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct column c = { .p = bytes, .end = bytes + n };
		assert_int_equal(column_u(&c), 0);
		assert_true(c.bad && c.p <= c.end);
	}
	/* The tenth byte has one bit to give. */
	for (unsigned last = 0; last < 4; last++) {
		bytes[VARINT_MAX - 1] = (uint8_t)last;
		struct column c = { .p = bytes, .end = bytes + VARINT_MAX };
		uint64_t v = column_u(&c);
		assert_true(last <= 1 ? !c.bad && v == (last ? UINT64_MAX : UINT64_MAX >> 1) : c.bad && v == 0);
	}
	struct column c = { .p = bytes, .end = varint_write(bytes, 300) };
	assert_int_equal(column_u32(&c, 299), 0);
	assert_true(c.bad);
}

static void a_column_longer_than_its_bytes_is_refused(void **state)
{
	(void)state;
	static const uint8_t whole[] = { 2, 10, 11, 1, 12 };
	for (size_t n = 0; n < sizeof(whole); n++) {
		struct slice rest = slice_of(whole, n);
		struct column c;
		assert_int_equal(columns_next(&rest, &c), n < 3 ? -EBADMSG : 0);
		assert_int_equal(n < 3 ? -EBADMSG : columns_next(&rest, &c), -EBADMSG);
	}
	uint8_t huge[VARINT_MAX + 1] = { 0 };
	struct slice rest = slice_of(huge, (size_t)(varint_write(huge, UINT64_MAX) - huge) + 1);
	struct column c;
	assert_int_equal(columns_next(&rest, &c), -EBADMSG);
}

static void skipping_is_reading_without_looking(void **state)
{
	(void)state;
	struct columns c;
	struct column in;
	_cleanup_(buf_done)
	struct buf bytes = buf_of(1 << 20);
	columns_init(&c);
	for (unsigned i = 0; i < N_EDGES; i++)
		columns_u(&c, 0, edge(i));
	for (unsigned n = 0; n < N_EDGES; n++) {
		open_columns(&c, 1, &bytes, &in);
		column_skip(&in, n);
		assert_true(column_u(&in) == edge(n) && !in.bad);
	}
	column_skip(&in, 1);
	assert_true(in.bad);
	columns_done(&c);
}

static void what_has_no_room_is_not_written_in_part(void **state)
{
	(void)state;
	struct columns c;
	columns_init(&c);
	for (unsigned i = 0; i < 1000; i++)
		columns_u(&c, 0, i);
	_cleanup_(buf_done)
	struct buf small = buf_of(100);
	columns_write(&c, 1, &small);
	assert_true(small.failed);
	columns_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number_comes_back_as_it_was),
		cmocka_unit_test(references_come_back_and_those_to_nothing_do_not),
		cmocka_unit_test(a_number_that_does_not_end_is_bad),
		cmocka_unit_test(a_column_longer_than_its_bytes_is_refused),
		cmocka_unit_test(skipping_is_reading_without_looking),
		cmocka_unit_test(what_has_no_room_is_not_written_in_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
