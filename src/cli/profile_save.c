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

static int render_tree(const struct profile *p, uint32_t type, enum output_format format, const char *title,
		       struct buf *out)
{
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	/* A recording of many services shows them apart. */
	int r = profile_calltree(p, type, "service", NULL, &t);
	if (r < 0)
		return r;
	if (format == OUTPUT_SVG) {
		struct svg_options options = { .title = title, .unit = type_unit(p, type) };
		return svg_render(&t, &options, out);
	}
	if (format == OUTPUT_FLAMEBEARER)
		return flamebearer_encode(&t, type_name(p, type), type_unit(p, type), out);
	if (format == OUTPUT_SLAB)
		return render_slab(p, type, &t, out);
	_cleanup_(buf_done)
	struct buf slab = buf_of(OUTPUT_MAX);
	r = render_slab(p, type, &t, &slab);
	if (r < 0)
		return r;
	return html_render(slice_of(web_viewer_html, web_viewer_html_size), title, slice_of(slab.data, slab.n), out);
}

static int render_dot(const struct profile *p, const struct save_options *options, const char *title, struct buf *out)
{
	_cleanup_(calltree_done)
	struct calltree t = { 0 };
	int r = profile_calltree(p, options->type, NULL, NULL, &t);
	struct dot_options o = { .max_nodes = DOT_MAX_NODES,
				 .node_fraction = DOT_NODE_FRACTION,
				 .edge_fraction = DOT_EDGE_FRACTION };
	if (options->dot)
		o = *options->dot;
	o.title = title;
	o.type = type_name(p, options->type);
	o.unit = type_unit(p, options->type);
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

static int render(const struct profile *p, const struct output *o, const struct save_options *options, struct buf *out)
{
	switch (o->format) {
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
		return render_callgrind(p, options->type, out);
	case OUTPUT_CSV:
		return csv_encode(p, options->is_type_given ? options->type : CSV_ALL_TYPES, out);
	default:
		break;
	}
	const char *name = output_title(o), *type = type_name(p, options->type);
	char title[512];
	(void)snprintf(title, sizeof(title), *name ? "%s (%s)" : "%s%s", name, type);
	if (o->format == OUTPUT_DOT)
		return render_dot(p, options, title, out);
	return render_tree(p, options->type, o->format, title, out);
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
static int save_folded(const struct profile *p, const struct output *o, uint32_t type, struct error *err)
{
	_cleanup_(file_sink_done)
	struct file_sink s = { .err = err };
	int r = outfile_open(&s.file, o->path, o->force, err);
	if (r < 0)
		return r;
	struct sink sink = { put_piece, &s };
	r = folded_write(p, type, &sink);
	if (r < 0 && !s.has_failed)
		return error_set(err, r, "%s: %s", o->path, strerror(-r));
	return r < 0 ? r : outfile_commit(&s.file, err);
}

static int save_collapsed(const struct profile *p, const struct output *o, const struct stackcollapse_options *options,
			  struct error *err)
{
	_cleanup_(buf_done)
	struct buf out = buf_of(OUTPUT_MAX);
	int r = stackcollapse_encode(p, options, &out, err);
	if (r < 0)
		return error_prefix(err, "%s", o->path), r;
	return outfile_write(o->path, slice_of(out.data, out.n), o->force, err);
}

int profile_save(const struct profile *p, const struct output *o, const struct save_options *options, struct error *err)
{
	if (p->n_types == 0 && o->format != OUTPUT_PPROF && o->format != OUTPUT_PPROF_GZ)
		return error_set(err, -EBADMSG, "%s: the profile has no sample types, so there is nothing to show",
				 o->path);
	if (o->format == OUTPUT_FOLDED)
		return options->collapse ? save_collapsed(p, o, options->collapse, err)
					 : save_folded(p, o, options->type, err);
	_cleanup_(buf_done)
	struct buf out = buf_of(OUTPUT_MAX);
	int r = render(p, o, options, &out);
	if (r == -EDOM)
		return error_set(err, r, "%s: the profile has negative values, which this format cannot hold", o->path);
	if (r < 0)
		return error_set(err, r, "%s: %s", o->path, strerror(-r));
	return outfile_write(o->path, slice_of(out.data, out.n), o->force, err);
}
