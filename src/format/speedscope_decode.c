/* SPDX-License-Identifier: Apache-2.0 */
#include "format/speedscope.h"

#include "format/jsonr.h"
#include "model/stackwalk.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define MAX_PROFILES (1u << 20)
#define JSON_DEPTH   64

enum profile_kind { KIND_NONE, KIND_SAMPLED, KIND_EVENTED };

/* What stands in one profile, wherever it stands. Offsets of it and of its arrays. */
struct header {
	size_t at, samples, weights, events;
	double end_value;
	bool has_end;
	uint8_t kind, unit;
	uint32_t type;	    /* of the profile in memory */
	struct str_id name; /* in the profile's dict */
};

struct reader {
	struct profile *p;
	const struct format_limits *limits;
	uint32_t max_strings;
	struct jsonr json;
	VEC(uint32_t) frame_of;	   /* by the file's frame number */
	VEC(uint32_t) frames_read; /* of the stacks of a batch, root first */
	VEC(struct header) headers;
	size_t frames; /* section */
	bool own;      /* written by wick */
};

static const struct {
	const char *name, *type, *unit;
	double factor;
} units[] = {
	{ "none", "samples", "count", 1 },
	{ "nanoseconds", "time", "nanoseconds", 1 },
	{ "microseconds", "time", "nanoseconds", 1e3 },
	{ "milliseconds", "time", "nanoseconds", 1e6 },
	{ "seconds", "time", "nanoseconds", 1e9 },
	{ "bytes", "space", "bytes", 1 },
};

static void reader_done(struct reader *d)
{
	jsonr_done(&d->json);
	vec_done(d->p->budget, &d->frame_of);
	vec_done(d->p->budget, &d->frames_read);
	vec_done(d->p->budget, &d->headers);
}

static int fail_memory(const struct jsonr *r, int code)
{
	return jsonr_refuse(r, code,
			    code == -ENOBUFS ? "the profile does not fit into the memory allowed for it"
					     : "out of memory");
}

/* --- frames --- */

/* A place in a source file; what cannot be one ("line": -1) is none. */
static int read_place(struct jsonr *r, uint32_t *ret)
{
	double v;
	int k = jsonr_peek(r);
	if (k != JSONR_NUMBER)
		return k < 0 ? k : jsonr_skip(r);
	k = jsonr_f64(r, &v);
	if (k == 0)
		*ret = v >= 1 && v <= UINT32_MAX ? (uint32_t)v : 0;
	return k;
}

static int read_text(struct reader *d, struct jsonr *r, struct str_id *ret)
{
	struct slice text;
	int k = jsonr_peek(r);
	if (k == JSONR_NULL)
		return jsonr_skip(r);
	k = jsonr_str(r, &text);
	if (k < 0)
		return k;
	k = strtab_intern(&d->p->dict.strings, text, ret);
	if (k < 0)
		return fail_memory(r, k);
	if (strtab_count(&d->p->dict.strings) > d->max_strings)
		return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " strings", d->limits->n_strings);
	return 0;
}

static int read_frame(struct reader *d, struct jsonr *r)
{
	struct function function = { 0 };
	struct frame frame = { .kind = FRAME_USER };
	struct frame_id id;
	struct slice key;
	int k = jsonr_object(r);
	while (k == 0 && (k = jsonr_key(r, &key)) == 1) {
		if (jsonr_is(key, "name"))
			k = read_text(d, r, &function.name);
		else if (jsonr_is(key, "file"))
			k = read_text(d, r, &function.file);
		else if (jsonr_is(key, "line"))
			k = read_place(r, &frame.line);
		else if (jsonr_is(key, "col"))
			k = read_place(r, &frame.column);
		else
			k = jsonr_skip(r);
	}
	if (k < 0)
		return k;
	if (d->frame_of.n >= d->limits->n_locations)
		return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " frames", d->limits->n_locations);
	k = dict_function(&d->p->dict, &function, &frame.function);
	if (k == 0)
		k = dict_frame(&d->p->dict, &frame, &id);
	if (k == 0)
		k = vec_reserve(d->p->budget, &d->frame_of, 1);
	if (k < 0)
		return fail_memory(r, k);
	d->frame_of.data[d->frame_of.n++] = id.v;
	return 0;
}

