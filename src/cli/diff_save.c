/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/diff_save.h"

#include "base/file.h"
#include "format/svg.h"

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
	if (!has_suffix(path, ".svg"))
		return error_set(err, -EINVAL, "%s: the end of the name says no format; a comparison can be .svg",
				 path);
	if (!force && access(path, F_OK) == 0)
		return error_set(err, -EEXIST, "%s: exists; --force replaces it", path);
	return 0;
}

int diff_save(const struct diff_view *v, const char *path, bool force, struct error *err)
{
	const char *slash = strrchr(path, '/');
	char title[512];
	(void)snprintf(title, sizeof(title), "%s (%s)", slash ? slash + 1 : path, v->type);
	_cleanup_(buf_done)
	struct buf out = buf_of(OUTPUT_MAX);
	struct svg_options options = { .title = title, .unit = v->unit, .diff = v->diff };
	int r = svg_render(&v->diff->tree, &options, &out);
	if (r < 0)
		return error_set(err, r, "%s: %s", path, strerror(-r));
	return file_write(path, slice_of(out.data, out.n), force, err);
}
