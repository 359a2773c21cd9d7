/* SPDX-License-Identifier: Apache-2.0 */
#include "format/v8.h"

#include "base/saturate.h"
#include "format/jsonr.h"

#include <errno.h>
#include <inttypes.h>

#define CPU_DEPTH    64
#define VISITED	     UINT32_MAX /* v8_node.node while its ancestors are being looked up */
#define NO_PARENT    UINT32_MAX
#define NS_PER_MICRO 1000

/* One node of the file; nodes may name children that come later. */
struct v8_node {
	uint32_t frame, parent; /* of the dict; index */
	uint32_t node;		/* of the dict, 0 = not looked up yet, or the root */
	uint32_t depth;
	size_t at;	      /* where it stands in the file */
	int64_t count, value; /* hits and nanoseconds, or bytes */
};

/* Which may stand before the node it names. */
struct v8_child {
	uint32_t id;
	size_t at;
};

struct reader {
	struct profile *p;
	const struct format_limits *limits;
	uint32_t max_strings;
	struct jsonr json;
	VEC(struct v8_node) nodes;
	VEC(uint32_t) path;
	struct u64map index_of;	 /* id -> index + 1 */
	struct u64map parent_of; /* id -> index of the parent + 1 */
	VEC(struct v8_child) children;
	VEC(uint64_t) ids;	/* by index */
	size_t samples, deltas; /* sections */
	int64_t start, end;	/* microseconds */
	bool has_sizes;
};

static void reader_init(struct reader *d, struct slice text, uint32_t depth, struct error *err)
{
	u64map_init(&d->index_of, d->p->budget);
	u64map_init(&d->parent_of, d->p->budget);
	jsonr_init(&d->json, text, depth, err);
}

static void reader_done(struct reader *d)
{
	jsonr_done(&d->json);
	vec_done(d->p->budget, &d->nodes);
	vec_done(d->p->budget, &d->path);
	vec_done(d->p->budget, &d->ids);
	vec_done(d->p->budget, &d->children);
	u64map_done(&d->index_of);
	u64map_done(&d->parent_of);
}

static int fail_memory(const struct jsonr *r, int code)
{
	return jsonr_refuse(r, code,
			    code == -ENOBUFS ? "the profile does not fit into the memory allowed for it"
					     : "out of memory");
}

/* For jsonr_refuse(): of a place that is not the value last read. */
static const struct jsonr *json_at(struct reader *d, size_t at)
{
	d->json.token = d->json.from + at;
	return &d->json;
}

static size_t offset_of(const struct jsonr *r)
{
	return (size_t)(r->token - r->from);
}

/* --- call frames --- */

static int read_text(struct reader *d, struct str_id *ret)
{
	struct slice text;
	int k = jsonr_str(&d->json, &text);
	if (k < 0)
		return k;
	k = strtab_intern(&d->p->dict.strings, text, ret);
	if (k < 0)
		return fail_memory(&d->json, k);
	if (strtab_count(&d->p->dict.strings) > d->max_strings)
		return jsonr_refuse(&d->json, -E2BIG, "more than %" PRIu32 " strings", d->limits->n_strings);
	return 0;
}

/* From 0 in the file, -1 = unknown; from 1 with us. */
static int read_place(struct reader *d, uint32_t *ret)
{
	int64_t v;
	int k = jsonr_i64(&d->json, &v);
	if (k == 0)
		*ret = v >= 0 && v < UINT32_MAX ? (uint32_t)v + 1 : 0;
	return k;
}

static int intern_frame(struct reader *d, struct function *function, struct frame *frame, uint32_t *ret)
{
	struct dict *dict = &d->p->dict;
	struct frame_id id;
	int k = function->name.v ? 0 : strtab_intern_str(&dict->strings, "(anonymous)", &function->name);
	if (k == 0)
		k = dict_function(dict, function, &frame->function);
	if (k == 0)
		k = dict_frame(dict, frame, &id);
	if (k < 0)
		return fail_memory(&d->json, k);
	*ret = id.v;
	return 0;
}