/* For jsonr_refuse(): of a place that is not the value last read. */
static const struct jsonr *json_at(struct reader *d, size_t at)
{
	d->json.token = d->json.from + at;
	return &d->json;
}

static int read_frames(struct reader *d)
{
	if (!d->frames)
		return jsonr_refuse(json_at(d, 0), -EBADMSG, "no shared.frames");
	struct jsonr r = jsonr_at_section(&d->json, d->frames);
	int k = jsonr_array(&r);
	while (k == 0 && (k = jsonr_next(&r)) == 1)
		k = read_frame(d, &r);
	jsonr_done(&r);
	return k;
}

/* --- samples --- */

/* Adds samples of one profile. */
struct adder {
	struct reader *d;
	int64_t values[PROFILE_MAX_TYPES];
	struct labels_id labels;
	uint32_t type;
	double factor, left_over;
};

/* The value that a weight comes to, for sample `n_before` + 1. */
static int weigh(struct adder *a, const struct jsonr *r, double weight, uint64_t n_before, int64_t *ret)
{
	double exact = weight * a->factor + a->left_over;
	double whole = nearbyint(exact);
	if (!(whole < 0x1p63))
		return jsonr_refuse(r, -EBADMSG, "a weight that does not fit into 63 bits");
	a->left_over = exact - whole;
	if (n_before >= a->d->limits->n_samples)
		return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " samples", a->d->limits->n_samples);
	*ret = (int64_t)whole;
	return 0;
}

static int add_value(struct adder *a, const struct jsonr *r, struct node_id node, int64_t value)
{
	a->values[a->type] = value;
	int k = profile_add_sample(a->d->p, node, a->labels, a->values);
	return k < 0 ? fail_memory(r, k) : 0;
}

static int add(struct adder *a, const struct jsonr *r, uint32_t node, double weight)
{
	int64_t value;
	int k = weigh(a, r, weight, profile_n_samples(a->d->p), &value);
	return k < 0 ? k : add_value(a, r, (struct node_id){ node }, value);
}

static int no_such_frame(const struct jsonr *r, uint32_t frame)
{
	return jsonr_refuse(r, -EBADMSG, "frame %" PRIu32 " does not exist", frame);
}

static int read_stack(struct reader *d, struct jsonr *r)
{
	uint32_t depth = 0, frame;
	int k = jsonr_array(r);
	while (k == 0 && (k = jsonr_next(r)) == 1) {
		k = jsonr_u32(r, &frame);
		if (k < 0)
			return k;
		if (frame >= d->frame_of.n)
			return no_such_frame(r, frame);
		if (depth++ == d->limits->depth)
			return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " frames in one stack", d->limits->depth);
		k = vec_reserve(d->p->budget, &d->frames_read, 1);
		if (k < 0)
			return fail_memory(r, k);
		d->frames_read.data[d->frames_read.n++] = d->frame_of.data[frame];
	}
	return k;
}

static int read_weight(struct jsonr *r, double *ret)
{
	int k = jsonr_next(r);
	if (k == 1)
		k = jsonr_f64(r, ret);
	else if (k == 0)
		return jsonr_refuse(r, -EBADMSG, "fewer weights than samples");
	if (k == 0 && *ret < 0)
		return jsonr_refuse(r, -EBADMSG, "a negative weight");
	return k;
}

/* Samples that are read but not yet in the profile: stacks are walked many
 * at a time. */
struct batch {
	uint32_t end[STACKWALK_BATCH]; /* in frames_read */
	int64_t value[STACKWALK_BATCH];
	uint32_t n;
};

static int add_batch(struct adder *a, const struct jsonr *r, struct batch *b)
{
	struct reader *d = a->d;
	struct stack_frames stacks[STACKWALK_BATCH];
	struct node_id nodes[STACKWALK_BATCH];
	uint32_t from = 0;
	for (uint32_t i = 0; i < b->n; from = b->end[i++])
		stacks[i] = stack_root_first(d->frames_read.data, from, b->end[i] - from);
	int k = stackwalk(&d->p->dict, stacks, b->n, nodes);
	if (k < 0)
		return fail_memory(r, k);
	for (uint32_t i = 0; k == 0 && i < b->n; i++)
		k = add_value(a, r, nodes[i], b->value[i]);
	d->frames_read.n = 0;
	b->n = 0;
	return k;
}

