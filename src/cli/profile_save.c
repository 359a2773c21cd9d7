/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/profile_save.h"

#include "base/outfile.h"
#include "cli/profile_file.h"
#include "format/callgrind.h"
#include "format/csv.h"
#include "format/flamebearer.h"
#include "format/folded.h"
#include "format/html.h"
#include "format/otlp.h"
#include "format/pprof.h"
#include "format/slab.h"
#include "format/speedscope.h"
#include "format/svg.h"
#include "web/viewer.h"

#include <errno.h>
#include <string.h>

#define OUTPUT_MAX ((size_t)4 << 30)

enum output {
	OUTPUT_NONE,
	OUTPUT_PPROF_GZ,
	OUTPUT_PPROF,
	OUTPUT_OTLP_GZ,
	OUTPUT_OTLP,
	OUTPUT_FOLDED,
	OUTPUT_SVG,
	OUTPUT_HTML,
	OUTPUT_SLAB,
	OUTPUT_SPEEDSCOPE,
	OUTPUT_FLAMEBEARER,
	OUTPUT_DOT,
	OUTPUT_CSV,
	OUTPUT_CALLGRIND
};

static const struct {
	const char *suffix;
	enum output output;
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

static enum output output_of(const char *path)
{
	size_t n = strlen(path);
	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t k = strlen(suffixes[i].suffix);
		if (n > k && strcmp(path + n - k, suffixes[i].suffix) == 0)
			return suffixes[i].output;
	}
	return OUTPUT_NONE;
}

int profile_check_output(const char *path, bool force, struct error *err)
{
	if (output_of(path) == OUTPUT_NONE)
		return error_set(err, -EINVAL,
				 "%s: the end of the name says no format; known: .pb.gz .pprof .prof .pb .folded "
				 ".collapsed .txt .svg .html .slab .otlp .otlp.gz .speedscope.json .flamebearer.json "
				 ".dot .csv .callgrind",
				 path);
	return outfile_check(path, force, err);
}

static const char *type_name(const struct profile *p, uint32_t type)
{
	return strtab_cstr(&p->dict.strings, p->types[type].type);
}

static const char *type_unit(const struct profile *p, uint32_t type)
{
	return strtab_cstr(&p->dict.strings, p->types[type].unit);
}

static int render_slab(const struct profile *p, uint32_t type, const struct calltree *t, struct buf *out)
{
	struct slab_meta meta = { .type = slice_str(type_name(p, type)), .unit = slice_str(type_unit(p, type)) };
	return slab_encode(t, &meta, out);
}

static int render_tree(const struct profile *p, uint32_t type, enum output output, const char *title, struct buf *out)
{
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	/* A recording of many services shows them apart. */
	int r = profile_calltree(p, type, "service", NULL, &t);
	if (r < 0)
		return r;
	if (output == OUTPUT_SVG) {
		struct svg_options options = { .title = title, .unit = type_unit(p, type) };
		return svg_render(&t, &options, out);
	}
	if (output == OUTPUT_FLAMEBEARER)
		return flamebearer_encode(&t, type_name(p, type), type_unit(p, type), out);
	if (output == OUTPUT_SLAB)
		return render_slab(p, type, &t, out);
	_cleanup_(buf_done)
	struct buf slab = buf_of(OUTPUT_MAX);
	r = render_slab(p, type, &t, &slab);
	if (r < 0)
		return r;
	return html_render(slice_of(web_viewer_html, web_viewer_html_size), title, slice_of(slab.data, slab.n), out);
}

static int render_dot(const struct profile *p, uint32_t type, const struct dot_options *options, const char *title,
		      struct buf *out)
{
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	int r = profile_calltree(p, type, NULL, NULL, &t);
	struct dot_options o = *options;
	o.title = title;
	o.type = type_name(p, type);
	o.unit = type_unit(p, type);
	return r < 0 ? r : dot_encode(&t, &o, out);
}

static int render_callgrind(const struct profile *p, uint32_t type, struct buf *out)
{
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	const struct calltree_view view = { .lines = true };
	int r = profile_calltree(p, type, NULL, &view, &t);
	return r < 0 ? r : callgrind_encode(&t, type_name(p, type), type_unit(p, type), out);
}

/* What profile_save() and its kin were asked for. */
struct request {
	enum output output;
	const char *path;
	uint32_t type;
	bool is_type_given;
	const struct dot_options *dot;
};

