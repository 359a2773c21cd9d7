/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "format/protobuf.h"
#include "format/varints.h"

static const uint32_t edges[] = { 0, 1, 127, 128, 16383, 16384, 2097151, 2097152, (1 << 28) - 1 };

static bool read_all(const struct buf *b, size_t size, uint32_t *out, uint32_t *n)
{
	return varints_read(slice_of(b->data, size), out, n);
}

/* Every length at every place of a block, and what the plain reader says. */
static void numbers_come_back(void **state)
{
	(void)state;
	uint32_t out[2000], n;
	for (size_t count = 0; count < 200; count++) {
		for (size_t from = 0; from < ARRAY_SIZE(edges); from++) {
			_cleanup_(buf_done)
			struct buf b = buf_of(4096);
			for (size_t i = 0; i < count; i++)
				pb_put_varint(&b, edges[(from + i * i) % ARRAY_SIZE(edges)]);
			size_t size = b.n;
			memset(buf_room(&b, VARINTS_SLACK), 0xff, VARINTS_SLACK);
			assert_true(read_all(&b, size, out, &n));
			assert_int_equal(n, count);
			for (size_t i = 0; i < count; i++)
				assert_int_equal(out[i], edges[(from + i * i) % ARRAY_SIZE(edges)]);
		}
	}
}

/* What it cannot read it must not misread. */
static void long_and_cut_numbers_are_refused(void **state)
{
	(void)state;
	uint32_t out[2000], n;
	for (size_t before = 0; before < 140; before++) {
		_cleanup_(buf_done)
		struct buf b = buf_of(4096);
		for (size_t i = 0; i < before; i++)
			pb_put_varint(&b, 5);
		pb_put_varint(&b, 1 << 28);
		size_t size = b.n;
		memset(buf_room(&b, VARINTS_SLACK + 8), 0, VARINTS_SLACK + 8);
		assert_false(read_all(&b, size, out, &n));
		for (size_t cut = 1; cut < 4; cut++)
			assert_false(read_all(&b, size - cut, out, &n));
		assert_true(read_all(&b, before, out, &n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_come_back),
		cmocka_unit_test(long_and_cut_numbers_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