static int read_call_frame(struct reader *d, uint32_t *ret)
{
	struct function function = { 0 };
	struct frame frame = { .kind = FRAME_JS };
	struct slice key;
	int k = jsonr_object(&d->json);
	while (k == 0 && (k = jsonr_key(&d->json, &key)) == 1) {
		if (jsonr_is(key, "functionName"))
			k = read_text(d, &function.name);
		else if (jsonr_is(key, "url"))
			k = read_text(d, &function.file);
		else if (jsonr_is(key, "lineNumber"))
			k = read_place(d, &frame.line);
		else if (jsonr_is(key, "columnNumber"))
			k = read_place(d, &frame.column);
		else
			k = jsonr_skip(&d->json);
	}
	if (k < 0)
		return k;
	function.start_line = frame.line;
	return intern_frame(d, &function, &frame, ret);
}

/* --- the nodes of both --- */

static int new_node(struct reader *d, uint32_t parent)
{
	if (d->nodes.n >= d->limits->n_locations)
		return jsonr_refuse(&d->json, -E2BIG, "more than %" PRIu32 " nodes", d->limits->n_locations);
	int k = vec_reserve(d->p->budget, &d->nodes, 1);
	if (k < 0)
		return fail_memory(&d->json, k);
	d->nodes.data[d->nodes.n++] = (struct v8_node){ .parent = parent, .at = offset_of(&d->json) };
	return 0;
}

static int read_count(struct reader *d, int64_t *ret)
{
	int64_t v;
	int k = jsonr_i64(&d->json, &v);
	if (k == 0 && v < 0)
		return jsonr_refuse(&d->json, -EBADMSG, "a negative count");
	if (k == 0)
		*ret = v;
	return k;
}

/* Gives node `i` its node of the dict, first its ancestors that have none.
 * The root of the file is that of the dict. */
static int place_node(struct reader *d, uint32_t i)
{
	struct v8_node *nodes = d->nodes.data;
	d->path.n = 0;
	while (nodes[i].parent != NO_PARENT && nodes[i].node == 0) {
		nodes[i].node = VISITED;
		int k = vec_reserve(d->p->budget, &d->path, 1);
		if (k < 0)
			return fail_memory(&d->json, k);
		d->path.data[d->path.n++] = i;
		i = nodes[i].parent;
	}
	if (nodes[i].node == VISITED)
		return jsonr_refuse(json_at(d, nodes[i].at), -EBADMSG, "a node that is its own ancestor");
	struct node_id node = { nodes[i].node };
	while (d->path.n > 0) {
		uint32_t depth = nodes[i].depth + 1;
		i = d->path.data[--d->path.n];
		if (depth > d->limits->depth)
			return jsonr_refuse(json_at(d, nodes[i].at), -E2BIG,
					    "more than %" PRIu32 " frames in one stack", d->limits->depth);
		nodes[i].depth = depth;
		int k = dict_node(&d->p->dict, node, (struct frame_id){ nodes[i].frame }, &node);
		if (k < 0)
			return fail_memory(&d->json, k);
		nodes[i].node = node.v;
	}
	return 0;
}

/* One row per node that has a value. */
static int add_rows(struct reader *d, bool with_count)
{
	for (uint32_t i = 0; i < d->nodes.n; i++) {
		int k = place_node(d, i);
		if (k < 0)
			return k;
		const struct v8_node *n = &d->nodes.data[i];
		if (n->count == 0 && n->value == 0)
			continue;
		if (profile_n_samples(d->p) >= d->limits->n_samples)
			return jsonr_refuse(json_at(d, n->at), -E2BIG, "more than %" PRIu32 " samples",
					    d->limits->n_samples);
		int64_t values[] = { n->count, n->value };
		k = profile_add_sample(d->p, (struct node_id){ n->node }, (struct labels_id){ 0 },
				       with_count ? values : values + 1);
		if (k < 0)
			return fail_memory(&d->json, k);
	}
	return 0;
}

/* --- .cpuprofile --- */

