/* SPDX-License-Identifier: Apache-2.0 */
#include "format/flamebearer.h"

#include "base/jsonw.h"
#include "base/saturate.h"
#include "format/jsonr.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define JSON_DEPTH 64

/* A box of the level above and the room its children may take. */
struct box {
	int64_t from, to;
	uint32_t node;
	uint32_t pad;
};

struct reader {
	struct profile *p;
	const struct format_limits *limits;
	uint32_t max_strings;
	struct jsonr json;
	VEC(uint32_t) frame_of;	 /* by name index */
	VEC(struct box) rows[2]; /* the level above, this level */
	size_t names, levels;	 /* sections */
	double sample_rate;
	struct str_id name, units;
	double factor; /* of values */
};

static void reader_done(struct reader *d)
{
	jsonr_done(&d->json);
	vec_done(d->p->budget, &d->frame_of);
	vec_done(d->p->budget, &d->rows[0]);
	vec_done(d->p->budget, &d->rows[1]);
}

static int fail_memory(const struct jsonr *r, int code)
{
	return jsonr_refuse(r, code,
			    code == -ENOBUFS ? "the profile does not fit into the memory allowed for it"
					     : "out of memory");
}

static int check_strings(const struct reader *d, const struct jsonr *r)
{
	if (strtab_count(&d->p->dict.strings) <= d->max_strings)
		return 0;
	return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " strings", d->limits->n_strings);
}

/* --- what a file says of itself --- */

static int read_text(struct reader *d, struct str_id *ret)
{
	struct slice text;
	int k = jsonr_str(&d->json, &text);
	if (k < 0)
		return k;
	k = strtab_intern(&d->p->dict.strings, text, ret);
	return k < 0 ? fail_memory(&d->json, k) : check_strings(d, &d->json);
}

static int read_format(struct reader *d)
{
	struct slice text;
	int k = jsonr_str(&d->json, &text);
	if (k < 0 || jsonr_is(text, "single") || text.size == 0)
		return k;
	if (jsonr_is(text, "double"))
		return jsonr_refuse(&d->json, -EBADMSG, "a comparison of two profiles, not a profile");
	return jsonr_refuse(&d->json, -EBADMSG, "format \"%.*s\" is not \"single\"",
			    text.size > 40 ? 40 : (int)text.size, (const char *)text.data);
}

static int read_metadata(struct reader *d)
{
	struct slice key;
	int k = jsonr_object(&d->json);
	while (k == 0 && (k = jsonr_key(&d->json, &key)) == 1) {
		if (jsonr_is(key, "format"))
			k = read_format(d);
		else if (jsonr_is(key, "units"))
			k = read_text(d, &d->units);
		else if (jsonr_is(key, "name"))
			k = read_text(d, &d->name);
		else if (jsonr_is(key, "sampleRate"))
			k = jsonr_f64(&d->json, &d->sample_rate);
		else
			k = jsonr_skip(&d->json);
	}
	return k;
}

static int read_graph(struct reader *d)
{
	struct slice key;
	int k = jsonr_object(&d->json);
	while (k == 0 && (k = jsonr_key(&d->json, &key)) == 1) {
		if (jsonr_is(key, "names"))
			k = jsonr_section(&d->json, &d->names);
		else if (jsonr_is(key, "levels"))
			k = jsonr_section(&d->json, &d->levels);
		else
			k = jsonr_skip(&d->json);
	}
	return k;
}

static int read_file(struct reader *d)
{
	struct slice key;
	int k = jsonr_object(&d->json);
	while (k == 0 && (k = jsonr_key(&d->json, &key)) == 1) {
		if (jsonr_is(key, "flamebearer"))
			k = read_graph(d);
		else if (jsonr_is(key, "metadata"))
			k = read_metadata(d);
		else
			k = jsonr_skip(&d->json);
	}
	if (k < 0)
		return k;
	k = jsonr_finish(&d->json);
	if (k < 0 || (d->names && d->levels))
		return k;
	d->json.token = d->json.from;
	return jsonr_refuse(&d->json, -EBADMSG, "no flamebearer.%s", d->names ? "levels" : "names");
}

