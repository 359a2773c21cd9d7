/* SPDX-License-Identifier: Apache-2.0 */
#include "format/dot.h"

#include "base/utf8.h"
#include "model/callgraph.h"
#include "model/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define LABEL_SIZE 80 /* bytes of a name that a box shows; its tooltip has all */
#define FONT_MIN   8
#define FONT_MORE  16

struct dot {
	const struct calltree *t;
	const struct dot_options *options;
	struct callgraph all, shown;
	bool *keep;
	uint32_t *order;  /* functions shown, by falling total */
	uint32_t *number; /* by function: N... */
	uint32_t n_all, n_small, n_shown;
	VEC(struct call_edge) edges;
	uint32_t n_edges_left_out;
	int64_t max_self;
	struct buf *out;
};

static void dot_done(struct dot *d)
{
	callgraph_done(&d->all);
	callgraph_done(&d->shown);
	vec_done(d->t->budget, &d->edges);
	free(d->keep);
	free(d->order);
	free(d->number);
}

/* --- what is shown --- */

static uint64_t magnitude(int64_t v)
{
	return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

static const char *func_name(const struct calltree *t, uint32_t func)
{
	return strtab_cstr(&t->names, t->funcs[func].name);
}

static int compare_func(const void *a, const void *b, void *arg)
{
	const struct dot *d = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	uint64_t v = magnitude(d->all.total[x]), w = magnitude(d->all.total[y]);
	if (v != w)
		return v > w ? -1 : 1;
	int c = strcmp(func_name(d->t, x), func_name(d->t, y));
	return c ? c : x < y ? -1 : x > y;
}

static int choose_funcs(struct dot *d)
{
	uint64_t cutoff = (uint64_t)((double)magnitude(d->t->total[0]) * d->options->node_fraction);
	int r = callgraph_compute(d->t, NULL, &d->all);
	if (r < 0)
		return r;
	d->keep = calloc(d->t->n_funcs, sizeof(*d->keep));
	d->order = malloc((size_t)d->t->n_funcs * sizeof(*d->order));
	d->number = calloc(d->t->n_funcs, sizeof(*d->number));
	if (!d->keep || !d->order || !d->number)
		return -ENOMEM;
	for (uint32_t f = 0; f < d->t->n_funcs; f++) {
		if (!d->all.present[f] || (d->all.total[f] == 0 && d->all.self[f] == 0))
			continue;
		d->n_all++;
		if (magnitude(d->all.total[f]) < cutoff)
			d->n_small++;
		else
			d->order[d->n_shown++] = f;
	}
	qsort_r(d->order, d->n_shown, sizeof(*d->order), compare_func, d);
	if (d->options->max_nodes && d->n_shown > d->options->max_nodes)
		d->n_shown = d->options->max_nodes;
	for (uint32_t i = 0; i < d->n_shown; i++) {
		uint32_t f = d->order[i];
		d->keep[f] = true;
		d->number[f] = i + 1;
		if (magnitude(d->all.self[f]) > magnitude(d->max_self))
			d->max_self = d->all.self[f];
	}
	return callgraph_compute(d->t, d->keep, &d->shown);
}

static int compare_edge(const void *a, const void *b, void *arg)
{
	const struct dot *d = arg;
	const struct call_edge *x = a, *y = b;
	uint64_t v = magnitude(x->weight), w = magnitude(y->weight);
	if (v != w)
		return v > w ? -1 : 1;
	uint32_t from = d->number[x->caller], other = d->number[y->caller];
	if (from != other)
		return from < other ? -1 : 1;
	return d->number[x->callee] < d->number[y->callee] ? -1 : 1;
}

static int choose_edges(struct dot *d)
{
	uint64_t cutoff = (uint64_t)((double)magnitude(d->t->total[0]) * d->options->edge_fraction);
	int r = vec_reserve(d->t->budget, &d->edges, d->shown.n_edges);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < d->shown.n_edges; i++) {
		const struct call_edge *e = &d->shown.edge[i];
		if (e->caller == e->callee || e->weight == 0)
			continue;
		if (magnitude(e->weight) < cutoff)
			d->n_edges_left_out++;
		else
			d->edges.data[d->edges.n++] = *e;
	}
	if (d->edges.n > 1)
		qsort_r(d->edges.data, d->edges.n, sizeof(*d->edges.data), compare_edge, d);
	return 0;
}

/* --- text --- */

static void put_text(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.size;) {
		uint8_t c = s.data[i];
		size_t n = utf8_sequence(s.data + i, s.size - i);
		if (n == 0)
			buf_add_str(out, "\xef\xbf\xbd");
		else if (c == '\\' || c == '"')
			buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			buf_add_byte(out, ' ');
		else
			buf_add(out, s.data + i, n);
		i += n ? n : 1;
	}
}

/* The beginning and the end of a name that is too long for a box. */
static void put_short(struct buf *out, struct slice s)
{
	if (s.size <= LABEL_SIZE) {
		put_text(out, s);
		return;
	}
	size_t head = LABEL_SIZE / 2, tail = s.size - (LABEL_SIZE / 2 - 3);
	while (head > 0 && (s.data[head] & 0xc0) == 0x80)
		head--;
	while (tail < s.size && (s.data[tail] & 0xc0) == 0x80)
		tail++;
	put_text(out, slice_of(s.data, head));
	buf_add_str(out, "...");
	put_text(out, slice_of(s.data + tail, s.size - tail));
}

