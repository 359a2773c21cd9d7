/* SPDX-License-Identifier: Apache-2.0 */
/* Ids are given out in the order in which the samples lead to things, so that
 * the bytes depend on what the profile says and not on how its tables came
 * to be; only mappings keep their order, since the first one is the program.
 *
 *   node (leaf) -> location = the node and what it is inlined into
 *               -> functions -> strings
 */
#include "format/pprof.h"

#include "format/inflate.h"
#include "format/pprof_wire.h"
#include "format/protobuf.h"

#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* pprof tells the kind of a frame by its mapping's path; frames without a
 * mapping get one where that says something. */
struct mapping_name {
	uint32_t kind;
	const char *path;
};

struct encoder {
	const struct profile *p;
	struct buf *out;
	uint32_t *string_index;	  /* by str_id; 0 = not yet given (or "") */
	uint32_t *function_id;	  /* by func_id; 0 = not yet given */
	uint32_t *frame_location; /* location of a frame alone, by frame_id */
	uint32_t *node_location;  /* location that ends at this node, by node_id */
	struct u64map inlined;	  /* hash of frames -> location */
	VEC(uint32_t) locations;  /* one node that has it, by location id - 1 */
	VEC(struct func_id) functions;
	VEC(struct slice) strings;
	VEC(struct mapping_name) made_up; /* mappings behind those of the profile */
	struct label *labels;		  /* p->label, each set ordered by its words */
	struct buf body, inner;		  /* a message, and one within it, before their sizes are known */
	int error;
};

static void encoder_done(struct encoder *e)
{
	free(e->string_index);
	free(e->function_id);
	free(e->frame_location);
	free(e->node_location);
	u64map_done(&e->inlined);
	vec_done(NULL, &e->locations);
	vec_done(NULL, &e->functions);
	vec_done(NULL, &e->strings);
	vec_done(NULL, &e->made_up);
	free(e->labels);
	buf_done(&e->body);
	buf_done(&e->inner);
}

/* Appends to one of the encoder's vectors; failure is sticky. */
#define push(e, v, ...)                                                                                                \
	do {                                                                                                           \
		int r_ = vec_reserve(NULL, &(e)->v, 1);                                                                \
		if (r_ < 0)                                                                                            \
			(e)->error = r_;                                                                               \
		else                                                                                                   \
			(e)->v.data[(e)->v.n++] = (__VA_ARGS__);                                                       \
	} while (0)

static uint32_t string_index(struct encoder *e, struct str_id s)
{
	if (s.v && !e->string_index[s.v]) {
		push(e, strings, strtab_get(&e->p->dict.strings, s));
		e->string_index[s.v] = e->strings.n;
	}
	return e->string_index[s.v];
}

static uint32_t function_id(struct encoder *e, struct func_id f)
{
	if (f.v && !e->function_id[f.v]) {
		push(e, functions, f);
		e->function_id[f.v] = e->functions.n;
	}
	return e->function_id[f.v];
}

/* --- locations --- */

static const struct frame *node_frame(const struct encoder *e, uint32_t node)
{
	return &e->p->dict.frames.data[e->p->dict.node_frame.data[node].v];
}

/* The node that `node` is inlined into, or 0. */
static uint32_t inlined_into(const struct encoder *e, uint32_t node)
{
	const struct frame *f = node_frame(e, node);
	uint32_t parent = e->p->dict.node_parent.data[node].v;
	if (!(f->flags & FRAME_INLINED) || parent == 0)
		return 0;
	const struct frame *into = node_frame(e, parent);
	return into->address == f->address && into->mapping.v == f->mapping.v ? parent : 0;
}

static bool same_location(const struct encoder *e, uint32_t a, uint32_t b)
{
	const struct frame_id *frame = e->p->dict.node_frame.data;
	while (a && b && frame[a].v == frame[b].v) {
		a = inlined_into(e, a);
		b = inlined_into(e, b);
	}
	return a == 0 && b == 0;
}

static uint32_t new_location(struct encoder *e, uint32_t node)
{
	push(e, locations, node);
	return e->locations.n;
}

static uint32_t inlined_location(struct encoder *e, uint32_t node)
{
	uint64_t key = 0;
	for (uint32_t n = node; n; n = inlined_into(e, n))
		key = XXH3_64bits_withSeed(&e->p->dict.node_frame.data[n], sizeof(struct frame_id), key);
	for (;; key++) {
		uint32_t *id = u64map_put(&e->inlined, key);
		if (!id) {
			e->error = -ENOMEM;
			return 0;
		}
		if (*id == 0)
			return *id = new_location(e, node);
		if (same_location(e, e->locations.data[*id - 1], node))
			return *id;
	}
}

