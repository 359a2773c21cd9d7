/* SPDX-License-Identifier: Apache-2.0 */
#include "base/jsonw.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>

static void add_string(struct buf *out, struct slice s)
{
	buf_add_byte(out, '"');
	size_t i = 0;
	while (i < s.size) {
		uint8_t c = s.data[i];
		if (c == '"' || c == '\\') {
			buf_add_byte(out, '\\');
			buf_add_byte(out, c);
			i++;
		} else if (c < 0x20 || c == 0x7f) {
			buf_printf(out, "\\u%04x", c);
			i++;
		} else if (c < 0x80) {
			size_t from = i;
			while (i < s.size && s.data[i] >= 0x20 && s.data[i] < 0x7f && s.data[i] != '"' &&
			       s.data[i] != '\\')
				i++;
			buf_add(out, s.data + from, i - from);
		} else {
			size_t n = utf8_sequence(s.data + i, s.size - i);
			if (n)
				buf_add(out, s.data + i, n);
			else
				buf_add_str(out, "\xef\xbf\xbd");
			i += n ? n : 1;
		}
	}
	buf_add_byte(out, '"');
}

static void begin(struct jsonw *w, const char *key)
{
	if (w->comma)
		buf_add_byte(w->out, ',');
	if (key) {
		add_string(w->out, slice_str(key));
		buf_add_byte(w->out, ':');
	}
	w->comma = true;
}

void jsonw_object(struct jsonw *w, const char *key)
{
	begin(w, key);
	buf_add_byte(w->out, '{');
	w->comma = false;
}

void jsonw_array(struct jsonw *w, const char *key)
{
	begin(w, key);
	buf_add_byte(w->out, '[');
	w->comma = false;
}

void jsonw_end(struct jsonw *w, char close)
{
	buf_add_byte(w->out, (uint8_t)close);
	w->comma = true;
}

void jsonw_str(struct jsonw *w, const char *key, struct slice value)
{
	begin(w, key);
	add_string(w->out, value);
}

void jsonw_cstr(struct jsonw *w, const char *key, const char *value)
{
	jsonw_str(w, key, slice_str(value));
}

void jsonw_i64(struct jsonw *w, const char *key, int64_t value)
{
	begin(w, key);
	buf_printf(w->out, "%" PRId64, value);
}

void jsonw_u64(struct jsonw *w, const char *key, uint64_t value)
{
	begin(w, key);
	buf_printf(w->out, "%" PRIu64, value);
}

void jsonw_f64(struct jsonw *w, const char *key, double value)
{
	begin(w, key);
	if (isfinite(value))
		buf_printf(w->out, "%.12g", value);
	else
		buf_add_str(w->out, "null");
}

void jsonw_bool(struct jsonw *w, const char *key, bool value)
{
	begin(w, key);
	buf_add_str(w->out, value ? "true" : "false");
}

void jsonw_null(struct jsonw *w, const char *key)
{
	begin(w, key);
	buf_add_str(w->out, "null");
}
