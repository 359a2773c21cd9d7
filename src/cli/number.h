/* SPDX-License-Identifier: Apache-2.0 */
/* number.h: numbers on the command line. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A decimal number within [min, max], nothing before or behind it. */
bool number_parse(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/* Bytes: a number, or one with k, m, g (1024 each) behind it. */
bool size_parse(const char *s, uint64_t *ret);
