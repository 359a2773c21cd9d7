/* SPDX-License-Identifier: Apache-2.0 */
/* quantity.h: values for people.
 *
 *   1234567890 nanoseconds -> 1.23 s      4200000 bytes -> 4.01 MiB
 *   1234567    samples     -> 1.23 M samples                       */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define QUANTITY_SIZE 64

/* Three significant digits. Units as pprof writes them: nanoseconds,
 * microseconds, milliseconds, seconds, bytes; anything else is a count of
 * that word, and "count" or NULL just a number. */
void quantity_format(int64_t value, const char *unit, char ret[static QUANTITY_SIZE]);

/* "12.34 %" of `total`; "0 %" when that is 0. */
void share_format(int64_t value, int64_t total, char ret[static QUANTITY_SIZE]);
