/* SPDX-License-Identifier: Apache-2.0 */
#include "format/svg.h"

#include "base/utf8.h"
#include "format/markup.h"
#include "format/svg_diff.h"
#include "model/flame.h"
#include "model/quantity.h"

#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define ROW_HEIGHT  17
#define HEAD_HEIGHT 48
#define FOOT_HEIGHT 12
#define MARGIN	    10
#define GONE_HEIGHT 34	/* above what is gone: space and its heading */
#define TEXT_WIDTH  7.2 /* monospace at 12 px */

/* The children of an open box that have been drawn so far. */
struct row {
	const struct flame_box *parent;
	uint32_t next; /* first node behind them */
	int64_t value; /* of the rest */
	double x;      /* where the rest begins */
};

struct svg {
	const struct calltree *t;
	const struct svg_options *options;
	const uint32_t *from; /* nodes of `t` in diff->tree; NULL = they are those */
	struct flame flame;
	double width, min_width;
	uint32_t top; /* of the root's row */
	uint32_t max_rows;
	uint32_t n_left_out;
	struct row *rows; /* by depth */
	struct buf *out;
};

static void svg_done(struct svg *s)
{
	flame_done(&s->flame);
	free(s->rows);
}

struct hue {
	double hue, spread, saturation, lightness;
};

static struct hue hue_of(const struct calltree *t, uint32_t node)
{
	if (t->func[node] == TREE_FUNC_PRUNED || node == 0)
		return (struct hue){ 0, 0, 0, 0.86 };
	const struct tree_func *f = &t->funcs[t->func[node]];
	if (!f->named)
		return (struct hue){ 40, 20, 0.06, 0.78 };
	switch ((enum frame_kind)f->kind) {
	case FRAME_KERNEL:
		return (struct hue){ 195, 25, 0.55, 0.74 };
	case FRAME_PYTHON:
	case FRAME_JS:
	case FRAME_JVM:
	case FRAME_GO:
	case FRAME_JIT:
		return (struct hue){ 95, 45, 0.45, 0.70 };
	case FRAME_SYNTHETIC:
		return (struct hue){ 260, 0, 0.10, 0.85 };
	case FRAME_UNKNOWN:
	case FRAME_USER:
		break;
	}
	return (struct hue){ 14, 36, 0.85, 0.72 };
}

/* One of the three channels of HSL, 0-255 (CSS Color 4, "HSL to sRGB"). */
static unsigned channel(double hue, double saturation, double lightness, int n)
{
	double k = n + hue / 30;
	while (k >= 12)
		k -= 12;
	double a = saturation * (lightness < 1 - lightness ? lightness : 1 - lightness);
	double m = k - 3 < 9 - k ? k - 3 : 9 - k;
	m = m > 1 ? 1 : m < -1 ? -1 : m;
	return (unsigned)((lightness - a * m) * 255 + 0.5);
}

/* The same name has the same colour in every picture. */
static void put_colour(struct svg *s, uint32_t node)
{
	if (s->options->diff) {
		if (s->from)
			svg_diff_put_gone_colour(s->out, s->options->diff, s->from[node]);
		else
			svg_diff_put_colour(s->out, s->options->diff, node);
		return;
	}
	struct hue h = hue_of(s->t, node);
	struct slice name = calltree_name(s->t, node);
	uint64_t hash = XXH3_64bits(name.data, name.size);
	double hue = h.hue + h.spread * (double)(hash & 0xff) / 255;
	double lightness = h.lightness + 0.06 * (double)(hash >> 8 & 0xff) / 255;
	buf_printf(s->out, "#%02x%02x%02x", channel(hue, h.saturation, lightness, 0),
		   channel(hue, h.saturation, lightness, 8), channel(hue, h.saturation, lightness, 4));
}

/* How many bytes of `name` fit into `columns`; wide scripts take two each. */
static size_t fit(struct slice name, size_t columns)
{
	size_t i = 0, used = 0;
	while (i < name.size) {
		size_t n = utf8_sequence(name.data + i, name.size - i);
		used += n >= 3 ? 2 : 1;
		if (used > columns)
			break;
		i += n ? n : 1;
	}
	return i;
}

/* "io/netty/channel/Channel.flush" -> "Channel.flush": where there is little
 * room, the end says more than the beginning. Slashes within arguments stay. */
static struct slice without_path(struct slice name)
{
	size_t from = 0;
	for (size_t i = 0; i + 1 < name.size && !memchr("(<[ ", name.data[i], 4); i++)
		if (name.data[i] == '/')
			from = i + 1;
	return slice_of(name.data + from, name.size - from);
}

