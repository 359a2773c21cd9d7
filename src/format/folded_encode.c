/* SPDX-License-Identifier: Apache-2.0 */
#include "format/folded.h"

#include "base/saturate.h"
#include "format/detect.h"

#include <errno.h>
#include <inttypes.h>

static uint8_t safe_byte(uint8_t c)
{
	if (c == ';')
		return ':';
	if (c == '\n' || c == '\r')
		return ' ';
	return c < 0x20 && c != '\t' ? '?' : c;
}

/* The text of one frame, made safe for the format. */
static void put_name(struct buf *out, const struct dict *d, struct frame_id id)
{
	const struct frame *frame = &d->frames.data[id.v];
	char made_up[FRAME_NAME_SIZE];
	struct slice name = dict_frame_name(d, id, made_up);
	for (size_t i = 0; i < name.size; i++)
		buf_add_byte(out, safe_byte(name.data[i]));
	if (frame->kind == FRAME_KERNEL)
		buf_add_str(out, "_[k]");
	else if (frame->kind == FRAME_JIT)
		buf_add_str(out, "_[j]");
	else if (frame->flags & FRAME_INLINED)
		buf_add_str(out, "_[i]");
}

/* The profile again with frames that are nothing but their text: what reads
 * the same is one node. */
struct folded_writer {
	struct dict names;
	uint32_t *node; /* by node of the profile */
	int64_t *self;	/* by node of `names` */
	uint32_t *path;
};

static void folded_writer_done(struct folded_writer *w)
{
	dict_done(&w->names);
	free(w->node);
	free(w->self);
	free(w->path);
}

static int name_frames(struct folded_writer *w, const struct dict *d, struct frame_id *name_of)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(SIZE_MAX / 2);
	for (uint32_t i = 1; i < d->frames.n; i++) {
		text.n = 0;
		put_name(&text, d, (struct frame_id){ i });
		if (text.failed)
			return -ENOMEM;
		int r = dict_named_frame(&w->names, slice_of(text.data, text.n), FRAME_UNKNOWN, &name_of[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int merge_by_name(struct folded_writer *w, const struct profile *p, uint32_t type)
{
	const struct dict *d = &p->dict;
	uint32_t n = dict_n_nodes(d);
	_cleanup_(free_ptr)
	struct frame_id *name_of = calloc(d->frames.n, sizeof(*name_of));
	_cleanup_(free_ptr)
	int64_t *self = calloc(n, sizeof(*self));
	w->node = calloc(n, sizeof(*w->node));
	w->self = calloc(n, sizeof(*w->self));
	w->path = calloc(n, sizeof(*w->path));
	if (!name_of || !self || !w->node || !w->self || !w->path)
		return -ENOMEM;
	profile_node_values(p, type, self);
	int r = name_frames(w, d, name_of);
	for (uint32_t i = 1; r == 0 && i < n; i++) {
		struct node_id node;
		r = dict_node(&w->names, (struct node_id){ w->node[d->node_parent.data[i].v] },
			      name_of[d->node_frame.data[i].v], &node);
		if (r == 0)
			w->node[i] = node.v;
	}
	for (uint32_t i = 0; r == 0 && i < n; i++)
		w->self[w->node[i]] = i64_add_saturating(w->self[w->node[i]], self[i]);
	return r;
}

static void put_stack(struct folded_writer *w, uint32_t leaf, struct buf *out)
{
	const struct dict *d = &w->names;
	uint32_t n = 0;
	for (uint32_t node = leaf; node; node = d->node_parent.data[node].v)
		w->path[n++] = node;
	while (n-- > 0) {
		const struct frame *frame = &d->frames.data[d->node_frame.data[w->path[n]].v];
		struct slice name = strtab_get(&d->strings, d->functions.data[frame->function.v].name);
		buf_add(out, name.data, name.size);
		buf_add_byte(out, n ? ';' : ' ');
	}
	buf_printf(out, "%" PRId64 "\n", w->self[leaf]);
}

/* Pieces on their way to the sink. */
struct piece_writer {
	const struct sink *sink;
	struct buf piece;
	bool has_put;
};

static void piece_writer_done(struct piece_writer *o)
{
	buf_done(&o->piece);
}

/* What is read again must be taken for what it is. */
static bool needs_mark(struct slice text)
{
	return text.size && (text.data[0] == '#' || slice_has_prefix(text, "\xef\xbb\xbf") ||
			     codec_of(text) != CODEC_RAW || format_detect(text) != FORMAT_FOLDED);
}

static int put_piece(struct piece_writer *o)
{
	struct slice piece = slice_of(o->piece.data, o->piece.n);
	int r = 0;
	if (o->piece.failed)
		return -ENOMEM;
	if (!o->has_put && needs_mark(piece))
		r = o->sink->put(o->sink->arg, slice_str(FOLDED_MARK));
	o->has_put = true;
	o->piece.n = 0;
	return r < 0 ? r : o->sink->put(o->sink->arg, piece);
}

static int put_stacks(struct folded_writer *w, const struct sink *sink)
{
	_cleanup_(piece_writer_done)
	struct piece_writer o = { .sink = sink, .piece = buf_of(SIZE_MAX / 2) };
	int r = 0;
	if (w->self[0])
		buf_printf(&o.piece, "[unknown] %" PRId64 "\n", w->self[0]);
	for (uint32_t i = 1; r == 0 && i < dict_n_nodes(&w->names); i++) {
		if (w->self[i])
			put_stack(w, i, &o.piece);
		if (o.piece.failed || o.piece.n >= SINK_PIECE)
			r = put_piece(&o);
	}
	return r < 0 ? r : put_piece(&o);
}

int folded_write(const struct profile *p, uint32_t type, const struct sink *sink)
{
	_cleanup_(folded_writer_done)
	struct folded_writer w = { 0 };
	int r = dict_init(&w.names, p->budget);
	if (r == 0)
		r = merge_by_name(&w, p, type);
	return r < 0 ? r : put_stacks(&w, sink);
}

int folded_encode(const struct profile *p, uint32_t type, struct buf *out)
{
	struct sink sink = { sink_put_buf, out };
	return folded_write(p, type, &sink);
}
