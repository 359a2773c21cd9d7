/* SPDX-License-Identifier: Apache-2.0 */
#include "format/speedscope.h"

#include "base/jsonw.h"
#include "base/saturate.h"

#include <errno.h>

/* The profile again with frames that are nothing but what the format says of
 * them: what reads the same is one node. */
struct writer {
	const struct profile *p;
	struct dict merged;
	uint32_t *node; /* by node of the profile */
	int64_t *self;	/* by node of `merged` */
	int64_t *all;	/* by node of the profile */
	uint32_t *path;
};

static void writer_done(struct writer *w)
{
	dict_done(&w->merged);
	free(w->node);
	free(w->self);
	free(w->all);
	free(w->path);
}

static int merge_frame(struct writer *w, struct frame_id id, struct frame_id *ret)
{
	const struct dict *d = &w->p->dict;
	const struct frame *frame = &d->frames.data[id.v];
	char made_up[FRAME_NAME_SIZE];
	struct function function = { 0 };
	struct frame plain = { .line = frame->line, .column = frame->column };
	int r = strtab_intern(&w->merged.strings, dict_frame_name(d, id, made_up), &function.name);
	if (r == 0)
		r = strtab_intern(&w->merged.strings,
				  strtab_get(&d->strings, d->functions.data[frame->function.v].file), &function.file);
	if (r == 0)
		r = dict_function(&w->merged, &function, &plain.function);
	if (r == 0)
		r = dict_frame(&w->merged, &plain, ret);
	return r;
}

static int merge(struct writer *w)
{
	const struct dict *d = &w->p->dict;
	uint32_t n = dict_n_nodes(d);
	_cleanup_(free_ptr)
	struct frame_id *frame_of = calloc(d->frames.n, sizeof(*frame_of));
	w->node = calloc(n, sizeof(*w->node));
	w->self = calloc(n, sizeof(*w->self));
	w->all = calloc(n, sizeof(*w->all));
	w->path = calloc(n, sizeof(*w->path));
	if (!frame_of || !w->node || !w->self || !w->all || !w->path)
		return -ENOMEM;
	int r = 0;
	for (uint32_t i = 1; r == 0 && i < d->frames.n; i++)
		r = merge_frame(w, (struct frame_id){ i }, &frame_of[i]);
	for (uint32_t i = 1; r == 0 && i < n; i++) {
		struct node_id node;
		r = dict_node(&w->merged, (struct node_id){ w->node[d->node_parent.data[i].v] },
			      frame_of[d->node_frame.data[i].v], &node);
		if (r == 0)
			w->node[i] = node.v;
	}
	return r;
}

static void put_frames(const struct writer *w, struct jsonw *out)
{
	const struct dict *d = &w->merged;
	jsonw_object(out, "shared");
	jsonw_array(out, "frames");
	for (uint32_t i = 1; i < d->frames.n; i++) {
		const struct frame *frame = &d->frames.data[i];
		const struct function *function = &d->functions.data[frame->function.v];
		jsonw_object(out, NULL);
		jsonw_str(out, "name", strtab_get(&d->strings, function->name));
		if (function->file.v)
			jsonw_str(out, "file", strtab_get(&d->strings, function->file));
		if (frame->line)
			jsonw_u64(out, "line", frame->line);
		if (frame->column)
			jsonw_u64(out, "col", frame->column);
		jsonw_end(out, '}');
	}
	jsonw_end(out, ']');
	jsonw_end(out, '}');
}

static void put_stack(struct writer *w, uint32_t leaf, struct jsonw *out)
{
	const struct dict *d = &w->merged;
	uint32_t n = 0;
	for (uint32_t node = leaf; node; node = d->node_parent.data[node].v)
		w->path[n++] = d->node_frame.data[node].v - 1;
	jsonw_array(out, NULL);
	while (n-- > 0)
		jsonw_u64(out, NULL, w->path[n]);
	jsonw_end(out, ']');
}

static int sum_values(struct writer *w, uint32_t type, int64_t *ret_total)
{
	uint32_t n = dict_n_nodes(&w->p->dict), n_merged = dict_n_nodes(&w->merged);
	memset(w->all, 0, (size_t)n * sizeof(*w->all));
	memset(w->self, 0, (size_t)n * sizeof(*w->self));
	profile_node_values(w->p, type, w->all);
	for (uint32_t i = 0; i < n; i++)
		w->self[w->node[i]] = i64_add_saturating(w->self[w->node[i]], w->all[i]);
	*ret_total = 0;
	for (uint32_t i = 0; i < n_merged; i++) {
		if (w->self[i] < 0)
			return -EDOM;
		*ret_total = i64_add_saturating(*ret_total, w->self[i]);
	}
	return 0;
}

static const char *unit_of(const char *unit)
{
	static const char *const known[] = { "nanoseconds", "microseconds", "milliseconds", "seconds", "bytes" };
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(unit, known[i]) == 0)
			return known[i];
	return "none";
}

static int put_profile(struct writer *w, uint32_t type, struct jsonw *out)
{
	const struct strtab *strings = &w->p->dict.strings;
	uint32_t n = dict_n_nodes(&w->merged);
	int64_t total;
	int r = sum_values(w, type, &total);
	if (r < 0)
		return r;
	jsonw_object(out, NULL);
	jsonw_cstr(out, "type", "sampled");
	jsonw_str(out, "name", strtab_get(strings, w->p->types[type].type));
	jsonw_cstr(out, "unit", unit_of(strtab_cstr(strings, w->p->types[type].unit)));
	jsonw_i64(out, "startValue", 0);
	jsonw_i64(out, "endValue", total);
	jsonw_array(out, "samples");
	for (uint32_t i = 0; i < n && !out->out->failed; i++)
		if (w->self[i])
			put_stack(w, i, out);
	jsonw_end(out, ']');
	jsonw_array(out, "weights");
	for (uint32_t i = 0; i < n; i++)
		if (w->self[i])
			jsonw_i64(out, NULL, w->self[i]);
	jsonw_end(out, ']');
	jsonw_end(out, '}');
	return 0;
}

int speedscope_encode(const struct profile *p, struct buf *out)
{
	_cleanup_(writer_done)
	struct writer w = { .p = p };
	struct jsonw json = { .out = out };
	int r = dict_init(&w.merged, p->budget);
	if (r == 0)
		r = merge(&w);
	if (r < 0)
		return r;
	jsonw_object(&json, NULL);
	jsonw_cstr(&json, "$schema", "https://www.speedscope.app/file-format-schema.json");
	jsonw_cstr(&json, "exporter", "wick@" WICK_VERSION);
	jsonw_u64(&json, "activeProfileIndex", p->n_types ? profile_default_type(p) : 0);
	put_frames(&w, &json);
	jsonw_array(&json, "profiles");
	for (uint32_t t = 0; r == 0 && t < p->n_types; t++)
		r = put_profile(&w, t, &json);
	jsonw_end(&json, ']');
	jsonw_end(&json, '}');
	buf_add_byte(out, '\n');
	return r < 0 ? r : out->failed ? -E2BIG : 0;
}
