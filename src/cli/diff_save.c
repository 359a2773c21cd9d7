/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/diff_save.h"

#include "base/outfile.h"
#include "format/html.h"
#include "format/slab.h"
#include "format/svg.h"
#include "web/viewer.h"

#include <errno.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)4 << 30)

/* `"diff":{"whole_a":1,"whole_b":2}`: what shares are of. */
static int render_slab(const struct diff_view *v, struct buf *out)
{
	char extra[96];
	(void)snprintf(extra, sizeof(extra), "\"diff\":{\"whole_a\":%lld,\"whole_b\":%lld}",
		       (long long)v->diff->side[DIFF_A].whole, (long long)v->diff->side[DIFF_B].whole);
	struct slab_meta meta = {
		.type = slice_str(v->type), .unit = slice_str(v->unit), .extra = slice_str(extra), .diff = v->diff
	};
	return slab_encode(&v->diff->tree, &meta, out);
}

static int render(const struct diff_view *v, enum output_format format, const char *title, struct buf *out)
{
	if (format == OUTPUT_SLAB)
		return render_slab(v, out);
	if (format == OUTPUT_SVG) {
		struct svg_options options = { .title = title, .unit = v->unit, .diff = v->diff };
		return svg_render(&v->diff->tree, &options, out);
	}
	_cleanup_(buf_done)
	struct buf slab = buf_of(OUTPUT_MAX);
	int r = render_slab(v, &slab);
	if (r < 0)
		return r;
	return html_render(slice_of(web_viewer_html, web_viewer_html_size), title, slice_of(slab.data, slab.n), out);
}

int diff_save(const struct diff_view *v, const struct output *o, struct error *err)
{
	const char *name = output_title(o);
	char title[512];
	(void)snprintf(title, sizeof(title), *name ? "%s (%s)" : "%s%s", name, v->type);
	_cleanup_(buf_done)
	struct buf out = buf_of(OUTPUT_MAX);
	int r = render(v, o->format, title, &out);
	if (r < 0)
		return error_set(err, r, "%s: %s", o->path, strerror(-r));
	return outfile_write(o->path, slice_of(out.data, out.n), o->force, err);
}