static int read_children(struct reader *d, uint32_t parent)
{
	uint32_t id;
	int k = jsonr_array(&d->json);
	while (k == 0 && (k = jsonr_next(&d->json)) == 1) {
		k = jsonr_u32(&d->json, &id);
		if (k < 0)
			break;
		uint32_t *slot = u64map_put(&d->parent_of, id);
		if (!slot)
			return fail_memory(&d->json, -ENOBUFS);
		if (*slot)
			return jsonr_refuse(&d->json, -EBADMSG, "node %" PRIu32 " has two parents", id);
		*slot = parent + 1;
		k = vec_reserve(d->p->budget, &d->children, 1);
		if (k < 0)
			return fail_memory(&d->json, k);
		d->children.data[d->children.n++] = (struct v8_child){ id, offset_of(&d->json) };
	}
	return k;
}

static int name_node(struct reader *d, uint32_t i)
{
	uint32_t id;
	int k = jsonr_u32(&d->json, &id);
	if (k < 0)
		return k;
	uint32_t *slot = u64map_put(&d->index_of, id);
	if (!slot)
		return fail_memory(&d->json, -ENOBUFS);
	if (*slot)
		return jsonr_refuse(&d->json, -EBADMSG, "node %" PRIu32 " is there twice", id);
	*slot = i + 1;
	d->ids.data[i] = id;
	return 0;
}

static int read_cpu_node(struct reader *d)
{
	uint32_t i = d->nodes.n;
	bool named = false;
	struct slice key;
	int k = jsonr_object(&d->json);
	const uint8_t *from = d->json.token;
	if (k == 0)
		k = new_node(d, NO_PARENT);
	if (k == 0 && (k = vec_reserve(d->p->budget, &d->ids, 1)) < 0)
		return fail_memory(&d->json, k);
	if (k == 0)
		d->ids.n++;
	while (k == 0 && (k = jsonr_key(&d->json, &key)) == 1) {
		if (jsonr_is(key, "id") && !named) {
			k = name_node(d, i);
			named = true;
		} else if (jsonr_is(key, "callFrame")) {
			k = read_call_frame(d, &d->nodes.data[i].frame);
		} else if (jsonr_is(key, "hitCount")) {
			k = read_count(d, &d->nodes.data[i].count);
		} else if (jsonr_is(key, "children")) {
			k = read_children(d, i);
		} else {
			k = jsonr_skip(&d->json);
		}
	}
	if (k < 0)
		return k;
	d->json.token = from;
	if (!named || !d->nodes.data[i].frame)
		return jsonr_refuse(&d->json, -EBADMSG, "a node without id or callFrame");
	return 0;
}

static int read_cpu_file(struct reader *d)
{
	struct jsonr *r = &d->json;
	struct slice key;
	int k = jsonr_object(r);
	while (k == 0 && (k = jsonr_key(r, &key)) == 1) {
		if (jsonr_is(key, "nodes")) {
			k = jsonr_array(r);
			while (k == 0 && (k = jsonr_next(r)) == 1)
				k = read_cpu_node(d);
		} else if (jsonr_is(key, "startTime")) {
			k = jsonr_i64(r, &d->start);
		} else if (jsonr_is(key, "endTime")) {
			k = jsonr_i64(r, &d->end);
		} else if (jsonr_is(key, "samples")) {
			k = jsonr_section(r, &d->samples);
		} else if (jsonr_is(key, "timeDeltas")) {
			k = jsonr_section(r, &d->deltas);
		} else {
			k = jsonr_skip(r);
		}
	}
	return k < 0 ? k : jsonr_finish(r);
}

static int link_nodes(struct reader *d)
{
	uint32_t root = NO_PARENT;
	for (uint32_t i = 0; i < d->children.n; i++)
		if (!u64map_get(&d->index_of, d->children.data[i].id))
			return jsonr_refuse(json_at(d, d->children.data[i].at), -EBADMSG, "a child that is no node");
	for (uint32_t i = 0; i < d->nodes.n; i++) {
		uint32_t parent = u64map_get(&d->parent_of, d->ids.data[i]);
		d->nodes.data[i].parent = parent ? parent - 1 : NO_PARENT;
		if (parent)
			continue;
		if (root != NO_PARENT)
			return jsonr_refuse(json_at(d, d->nodes.data[i].at), -EBADMSG, "a second node without parent");
		root = i;
	}
	return 0;
}