/* The two arrays are read side by side, each with its own reader. */
static int read_pairs(struct adder *a, struct jsonr *samples, struct jsonr *weights)
{
	struct batch b = { .n = 0 };
	double weight;
	int k = jsonr_array(samples);
	if (k == 0)
		k = jsonr_array(weights);
	while (k == 0 && (k = jsonr_next(samples)) == 1) {
		k = read_stack(a->d, samples);
		if (k == 0)
			k = read_weight(weights, &weight);
		if (k == 0)
			k = weigh(a, samples, weight, (uint64_t)profile_n_samples(a->d->p) + b.n, &b.value[b.n]);
		if (k < 0)
			return k;
		b.end[b.n++] = a->d->frames_read.n;
		if (b.n == STACKWALK_BATCH)
			k = add_batch(a, samples, &b);
	}
	if (k == 0 && b.n)
		k = add_batch(a, samples, &b);
	if (k < 0)
		return k;
	k = jsonr_next(weights);
	return k == 1 ? jsonr_refuse(weights, -EBADMSG, "more weights than samples") : k;
}

static int read_sampled(struct adder *a, const struct header *h)
{
	struct jsonr samples = jsonr_at_section(&a->d->json, h->samples);
	struct jsonr weights = jsonr_at_section(&a->d->json, h->weights);
	int k = read_pairs(a, &samples, &weights);
	jsonr_done(&samples);
	jsonr_done(&weights);
	return k;
}

/* --- events --- */

struct event {
	double at;
	uint32_t frame;
	char type; /* 'O', 'C', 0 */
	bool has_at, has_frame;
};

static int read_event(struct jsonr *r, struct event *ret)
{
	struct slice key, text;
	*ret = (struct event){ 0 };
	int k = jsonr_object(r);
	const uint8_t *from = r->token;
	while (k == 0 && (k = jsonr_key(r, &key)) == 1) {
		if (jsonr_is(key, "at")) {
			k = jsonr_f64(r, &ret->at);
			ret->has_at = true;
		} else if (jsonr_is(key, "frame")) {
			k = jsonr_u32(r, &ret->frame);
			ret->has_frame = true;
		} else if (jsonr_is(key, "type")) {
			k = jsonr_str(r, &text);
			if (k == 0)
				ret->type = jsonr_is(text, "O") ? 'O' : jsonr_is(text, "C") ? 'C' : 0;
		} else {
			k = jsonr_skip(r);
		}
	}
	if (k < 0)
		return k;
	r->token = from;
	if (!ret->type || !ret->has_at || !ret->has_frame)
		return jsonr_refuse(r, -EBADMSG, "an event without at, frame or a type of O or C");
	return 0;
}

struct open_frames {
	uint32_t node, depth;
	double since;
	bool started;
};

static int step(struct reader *d, const struct jsonr *r, const struct event *e, struct open_frames *open)
{
	if (e->frame >= d->frame_of.n)
		return no_such_frame(r, e->frame);
	uint32_t frame = d->frame_of.data[e->frame];
	if (e->type == 'O') {
		if (open->depth++ == d->limits->depth)
			return jsonr_refuse(r, -E2BIG, "more than %" PRIu32 " frames in one stack", d->limits->depth);
		int k = dict_step(&d->p->dict, &open->node, frame);
		return k < 0 ? fail_memory(r, k) : 0;
	}
	if (open->depth == 0 || d->p->dict.node_frame.data[open->node].v != frame)
		return jsonr_refuse(r, -EBADMSG, "frame %" PRIu32 " is closed but is not the last one opened",
				    e->frame);
	open->depth--;
	open->node = d->p->dict.node_parent.data[open->node].v;
	return 0;
}

/* The time up to `at` went to the frames that are open. */
static int pass_time(struct adder *a, const struct jsonr *r, struct open_frames *open, double at)
{
	if (open->started && at < open->since)
		return jsonr_refuse(r, -EBADMSG, "an event earlier than the one before it");
	int k = open->depth && at > open->since ? add(a, r, open->node, at - open->since) : 0;
	open->started = true;
	open->since = at;
	return k;
}

