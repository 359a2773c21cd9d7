/* SPDX-License-Identifier: Apache-2.0 */
/* libdeflate is 2-3 times as fast as zlib but wants to know the size before
 * and cannot stop midway, so it gets the common case (one member whose
 * trailer states a size that is not suspicious), and zlib, which goes step
 * by step, everything else: several members, huge ratios, anything wrong. */
#include "format/inflate.h"

#include <errno.h>
#include <libdeflate.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define STEP		((size_t)256 << 10)
#define ALWAYS_ALLOWED	((size_t)16 << 20)
#define PLAIN_RATIO	16
#define ZSTD_WINDOW_LOG 24
#define HAS_HEADER_CRC	0x02 /* flag of a gzip header; libdeflate does not look at that checksum */

enum codec codec_of(struct slice bytes)
{
	if (bytes.size >= 2 && bytes.data[0] == 0x1f && bytes.data[1] == 0x8b)
		return CODEC_GZIP;
	if (slice_has_prefix(bytes, "\x28\xb5\x2f\xfd"))
		return CODEC_ZSTD;
	return CODEC_RAW;
}

size_t inflate_allowed(const struct format_limits *limits, size_t n_in)
{
	size_t by_ratio;
	if (__builtin_mul_overflow(n_in, (size_t)limits->ratio, &by_ratio))
		by_ratio = SIZE_MAX;
	if (by_ratio < ALWAYS_ALLOWED)
		by_ratio = ALWAYS_ALLOWED;
	return by_ratio < limits->inflated_size ? by_ratio : limits->inflated_size;
}

static int too_much(const struct format_limits *limits, size_t n_in, size_t n_out, const char *codec, struct error *err)
{
	if (n_out > limits->inflated_size)
		return error_set(err, -E2BIG, "%s: more than %zu bytes after decompression", codec,
				 limits->inflated_size);
	return error_set(err, -E2BIG,
			 "%s: %zu compressed bytes became more than %zu: a ratio over %u looks like a bomb", codec,
			 n_in, n_out, limits->ratio);
}

/* Room for the next step. NULL with the error set when memory or limits end. */
static uint8_t *next_room(const struct format_limits *limits, struct buf *out, struct error *err)
{
	uint8_t *room = buf_room(out, STEP);
	if (!room)
		(void)error_set(err, -ENOMEM, "out of memory at %zu decompressed bytes", out->n);
	return room;
}

/* The common case; false: try the slow way, which also finds the words for
 * what is wrong. */
static bool gzip_at_once(struct slice in, const struct format_limits *limits, struct buf *out)
{
	if (in.size < 18 || in.data[3] & HAS_HEADER_CRC)
		return false;
	const uint8_t *t = in.data + in.size - 4;
	size_t size = (size_t)t[0] | (size_t)t[1] << 8 | (size_t)t[2] << 16 | (size_t)t[3] << 24;
	uint32_t ratio = limits->ratio < PLAIN_RATIO ? limits->ratio : PLAIN_RATIO;
	if (size > limits->inflated_size || (size > ALWAYS_ALLOWED && size / ratio > in.size))
		return false;
	uint8_t *room = size ? buf_room(out, size) : NULL;
	struct libdeflate_decompressor *z = room ? libdeflate_alloc_decompressor() : NULL;
	if (!z)
		return false;
	size_t n_in, n_out;
	enum libdeflate_result r = libdeflate_gzip_decompress_ex(z, in.data, in.size, room, size, &n_in, &n_out);
	libdeflate_free_decompressor(z);
	if (r != LIBDEFLATE_SUCCESS || n_in != in.size)
		return false;
	out->n += n_out;
	return true;
}

static int gzip_failed(const z_stream *z, int code, size_t at, struct error *err)
{
	if (code == Z_MEM_ERROR)
		return error_set(err, -ENOMEM, "gzip: out of memory");
	return error_set(err, -EBADMSG, "gzip: at byte %zu: %s", at, z->msg ? z->msg : "not valid");
}

/* Consumes all of `in`, member after member. */
static int gzip_stream(z_stream *z, struct slice in, const struct format_limits *limits, struct buf *out,
		       struct error *err)
{
	for (;;) {
		uint8_t *room = next_room(limits, out, err);
		if (!room)
			return -ENOMEM;
		size_t n_in = (size_t)(z->next_in - in.data);
		z->next_out = room;
		z->avail_out = STEP;
		/* avail_in is 32 bits wide. */
		z->avail_in = in.size - n_in < STEP ? (uInt)(in.size - n_in) : (uInt)STEP;
		int r = inflate(z, Z_NO_FLUSH);
		out->n += STEP - z->avail_out;
		n_in = (size_t)(z->next_in - in.data);
		if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
			return gzip_failed(z, r, n_in, err);
		if (out->n > inflate_allowed(limits, n_in))
			return too_much(limits, n_in, out->n, "gzip", err);
		if (r == Z_STREAM_END) {
			if (n_in == in.size)
				return 0;
			if (inflateReset(z) != Z_OK)
				return gzip_failed(z, Z_STREAM_ERROR, n_in, err);
		} else if (n_in == in.size && z->avail_out > 0) {
			return error_set(err, -ENODATA, "gzip: ends early, after %zu bytes in and %zu out", n_in,
					 out->n);
		}
	}
}