static void put_name(struct svg *s, struct slice name, double x, uint32_t y, double width)
{
	size_t columns = width > 6 ? (size_t)((width - 6) / TEXT_WIDTH) : 0;
	if (columns < 3)
		return;
	if (fit(name, columns) < name.size)
		name = without_path(name);
	size_t n = fit(name, columns);
	buf_printf(s->out, "<text x=\"%.1f\" y=\"%u\">", x + 3, y + 12);
	if (n < name.size) {
		markup_put_text(s->out, slice_of(name.data, fit(name, columns - 1)));
		buf_add_str(s->out, "\xe2\x80\xa6");
	} else {
		markup_put_text(s->out, name);
	}
	buf_add_str(s->out, "</text>");
}

/* " (1.20 s, 12.34 %, libc.so.6)" */
static void put_facts(struct svg *s, uint32_t node)
{
	const struct calltree *t = s->t;
	char value[QUANTITY_SIZE];
	quantity_format(t->total[node], s->options->unit, value);
	double share = t->total[0] ? 100 * (double)t->total[node] / (double)t->total[0] : 0;
	if (t->pruned[node])
		buf_printf(s->out, " %u nodes", t->pruned[node]);
	buf_printf(s->out, " (%s, %.2f %%", value, share);
	if (t->func[node] != TREE_FUNC_PRUNED && t->funcs[t->func[node]].module.v) {
		buf_add_str(s->out, ", ");
		markup_put_text(s->out, strtab_get(&t->names, t->funcs[t->func[node]].module));
	}
	buf_add_byte(s->out, ')');
}

static void put_box(struct svg *s, const struct flame_box *b)
{
	struct slice name = calltree_name(s->t, b->node);
	uint32_t y = s->top + b->depth * ROW_HEIGHT;
	double x = MARGIN + b->x;
	buf_add_str(s->out, "<g><title>");
	markup_put_text(s->out, name);
	if (s->options->diff)
		svg_diff_put_facts(s->out, s->options->diff, s->from ? s->from[b->node] : b->node);
	else
		put_facts(s, b->node);
	buf_printf(s->out, "</title><rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\" fill=\"", x, y,
		   b->width > 1 ? b->width - 0.5 : b->width, ROW_HEIGHT - 1);
	put_colour(s, b->node);
	buf_add_str(s->out, "\"/>");
	put_name(s, name, x, y, b->width);
	buf_add_str(s->out, "</g>\n");
}

/* One pale box for the children of a box that are too small or too deep. */
static void put_rest(struct svg *s, uint32_t depth)
{
	const struct row *row = &s->rows[depth];
	uint32_t parent = row->parent->node, n = s->t->end[parent] - row->next;
	double width = s->t->total[0] > 0 ? (double)row->value * s->width / (double)s->t->total[0] : 0;
	if (n == 0 || width < 1)
		return;
	char value[QUANTITY_SIZE], name[40];
	quantity_format(row->value, s->options->unit, value);
	(void)snprintf(name, sizeof(name), "%u frames not shown", n);
	uint32_t y = s->top + depth * ROW_HEIGHT;
	double x = MARGIN + row->x;
	buf_printf(s->out,
		   "<g><title>%s (%s, %.2f %%)</title><rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\" "
		   "fill=\"#ebe9e4\"/>",
		   name, value, 100 * (double)row->value / (double)s->t->total[0], x, y, width, ROW_HEIGHT - 1);
	put_name(s, slice_str(name), x, y, width);
	buf_add_str(s->out, "</g>\n");
}

static void put_boxes(struct svg *s)
{
	const struct calltree *t = s->t;
	uint32_t n_open = 0; /* rows whose parent may still get boxes */
	for (uint32_t i = 0; i < s->flame.n && !s->out->failed; i++) {
		const struct flame_box *b = &s->flame.boxes[i];
		for (; n_open > b->depth; n_open--)
			put_rest(s, n_open);
		if (b->depth > 0) {
			struct row *row = &s->rows[b->depth];
			row->next = t->end[b->node];
			row->value -= t->total[b->node];
			row->x = b->x + b->width;
		}
		put_box(s, b);
		n_open = b->depth + 1;
		s->rows[n_open] = (struct row){ b, b->node + 1, t->total[b->node] - t->self[b->node], b->x };
	}
	for (; n_open > 0; n_open--)
		put_rest(s, n_open);
}