static int read_evented(struct adder *a, const struct header *h)
{
	struct jsonr r = jsonr_at_section(&a->d->json, h->events);
	struct open_frames open = { 0 };
	struct event event;
	int k = jsonr_array(&r);
	while (k == 0 && (k = jsonr_next(&r)) == 1) {
		k = read_event(&r, &event);
		if (k == 0)
			k = pass_time(a, &r, &open, event.at);
		if (k == 0)
			k = step(a->d, &r, &event, &open);
	}
	/* Frames still open last until the end of the recording. */
	if (k == 0 && open.depth && h->has_end && h->end_value > open.since)
		k = add(a, &r, open.node, h->end_value - open.since);
	jsonr_done(&r);
	return k;
}

/* --- headers --- */

static int read_unit(struct jsonr *r, struct header *h)
{
	struct slice text;
	int k = jsonr_str(r, &text);
	if (k < 0)
		return k;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (jsonr_is(text, units[i].name)) {
			h->unit = (uint8_t)i;
			return 0;
		}
	return jsonr_refuse(r, -EBADMSG, "unit \"%.*s\" is none of speedscope's", text.size > 40 ? 40 : (int)text.size,
			    (const char *)text.data);
}

static int read_kind(struct jsonr *r, struct header *h)
{
	struct slice text;
	int k = jsonr_str(r, &text);
	if (k < 0)
		return k;
	h->kind = jsonr_is(text, "sampled") ? KIND_SAMPLED : jsonr_is(text, "evented") ? KIND_EVENTED : KIND_NONE;
	if (h->kind == KIND_NONE)
		return jsonr_refuse(r, -EBADMSG, "profile type \"%.*s\" is neither sampled nor evented",
				    text.size > 40 ? 40 : (int)text.size, (const char *)text.data);
	return 0;
}

static int read_header_field(struct reader *d, struct jsonr *r, struct slice key, struct header *h)
{
	if (jsonr_is(key, "type"))
		return read_kind(r, h);
	if (jsonr_is(key, "unit"))
		return read_unit(r, h);
	if (jsonr_is(key, "name"))
		return read_text(d, r, &h->name);
	if (jsonr_is(key, "samples"))
		return jsonr_section(r, &h->samples);
	if (jsonr_is(key, "weights"))
		return jsonr_section(r, &h->weights);
	if (jsonr_is(key, "events"))
		return jsonr_section(r, &h->events);
	if (jsonr_is(key, "endValue")) {
		h->has_end = true;
		return jsonr_f64(r, &h->end_value);
	}
	return jsonr_skip(r);
}

static int read_header(struct reader *d, struct jsonr *r)
{
	struct header h = { 0 };
	struct slice key;
	int k = jsonr_object(r);
	const uint8_t *from = r->token;
	while (k == 0 && (k = jsonr_key(r, &key)) == 1)
		k = read_header_field(d, r, key, &h);
	if (k < 0)
		return k;
	r->token = from;
	h.at = (size_t)(from - r->from);
	if (h.kind == KIND_NONE)
		return jsonr_refuse(r, -EBADMSG, "a profile without type");
	if (h.kind == KIND_EVENTED && !h.events)
		return jsonr_refuse(r, -EBADMSG, "an evented profile without events");
	if (h.kind == KIND_SAMPLED && (!h.samples || !h.weights))
		return jsonr_refuse(r, -EBADMSG, "a sampled profile without samples or weights");
	if (d->headers.n == MAX_PROFILES)
		return jsonr_refuse(r, -E2BIG, "more than %u profiles", MAX_PROFILES);
	k = vec_reserve(d->p->budget, &d->headers, 1);
	if (k < 0)
		return fail_memory(r, k);
	d->headers.data[d->headers.n++] = h;
	return 0;
}

static int read_headers(struct reader *d)
{
	int k = jsonr_array(&d->json);
	while (k == 0 && (k = jsonr_next(&d->json)) == 1)
		k = read_header(d, &d->json);
	return k;
}

/* --- profiles --- */

/* Index of the sample type, added if new. */
static int find_type(struct profile *p, struct slice type, struct slice unit, uint32_t *ret)
{
	for (uint32_t t = 0; t < p->n_types; t++)
		if (slice_eq(strtab_get(&p->dict.strings, p->types[t].type), type) &&
		    slice_eq(strtab_get(&p->dict.strings, p->types[t].unit), unit)) {
			*ret = t;
			return 0;
		}
	int k = profile_add_type(p, type, unit);
	if (k == 0)
		*ret = p->n_types - 1;
	return k;
}

