/* SPDX-License-Identifier: Apache-2.0 */
/* Samples first, the tables they lead to behind them: rows are numbered in
 * the order of first use, so that the bytes depend on what the profile says
 * and not on how it came to be. Only mappings keep their order, since the
 * first one is the program.
 *
 *   node (leaf) -> stack -> chain = a frame and what it is inlined into
 *               -> location -> functions, attributes -> strings */
#include "format/otlp.h"

#include "format/inflate.h"
#include "format/otlp_group.h"
#include "format/otlp_names.h"
#include "format/otlp_wire.h"
#include "format/protobuf.h"

#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Where there are comments, they are the first attribute: the only one whose
 * value is an array. */
#define COMMENTS_ROW 1

struct chain {
	uint32_t frame, into; /* into: index of the chain around it, 0 = none */
	uint32_t location;    /* 0 = not yet given */
};

struct encoder {
	const struct profile *p;
	struct buf *out;
	struct strtab strings;	     /* of the file */
	uint32_t *string_index;	     /* by str_id of the profile; 0 = not yet given (or "") */
	uint32_t *function_row;	     /* by func_id; 0 = not yet given */
	uint32_t *node_chain;	     /* by node_id */
	uint32_t *node_stack;	     /* by node_id; 0 = not yet given */
	uint32_t *labels_off;	     /* by labels_id: where its attributes stand, + 1 */
	struct u64map chain_ids;     /* into << 32 | frame -> chain */
	struct u64map attribute_ids; /* by hash */
	VEC(struct chain) chains;
	VEC(uint32_t) locations; /* chains */
	VEC(struct func_id) functions;
	VEC(uint32_t) stacks;	      /* nodes */
	VEC(struct label) attributes; /* with ids of e->strings */
	VEC(uint32_t) label_rows;     /* n, then n rows of the attribute table */
	struct otlp_groups groups;
	struct buf dictionary, scope, body, inner, indices; /* messages before their sizes are known */
	struct buf values, times;			    /* of the sample at hand */
	int error;
};