/* Pyroscope's units -> ours. */
static int add_type(struct reader *d)
{
	static const char *const counts[] = { "samples", "objects", "goroutines", "lock_samples", "trace_samples", "" };
	const struct strtab *strings = &d->p->dict.strings;
	_cleanup_(buf_done)
	struct buf name = buf_of(4096);
	/* Copies: adding the type may move the strings. */
	char unit[64];
	struct slice text = strtab_get(strings, d->name);
	buf_add(&name, text.data, text.size < 4096 ? text.size : 4096);
	(void)snprintf(unit, sizeof(unit), "%s", strtab_cstr(strings, d->units));
	bool is_time = strcmp(unit, "samples") == 0 && d->sample_rate > 0;
	d->factor = is_time ? 1e9 / d->sample_rate : 1;
	for (size_t i = 0; !is_time && i < ARRAY_SIZE(counts); i++)
		if (strcmp(unit, counts[i]) == 0)
			(void)snprintf(unit, sizeof(unit), "count");
	if (is_time || strcmp(unit, "lock_nanoseconds") == 0)
		(void)snprintf(unit, sizeof(unit), "nanoseconds");
	if (name.n == 0)
		buf_add_str(&name, is_time ? "cpu" : "samples");
	if (name.failed)
		return fail_memory(&d->json, -ENOMEM);
	int k = profile_add_type(d->p, slice_of(name.data, name.n), slice_str(unit));
	return k < 0 ? fail_memory(&d->json, k) : 0;
}

/* --- names and boxes --- */

static int read_names(struct reader *d, struct jsonr *r)
{
	struct slice text;
	struct frame_id id;
	int k = jsonr_array(r);
	while (k == 0 && (k = jsonr_next(r)) == 1) {
		k = jsonr_str(r, &text);
		if (k < 0)
			return k;
		if (d->frame_of.n >= d->limits->n_locations)
			return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " names", d->limits->n_locations);
		k = dict_named_frame(&d->p->dict, text, FRAME_USER, &id);
		if (k == 0)
			k = vec_reserve(d->p->budget, &d->frame_of, 1);
		if (k < 0)
			return fail_memory(r, k);
		d->frame_of.data[d->frame_of.n++] = id.v;
		k = check_strings(d, r);
	}
	return k;
}

/* The four numbers of a box; its first is the next element. */
struct numbers {
	int64_t gap, total, self;
	uint32_t name;
};

static int read_numbers(struct reader *d, struct jsonr *r, struct numbers *ret)
{
	int64_t *const fields[] = { &ret->gap, &ret->total, &ret->self };
	int k = 0;
	for (int i = 0; k == 0 && i < 3; i++) {
		if (i > 0 && (k = jsonr_next(r)) != 1)
			return k < 0 ? k
				     : jsonr_refuse(r, -EBADMSG, "a level that is not made of four numbers per box");
		k = jsonr_i64(r, fields[i]);
		if (k == 0 && *fields[i] < 0)
			return jsonr_refuse(r, -EBADMSG, "a negative value");
	}
	if (k < 0)
		return k;
	k = jsonr_next(r);
	if (k != 1)
		return k < 0 ? k : jsonr_refuse(r, -EBADMSG, "a level that is not made of four numbers per box");
	k = jsonr_u32(r, &ret->name);
	if (k == 0 && ret->name >= d->frame_of.n)
		return jsonr_refuse(r, -EBADMSG, "name %" PRIu32 " does not exist", ret->name);
	return k;
}

static int add_box(struct reader *d, const struct jsonr *r, uint32_t node, const struct numbers *n, int64_t from)
{
	int k = vec_reserve(d->p->budget, &d->rows[1], 1);
	if (k < 0)
		return fail_memory(r, k);
	d->rows[1].data[d->rows[1].n++] = (struct box){ .from = from, .to = from + n->total, .node = node };
	if (n->self == 0)
		return 0;
	if (profile_n_samples(d->p) >= d->limits->n_samples)
		return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " samples", d->limits->n_samples);
	double scaled = nearbyint((double)n->self * d->factor);
	/* What is not scaled is not rounded either. */
	int64_t value = d->factor == 1 ? n->self : scaled < 0x1p63 ? (int64_t)scaled : INT64_MAX;
	k = profile_add_sample(d->p, (struct node_id){ node }, (struct labels_id){ 0 }, &value);
	return k < 0 ? fail_memory(r, k) : 0;
}

