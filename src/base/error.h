/* SPDX-License-Identifier: Apache-2.0 */
/* error.h: one sentence for the person who must act.
 *
 * Functions return 0 or -Exxx; where a person must act they also fill a
 * caller-owned `struct error` (NULL allowed) with the input's name and the
 * place. Outer layers prepend one phrase: "big.pb.gz: at byte 12: field ...".
 *
 * Fixed meanings:
 *   -EBADMSG          malformed            -ENODATA  truncated
 *   -E2BIG            over a limit         -ENOBUFS  memory budget spent
 *   -EPROTONOSUPPORT  unknown version      -ESRCH    process gone */
#pragma once

#include "base/cleanup.h"

struct error {
	char text[512];
};

/* Sets the text and returns `code`, so that failures read
 * `return error_set(err, -EBADMSG, "...")`. */
int error_set(struct error *err, int code, const char *fmt, ...) printf_like(3, 4);

/* Prepends "<fmt>: " to the text. */
void error_prefix(struct error *err, const char *fmt, ...) printf_like(2, 3);

/* Appends to the text. */
void error_append(struct error *err, const char *fmt, ...) printf_like(2, 3);

/* HTTP status for a negative errno (400, 413, 422, 507 or 500). */
int error_http_status(int code);

/* Process exit status for a negative errno; docs/cli.md lists them. */
int error_exit_status(int code);
