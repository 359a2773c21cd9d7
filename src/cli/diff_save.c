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

static bool has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), k = strlen(suffix);
	return n > k && strcmp(path + n - k, suffix) == 0;
}

int diff_check_output(const char *path, bool force, struct error *err)
{
	if (!has_suffix(path, ".svg") && !has_suffix(path, ".html") && !has_suffix(path, ".slab"))
		return error_set(err, -EINVAL,
				 "%s: the end of the name says no format; a comparison can be .svg .html .slab", path);
	return outfile_check(path, force, err);
}

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

static int render(const struct diff_view *v, const char *path, const char *title, struct buf *out)
{
	if (has_suffix(path, ".slab"))
		return render_slab(v, out);
	if (has_suffix(path, ".svg")) {
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

int diff_save(const struct diff_view *v, const char *path, bool force, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char title[512];
	(void)snprintf(title, sizeof(title), "%s (%s)", slash ? slash + 1 : path, v->type);
	_cleanup_(buf_done)
	struct buf out = buf_of(OUTPUT_MAX);
	int r = render(v, path, title, &out);
	if (r < 0)
		return error_set(err, r, "%s: %s", path, strerror(-r));
	return outfile_write(path, slice_of(out.data, out.n), force, err);
}
