/* SPDX-License-Identifier: Apache-2.0 */
#include "unit.h"

#include "base/clock.h"
#include "format/inflate.h"

#include <errno.h>
#include <sys/resource.h>
#include <zstd.h>

static struct slice bytes_of(const struct buf *b)
{
	return slice_of(b->data, b->n);
}

/* Compressible, but not trivially. */
static void fill(struct buf *b, size_t n)
{
	uint32_t x = 1;
	while (b->n < n) {
		x = x * 1103515245 + 12345;
		buf_printf(b, "frame_%u;", x >> 20);
	}
	assert_false(b->failed);
}

static void assert_inflates_to(struct slice packed, struct slice plain)
{
	_cleanup_(buf_done)
	struct buf scratch = buf_of(0);
	struct error err = { "" };
	struct slice got;
	if (inflate_bytes(packed, &format_limits_default, &scratch, &got, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(slice_eq(got, plain));
}

static void assert_refused(struct slice packed, const struct format_limits *limits, int code, const char *message)
{
	_cleanup_(buf_done)
	struct buf scratch = buf_of(0);
	struct error err = { "" };
	struct slice got = { 0 };
	assert_int_equal(inflate_bytes(packed, limits, &scratch, &got, &err), code);
	assert_non_null(strstr(err.text, message));
	assert_null(got.data);
}

static void zstd_pack(struct slice plain, int level, struct buf *out)
{
	uint8_t *room = buf_room(out, ZSTD_compressBound(plain.size));
	assert_non_null(room);
	size_t n = ZSTD_compress(room, ZSTD_compressBound(plain.size), plain.data, plain.size, level);
	assert_false(ZSTD_isError(n));
	out->n += n;
}

static void raw_is_not_copied(void **state)
{
	(void)state;
	struct slice raw = slice_str("main;parse 12\n"), got;
	_cleanup_(buf_done)
	struct buf scratch = buf_of(0);
	assert_int_equal(inflate_bytes(raw, &format_limits_default, &scratch, &got, NULL), 0);
	assert_ptr_equal(got.data, raw.data);
	assert_int_equal(inflate_bytes(slice_of(NULL, 0), &format_limits_default, &scratch, &got, NULL), 0);
	assert_int_equal(got.size, 0);
}

static void members_and_frames_are_joined(void **state)
{
	(void)state;
	static const size_t sizes[] = { 0, 1, 1000, 300000, 5000000 };
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		_cleanup_(buf_done)
		struct buf plain = buf_of(64 << 20), gz = buf_of(64 << 20), zs = buf_of(64 << 20);
		fill(&plain, sizes[i]);
		size_t n = plain.n;
		assert_int_equal(gzip_compress(bytes_of(&plain), 6, &gz), 0);
		assert_int_equal(zstd_compress(bytes_of(&plain), 3, &zs), 0);
		assert_inflates_to(bytes_of(&gz), bytes_of(&plain));
		assert_inflates_to(bytes_of(&zs), bytes_of(&plain));
		/* Twice the same behind each other. */
		assert_int_equal(gzip_compress(slice_of(plain.data, n), 1, &gz), 0);
		zstd_pack(slice_of(plain.data, n), 9, &zs);
		if (n) {
			assert_non_null(buf_room(&plain, n));
			memcpy(plain.data + n, plain.data, n);
			plain.n += n;
		}
		assert_inflates_to(bytes_of(&gz), bytes_of(&plain));
		assert_inflates_to(bytes_of(&zs), bytes_of(&plain));
	}
}

static void compression_is_deterministic(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf plain = buf_of(1 << 20), a = buf_of(1 << 20), b = buf_of(1 << 20);
	fill(&plain, 100000);
	assert_int_equal(gzip_compress(bytes_of(&plain), 6, &a), 0);
	assert_int_equal(gzip_compress(bytes_of(&plain), 6, &b), 0);
	assert_true(slice_eq(bytes_of(&a), bytes_of(&b)));
	assert_memory_equal(a.data + 4, "\0\0\0\0", 4); /* no time */
	struct buf small = buf_of(100);
	assert_int_equal(gzip_compress(bytes_of(&plain), 6, &small), -E2BIG);
	buf_done(&small);
	small = buf_of(100);
	assert_int_equal(zstd_compress(bytes_of(&plain), 3, &small), -E2BIG);
	buf_done(&small);
}

/* Both ways through a gzip file ask what --max-ratio says. */
static void the_ratio_asked_for_counts(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf gz = buf_of(32 << 20), out = buf_of(0);
	_cleanup_(free_ptr)
	uint8_t *text = malloc(24 << 20);
	assert_non_null(text);
	for (size_t i = 0; i < 24 << 20; i++)
		text[i] = (uint8_t)("0123456789abcdef"[i * 2654435761u >> 28 & 15]);
	assert_int_equal(gzip_compress(slice_of(text, 24 << 20), 1, &gz), 0);
	struct format_limits limits = format_limits_default;
	struct slice plain;
	struct error err = { "" };
	/* About 1 : 2, and whole sizes in the trailer. */
	assert_int_equal(inflate_bytes(bytes_of(&gz), &limits, &out, &plain, &err), 0);
	limits.ratio = 1;
	assert_int_equal(inflate_bytes(bytes_of(&gz), &limits, &out, &plain, &err), -E2BIG);
	assert_non_null(strstr(err.text, "a ratio over 1 looks like a bomb"));
}

static size_t peak_kb(void)
{
	struct rusage usage;
	assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
	return (size_t)usage.ru_maxrss;
}

/* What a few megabytes from a stranger may cost a server: see issue 4's bar
 * of 100 ms and 64 MB, here with room for sanitizers. */
static void bombs_are_cheap(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf one = buf_of(80 << 20), gz = buf_of(64 << 20), zs = buf_of(64 << 20);
	_cleanup_(free_ptr)
	uint8_t *zeros = calloc(1, 64 << 20);
	assert_non_null(zeros);
	assert_int_equal(gzip_compress(slice_of(zeros, 64 << 20), 6, &one), 0);
	_cleanup_(buf_done)
	struct buf frame = buf_of(80 << 20);
	zstd_pack(slice_of(zeros, 64 << 20), 3, &frame);
	for (int i = 0; i < 100; i++) { /* 6.4 GB */
		buf_add(&gz, one.data, one.n);
		buf_add(&zs, frame.data, frame.n);
	}
	/* A trailer that plays the size down. */
	_cleanup_(buf_done)
	struct buf lying = buf_of(16 << 20);
	buf_add(&lying, one.data, one.n);
	memcpy(lying.data + lying.n - 4, "\x00\x00\x10\x00", 4);
	free(zeros);
	zeros = NULL;
	size_t before = peak_kb();
	int64_t start = clock_mono_ns();
	assert_refused(bytes_of(&gz), &format_limits_default, -E2BIG, "looks like a bomb");
	assert_refused(bytes_of(&zs), &format_limits_default, -E2BIG, "looks like a bomb");
	assert_refused(bytes_of(&lying), &format_limits_default, -E2BIG, "looks like a bomb");
	assert_true(clock_mono_ns() - start < 3 * INT64_C(1000000000));
	assert_true(peak_kb() - before < 64 * 1024);
}

static void limits_are_named(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf plain = buf_of(8 << 20), gz = buf_of(8 << 20), zs = buf_of(8 << 20);
	struct format_limits l = format_limits_default;
	fill(&plain, 2000000);
	assert_int_equal(gzip_compress(bytes_of(&plain), 6, &gz), 0);
	zstd_pack(bytes_of(&plain), 3, &zs);
	l.inflated_size = 1000000;
	assert_refused(bytes_of(&gz), &l, -E2BIG, "gzip: more than 1000000 bytes after decompression");
	assert_refused(bytes_of(&zs), &l, -E2BIG, "zstd: more than 1000000 bytes after decompression");
	l.input_size = 1000;
	assert_refused(bytes_of(&gz), &l, -E2BIG, "the limit is 1000");
}

static void damage_is_located(void **state)
{
	(void)state;
	_cleanup_(buf_done)
	struct buf plain = buf_of(1 << 20), gz = buf_of(1 << 20), zs = buf_of(1 << 20);
	fill(&plain, 20000);
	assert_int_equal(gzip_compress(bytes_of(&plain), 6, &gz), 0);
	zstd_pack(bytes_of(&plain), 3, &zs);
	for (size_t n = 2; n < gz.n; n += 37)
		assert_refused(slice_of(gz.data, n), &format_limits_default, -ENODATA, "gzip: ends early, after");
	for (size_t n = 4; n < zs.n; n += 37)
		assert_refused(slice_of(zs.data, n), &format_limits_default, -ENODATA, "zstd: ends early, after");
	gz.data[gz.n - 8] ^= 1;
	assert_refused(bytes_of(&gz), &format_limits_default, -EBADMSG, "incorrect data check");
	gz.data[gz.n - 8] ^= 1;
	buf_add_str(&gz, "trailing");
	assert_refused(bytes_of(&gz), &format_limits_default, -EBADMSG, "incorrect header check");
	/* A checksum of the header that is wrong. */
	_cleanup_(buf_done)
	struct buf crc = buf_of(1 << 20);
	buf_add(&crc, gz.data, 10);
	crc.data[3] |= 2;
	buf_add(&crc, "no", 2);
	buf_add(&crc, gz.data + 10, gz.n - 10 - strlen("trailing"));
	assert_refused(bytes_of(&crc), &format_limits_default, -EBADMSG, "header crc mismatch");
	zs.data[4] ^= 8; /* reserved bit of the frame header */
	assert_refused(bytes_of(&zs), &format_limits_default, -EBADMSG, "zstd: at byte ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(raw_is_not_copied),
		cmocka_unit_test(members_and_frames_are_joined),
		cmocka_unit_test(compression_is_deterministic),
		cmocka_unit_test(the_ratio_asked_for_counts),
		cmocka_unit_test(bombs_are_cheap),
		cmocka_unit_test(limits_are_named),
		cmocka_unit_test(damage_is_located),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