static int render(const struct profile *p, const struct request *q, struct buf *out)
{
	uint32_t type = q->type;

	switch (q->output) {
	case OUTPUT_PPROF_GZ:
		return pprof_encode_gz(p, out);
	case OUTPUT_PPROF:
		return pprof_encode(p, out);
	case OUTPUT_OTLP_GZ:
		return otlp_encode_gz(p, out);
	case OUTPUT_OTLP:
		return otlp_encode(p, out);
	case OUTPUT_SPEEDSCOPE:
		return speedscope_encode(p, out);
	case OUTPUT_CALLGRIND:
		return render_callgrind(p, type, out);
	case OUTPUT_CSV:
		return csv_encode(p, q->is_type_given ? type : CSV_ALL_TYPES, out);
	default:
		break;
	}
	const char *slash = strrchr(q->path, '/');
	char title[512];
	(void)snprintf(title, sizeof(title), "%s (%s)", slash ? slash + 1 : q->path, type_name(p, type));
	if (q->output == OUTPUT_DOT)
		return render_dot(p, type, q->dot, title, out);
	return render_tree(p, type, q->output, title, out);
}

/* A file that is written piece by piece. */
struct file_sink {
	struct outfile file;
	struct error *err;
	bool has_failed; /* and `err` says why */
};

static int put_piece(void *arg, struct slice piece)
{
	struct file_sink *s = arg;
	int r = outfile_put(&s->file, piece, s->err);
	s->has_failed = r < 0;
	return r;
}

static void file_sink_done(struct file_sink *s)
{
	outfile_done(&s->file);
}

/* Each stack is written out in full: all of them are many times the profile. */
static int save_folded(const struct profile *p, const char *path, uint32_t type, bool force, struct error *err)
{
	_cleanup_(file_sink_done)
	struct file_sink s = { .err = err };
	int r = outfile_open(&s.file, path, force, err);
	if (r < 0)
		return r;
	struct sink sink = { put_piece, &s };
	r = folded_write(p, type, &sink);
	if (r < 0 && !s.has_failed)
		return error_set(err, r, "%s: %s", path, strerror(-r));
	return r < 0 ? r : outfile_commit(&s.file, err);
}

static int save(const struct profile *p, const char *path, const char *type, const struct dot_options *dot, bool force,
		struct error *err)
{
	int r = profile_check_output(path, force, err);
	if (r < 0)
		return r;
	struct request q = { output_of(path), path, profile_default_type(p), type != NULL, dot };
	if (type)
		r = profile_find_type(p, type, &q.type, err);
	if (r < 0)
		return r;
	if (p->n_types == 0 && q.output != OUTPUT_PPROF && q.output != OUTPUT_PPROF_GZ)
		return error_set(err, -EBADMSG, "%s: the profile has no sample types, so there is nothing to show",
				 path);
	if (q.output == OUTPUT_FOLDED)
		return save_folded(p, path, q.type, force, err);
	_cleanup_(buf_done)
	struct buf out = buf_of(OUTPUT_MAX);
	r = render(p, &q, &out);
	if (r == -EDOM)
		return error_set(err, r, "%s: the profile has negative values, which this format cannot hold", path);
	if (r < 0)
		return error_set(err, r, "%s: %s", path, strerror(-r));
	return outfile_write(path, slice_of(out.data, out.n), force, err);
}

static const struct dot_options default_dot = { .max_nodes = DOT_MAX_NODES,
						.node_fraction = DOT_NODE_FRACTION,
						.edge_fraction = DOT_EDGE_FRACTION };

int profile_save(const struct profile *p, const char *path, const char *type, bool force, struct error *err)
{
	return save(p, path, type, &default_dot, force, err);
}

int profile_save_dot(const struct profile *p, const char *path, const char *type, const struct dot_options *options,
		     bool force, struct error *err)
{
	if (output_of(path) != OUTPUT_DOT)
		return error_set(err, -EINVAL, "%s: --max-nodes, --min-node and --min-edge are for .dot", path);
	return save(p, path, type, options, force, err);
}

int profile_save_collapsed(const struct profile *p, const char *path, const struct stackcollapse_options *options,
			   bool force, struct error *err)
{
	int r = profile_check_output(path, force, err);
	if (r < 0)
		return r;
	if (output_of(path) != OUTPUT_FOLDED)
		return error_set(err, -EINVAL, "%s: --stackcollapse writes .folded .collapsed .txt only", path);
	_cleanup_(buf_done)
	struct buf out = buf_of(OUTPUT_MAX);
	r = stackcollapse_encode(p, options, &out, err);
	if (r < 0)
		return error_prefix(err, "%s", path), r;
	return outfile_write(path, slice_of(out.data, out.n), force, err);
}
