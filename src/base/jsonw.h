/* SPDX-License-Identifier: Apache-2.0 */
/* jsonw.h: streaming JSON writer over a buf. Commas and escaping are its
 * job; nesting is the caller's. Bytes that are not UTF-8 become U+FFFD.
 *
 *   jsonw_object(&w, NULL);  jsonw_str(&w, "name", s);  jsonw_end(&w, '}');
 *
 * A key of NULL means "array element" (or the outermost value). */
#pragma once

#include "base/buf.h"

struct jsonw {
	struct buf *out;
	bool comma;
};

void jsonw_object(struct jsonw *w, const char *key);
void jsonw_array(struct jsonw *w, const char *key);
void jsonw_end(struct jsonw *w, char close); /* '}' or ']' */
void jsonw_str(struct jsonw *w, const char *key, struct slice value);
void jsonw_cstr(struct jsonw *w, const char *key, const char *value);
void jsonw_i64(struct jsonw *w, const char *key, int64_t value);
void jsonw_u64(struct jsonw *w, const char *key, uint64_t value);
void jsonw_f64(struct jsonw *w, const char *key, double value); /* NaN, inf: null */
void jsonw_bool(struct jsonw *w, const char *key, bool value);
void jsonw_null(struct jsonw *w, const char *key);