static uint32_t location_id(struct encoder *e, uint32_t node)
{
	if (!inlined_into(e, node)) {
		uint32_t *id = &e->frame_location[e->p->dict.node_frame.data[node].v];
		if (!*id)
			*id = new_location(e, node);
		return *id;
	}
	if (!e->node_location[node])
		e->node_location[node] = inlined_location(e, node);
	return e->node_location[node];
}

/* The mapping that is nothing but this path; one of the profile's if it is
 * there already. */
static uint32_t made_up_mapping(struct encoder *e, const struct mapping_name *name)
{
	const struct dict *d = &e->p->dict;
	bool found;
	struct mapping row = { .path = strtab_find(&d->strings, slice_str(name->path), &found) };
	for (uint32_t i = 1; found && i < d->mappings.n; i++)
		if (memcmp(&d->mappings.data[i], &row, sizeof(row)) == 0)
			return i;
	push(e, made_up, *name);
	return d->mappings.n + e->made_up.n - 1;
}

static uint32_t mapping_id(struct encoder *e, const struct frame *f)
{
	static const struct mapping_name names[] = {
		{ FRAME_KERNEL, "[kernel]" },
		{ FRAME_JIT, "[jit]" },
		{ FRAME_SYNTHETIC, "[wick]" },
	};
	if (f->mapping.v)
		return f->mapping.v;
	for (uint32_t i = 0; i < e->made_up.n; i++)
		if (e->made_up.data[i].kind == f->kind)
			return e->p->dict.mappings.n + i;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].kind == f->kind)
			return made_up_mapping(e, &names[i]);
	return 0;
}

/* A whole frame without function, line and column is a location without
 * lines; among others it needs its place. */
static bool has_line(const struct encoder *e, uint32_t node)
{
	const struct frame *f = node_frame(e, node);
	return f->function.v || f->line || f->column || inlined_into(e, node);
}

static void put_location(struct encoder *e, uint32_t id)
{
	uint32_t node = e->locations.data[id - 1];
	const struct frame *frame = node_frame(e, node);
	e->body.n = 0;
	pb_put_uint(&e->body, LOCATION_ID, id);
	pb_put_uint(&e->body, LOCATION_MAPPING_ID, mapping_id(e, frame));
	pb_put_uint(&e->body, LOCATION_ADDRESS, frame->address);
	for (uint32_t n = has_line(e, node) ? node : 0; n; n = inlined_into(e, n)) {
		const struct frame *f = node_frame(e, n);
		e->inner.n = 0;
		pb_put_uint(&e->inner, LINE_FUNCTION_ID, function_id(e, f->function));
		pb_put_uint(&e->inner, LINE_LINE, f->line);
		pb_put_uint(&e->inner, LINE_COLUMN, f->column);
		pb_put_bytes(&e->body, LOCATION_LINE, slice_of(e->inner.data, e->inner.n));
	}
	if (frame->flags & FRAME_IS_FOLDED)
		pb_put_uint(&e->body, LOCATION_IS_FOLDED, 1);
	pb_put_uint(&e->body, LOCATION_WICK_FOUND, frame->found);
	pb_put_bytes(e->out, PROFILE_LOCATION, slice_of(e->body.data, e->body.n));
}

/* --- samples --- */

static int compare_words(const struct profile *p, struct str_id a, struct str_id b)
{
	struct slice x = strtab_get(&p->dict.strings, a), y = strtab_get(&p->dict.strings, b);
	int c = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
	return c ? c : (x.size > y.size) - (x.size < y.size);
}

static int compare_labels(const void *a, const void *b, void *arg)
{
	const struct label *x = a, *y = b;
	int c = compare_words(arg, x->key, y->key);
	if (c == 0)
		c = (x->is_num > y->is_num) - (x->is_num < y->is_num);
	if (c == 0)
		c = compare_words(arg, x->str, y->str);
	if (c == 0)
		c = (x->num > y->num) - (x->num < y->num);
	return c ? c : compare_words(arg, x->unit, y->unit);
}

/* A number is written even when 0: that tells it from an empty string. */
static void put_label(struct encoder *e, const struct label *l)
{
	e->inner.n = 0;
	pb_put_uint(&e->inner, LABEL_KEY, string_index(e, l->key));
	pb_put_uint(&e->inner, LABEL_STR, string_index(e, l->str));
	if (l->is_num) {
		pb_put_key(&e->inner, LABEL_NUM, PB_VARINT);
		pb_put_varint(&e->inner, (uint64_t)l->num);
	}
	pb_put_uint(&e->inner, LABEL_NUM_UNIT, string_index(e, l->unit));
	pb_put_bytes(&e->body, SAMPLE_LABEL, slice_of(e->inner.data, e->inner.n));
}

