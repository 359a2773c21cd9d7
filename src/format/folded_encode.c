/* SPDX-License-Identifier: Apache-2.0 */
#include "format/folded.h"

#include "base/saturate.h"

#include <errno.h>
#include <inttypes.h>

/* The text of one frame, made safe for the format. */
static void put_name(struct buf *out, const struct dict *d, struct frame_id id)
{
	const struct frame *frame = &d->frames.data[id.v];
	char made_up[FRAME_NAME_SIZE];
	struct slice name = dict_frame_name(d, id, made_up);
	for (size_t i = 0; i < name.size; i++) {
		uint8_t c = name.data[i];
		buf_add_byte(out, c == ';' ? ':' : c == '\n' || c == '\r' ? ' ' : c);
	}
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

static int put_stacks(struct folded_writer *w, const struct sink *sink)
{
	_cleanup_(buf_done)
	struct buf piece = buf_of(SIZE_MAX / 2);
	int r = 0;
	if (w->self[0])
		buf_printf(&piece, "[unknown] %" PRId64 "\n", w->self[0]);
	for (uint32_t i = 1; r == 0 && i < dict_n_nodes(&w->names); i++) {
		if (!w->self[i])
			continue;
		put_stack(w, i, &piece);
		if (piece.failed)
			return -ENOMEM;
		if (piece.n >= SINK_PIECE) {
			r = sink->put(sink->arg, slice_of(piece.data, piece.n));
			piece.n = 0;
		}
	}
	return r < 0 ? r : sink->put(sink->arg, slice_of(piece.data, piece.n));
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