/* Boxes come from left to right, and so do those that may hold them. */
static int read_level(struct reader *d, struct jsonr *r, bool is_root)
{
	struct numbers n;
	int64_t end = 0;
	uint32_t at = 0;
	int k = jsonr_array(r);
	while (k == 0 && (k = jsonr_next(r)) == 1) {
		int64_t from;
		struct node_id node = { 0 };
		k = read_numbers(d, r, &n);
		if (k < 0)
			return k;
		if (__builtin_add_overflow(end, n.gap, &from) || __builtin_add_overflow(from, n.total, &end))
			return jsonr_refuse(r, -EBADMSG, "a level wider than 63 bits");
		while (!is_root && at < d->rows[0].n && d->rows[0].data[at].to < end)
			at++;
		if (!is_root && (at == d->rows[0].n || d->rows[0].data[at].from > from))
			return jsonr_refuse(r, -EBADMSG, "a box that none of the level above covers");
		if (!is_root)
			k = dict_node(&d->p->dict, (struct node_id){ d->rows[0].data[at].node },
				      (struct frame_id){ d->frame_of.data[n.name] }, &node);
		if (k < 0)
			return fail_memory(r, k);
		k = add_box(d, r, node.v, &n, from);
	}
	return k;
}

static int read_levels(struct reader *d, struct jsonr *r)
{
	uint32_t n = 0;
	int k = jsonr_array(r);
	while (k == 0 && (k = jsonr_next(r)) == 1) {
		if (n > d->limits->depth)
			return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " frames in one stack", d->limits->depth);
		d->rows[1].n = 0;
		k = read_level(d, r, n++ == 0);
		if (k < 0)
			return k;
		if (n == 1 && d->rows[1].n > 1)
			return jsonr_refuse(r, -EBADMSG, "more than one box on the first level");
		__typeof__(d->rows[0]) above = d->rows[0];
		d->rows[0] = d->rows[1];
		d->rows[1] = above;
	}
	return k;
}

static int read_section(struct reader *d, size_t off, int (*read)(struct reader *, struct jsonr *))
{
	struct jsonr r = jsonr_at_section(&d->json, off);
	int k = read(d, &r);
	jsonr_done(&r);
	return k;
}

int flamebearer_decode(struct slice text, const struct format_limits *limits, struct profile *p, struct error *err)
{
	if (text.size > limits->input_size)
		return error_set(err, -E2BIG, "more than %zu bytes", limits->input_size);
	_cleanup_(reader_done)
	struct reader d = { .p = p, .limits = limits };
	d.max_strings = limits_max_strings(limits, strtab_count(&p->dict.strings));
	jsonr_init(&d.json, text, JSON_DEPTH, err);
	int k = read_file(&d);
	if (k == 0)
		k = add_type(&d);
	if (k == 0)
		k = read_section(&d, d.names, read_names);
	if (k == 0)
		k = read_section(&d, d.levels, read_levels);
	return k;
}

/* --- out --- */

/* Nodes ordered by level, and within one from left to right: since a tree
 * stands in preorder, sorting it by depth alone (counting, stable) is enough. */
struct writer {
	const struct calltree *t;
	uint32_t *order, *level_at; /* level d: order[level_at[d] .. level_at[d + 1]) */
	int64_t *x, *next_x;	    /* left edge; where the next child begins */
	uint32_t n_levels;
};

static void writer_done(struct writer *w)
{
	free(w->order);
	free(w->level_at);
	free(w->x);
	free(w->next_x);
}