static void put_quantity(const struct dot *d, int64_t value)
{
	char text[QUANTITY_SIZE];
	quantity_format(value, d->options->unit, text);
	put_text(d->out, slice_str(text));
}

static double share(const struct dot *d, int64_t value)
{
	return d->t->total[0] ? (double)value / fabs((double)d->t->total[0]) : 0;
}

/* Grey for nothing, red for all, green for what a difference takes away. */
static void put_colors(const struct dot *d, int64_t value)
{
	double s = fmin(fabs(share(d, value)), 1);
	const char *hue = value < 0 ? "0.333" : "0.000";
	buf_printf(d->out, " color=\"%s %.3f 0.700\" fillcolor=\"%s %.3f 0.930\"", hue, sqrt(s), hue, 0.1 + 0.3 * s);
}

static void put_legend(const struct dot *d)
{
	struct buf *out = d->out;
	const struct dot_options *o = d->options;
	buf_add_str(out, "subgraph cluster_legend { legend [shape=box fontsize=16 label=\"");
	put_text(out, slice_str(o->title));
	buf_add_str(out, "\\lType: ");
	put_text(out, slice_str(o->type));
	buf_add_str(out, "\\lTotal: ");
	put_quantity(d, d->t->total[0]);
	buf_printf(out, "\\lShown: %" PRIu32 " of %" PRIu32 " functions, %" PRIu32 " calls\\l", d->n_shown, d->n_all,
		   d->edges.n);
	if (d->n_small)
		buf_printf(out, "Left out: %" PRIu32 " functions with less than %g %% of the total\\l", d->n_small,
			   o->node_fraction * 100);
	if (d->n_all - d->n_small > d->n_shown)
		buf_printf(out, "Left out: %" PRIu32 " functions beyond the first %" PRIu32 "\\l",
			   d->n_all - d->n_small - d->n_shown, o->max_nodes);
	if (d->n_edges_left_out)
		buf_printf(out, "Left out: %" PRIu32 " calls with less than %g %% of the total\\l", d->n_edges_left_out,
			   o->edge_fraction * 100);
	buf_add_str(out, "\"] }\n");
}

static void put_node(const struct dot *d, uint32_t func)
{
	struct buf *out = d->out;
	const struct tree_func *f = &d->t->funcs[func];
	struct slice name = strtab_get(&d->t->names, f->name), file = strtab_get(&d->t->names, f->file),
		     module = strtab_get(&d->t->names, f->module);
	int64_t self = d->all.self[func], total = d->all.total[func];
	buf_printf(out, "N%" PRIu32 " [label=\"", d->number[func]);
	put_short(out, name);
	buf_add_str(out, "\\n");
	put_quantity(d, self);
	if (self)
		buf_printf(out, " (%.2f%%)", share(d, self) * 100);
	if (total != self) {
		buf_add_str(out, self ? "\\nof " : " of ");
		put_quantity(d, total);
		buf_printf(out, " (%.2f%%)", share(d, total) * 100);
	}
	double size = d->max_self && self ? sqrt((double)magnitude(self) / (double)magnitude(d->max_self)) : 0;
	buf_printf(out, "\" self=%" PRId64 " total=%" PRId64 " fontsize=%d tooltip=\"", self, total,
		   FONT_MIN + (int)ceil(FONT_MORE * size));
	put_text(out, name);
	for (int i = 0; i < 2; i++) {
		struct slice place = i ? module : file;
		if (place.size) {
			buf_add_str(out, "\\n");
			put_text(out, place);
		}
	}
	buf_add_byte(out, '"');
	put_colors(d, total);
	buf_add_str(out, "]\n");
}

static void put_edge(const struct dot *d, const struct call_edge *e)
{
	struct buf *out = d->out;
	double s = fmin(fabs(share(d, e->weight)), 1);
	buf_printf(out, "N%" PRIu32 " -> N%" PRIu32 " [label=\" ", d->number[e->caller], d->number[e->callee]);
	put_quantity(d, e->weight);
	buf_printf(out, "\" value=%" PRId64 " weight=%d penwidth=%.2f tooltip=\"", e->weight, 1 + (int)(s * 100),
		   1 + s * 5);
	put_text(out, strtab_get(&d->t->names, d->t->funcs[e->caller].name));
	buf_add_str(out, e->residual ? " ... " : " -> ");
	put_text(out, strtab_get(&d->t->names, d->t->funcs[e->callee].name));
	buf_add_byte(out, '"');
	put_colors(d, e->weight);
	buf_printf(out, "%s]\n", e->residual ? " style=dotted" : "");
}

int dot_encode(const struct calltree *t, const struct dot_options *options, struct buf *out)
{
	_cleanup_(dot_done)
	struct dot d = { .t = t, .options = options, .out = out };
	int r = choose_funcs(&d);
	if (r == 0)
		r = choose_edges(&d);
	if (r < 0)
		return r;
	buf_add_str(out, "digraph \"");
	put_text(out, slice_str(options->title));
	buf_add_str(out, "\" {\nnode [shape=box style=filled fillcolor=\"#f8f8f8\"]\n");
	put_legend(&d);
	for (uint32_t i = 0; i < d.n_shown && !out->failed; i++)
		put_node(&d, d.order[i]);
	for (uint32_t i = 0; i < d.edges.n && !out->failed; i++)
		put_edge(&d, &d.edges.data[i]);
	buf_add_str(out, "}\n");
	return out->failed ? -E2BIG : 0;
}