/* From `from` to the later `to`. */
static void add_time(struct v8_node *n, int64_t from, int64_t to)
{
	int64_t micros, ns;
	if (__builtin_sub_overflow(to, from, &micros) || __builtin_mul_overflow(micros, NS_PER_MICRO, &ns))
		ns = INT64_MAX;
	n->value = i64_add_saturating(n->value, ns);
}

static int next_delta(struct jsonr *r, int64_t *ret)
{
	int k = jsonr_next(r);
	return k == 1 ? jsonr_i64(r, ret) : k == 0 ? jsonr_refuse(r, -EBADMSG, "fewer timeDeltas than samples") : k;
}

/* The two arrays are read side by side. `latest` never falls, `now` may. */
static int read_samples(struct reader *d, struct jsonr *samples, struct jsonr *deltas)
{
	int64_t now = d->start, latest = d->start, delta;
	struct v8_node *last = NULL;
	uint32_t id;
	int k = jsonr_array(samples);
	if (k == 0)
		k = jsonr_array(deltas);
	while (k == 0 && (k = jsonr_next(samples)) == 1) {
		k = jsonr_u32(samples, &id);
		if (k == 0)
			k = next_delta(deltas, &delta);
		if (k < 0)
			return k;
		uint32_t i = u64map_get(&d->index_of, id);
		if (!i)
			return jsonr_refuse(samples, -EBADMSG, "node %" PRIu32 " does not exist", id);
		now = i64_add_saturating(now, delta);
		if (last && now > latest)
			add_time(last, latest, now);
		latest = now > latest || !last ? now : latest;
		last = &d->nodes.data[i - 1];
		last->count++;
	}
	if (k == 0 && last && d->end > latest)
		add_time(last, latest, d->end);
	return k;
}

static int count_samples(struct reader *d)
{
	for (uint32_t i = 0; i < d->nodes.n; i++)
		d->nodes.data[i].count = 0;
	struct jsonr samples = jsonr_at_section(&d->json, d->samples);
	struct jsonr deltas = jsonr_at_section(&d->json, d->deltas);
	int k = read_samples(d, &samples, &deltas);
	jsonr_done(&samples);
	jsonr_done(&deltas);
	return k;
}

/* Every hit stands for the same time. */
static void share_time(struct reader *d)
{
	int64_t total = 0, span;
	for (uint32_t i = 0; i < d->nodes.n; i++)
		total = i64_add_saturating(total, d->nodes.data[i].count);
	if (__builtin_sub_overflow(d->end, d->start, &span) || span <= 0 || total == 0)
		return;
	for (uint32_t i = 0; i < d->nodes.n; i++) {
		double share = (double)d->nodes.data[i].count / (double)total * (double)span * NS_PER_MICRO;
		d->nodes.data[i].value = share < 0x1p62 ? (int64_t)share : INT64_MAX;
	}
}

int v8_cpu_decode(struct slice text, const struct format_limits *limits, struct profile *p, struct error *err)
{
	if (text.size > limits->input_size)
		return error_set(err, -E2BIG, "more than %zu bytes", limits->input_size);
	_cleanup_(reader_done)
	struct reader d = { .p = p, .limits = limits };
	reader_init(&d, text, CPU_DEPTH, err);
	int k = profile_add_type(p, slice_str("samples"), slice_str("count"));
	if (k == 0)
		k = profile_add_type(p, slice_str("wall"), slice_str("nanoseconds"));
	if (k < 0)
		return fail_memory(&d.json, k);
	d.max_strings = limits_max_strings(limits, strtab_count(&p->dict.strings));
	k = read_cpu_file(&d);
	if (k == 0 && d.nodes.n == 0)
		return jsonr_refuse(json_at(&d, 0), -EBADMSG, "no nodes");
	if (k == 0)
		k = link_nodes(&d);
	if (k == 0 && d.samples && d.deltas)
		k = count_samples(&d);
	else if (k == 0)
		share_time(&d);
	int64_t micros;
	if (k == 0 && !__builtin_sub_overflow(d.end, d.start, &micros) && micros > 0 &&
	    __builtin_mul_overflow(micros, NS_PER_MICRO, &p->duration_ns))
		p->duration_ns = 0;
	return k < 0 ? k : add_rows(&d, true);
}