static int writer_init(struct writer *w, const struct calltree *t)
{
	*w = (struct writer){ .t = t };
	for (uint32_t i = 0; i < t->n; i++) {
		if (t->self[i] < 0 || t->total[i] < 0)
			return -EDOM;
		if (t->depth[i] >= w->n_levels)
			w->n_levels = t->depth[i] + 1;
	}
	w->order = malloc((size_t)t->n * sizeof(*w->order));
	w->x = malloc((size_t)t->n * sizeof(*w->x));
	w->next_x = malloc((size_t)t->n * sizeof(*w->next_x));
	w->level_at = calloc((size_t)w->n_levels + 2, sizeof(*w->level_at));
	if (!w->order || !w->x || !w->next_x || !w->level_at)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++)
		w->level_at[t->depth[i] + 2]++;
	for (uint32_t d = 2; d < w->n_levels + 2; d++)
		w->level_at[d] += w->level_at[d - 1];
	/* level_at[d + 1] is the cursor of level d and ends as its end. */
	for (uint32_t i = 0; i < t->n; i++) {
		w->order[w->level_at[t->depth[i] + 1]++] = i;
		w->x[i] = i ? w->next_x[t->parent[i]] : 0;
		w->next_x[i] = w->x[i];
		if (i)
			w->next_x[t->parent[i]] = i64_add_saturating(w->next_x[t->parent[i]], t->total[i]);
	}
	return 0;
}

static void put_level(const struct writer *w, uint32_t depth, struct jsonw *out)
{
	const struct calltree *t = w->t;
	int64_t end = 0;
	jsonw_array(out, NULL);
	for (uint32_t k = w->level_at[depth]; k < w->level_at[depth + 1]; k++) {
		uint32_t i = w->order[k];
		bool pruned = t->func[i] == TREE_FUNC_PRUNED;
		jsonw_i64(out, NULL, w->x[i] - end);
		jsonw_i64(out, NULL, t->total[i]);
		jsonw_i64(out, NULL, t->self[i]);
		jsonw_u64(out, NULL, pruned ? t->n_funcs : t->func[i]);
		end = i64_add_saturating(w->x[i], t->total[i]);
	}
	jsonw_end(out, ']');
}

static void put_names(const struct calltree *t, struct jsonw *out)
{
	jsonw_array(out, "names");
	jsonw_cstr(out, NULL, "total");
	for (uint32_t i = 1; i < t->n_funcs; i++)
		jsonw_str(out, NULL, strtab_get(&t->names, t->funcs[i].name));
	if (t->n_pruned)
		jsonw_cstr(out, NULL, "other");
	jsonw_end(out, ']');
}

static void put_metadata(const char *type, const char *unit, struct jsonw *out)
{
	bool is_cpu = strcmp(type, "cpu") == 0 && strcmp(unit, "nanoseconds") == 0;
	jsonw_object(out, "metadata");
	jsonw_cstr(out, "format", "single");
	jsonw_cstr(out, "spyName", "wick");
	jsonw_i64(out, "sampleRate", is_cpu ? 1000000000 : 100);
	jsonw_cstr(out, "units", is_cpu ? "samples" : strcmp(unit, "count") == 0 ? "objects" : unit);
	jsonw_cstr(out, "name", type);
	jsonw_end(out, '}');
}

int flamebearer_encode(const struct calltree *t, const char *type, const char *unit, struct buf *out)
{
	_cleanup_(writer_done)
	struct writer w;
	struct jsonw json = { .out = out };
	int64_t max_self = 0;
	int r = writer_init(&w, t);
	if (r < 0)
		return r;
	jsonw_object(&json, NULL);
	jsonw_u64(&json, "version", 1);
	jsonw_object(&json, "flamebearer");
	put_names(t, &json);
	jsonw_array(&json, "levels");
	for (uint32_t depth = 0; depth < w.n_levels; depth++)
		put_level(&w, depth, &json);
	jsonw_end(&json, ']');
	for (uint32_t i = 0; i < t->n; i++)
		max_self = t->self[i] > max_self ? t->self[i] : max_self;
	jsonw_i64(&json, "numTicks", t->total[0]);
	jsonw_i64(&json, "maxSelf", max_self);
	jsonw_end(&json, '}');
	put_metadata(type, unit, &json);
	jsonw_null(&json, "timeline");
	jsonw_null(&json, "groups");
	jsonw_null(&json, "heatmap");
	jsonw_end(&json, '}');
	buf_add_byte(out, '\n');
	return out->failed ? -E2BIG : 0;
}