static void z_stream_done(z_stream *z)
{
	(void)inflateEnd(z);
}

static int gunzip(struct slice in, const struct format_limits *limits, struct buf *out, struct error *err)
{
	if (gzip_at_once(in, limits, out))
		return 0;
	_cleanup_(z_stream_done)
	z_stream z = { .next_in = in.data };
	if (inflateInit2(&z, 15 + 16) != Z_OK) /* 15: window bits, 16: gzip framing */
		return error_set(err, -ENOMEM, "gzip: out of memory");
	return gzip_stream(&z, in, limits, out, err);
}

static void zstd_done(ZSTD_DCtx **z)
{
	(void)ZSTD_freeDCtx(*z);
}

static int zstd_failed(size_t r, size_t at, struct error *err)
{
	switch (ZSTD_getErrorCode(r)) {
	case ZSTD_error_memory_allocation:
		return error_set(err, -ENOMEM, "zstd: out of memory");
	case ZSTD_error_frameParameter_windowTooLarge:
		return error_set(err, -E2BIG,
				 "zstd: at byte %zu: its window is larger than %u MiB; compress it without --long", at,
				 1u << (ZSTD_WINDOW_LOG - 20));
	default:
		return error_set(err, -EBADMSG, "zstd: at byte %zu: %s", at, ZSTD_getErrorName(r));
	}
}

static int unzstd(struct slice bytes, const struct format_limits *limits, struct buf *out, struct error *err)
{
	_cleanup_(zstd_done)
	ZSTD_DCtx *z = ZSTD_createDCtx();
	if (!z || ZSTD_isError(ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG)))
		return error_set(err, -ENOMEM, "zstd: out of memory");
	ZSTD_inBuffer in = { bytes.data, bytes.size, 0 };
	for (;;) {
		uint8_t *room = next_room(limits, out, err);
		if (!room)
			return -ENOMEM;
		ZSTD_outBuffer step = { room, STEP, 0 };
		/* 0: a frame is complete and all of it has been written. */
		size_t r = ZSTD_decompressStream(z, &step, &in);
		out->n += step.pos;
		if (ZSTD_isError(r))
			return zstd_failed(r, in.pos, err);
		if (out->n > inflate_allowed(limits, in.pos))
			return too_much(limits, in.pos, out->n, "zstd", err);
		if (in.pos < in.size || step.pos == STEP)
			continue;
		if (r == 0)
			return 0;
		return error_set(err, -ENODATA, "zstd: ends early, after %zu bytes in and %zu out", in.pos, out->n);
	}
}

int inflate_bytes(struct slice bytes, const struct format_limits *limits, struct buf *scratch, struct slice *ret,
		  struct error *err)
{
	if (bytes.size > limits->input_size)
		return error_set(err, -E2BIG, "%zu bytes: the limit is %zu", bytes.size, limits->input_size);
	enum codec codec = codec_of(bytes);
	if (codec == CODEC_RAW) {
		*ret = bytes;
		return 0;
	}
	scratch->n = 0;
	scratch->failed = false;
	scratch->max = limits->inflated_size < SIZE_MAX - 4 * STEP ? limits->inflated_size + 2 * STEP : SIZE_MAX;
	int r = codec == CODEC_GZIP ? gunzip(bytes, limits, scratch, err) : unzstd(bytes, limits, scratch, err);
	if (r < 0)
		return r;
	*ret = slice_of(scratch->data, scratch->n);
	return 0;
}

static void compressor_done(struct libdeflate_compressor **z)
{
	libdeflate_free_compressor(*z);
}

int gzip_compress(struct slice bytes, int level, struct buf *out)
{
	_cleanup_(compressor_done)
	struct libdeflate_compressor *z = libdeflate_alloc_compressor(level);
	if (!z)
		return -ENOMEM;
	size_t bound = libdeflate_gzip_compress_bound(z, bytes.size);
	size_t left = out->max - out->n;
	uint8_t *room = buf_room(out, bound < left ? bound : left);
	if (!room)
		return -ENOMEM;
	size_t n = libdeflate_gzip_compress(z, bytes.data, bytes.size, room, bound < left ? bound : left);
	if (n == 0) {
		out->failed = true;
		return -E2BIG;
	}
	out->n += n;
	return 0;
}

int zstd_compress(struct slice bytes, int level, struct buf *out)
{
	size_t bound = ZSTD_compressBound(bytes.size), left = out->max - out->n;
	size_t size = bound < left ? bound : left;
	uint8_t *room = buf_room(out, size);
	if (!room)
		return -ENOMEM;
	size_t n = ZSTD_compress(room, size, bytes.data, bytes.size, level);
	if (ZSTD_getErrorCode(n) == ZSTD_error_dstSize_tooSmall) {
		out->failed = true;
		return -E2BIG;
	}
	if (ZSTD_isError(n))
		return -ENOMEM; /* there is no other reason */
	out->n += n;
	return 0;
}