/* --- .heapprofile --- */

/* `path` holds the nodes that are open. */
static int open_node(struct reader *d)
{
	int k = jsonr_object(&d->json);
	if (k == 0)
		k = new_node(d, d->path.n ? d->path.data[d->path.n - 1] : NO_PARENT);
	if (k == 0 && (k = vec_reserve(d->p->budget, &d->path, 1)) < 0)
		k = fail_memory(&d->json, k);
	if (k == 0)
		d->path.data[d->path.n++] = d->nodes.n - 1;
	return k;
}

/* The next of the children of the innermost open node. */
static int next_child(struct reader *d)
{
	int k = jsonr_next(&d->json);
	return k == 1 ? open_node(d) : k;
}

static int read_heap_field(struct reader *d, struct slice key)
{
	struct v8_node *node = &d->nodes.data[d->path.data[d->path.n - 1]];
	if (jsonr_is(key, "callFrame"))
		return read_call_frame(d, &node->frame);
	if (jsonr_is(key, "selfSize")) {
		d->has_sizes = true;
		return read_count(d, &node->value);
	}
	if (!jsonr_is(key, "children"))
		return jsonr_skip(&d->json);
	int k = jsonr_array(&d->json);
	return k < 0 ? k : next_child(d);
}

static int close_node(struct reader *d)
{
	if (!d->nodes.data[d->path.data[d->path.n - 1]].frame)
		return jsonr_refuse(&d->json, -EBADMSG, "a node without callFrame");
	d->path.n--;
	return d->path.n ? next_child(d) : 0;
}

/* Down into the children and up again, without recursion. */
static int read_head(struct reader *d)
{
	if (d->nodes.n > 0)
		return jsonr_refuse(&d->json, -EBADMSG, "a second head");
	struct slice key;
	int k = open_node(d);
	while (k == 0 && d->path.n > 0) {
		k = jsonr_key(&d->json, &key);
		if (k >= 0)
			k = k == 1 ? read_heap_field(d, key) : close_node(d);
	}
	return k;
}

int v8_heap_decode(struct slice text, const struct format_limits *limits, struct profile *p, struct error *err)
{
	if (text.size > limits->input_size)
		return error_set(err, -E2BIG, "more than %zu bytes", limits->input_size);
	/* A frame is an object in an array. */
	uint32_t depth = limits->depth < JSONR_DEPTH_MAX / 2 - 8 ? limits->depth * 2 + 8 : JSONR_DEPTH_MAX;
	_cleanup_(reader_done)
	struct reader d = { .p = p, .limits = limits };
	reader_init(&d, text, depth, err);
	int k = profile_add_type(p, slice_str("inuse_space"), slice_str("bytes"));
	if (k < 0)
		return fail_memory(&d.json, k);
	d.max_strings = limits_max_strings(limits, strtab_count(&p->dict.strings));
	struct slice key;
	k = jsonr_object(&d.json);
	while (k == 0 && (k = jsonr_key(&d.json, &key)) == 1)
		k = jsonr_is(key, "head") ? read_head(&d) : jsonr_skip(&d.json);
	if (k == 0)
		k = jsonr_finish(&d.json);
	if (k == 0 && !d.has_sizes)
		return jsonr_refuse(json_at(&d, 0), -EBADMSG, "no node with a selfSize");
	return k < 0 ? k : add_rows(&d, false);
}
