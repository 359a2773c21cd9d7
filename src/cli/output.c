/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include "base/outfile.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *suffix; /* --to takes it without the '.' */
	enum output_format format;
} suffixes[] = {
	{ ".pb.gz", OUTPUT_PPROF_GZ },
	{ ".pprof", OUTPUT_PPROF_GZ },
	{ ".prof", OUTPUT_PPROF_GZ },
	{ ".pb", OUTPUT_PPROF },
	{ ".folded", OUTPUT_FOLDED },
	{ ".collapsed", OUTPUT_FOLDED },
	{ ".txt", OUTPUT_FOLDED },
	{ ".svg", OUTPUT_SVG },
	{ ".html", OUTPUT_HTML },
	{ ".slab", OUTPUT_SLAB },
	{ ".otlp.gz", OUTPUT_OTLP_GZ },
	{ ".otlp", OUTPUT_OTLP },
	{ ".speedscope.json", OUTPUT_SPEEDSCOPE },
	{ ".flamebearer.json", OUTPUT_FLAMEBEARER },
	{ ".dot", OUTPUT_DOT },
	{ ".csv", OUTPUT_CSV },
	{ ".callgrind", OUTPUT_CALLGRIND },
};

static bool has_suffix(const char *path, const char *suffix)
{
	size_t n = strlen(path), k = strlen(suffix);
	return n > k && strcmp(path + n - k, suffix) == 0;
}

/* " .pb.gz .pprof ..." of the formats allowed; with --to without the dots. */
static void append_known(struct error *err, uint32_t allowed, bool has_dot)
{
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (allowed & OUTPUT_BIT(suffixes[i].format))
			error_append(err, " %s", suffixes[i].suffix + !has_dot);
}

static int find_format(const char *path, const char *to, uint32_t allowed, enum output_format *ret, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		const char *suffix = suffixes[i].suffix;
		bool is_it = to ? strcmp(to, suffix + 1) == 0 : has_suffix(path, suffix);
		if (is_it && allowed & OUTPUT_BIT(suffixes[i].format)) {
			*ret = suffixes[i].format;
			return 0;
		}
	}
	if (to)
		(void)error_set(err, -EINVAL, "--to %.64s: not a format that can be written here; known:", to);
	else if (outfile_is_stdout(path))
		(void)error_set(err, -EINVAL, "standard output has no name to say the format; --to does; known:");
	else
		(void)error_set(err, -EINVAL,
				"%s: the end of the name says no format that can be written here; known:", path);
	append_known(err, allowed, !to && !outfile_is_stdout(path));
	return -EINVAL;
}

static bool is_binary(enum output_format format)
{
	return format == OUTPUT_PPROF_GZ || format == OUTPUT_PPROF || format == OUTPUT_OTLP_GZ ||
	       format == OUTPUT_OTLP || format == OUTPUT_SLAB;
}

int output_init(struct output *o, const char *path, const char *to, bool force, uint32_t allowed, struct error *err)
{
	*o = (struct output){ .path = path, .force = force };
	int r = find_format(path, to, allowed, &o->format, err);
	if (r < 0)
		return r;
	if (outfile_is_stdout(path) && is_binary(o->format) && isatty(STDOUT_FILENO))
		return error_set(err, -EINVAL, "standard output is a terminal, for which this format is nothing");
	return outfile_check(path, force, err);
}

const char *output_title(const struct output *o)
{
	const char *slash = strrchr(o->path, '/');
	return outfile_is_stdout(o->path) ? "" : slash ? slash + 1 : o->path;
}