/* Leaf first, packed. */
static void put_stack(struct encoder *e, struct node_id leaf)
{
	if (leaf.v == 0)
		return;
	e->inner.n = 0;
	for (uint32_t node = leaf.v; node && e->error == 0;) {
		pb_put_varint(&e->inner, location_id(e, node));
		for (uint32_t into; (into = inlined_into(e, node)) != 0;)
			node = into;
		node = e->p->dict.node_parent.data[node].v;
	}
	pb_put_bytes(&e->body, SAMPLE_LOCATION_ID, slice_of(e->inner.data, e->inner.n));
}

static void put_sample(struct encoder *e, uint32_t row)
{
	const struct profile *p = e->p;
	e->body.n = 0;
	put_stack(e, p->node.data[row]);
	e->inner.n = 0;
	for (uint32_t t = 0; t < p->n_types; t++)
		pb_put_varint(&e->inner, (uint64_t)p->value[t].data[row]);
	pb_put_bytes(&e->body, SAMPLE_VALUE, slice_of(e->inner.data, e->inner.n));
	uint32_t set = p->labels.data[row].v;
	for (uint32_t i = p->labels_off.data[set]; i < p->labels_off.data[set + 1]; i++)
		put_label(e, &e->labels[i]);
	pb_put_bytes(e->out, PROFILE_SAMPLE, slice_of(e->body.data, e->body.n));
}

/* --- the rest --- */

static void put_value_type(struct encoder *e, enum profile_field field, const struct value_type *t)
{
	e->body.n = 0;
	pb_put_uint(&e->body, VALUE_TYPE_TYPE, string_index(e, t->type));
	pb_put_uint(&e->body, VALUE_TYPE_UNIT, string_index(e, t->unit));
	pb_put_bytes(e->out, field, slice_of(e->body.data, e->body.n));
}

static void put_mapping(struct encoder *e, uint32_t id)
{
	const struct mapping *m = &e->p->dict.mappings.data[id];
	e->body.n = 0;
	pb_put_uint(&e->body, PB_MAPPING_ID, id);
	pb_put_uint(&e->body, PB_MAPPING_START, m->start);
	pb_put_uint(&e->body, PB_MAPPING_LIMIT, m->limit);
	pb_put_uint(&e->body, PB_MAPPING_OFFSET, m->offset);
	pb_put_uint(&e->body, PB_MAPPING_FILENAME, string_index(e, m->path));
	pb_put_uint(&e->body, PB_MAPPING_BUILD_ID, string_index(e, m->build_id));
	pb_put_uint(&e->body, PB_MAPPING_HAS_FUNCTIONS, (m->flags & MAPPING_HAS_FUNCTIONS) != 0);
	pb_put_uint(&e->body, PB_MAPPING_HAS_FILENAMES, (m->flags & MAPPING_HAS_FILENAMES) != 0);
	pb_put_uint(&e->body, PB_MAPPING_HAS_LINE_NUMBERS, (m->flags & MAPPING_HAS_LINES) != 0);
	pb_put_uint(&e->body, PB_MAPPING_HAS_INLINE_FRAMES, (m->flags & MAPPING_HAS_INLINES) != 0);
	pb_put_bytes(e->out, PROFILE_MAPPING, slice_of(e->body.data, e->body.n));
}

static void put_made_up_mapping(struct encoder *e, uint32_t i)
{
	struct slice path = slice_str(e->made_up.data[i].path);
	bool found;
	struct str_id id = strtab_find(&e->p->dict.strings, path, &found);
	if (!found)
		push(e, strings, path);
	e->body.n = 0;
	pb_put_uint(&e->body, PB_MAPPING_ID, e->p->dict.mappings.n + i);
	pb_put_uint(&e->body, PB_MAPPING_FILENAME, found ? string_index(e, id) : e->strings.n);
	pb_put_bytes(e->out, PROFILE_MAPPING, slice_of(e->body.data, e->body.n));
}

static void put_function(struct encoder *e, uint32_t id)
{
	const struct function *f = &e->p->dict.functions.data[e->functions.data[id - 1].v];
	e->body.n = 0;
	pb_put_uint(&e->body, FUNCTION_ID, id);
	pb_put_uint(&e->body, FUNCTION_NAME, string_index(e, f->name));
	pb_put_uint(&e->body, FUNCTION_SYSTEM_NAME, string_index(e, f->system_name));
	pb_put_uint(&e->body, FUNCTION_FILENAME, string_index(e, f->file));
	pb_put_uint(&e->body, FUNCTION_START_LINE, f->start_line);
	pb_put_bytes(e->out, PROFILE_FUNCTION, slice_of(e->body.data, e->body.n));
}

