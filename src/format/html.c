/* SPDX-License-Identifier: Apache-2.0 */
#include "format/html.h"

#include "format/markup.h"

#include <errno.h>

#define TITLE_MARK "@@WICK_TITLE@@"
#define SLAB_MARK  "@@WICK_SLAB@@"

static void put_base64(struct buf *out, struct slice in)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t *p = in.size ? buf_room(out, (in.size + 2) / 3 * 4) : NULL;
	if (!p)
		return;
	for (size_t i = 0; i < in.size; i += 3) {
		size_t left = in.size - i;
		uint32_t v = (uint32_t)in.data[i] << 16;
		if (left > 1)
			v |= (uint32_t)in.data[i + 1] << 8;
		if (left > 2)
			v |= in.data[i + 2];
		*p++ = (uint8_t)digits[v >> 18];
		*p++ = (uint8_t)digits[v >> 12 & 63];
		*p++ = left > 1 ? (uint8_t)digits[v >> 6 & 63] : '=';
		*p++ = left > 2 ? (uint8_t)digits[v & 63] : '=';
	}
	out->n = (size_t)(p - out->data);
}

int html_render(struct slice viewer, const char *title, struct slice slab, struct buf *out)
{
	bool has_slab = false;
	for (size_t at = 0; at < viewer.size;) {
		const uint8_t *mark = memmem(viewer.data + at, viewer.size - at, "@@WICK_", 7);
		size_t end = mark ? (size_t)(mark - viewer.data) : viewer.size;
		buf_add(out, viewer.data + at, end - at);
		struct slice rest = slice_of(viewer.data + end, viewer.size - end);
		if (slice_has_prefix(rest, TITLE_MARK)) {
			markup_put_text(out, slice_str(title));
			end += strlen(TITLE_MARK);
		} else if (slice_has_prefix(rest, SLAB_MARK)) {
			put_base64(out, slab);
			has_slab = true;
			end += strlen(SLAB_MARK);
		} else if (rest.size) {
			buf_add_byte(out, *rest.data);
			end++;
		}
		at = end;
	}
	if (!has_slab)
		return -EINVAL;
	return out->failed ? -E2BIG : 0;
}
