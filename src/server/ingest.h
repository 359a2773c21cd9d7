/* SPDX-License-Identifier: Apache-2.0 */
/* ingest.h: what the ways in have in common (api_ingest.c). */
#pragma once

#include "base/slice.h"

#include <stdbool.h>

#define INGEST_WAIT_MS 15000 /* for memory */

/* Letters, digits, '_', '.' and '-'. */
bool ingest_is_key(struct slice key);

/* How much memory decoding a body probably takes. A guess: what it says of
 * itself is not trusted with memory, only with how much to borrow first. */
size_t ingest_memory(struct slice body);
