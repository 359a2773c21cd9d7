/* SPDX-License-Identifier: Apache-2.0 */
/* varints.h: runs of short Protocol Buffers varints, fast.
 *
 * Most bytes of a large profile are packed ids of one to three bytes. Read
 * one by one, the length of each decides where the next begins: a wait or a
 * wrong guess per number. Here the ends of 64 bytes' numbers are found first,
 * as a bit mask; then no number waits for the one before. */
#pragma once

#include "base/slice.h"

/* How many bytes behind the run are looked at, never used. */
#define VARINTS_SLACK 64

/* Numbers of up to 28 bits into out[], which has room for bytes.size; at least
 * VARINTS_SLACK bytes behind `bytes` must be readable. False when a number is
 * longer or the last one is cut: out[] is then of no use. */
bool varints_read(struct slice bytes, uint32_t *out, uint32_t *ret_n);