/* Its own light ground, so that a viewer's dark one does not shine through. */
static void put_head(struct svg *s, uint32_t height)
{
	char total[QUANTITY_SIZE];
	quantity_format(s->t->total[0], s->options->unit, total);
	double width = s->width + 2 * MARGIN;
	buf_printf(s->out,
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%u\" viewBox=\"0 0 %.0f %u\" "
		   "font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"12\" "
		   "fill=\"#1a1a1a\">\n"
		   "<rect width=\"100%%\" height=\"100%%\" fill=\"#fbfaf7\"/>\n"
		   "<text x=\"%d\" y=\"20\" font-size=\"15\" font-weight=\"bold\">",
		   width, height, width, height, MARGIN);
	struct slice title = slice_str(s->options->title ? s->options->title : "Flame graph");
	markup_put_text(s->out, slice_of(title.data, fit(title, (size_t)(s->width / 9))));
	buf_printf(s->out, "</text>\n<text x=\"%d\" y=\"38\" fill=\"#595959\">%s", MARGIN, total);
	if (s->n_left_out)
		buf_printf(s->out, ", %u frames too small or too deep to show", s->n_left_out);
	buf_add_str(s->out, "</text>\n");
	if (s->options->diff)
		svg_diff_put_legend(s->out, s->options->diff, MARGIN + s->width);
}

static int lay_out(struct svg *s)
{
	int r = flame_layout(s->t, 0, s->width, s->min_width, &s->flame);
	if (r < 0)
		return r;
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->flame.n; i++)
		if (s->flame.boxes[i].depth < s->max_rows)
			s->flame.boxes[n++] = s->flame.boxes[i];
	s->n_left_out = s->flame.n_left_out + (s->flame.n - n);
	/* What is gone has a picture of its own. */
	for (uint32_t i = 0; s->options->diff && i < s->t->n; i++)
		s->n_left_out -= s->t->total[i] == 0 && s->n_left_out > 0;
	s->flame.n = n;
	s->rows = calloc((size_t)s->flame.max_depth + 2, sizeof(*s->rows));
	return s->rows ? 0 : -ENOMEM;
}

/* One more than the boxes need: for what is too small on top of them. */
static uint32_t height_of(const struct svg *s)
{
	uint32_t n_rows = s->flame.max_depth + 1 < s->max_rows ? s->flame.max_depth + 1 : s->max_rows;
	return (n_rows + (s->n_left_out > 0)) * ROW_HEIGHT;
}

/* What only A has, on the scale of `s`: a share is as wide in both. */
static int lay_out_gone(struct svg *gone, const struct svg *s, const struct calltree *t, const uint32_t *from)
{
	const struct diff *d = s->options->diff;
	double whole_a = (double)d->side[DIFF_A].whole, whole_b = (double)d->side[DIFF_B].whole;
	double b = whole_b > 0 ? (double)s->t->total[0] / whole_b : 0, a = (double)t->total[0] / whole_a;
	*gone = *s;
	gone->t = t;
	gone->from = from;
	gone->flame = (struct flame){ 0 };
	gone->rows = NULL;
	gone->top = s->top + height_of(s) + GONE_HEIGHT;
	gone->width = a < b ? s->width * a / b : s->width;
	return lay_out(gone);
}

static void put_gone(struct svg *s)
{
	buf_printf(s->out,
		   "<text x=\"%d\" y=\"%u\" fill=\"#595959\">Gone: only in A, %.2f %% of it (width: share of A, same "
		   "scale)</text>\n",
		   MARGIN, s->top - 8, 100 * (double)s->t->total[0] / (double)s->options->diff->side[DIFF_A].whole);
	put_boxes(s);
}

int svg_render(const struct calltree *t, const struct svg_options *options, struct buf *out)
{
	_cleanup_(svg_done)
	struct svg s = {
		.t = t,
		.options = options,
		.width = (options->width > 0 ? options->width : 1200) - 2 * MARGIN,
		.min_width = options->min_width > 0 ? options->min_width : 0.3,
		.max_rows = options->max_rows ? options->max_rows : 512,
		.top = options->diff ? HEAD_HEIGHT + ROW_HEIGHT : HEAD_HEIGHT,
		.out = out,
	};
	if (s.width < 100)
		s.width = 100;
	_cleanup_(calltree_done)
	struct calltree gone_tree = { 0 };
	_cleanup_(free_ptr)
	uint32_t *from = NULL;
	_cleanup_(svg_done)
	struct svg gone = { 0 };
	int r = lay_out(&s);
	if (r == 0 && options->diff)
		r = diff_gone_tree(options->diff, &gone_tree, &from);
	bool has_gone = r == 0 && options->diff && gone_tree.total[0] > 0;
	if (has_gone)
		r = lay_out_gone(&gone, &s, &gone_tree, from);
	if (r < 0)
		return r;
	put_head(&s, (has_gone ? gone.top + height_of(&gone) : s.top + height_of(&s)) + FOOT_HEIGHT);
	put_boxes(&s);
	if (has_gone)
		put_gone(&gone);
	buf_add_str(out, "</svg>\n");
	return out->failed ? -E2BIG : 0;
}