static void encoder_done(struct encoder *e)
{
	strtab_done(&e->strings);
	free(e->string_index);
	free(e->function_row);
	free(e->node_chain);
	free(e->node_stack);
	free(e->labels_off);
	u64map_done(&e->chain_ids);
	u64map_done(&e->attribute_ids);
	vec_done(NULL, &e->chains);
	vec_done(NULL, &e->locations);
	vec_done(NULL, &e->functions);
	vec_done(NULL, &e->stacks);
	vec_done(NULL, &e->attributes);
	vec_done(NULL, &e->label_rows);
	buf_done(&e->dictionary);
	buf_done(&e->scope);
	buf_done(&e->body);
	buf_done(&e->inner);
	buf_done(&e->indices);
	buf_done(&e->values);
	buf_done(&e->times);
	otlp_groups_done(&e->groups);
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

static struct slice written(const struct buf *b)
{
	return slice_of(b->data, b->n);
}

static struct str_id file_string(struct encoder *e, struct slice text)
{
	struct str_id id = { 0 };
	int r = strtab_intern(&e->strings, text, &id);
	if (r < 0)
		e->error = r;
	return id;
}

static struct str_id string_of(struct encoder *e, struct str_id s)
{
	if (s.v && !e->string_index[s.v])
		e->string_index[s.v] = file_string(e, strtab_get(&e->p->dict.strings, s)).v;
	return (struct str_id){ e->string_index[s.v] };
}

static uint32_t function_row(struct encoder *e, struct func_id f)
{
	if (f.v && !e->function_row[f.v]) {
		push(e, functions, f);
		e->function_row[f.v] = e->functions.n;
	}
	return e->function_row[f.v];
}

/* Row of an attribute, `a` being in terms of e->strings. */
static uint32_t attribute_row(struct encoder *e, const struct label *a)
{
	for (uint64_t key = XXH3_64bits(a, sizeof(*a));; key++) {
		uint32_t *row = u64map_put(&e->attribute_ids, key);
		if (!row) {
			e->error = -ENOMEM;
			return 0;
		}
		if (*row == 0) {
			push(e, attributes, *a);
			*row = e->attributes.n ? e->attributes.n : 1;
			return *row;
		}
		if (e->error < 0 || memcmp(&e->attributes.data[*row - 1], a, sizeof(*a)) == 0)
			return *row;
	}
}

static uint32_t text_attribute(struct encoder *e, const char *key, struct slice text)
{
	struct label a = { .key = file_string(e, slice_str(key)), .str = file_string(e, text) };
	return attribute_row(e, &a);
}

/* Packed; nothing is written when there are none. */
static void put_indices(struct encoder *e, struct buf *out, uint32_t field)
{
	if (e->indices.n)
		pb_put_bytes(out, field, written(&e->indices));
}

/* --- stacks and what they are made of --- */

/* Parents come before their children: so do the chains around them. */
static int number_chains(struct encoder *e)
{
	const struct dict *d = &e->p->dict;
	push(e, chains, (struct chain){ 0 });
	for (uint32_t node = 1; node < dict_n_nodes(d) && e->error == 0; node++) {
		uint32_t frame = d->node_frame.data[node].v, parent = d->node_parent.data[node].v;
		const struct frame *f = &d->frames.data[frame];
		const struct frame *around = &d->frames.data[d->node_frame.data[parent].v];
		uint32_t into = 0;
		if ((f->flags & FRAME_INLINED) && parent && around->address == f->address &&
		    around->mapping.v == f->mapping.v && around->kind == f->kind)
			into = e->node_chain[parent];
		uint32_t *id = u64map_put(&e->chain_ids, (uint64_t)into << 32 | frame);
		if (!id)
			return -ENOMEM;
		if (*id == 0) {
			*id = e->chains.n;
			push(e, chains, (struct chain){ frame, into, 0 });
		}
		e->node_chain[node] = *id;
	}
	return e->error;
}

static uint32_t location_row(struct encoder *e, uint32_t chain)
{
	if (!e->chains.data[chain].location) {
		push(e, locations, chain);
		e->chains.data[chain].location = e->locations.n;
	}
	return e->chains.data[chain].location;
}

static uint32_t stack_row(struct encoder *e, uint32_t node)
{
	if (node && !e->node_stack[node]) {
		push(e, stacks, node);
		e->node_stack[node] = e->stacks.n;
	}
	return e->node_stack[node];
}

static void put_stack(struct encoder *e, uint32_t node)
{
	e->indices.n = 0;
	while (node && e->error == 0) {
		uint32_t chain = e->node_chain[node];
		pb_put_varint(&e->indices, location_row(e, chain));
		for (; e->chains.data[chain].into; chain = e->chains.data[chain].into)
			node = e->p->dict.node_parent.data[node].v;
		node = e->p->dict.node_parent.data[node].v;
	}
	e->body.n = 0;
	put_indices(e, &e->body, STACK_LOCATION_INDICES);
	pb_put_bytes(&e->dictionary, DICTIONARY_STACK, written(&e->body));
}

/* Said unless it is what a reader assumes. */
static void location_attributes(struct encoder *e, const struct frame *f)
{
	const struct dict *d = &e->p->dict;
	enum frame_kind assumed = frame_kind_of_path(strtab_get(&d->strings, d->mappings.data[f->mapping.v].path));
	e->indices.n = 0;
	if (f->kind != FRAME_USER || assumed != FRAME_USER)
		pb_put_varint(&e->indices, text_attribute(e, KEY_FRAME_TYPE,
							  slice_str(otlp_type_of_kind((enum frame_kind)f->kind))));
	if (f->found)
		pb_put_varint(&e->indices, text_attribute(e, KEY_FRAME_FOUND,
							  slice_str(frame_found_name((enum frame_found)f->found))));
	if (f->flags & FRAME_IS_FOLDED)
		pb_put_varint(&e->indices, text_attribute(e, KEY_IS_FOLDED, slice_str("true")));
}

/* A whole frame without function, line and column is a location without
 * lines; among others it needs its place. */
static void put_location(struct encoder *e, const struct chain *chain)
{
	const struct dict *d = &e->p->dict;
	const struct frame *frame = &d->frames.data[chain->frame];
	bool has_line = chain->into || frame->function.v || frame->line || frame->column;
	e->body.n = 0;
	pb_put_uint(&e->body, OTLP_LOCATION_MAPPING, frame->mapping.v);
	pb_put_uint(&e->body, OTLP_LOCATION_ADDRESS, frame->address);
	for (const struct chain *c = chain; has_line && c->frame; c = &e->chains.data[c->into]) {
		const struct frame *f = &d->frames.data[c->frame];
		e->inner.n = 0;
		pb_put_uint(&e->inner, OTLP_LINE_FUNCTION, function_row(e, f->function));
		pb_put_uint(&e->inner, OTLP_LINE_LINE, f->line);
		pb_put_uint(&e->inner, OTLP_LINE_COLUMN, f->column);
		pb_put_bytes(&e->body, OTLP_LOCATION_LINES, written(&e->inner));
	}
	location_attributes(e, frame);
	put_indices(e, &e->body, OTLP_LOCATION_ATTRIBUTES);
	pb_put_bytes(&e->dictionary, DICTIONARY_LOCATION, written(&e->body));
}

static void put_function(struct encoder *e, const struct function *f)
{
	e->body.n = 0;
	pb_put_uint(&e->body, OTLP_FUNCTION_NAME, string_of(e, f->name).v);
	pb_put_uint(&e->body, OTLP_FUNCTION_SYSTEM_NAME, string_of(e, f->system_name).v);
	pb_put_uint(&e->body, OTLP_FUNCTION_FILENAME, string_of(e, f->file).v);
	pb_put_uint(&e->body, OTLP_FUNCTION_START_LINE, f->start_line);
	pb_put_bytes(&e->dictionary, DICTIONARY_FUNCTION, written(&e->body));
}

/* Go's build ids are not hex. */
static const char *build_id_key(struct slice id)
{
	for (size_t i = 0; i < id.size; i++)
		if (!memchr("0123456789abcdef", id.data[i], 16))
			return KEY_BUILD_ID_GO;
	return KEY_BUILD_ID_GNU;
}

static void put_mapping(struct encoder *e, const struct mapping *m)
{
	struct slice build_id = strtab_get(&e->p->dict.strings, m->build_id);
	e->indices.n = 0;
	if (build_id.size)
		pb_put_varint(&e->indices, text_attribute(e, build_id_key(build_id), build_id));
	for (uint32_t i = 0; i < ARRAY_SIZE(otlp_mapping_flag_keys); i++)
		if (m->flags & UINT32_C(1) << i)
			pb_put_varint(&e->indices, text_attribute(e, otlp_mapping_flag_keys[i], slice_str("true")));
	e->body.n = 0;
	pb_put_uint(&e->body, OTLP_MAPPING_START, m->start);
	pb_put_uint(&e->body, OTLP_MAPPING_LIMIT, m->limit);
	pb_put_uint(&e->body, OTLP_MAPPING_OFFSET, m->offset);
	pb_put_uint(&e->body, OTLP_MAPPING_FILENAME, string_of(e, m->path).v);
	put_indices(e, &e->body, OTLP_MAPPING_ATTRIBUTES);
	pb_put_bytes(&e->dictionary, DICTIONARY_MAPPING, written(&e->body));
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

/* Rows of a set's attributes in label_rows, its size first; by their words,
 * since ids are given out by chance. */
static const uint32_t *label_rows(struct encoder *e, struct labels_id id)
{
	if (!e->labels_off[id.v]) {
		struct label sorted[LABELS_MAX];
		uint32_t n;
		const struct label *set = profile_label_set(e->p, id, &n);
		if (n)
			memcpy(sorted, set, n * sizeof(*set));
		qsort_r(sorted, n, sizeof(*sorted), compare_labels, (void *)(uintptr_t)e->p);
		e->labels_off[id.v] = e->label_rows.n + 1;
		push(e, label_rows, n);
		for (uint32_t i = 0; i < n && e->error == 0; i++) {
			struct label *l = &sorted[i];
			struct slice key = strtab_get(&e->p->dict.strings, l->key), known = otlp_key_of_label(key);
			l->key = known.data == key.data ? string_of(e, l->key) : file_string(e, known);
			l->str = string_of(e, l->str);
			l->unit = string_of(e, l->unit);
			push(e, label_rows, attribute_row(e, l));
		}
	}
	return e->error < 0 ? NULL : e->label_rows.data + e->labels_off[id.v] - 1;
}

static void put_fixed64(struct buf *out, uint64_t v)
{
	uint8_t bytes[8];
	for (unsigned i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(v >> 8 * i);
	buf_add(out, bytes, sizeof(bytes));
}

/* Of rows with several values, those of the first type are all written: that
 * keeps their order. False: there is none of this type. */
static bool collect_values(struct encoder *e, uint32_t type, uint32_t row)
{
	const struct profile *p = e->p;
	e->values.n = e->times.n = 0;
	do {
		int64_t value = p->value[type].data[row], time = profile_sample_time(p, row);
		if (type > 0 && value == 0)
			continue;
		pb_put_varint(&e->values, (uint64_t)value);
		if (time)
			put_fixed64(&e->times, (uint64_t)time);
	} while (otlp_group_next(&e->groups, &row));
	return e->values.n > 0;
}

/* A row, or all that differ from it only in their times. */
static void put_sample(struct encoder *e, uint32_t type, uint32_t row)
{
	const struct profile *p = e->p;
	if (!collect_values(e, type, row))
		return;
	const uint32_t *rows = label_rows(e, p->labels.data[row]);
	e->indices.n = 0;
	for (uint32_t i = 1; rows && i <= rows[0]; i++)
		pb_put_varint(&e->indices, rows[i]);
	e->inner.n = 0;
	pb_put_uint(&e->inner, OTLP_SAMPLE_STACK, stack_row(e, p->node.data[row].v));
	put_indices(e, &e->inner, OTLP_SAMPLE_ATTRIBUTES);
	pb_put_bytes(&e->inner, OTLP_SAMPLE_VALUES, written(&e->values));
	if (e->times.n)
		pb_put_bytes(&e->inner, OTLP_SAMPLE_TIMES, written(&e->times));
	pb_put_bytes(&e->body, OTLP_PROFILE_SAMPLES, written(&e->inner));
}

/* --- profiles --- */

static void put_value_type(struct encoder *e, uint32_t field, const struct value_type *t)
{
	e->inner.n = 0;
	pb_put_uint(&e->inner, OTLP_TYPE_TYPE, string_of(e, t->type).v);
	pb_put_uint(&e->inner, OTLP_TYPE_UNIT, string_of(e, t->unit).v);
	pb_put_bytes(&e->body, field, written(&e->inner));
}

/* The one type that counts periods: "samples", the period's own, or the first. */
static uint32_t type_of_period(const struct profile *p)
{
	for (uint32_t t = 0; t < p->n_types; t++)
		if (slice_eq(strtab_get(&p->dict.strings, p->types[t].type), slice_str("samples")))
			return t;
	for (uint32_t t = 0; t < p->n_types; t++)
		if (p->types[t].type.v == p->period_type.type.v)
			return t;
	return 0;
}

static void put_fact(struct encoder *e, const char *key, struct str_id text)
{
	if (text.v)
		pb_put_varint(&e->indices, text_attribute(e, key, strtab_get(&e->p->dict.strings, text)));
}

/* What belongs to the profile as a whole stands in the first. */
static void put_facts(struct encoder *e)
{
	e->indices.n = 0;
	put_fact(e, KEY_DOC_URL, e->p->doc_url);
	put_fact(e, KEY_DROP_FRAMES, e->p->drop_frames);
	put_fact(e, KEY_KEEP_FRAMES, e->p->keep_frames);
	if (e->p->comments.n)
		pb_put_varint(&e->indices, COMMENTS_ROW);
	put_indices(e, &e->body, OTLP_PROFILE_ATTRIBUTES);
}

static void put_profile(struct encoder *e, uint32_t type)
{
	const struct profile *p = e->p;
	e->body.n = 0;
	if (type < p->n_types)
		put_value_type(e, OTLP_PROFILE_SAMPLE_TYPE, &p->types[type]);
	for (uint32_t i = 0; type < p->n_types && i < profile_n_samples(p) && e->error == 0; i++)
		if (otlp_group_starts(&e->groups, i))
			put_sample(e, type, i);
	pb_put_key(&e->body, OTLP_PROFILE_TIME, PB_64);
	put_fixed64(&e->body, (uint64_t)p->time_ns);
	pb_put_uint(&e->body, OTLP_PROFILE_DURATION, (uint64_t)p->duration_ns);
	if (type == type_of_period(p)) {
		if (p->period_type.type.v || p->period_type.unit.v)
			put_value_type(e, OTLP_PROFILE_PERIOD_TYPE, &p->period_type);
		pb_put_uint(&e->body, OTLP_PROFILE_PERIOD, (uint64_t)p->period);
	}
	if (type == 0)
		put_facts(e);
	pb_put_bytes(&e->scope, SCOPE_PROFILES_PROFILES, written(&e->body));
}

static void put_text(struct buf *out, struct slice text)
{
	pb_put_bytes(out, ANY_STRING, text);
}

static void put_comments(struct encoder *e)
{
	_cleanup_(buf_done)
	struct buf array = buf_of(SIZE_MAX / 2);
	for (uint32_t i = 0; i < e->p->comments.n; i++) {
		e->inner.n = 0;
		put_text(&e->inner, strtab_get(&e->p->dict.strings, e->p->comments.data[i]));
		pb_put_bytes(&array, 1, written(&e->inner));
	}
	e->inner.n = 0;
	pb_put_bytes(&e->inner, ANY_ARRAY, written(&array));
	e->inner.failed |= array.failed;
}

static void put_any(struct encoder *e, const struct label *a)
{
	e->inner.n = 0;
	if (a->is_num) {
		pb_put_key(&e->inner, ANY_INT, PB_VARINT);
		pb_put_varint(&e->inner, (uint64_t)a->num);
	} else {
		put_text(&e->inner, strtab_get(&e->strings, a->str));
	}
}

/* The name of the writer, and the type to show first. */
static void put_scope(struct encoder *e)
{
	e->body.n = 0;
	pb_put_bytes(&e->body, SCOPE_NAME, slice_str("wick"));
	if (e->p->default_type.v) {
		struct label a = { .str = file_string(e, strtab_get(&e->p->dict.strings, e->p->default_type)) };
		put_any(e, &a);
		e->indices.n = 0;
		pb_put_bytes(&e->indices, KEY_VALUE_KEY, slice_str(KEY_DEFAULT_TYPE));
		pb_put_bytes(&e->indices, KEY_VALUE_VALUE, written(&e->inner));
		put_indices(e, &e->body, SCOPE_ATTRIBUTES);
	}
	pb_put_bytes(&e->scope, SCOPE_PROFILES_SCOPE, written(&e->body));
}

static void put_attribute(struct encoder *e, uint32_t row)
{
	const struct label *a = &e->attributes.data[row - 1];
	e->body.n = 0;
	pb_put_uint(&e->body, ATTRIBUTE_KEY_STRINDEX, a->key.v);
	if (row == COMMENTS_ROW && e->p->comments.n)
		put_comments(e);
	else
		put_any(e, a);
	pb_put_bytes(&e->body, ATTRIBUTE_VALUE, written(&e->inner));
	pb_put_uint(&e->body, ATTRIBUTE_UNIT, a->unit.v);
	pb_put_bytes(&e->dictionary, DICTIONARY_ATTRIBUTE, written(&e->body));
}

static void put_dictionary(struct encoder *e)
{
	const struct dict *d = &e->p->dict;
	struct slice none = slice_of("", 0);
	for (uint32_t table = DICTIONARY_MAPPING; table <= DICTIONARY_STACK; table++)
		if (table != DICTIONARY_STRING)
			pb_put_bytes(&e->dictionary, table, none);
	for (uint32_t i = 1; i < d->mappings.n; i++)
		put_mapping(e, &d->mappings.data[i]);
	for (uint32_t i = 0; i < e->stacks.n && e->error == 0; i++)
		put_stack(e, e->stacks.data[i]);
	for (uint32_t i = 0; i < e->locations.n; i++)
		put_location(e, &e->chains.data[e->locations.data[i]]);
	for (uint32_t i = 0; i < e->functions.n; i++)
		put_function(e, &d->functions.data[e->functions.data[i].v]);
	for (uint32_t row = 1; row <= e->attributes.n; row++)
		put_attribute(e, row);
	for (uint32_t i = 0; i < strtab_count(&e->strings); i++)
		pb_put_bytes(&e->dictionary, DICTIONARY_STRING, strtab_get(&e->strings, (struct str_id){ i }));
}

static int encoder_init(struct encoder *e)
{
	const struct profile *p = e->p;
	struct buf *bufs[] = { &e->dictionary, &e->scope, &e->body, &e->inner, &e->indices, &e->values, &e->times };
	for (size_t i = 0; i < ARRAY_SIZE(bufs); i++)
		*bufs[i] = buf_of(SIZE_MAX / 2);
	u64map_init(&e->chain_ids, NULL);
	u64map_init(&e->attribute_ids, NULL);
	int r = strtab_init(&e->strings, NULL);
	if (r == 0)
		r = otlp_groups_init(&e->groups, p);
	if (r < 0)
		return r;
	e->string_index = calloc(strtab_count(&p->dict.strings), sizeof(uint32_t));
	e->function_row = calloc(p->dict.functions.n, sizeof(uint32_t));
	e->node_chain = calloc(dict_n_nodes(&p->dict), sizeof(uint32_t));
	e->node_stack = calloc(dict_n_nodes(&p->dict), sizeof(uint32_t));
	e->labels_off = calloc(p->labels_off.n, sizeof(uint32_t));
	if (!e->string_index || !e->function_row || !e->node_chain || !e->node_stack || !e->labels_off)
		return -ENOMEM;
	return number_chains(e);
}

static void put_resource(struct encoder *e, const struct otlp_text *attributes, uint32_t n)
{
	_cleanup_(buf_done)
	struct buf resource = buf_of(SIZE_MAX / 2);
	for (uint32_t i = 0; i < n; i++) {
		if (attributes[i].value.size == 0)
			continue;
		e->inner.n = e->indices.n = 0;
		put_text(&e->inner, attributes[i].value);
		pb_put_bytes(&e->indices, KEY_VALUE_KEY, slice_str(attributes[i].key));
		pb_put_bytes(&e->indices, KEY_VALUE_VALUE, written(&e->inner));
		pb_put_bytes(&resource, RESOURCE_ATTRIBUTES, written(&e->indices));
	}
	if (resource.n)
		pb_put_bytes(&e->body, RESOURCE_PROFILES_RESOURCE, written(&resource));
	e->body.failed |= resource.failed;
}

int otlp_encode(const struct profile *p, struct buf *out)
{
	return otlp_encode_resource(p, NULL, 0, out);
}

int otlp_encode_resource(const struct profile *p, const struct otlp_text *attributes, uint32_t n, struct buf *out)
{
	_cleanup_(encoder_done)
	struct encoder e = { .p = p, .out = out };
	int r = encoder_init(&e);
	if (r < 0)
		return r;
	if (p->comments.n)
		push(&e, attributes, (struct label){ .key = file_string(&e, slice_str(KEY_COMMENT)) });
	put_scope(&e);
	put_profile(&e, 0);
	for (uint32_t t = 1; t < p->n_types; t++)
		put_profile(&e, t);
	put_dictionary(&e);
	e.body.n = 0;
	put_resource(&e, attributes, n);
	pb_put_bytes(&e.body, RESOURCE_PROFILES_SCOPE_PROFILES, written(&e.scope));
	pb_put_bytes(out, OTLP_RESOURCE_PROFILES, written(&e.body));
	pb_put_bytes(out, OTLP_DICTIONARY, written(&e.dictionary));
	if (e.error < 0)
		return e.error;
	if (e.dictionary.failed || e.scope.failed || e.body.failed || e.inner.failed || e.indices.failed ||
	    e.values.failed || e.times.failed)
		return -ENOMEM;
	return out->failed ? -E2BIG : 0;
}

int otlp_encode_gz(const struct profile *p, struct buf *out)
{
	_cleanup_(buf_done)
	struct buf plain = buf_of(SIZE_MAX / 2);
	int r = otlp_encode(p, &plain);
	return r < 0 ? r : gzip_compress(written(&plain), 6, out);
}