static int give_type(struct reader *d, struct header *h)
{
	struct slice name = strtab_get(&d->p->dict.strings, h->name), unit = slice_str(units[h->unit].unit);
	if (!d->own || name.size == 0)
		return find_type(d->p, slice_str(units[h->unit].type), unit, &h->type);
	/* Adding the type may move the strings. */
	_cleanup_(buf_done)
	struct buf copy = buf_of(name.size);
	buf_add(&copy, name.data, name.size);
	return copy.failed ? -ENOMEM : find_type(d->p, slice_of(copy.data, copy.n), unit, &h->type);
}

static int give_types(struct reader *d)
{
	if (d->headers.n == 0)
		return jsonr_refuse(json_at(d, 0), -EBADMSG, "no profiles");
	for (uint32_t i = 0; i < d->headers.n; i++) {
		int k = give_type(d, &d->headers.data[i]);
		if (k == -E2BIG)
			return jsonr_refuse(json_at(d, d->headers.data[i].at), k, "more than %d sample types",
					    PROFILE_MAX_TYPES);
		if (k < 0)
			return fail_memory(&d->json, k);
	}
	return 0;
}

static int label_of(struct reader *d, const struct header *h, struct labels_id *ret)
{
	ret->v = 0;
	if (d->own || d->headers.n < 2)
		return 0;
	struct label label = { .str = h->name };
	int k = strtab_intern_str(&d->p->dict.strings, "profile", &label.key);
	if (k == 0)
		k = profile_labels(d->p, &label, 1, ret);
	return k < 0 ? fail_memory(&d->json, k) : 0;
}

static int read_profiles(struct reader *d)
{
	int k = 0;
	for (uint32_t i = 0; k == 0 && i < d->headers.n; i++) {
		const struct header *h = &d->headers.data[i];
		struct adder a = { .d = d, .type = h->type, .factor = units[h->unit].factor };
		k = label_of(d, h, &a.labels);
		if (k == 0)
			k = h->kind == KIND_SAMPLED ? read_sampled(&a, h) : read_evented(&a, h);
	}
	return k;
}

/* --- the file --- */

static int read_shared(struct reader *d)
{
	struct slice key;
	int k = jsonr_object(&d->json);
	while (k == 0 && (k = jsonr_key(&d->json, &key)) == 1)
		k = jsonr_is(key, "frames") ? jsonr_section(&d->json, &d->frames) : jsonr_skip(&d->json);
	return k;
}

static int read_exporter(struct reader *d)
{
	struct slice text;
	int k = jsonr_peek(&d->json);
	if (k != JSONR_STRING)
		return k < 0 ? k : jsonr_skip(&d->json);
	k = jsonr_str(&d->json, &text);
	d->own = k == 0 && slice_has_prefix(text, "wick@");
	return k;
}

static int find_sections(struct reader *d)
{
	struct slice key;
	int k = jsonr_object(&d->json);
	while (k == 0 && (k = jsonr_key(&d->json, &key)) == 1) {
		if (jsonr_is(key, "shared"))
			k = read_shared(d);
		else if (jsonr_is(key, "profiles"))
			k = read_headers(d);
		else if (jsonr_is(key, "exporter"))
			k = read_exporter(d);
		else
			k = jsonr_skip(&d->json);
	}
	return k < 0 ? k : jsonr_finish(&d->json);
}

int speedscope_decode(struct slice text, const struct format_limits *limits, struct profile *p, struct error *err)
{
	if (text.size > limits->input_size)
		return error_set(err, -E2BIG, "more than %zu bytes", limits->input_size);
	_cleanup_(reader_done)
	struct reader d = { .p = p, .limits = limits };
	d.max_strings = limits_max_strings(limits, strtab_count(&p->dict.strings));
	jsonr_init(&d.json, text, JSON_DEPTH, err);
	int k = find_sections(&d);
	if (k == 0)
		k = read_frames(&d);
	if (k == 0)
		k = give_types(&d);
	if (k == 0)
		k = read_profiles(&d);
	/* The rows of a stack that wick wrote once per type become one again. */
	if (k == 0 && d.own && p->n_types > 1 && (k = profile_compact(p)) < 0)
		k = fail_memory(&d.json, k);
	return k;
}