/* Everything but rows and strings. */
static void put_header(struct encoder *e)
{
	const struct profile *p = e->p;
	pb_put_uint(e->out, PROFILE_DROP_FRAMES, string_index(e, p->drop_frames));
	pb_put_uint(e->out, PROFILE_KEEP_FRAMES, string_index(e, p->keep_frames));
	pb_put_uint(e->out, PROFILE_TIME_NANOS, (uint64_t)p->time_ns);
	pb_put_uint(e->out, PROFILE_DURATION_NANOS, (uint64_t)p->duration_ns);
	if (p->period_type.type.v || p->period_type.unit.v)
		put_value_type(e, PROFILE_PERIOD_TYPE, &p->period_type);
	pb_put_uint(e->out, PROFILE_PERIOD, (uint64_t)p->period);
	for (uint32_t i = 0; i < p->comments.n; i++) {
		pb_put_key(e->out, PROFILE_COMMENT, PB_VARINT);
		pb_put_varint(e->out, string_index(e, p->comments.data[i]));
	}
	pb_put_uint(e->out, PROFILE_DEFAULT_SAMPLE_TYPE, string_index(e, p->default_type));
	pb_put_uint(e->out, PROFILE_DOC_URL, string_index(e, p->doc_url));
}

static void put_profile(struct encoder *e)
{
	const struct profile *p = e->p;
	for (uint32_t t = 0; t < p->n_types; t++)
		put_value_type(e, PROFILE_SAMPLE_TYPE, &p->types[t]);
	for (uint32_t i = 0; i < profile_n_samples(p) && e->error == 0 && !e->out->failed; i++)
		put_sample(e, i);
	for (uint32_t i = 1; i < p->dict.mappings.n; i++)
		put_mapping(e, i);
	for (uint32_t i = 0; i < e->locations.n; i++)
		(void)mapping_id(e, node_frame(e, e->locations.data[i]));
	for (uint32_t i = 0; i < e->made_up.n && e->error == 0; i++)
		put_made_up_mapping(e, i);
	for (uint32_t i = 1; i <= e->locations.n; i++)
		put_location(e, i);
	for (uint32_t i = 1; i <= e->functions.n; i++)
		put_function(e, i);
	put_header(e);
	pb_put_bytes(e->out, PROFILE_STRING_TABLE, slice_of("", 0));
	for (uint32_t i = 0; i < e->strings.n; i++)
		pb_put_bytes(e->out, PROFILE_STRING_TABLE, e->strings.data[i]);
}

static int encoder_init(struct encoder *e)
{
	const struct profile *p = e->p;
	u64map_init(&e->inlined, NULL);
	e->body = buf_of(SIZE_MAX / 2);
	e->inner = buf_of(SIZE_MAX / 2);
	e->string_index = calloc(strtab_count(&p->dict.strings), sizeof(uint32_t));
	e->function_id = calloc(p->dict.functions.n, sizeof(uint32_t));
	e->frame_location = calloc(p->dict.frames.n, sizeof(uint32_t));
	e->node_location = calloc(dict_n_nodes(&p->dict), sizeof(uint32_t));
	e->labels = malloc((size_t)p->label.n * sizeof(*e->labels) + 1);
	if (!e->string_index || !e->function_id || !e->frame_location || !e->node_location || !e->labels)
		return -ENOMEM;
	for (uint32_t set = 0; set + 1 < p->labels_off.n; set++) {
		uint32_t from = p->labels_off.data[set], n = p->labels_off.data[set + 1] - from;
		if (n == 0)
			continue;
		memcpy(e->labels + from, p->label.data + from, n * sizeof(*e->labels));
		qsort_r(e->labels + from, n, sizeof(*e->labels), compare_labels, (void *)(uintptr_t)p);
	}
	return 0;
}

int pprof_encode(const struct profile *p, struct buf *out)
{
	_cleanup_(encoder_done)
	struct encoder e = { .p = p, .out = out };
	int r = encoder_init(&e);
	if (r < 0)
		return r;
	put_profile(&e);
	if (e.error < 0)
		return e.error;
	if (e.body.failed || e.inner.failed)
		return -ENOMEM;
	return out->failed ? -E2BIG : 0;
}

int pprof_encode_gz(const struct profile *p, struct buf *out)
{
	_cleanup_(buf_done)
	struct buf plain = buf_of(SIZE_MAX / 2);
	int r = pprof_encode(p, &plain);
	return r < 0 ? r : gzip_compress(slice_of(plain.data, plain.n), 6, out);
}
