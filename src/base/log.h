/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: one line per event on stderr, key=value. Programs speak, libraries
 * return: only agent/, server/ and cli/ include this.
 *
 *   2026-11-21T07:00:00Z wick-server info: listening address=127.0.0.1:4040
 */
#pragma once

#include "base/cleanup.h"

#include <stdint.h>

void log_name(const char *program);
void log_info(const char *fmt, ...) printf_like(1, 2);
void log_warn(const char *fmt, ...) printf_like(1, 2);
void log_error(const char *fmt, ...) printf_like(1, 2);

/* At most one line per `interval_s` and `gate`; a later line says how many
 * were held back. Not for several threads on one gate. */
struct log_gate {
	int64_t last_ns;
	uint64_t held;
};
void log_warn_every(struct log_gate *gate, unsigned interval_s, const char *fmt, ...) printf_like(3, 4);
