/* SPDX-License-Identifier: Apache-2.0 */
/* inflate.h: gzip and zstd, told apart by their first bytes.
 *
 *   bytes --codec_of--> raw   returned as they are, no copy
 *                       gzip  RFC 1952, any number of members
 *                       zstd  RFC 8878, any number of frames, window <= 16 MiB
 *
 * Sizes written in the input are never trusted with memory: the output grows
 * as data really comes out and stops at limits->inflated_size, or where it
 * is more than 16 MiB and more than limits->ratio times the input consumed
 * so far. A bomb therefore costs at most about 40 MiB. */
#pragma once

#include "base/buf.h"
#include "base/error.h"
#include "format/limits.h"

enum codec { CODEC_RAW, CODEC_GZIP, CODEC_ZSTD };

enum codec codec_of(struct slice bytes);

/* *ret = the plain bytes: `bytes` itself when raw, else `scratch`, which is
 * emptied first and whose max is raised to the limit.
 * -EBADMSG, -ENODATA (ends early), -E2BIG, -ENOMEM. */
int inflate_bytes(struct slice bytes, const struct format_limits *limits, struct buf *scratch, struct slice *ret,
		  struct error *err) must_check;

/* Output allowed once `n_in` bytes have been consumed. */
size_t inflate_allowed(const struct format_limits *limits, size_t n_in);

/* Appends one gzip member, without name or time: same bytes in, same bytes
 * out. Levels 1-12; 6 when in doubt. -E2BIG past out->max, -ENOMEM. */
int gzip_compress(struct slice bytes, int level, struct buf *out) must_check;

/* The same as one zstd frame. Levels 1-19; what it works with is freed again. */
int zstd_compress(struct slice bytes, int level, struct buf *out) must_check;
