/* SPDX-License-Identifier: Apache-2.0 */
/* Rows are known by their place in the table. Strings come last on the wire,
 * so that one walk takes them and notes where the other tables stand; those
 * are then read in the order of dependence:
 *
 *   attributes -> mappings, functions -> locations -> stacks
 *
 * Row 0 of each table is the zero value: "none" where it is empty. Before
 * v1.8 that was a habit, not a rule: a row 0 that says something counts. */
#include "format/otlp_decoder.h"

#include <inttypes.h>

static int take_string(struct otlp_decoder *d, const struct pb_field *f)
{
	if (d->strings.n >= d->limits->n_strings)
		return otlp_fail_limit(d, f->at, "strings", d->limits->n_strings);
	struct str_id id;
	int r = otlp_intern(d, f->at, f->bytes, &id);
	if (r < 0)
		return r;
	r = vec_reserve(d->p->budget, &d->strings, 1);
	if (r < 0)
		return otlp_fail_memory(d, f->at, r);
	d->strings.data[d->strings.n++] = id;
	return 0;
}

static int survey(struct otlp_decoder *d)
{
	static const char *const names[N_DICTIONARY_FIELDS] = {
		"",	      "mapping_table", "location_table",  "function_table",
		"link_table", "string_table",  "attribute_table", "stack_table",
	};
	struct pb_reader r = pb_reader_nested(d->dictionary);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number >= N_DICTIONARY_FIELDS)
			continue;
		k = otlp_expect_wire(d, &f, PB_BYTES, names[f.number]);
		if (k == 0 && f.number == DICTIONARY_STRING)
			k = take_string(d, &f);
		if (k < 0)
			return k;
		struct otlp_section *s = &d->sections[f.number];
		if (s->n == 0)
			s->first = (size_t)(f.at - d->bytes.data);
		s->end = (size_t)(r.at - d->bytes.data);
		uint32_t limit = f.number == DICTIONARY_STACK ? d->limits->n_samples : d->limits->n_locations;
		if (f.number != DICTIONARY_STRING && s->n >= limit)
			return otlp_fail_limit(d, f.at, names[f.number], limit);
		s->n++;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

/* Calls `row` for each row of one table. */
static int each_row(struct otlp_decoder *d, enum dictionary_field table, const char *name,
		    int (*row)(struct otlp_decoder *, const struct pb_field *))
{
	const struct otlp_section *s = &d->sections[table];
	struct pb_reader r = pb_reader_nested(slice_of(d->bytes.data + s->first, s->end - s->first));
	struct pb_field f;
	int k;
	d->row_name = name;
	d->row = 0;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != (uint32_t)table)
			continue;
		k = row(d, &f);
		if (k < 0)
			return k;
		d->row++;
	}
	d->row_name = NULL;
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

#define push_row(d, at, v, ...)                                                                                        \
	({                                                                                                             \
		int r_ = vec_reserve((d)->p->budget, &(d)->v, 1);                                                      \
		if (r_ == 0)                                                                                           \
			(d)->v.data[(d)->v.n++] = (__VA_ARGS__);                                                       \
		r_ < 0 ? otlp_fail_memory(d, at, r_) : 0;                                                              \
	})

/* A line or column: negative means unknown. */
static int line_field(struct otlp_decoder *d, const struct pb_field *f, const char *name, uint32_t *ret)
{
	uint64_t v;
	int r = otlp_number(d, f, name, &v);
	if (r < 0)
		return r;
	int64_t line = (int64_t)v < 0 ? 0 : (int64_t)v;
	if (line > UINT32_MAX)
		return otlp_fail(d, f->at, -EBADMSG, "%s %" PRId64 " does not fit into 32 bits", name, line);
	*ret = (uint32_t)line;
	return 0;
}

/* Of several build ids the best one: "better" is what the mapping has so far. */
static int mapping_attributes(struct otlp_decoder *d, const struct pb_field *f, struct mapping *m, uint8_t *better)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t index = 0;
	int k;
	while ((k = otlp_repeated_next(&r, f, &index)) > 0) {
		const struct otlp_attribute *a;
		k = otlp_attribute_at(d, f->at, index, &a);
		if (k < 0)
			return k;
		if (a->role == ROLE_MAPPING_FLAG)
			m->flags |= a->arg;
		if (a->role == ROLE_BUILD_ID && a->arg > *better) {
			m->build_id = a->label.str;
			*better = a->arg;
		}
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static int mapping_field(struct otlp_decoder *d, const struct pb_field *f, struct mapping *m, uint8_t *better)
{
	uint64_t flag = 0;
	int r;
	switch (f->number) {
	case OTLP_MAPPING_START:
		return otlp_number(d, f, "memory_start", &m->start);
	case OTLP_MAPPING_LIMIT:
		return otlp_number(d, f, "memory_limit", &m->limit);
	case OTLP_MAPPING_OFFSET:
		return otlp_number(d, f, "file_offset", &m->offset);
	case OTLP_MAPPING_FILENAME:
		return otlp_string(d, f, "filename_strindex", &m->path);
	case OTLP_MAPPING_ATTRIBUTES:
		return mapping_attributes(d, f, m, better);
	default:
		break;
	}
	if (d->layout != OTLP_1_7 || f->number < OTLP_MAPPING_HAS_FUNCTIONS_1_7 ||
	    f->number > OTLP_MAPPING_HAS_INLINES_1_7)
		return 0;
	r = otlp_number(d, f, "has_...", &flag);
	if (r == 0 && flag)
		m->flags |= UINT32_C(1) << (f->number - OTLP_MAPPING_HAS_FUNCTIONS_1_7);
	return r;
}

static int take_mapping(struct otlp_decoder *d, const struct pb_field *message)
{
	struct mapping m = { 0 };
	struct mapping_id id = { 0 };
	uint8_t better = 0;
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		k = mapping_field(d, &f, &m, &better);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	if (message->bytes.size)
		k = dict_mapping(&d->p->dict, &m, &id);
	return k < 0 ? otlp_fail_memory(d, message->at, k) : push_row(d, message->at, mappings, id);
}

static int take_function(struct otlp_decoder *d, const struct pb_field *message)
{
	struct function fn = { 0 };
	struct func_id id = { 0 };
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == OTLP_FUNCTION_NAME)
			k = otlp_string(d, &f, "name_strindex", &fn.name);
		else if (f.number == OTLP_FUNCTION_SYSTEM_NAME)
			k = otlp_string(d, &f, "system_name_strindex", &fn.system_name);
		else if (f.number == OTLP_FUNCTION_FILENAME)
			k = otlp_string(d, &f, "filename_strindex", &fn.file);
		else if (f.number == OTLP_FUNCTION_START_LINE)
			k = line_field(d, &f, "start_line", &fn.start_line);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	if (message->bytes.size)
		k = dict_function(&d->p->dict, &fn, &id);
	return k < 0 ? otlp_fail_memory(d, message->at, k) : push_row(d, message->at, functions, id);
}

struct location {
	struct frame frame; /* what all its lines share */
	uint32_t n_lines;
	bool has_kind;
};

static int location_attributes(struct otlp_decoder *d, const struct pb_field *f, struct location *loc)
{
	struct pb_reader r = otlp_repeated(f);
	uint64_t index = 0;
	int k;
	while ((k = otlp_repeated_next(&r, f, &index)) > 0) {
		const struct otlp_attribute *a;
		k = otlp_attribute_at(d, f->at, index, &a);
		if (k < 0)
			return k;
		if (a->role == ROLE_FRAME_TYPE) {
			loc->frame.kind = a->arg;
			loc->has_kind = true;
		}
		if (a->role == ROLE_IS_FOLDED && a->arg)
			loc->frame.flags = FRAME_IS_FOLDED;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : 0;
}

static int location_field(struct otlp_decoder *d, const struct pb_field *f, struct location *loc)
{
	uint32_t attributes = d->layout == OTLP_1_7 ? OTLP_LOCATION_ATTRIBUTES_1_7 : OTLP_LOCATION_ATTRIBUTES;
	uint64_t v = 0;
	int k = 0;
	if (f->number == attributes) {
		k = location_attributes(d, f, loc);
	} else if (f->number == OTLP_LOCATION_MAPPING) {
		k = otlp_number(d, f, "mapping_index", &v);
		if (k == 0 && v >= d->mappings.n && v > 0)
			k = otlp_fail_index(d, f->at, "mapping", v);
		if (k == 0)
			loc->frame.mapping.v = v < d->mappings.n ? d->mappings.data[v].v : 0;
	} else if (f->number == OTLP_LOCATION_ADDRESS) {
		k = otlp_number(d, f, "address", &loc->frame.address);
	} else if (f->number == OTLP_LOCATION_LINES) {
		k = otlp_expect_wire(d, f, PB_BYTES, "lines");
		loc->n_lines++;
	} else if (d->layout == OTLP_1_7 && f->number == OTLP_LOCATION_IS_FOLDED_1_7) {
		k = otlp_number(d, f, "is_folded", &v);
		if (v)
			loc->frame.flags = FRAME_IS_FOLDED;
	}
	return k;
}

static int read_location(struct otlp_decoder *d, struct slice message, struct location *loc)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		k = location_field(d, &f, loc);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	const struct dict *dict = &d->p->dict;
	if (!loc->has_kind)
		loc->frame.kind = (uint8_t)frame_kind_of_path(
			strtab_get(&dict->strings, dict->mappings.data[loc->frame.mapping.v].path));
	return 0;
}

static int read_line(struct otlp_decoder *d, struct slice message, struct frame *frame)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	uint64_t function = 0;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == OTLP_LINE_LINE) {
			k = line_field(d, &f, "line", &frame->line);
		} else if (f.number == OTLP_LINE_COLUMN) {
			k = line_field(d, &f, "column", &frame->column);
		} else if (f.number == OTLP_LINE_FUNCTION) {
			k = otlp_number(d, &f, "function_index", &function);
			if (k == 0 && function >= d->functions.n && function > 0)
				k = otlp_fail_index(d, f.at, "function", function);
		}
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	frame->function.v = function < d->functions.n ? d->functions.data[function].v : 0;
	return 0;
}

/* One frame per line into chains[from ...], which has room for them. The
 * file has the innermost line first, the chain the caller. */
static int read_lines(struct otlp_decoder *d, struct slice message, const struct location *loc, uint32_t from)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	uint32_t i = loc->n_lines;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != OTLP_LOCATION_LINES)
			continue;
		struct frame frame = loc->frame;
		if (--i > 0)
			frame.flags |= FRAME_INLINED;
		k = read_line(d, f.bytes, &frame);
		if (k < 0)
			return k;
		struct frame_id id;
		k = dict_frame(&d->p->dict, &frame, &id);
		if (k < 0)
			return otlp_fail_memory(d, f.at, k);
		d->chains.data[from + i] = id.v;
	}
	return k;
}

static int take_location(struct otlp_decoder *d, const struct pb_field *message)
{
	struct location loc = { 0 };
	int r = read_location(d, message->bytes, &loc);
	if (r < 0)
		return r;
	if (loc.n_lines > d->limits->depth)
		return otlp_fail_limit(d, message->at, "lines in one location", d->limits->depth);
	uint32_t from = d->chains.n;
	r = vec_reserve(d->p->budget, &d->chains, loc.n_lines + 1);
	if (r < 0)
		return otlp_fail_memory(d, message->at, r);
	if (loc.n_lines == 0) {
		struct frame_id id;
		r = dict_frame(&d->p->dict, &loc.frame, &id);
		return r < 0 ? otlp_fail_memory(d, message->at, r) : push_row(d, message->at, locations, id.v);
	}
	r = read_lines(d, message->bytes, &loc, from + 1);
	if (r < 0)
		return r;
	uint32_t code = d->chains.data[from + 1];
	if (loc.n_lines > 1) {
		d->chains.data[from] = loc.n_lines;
		d->chains.n += loc.n_lines + 1;
		code = OTLP_CHAIN | from;
	}
	return push_row(d, message->at, locations, code);
}

static int hex_string(struct otlp_decoder *d, const struct pb_field *f, struct str_id *ret)
{
	int r = otlp_expect_wire(d, f, PB_BYTES, f->number == LINK_TRACE_ID ? "trace_id" : "span_id");
	if (r < 0)
		return r;
	char hex[32];
	if (f->bytes.size > sizeof(hex) / 2)
		return otlp_fail(d, f->at, -EBADMSG, "an id of %zu bytes", f->bytes.size);
	for (size_t i = 0; i < f->bytes.size; i++) {
		hex[2 * i] = "0123456789abcdef"[f->bytes.data[i] >> 4];
		hex[2 * i + 1] = "0123456789abcdef"[f->bytes.data[i] & 15];
	}
	return otlp_intern(d, f->at, slice_of(hex, 2 * f->bytes.size), ret);
}

static int take_link(struct otlp_decoder *d, const struct pb_field *message)
{
	struct otlp_link link = { 0 };
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == LINK_TRACE_ID)
			k = hex_string(d, &f, &link.trace);
		else if (f.number == LINK_SPAN_ID)
			k = hex_string(d, &f, &link.span);
		if (k < 0)
			return k;
	}
	return k < 0 ? otlp_fail_reader(d, &r, k) : push_row(d, message->at, links, link);
}

static int push_packed(struct otlp_decoder *d, struct slice indices)
{
	struct pb_reader r = pb_reader_nested(indices);
	/* Each index is at least a byte. */
	size_t n_most = indices.size < d->limits->depth ? indices.size : d->limits->depth;
	int k = vec_reserve(d->p->budget, &d->stack, (uint32_t)n_most);
	if (k < 0)
		return otlp_fail_memory(d, r.at, k);
	uint32_t n = d->stack.n, limit = d->limits->depth, n_locations = d->locations.n;
	uint32_t *stack = d->stack.data;
	const uint32_t *locations = d->locations.data;
	while (r.at < r.end) {
		const uint8_t *at = r.at;
		uint64_t i = *at;
		if (i < 0x80) {
			r.at = at + 1;
		} else if (r.end - at >= 3 && at[1] < 0x80) {
			i = (i & 0x7f) | (uint64_t)at[1] << 7;
			r.at = at + 2;
		} else if (r.end - at >= 3 && at[2] < 0x80) {
			i = (i & 0x7f) | (uint64_t)(at[1] & 0x7f) << 7 | (uint64_t)at[2] << 14;
			r.at = at + 3;
		} else {
			k = pb_varint(&r, &i);
			if (k < 0)
				return otlp_fail_reader(d, &r, k);
		}
		if (n >= limit)
			return otlp_fail_limit(d, at, "frames", limit);
		if (i >= n_locations)
			return otlp_fail_index(d, at, "location", i);
		stack[n++] = locations[i];
	}
	d->stack.n = n;
	return 0;
}

int otlp_push_location(struct otlp_decoder *d, const uint8_t *at, uint64_t index)
{
	if (d->stack.n >= d->limits->depth)
		return otlp_fail_limit(d, at, "frames", d->limits->depth);
	if (index >= d->locations.n)
		return otlp_fail_index(d, at, "location", index);
	return push_row(d, at, stack, d->locations.data[index]);
}

static int take_stack(struct otlp_decoder *d, const struct pb_field *message)
{
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	d->stack.n = 0;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != STACK_LOCATION_INDICES)
			continue;
		if (f.wire == PB_BYTES)
			k = push_packed(d, f.bytes);
		else
			k = otlp_expect_wire(d, &f, PB_VARINT, "location_indices");
		if (k == 0 && f.wire == PB_VARINT)
			k = otlp_push_location(d, f.at, f.value);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	struct node_id node;
	k = otlp_walk_stack(d, message->at, &node);
	return k < 0 ? k : push_row(d, message->at, stacks, node);
}

static int walk_frames(struct otlp_decoder *d, const uint32_t *frames, uint32_t n, uint32_t *node)
{
	for (uint32_t i = 0; i < n; i++) {
		int r = dict_step(&d->p->dict, node, frames[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* A location of thousands of lines is two bytes in each stack that has it:
 * remembering where it led keeps the work in proportion to the input. */
static int walk_chain(struct otlp_decoder *d, uint32_t code, uint32_t *node)
{
	const uint32_t *chain = d->chains.data + (code & ~OTLP_CHAIN);
	if (*chain <= 16)
		return walk_frames(d, chain + 1, *chain, node);
	uint32_t *last = u64map_put(&d->long_chains, (uint64_t)*node << 32 | code);
	if (!last)
		return -ENOBUFS;
	if (*last) {
		*node = *last;
		return 0;
	}
	int r = walk_frames(d, chain + 1, *chain, node);
	*last = r < 0 ? 1 : *node;
	return r;
}

int otlp_walk_stack(struct otlp_decoder *d, const uint8_t *at, struct node_id *ret)
{
	uint32_t node = 0, n_frames = d->stack.n;
	const uint32_t *stack = d->stack.data;
	for (uint32_t i = d->stack.n; i-- > 0;) {
		int r;
		if (stack[i] & OTLP_CHAIN) {
			n_frames += d->chains.data[stack[i] & ~OTLP_CHAIN] - 1;
			if (n_frames > d->limits->depth)
				return otlp_fail_limit(d, at, "frames", d->limits->depth);
			r = walk_chain(d, stack[i], &node);
		} else {
			r = dict_step(&d->p->dict, &node, stack[i]);
		}
		if (r < 0)
			return otlp_fail_memory(d, at, r);
	}
	ret->v = node;
	return 0;
}

int otlp_read_dictionary(struct otlp_decoder *d)
{
	int r = survey(d);
	if (r == 0)
		r = each_row(d, DICTIONARY_ATTRIBUTE, "attribute", otlp_take_attribute);
	if (r == 0 && d->layout == OTLP_1_7)
		r = each_row(d, DICTIONARY_UNIT_1_7, "attribute unit", otlp_take_unit);
	if (r == 0)
		r = each_row(d, DICTIONARY_MAPPING, "mapping", take_mapping);
	if (r == 0)
		r = each_row(d, DICTIONARY_FUNCTION, "function", take_function);
	if (r == 0)
		r = each_row(d, DICTIONARY_LOCATION, "location", take_location);
	if (r == 0)
		r = each_row(d, DICTIONARY_LINK, "link", take_link);
	if (r == 0 && d->layout != OTLP_1_7)
		r = each_row(d, DICTIONARY_STACK, "stack", take_stack);
	return r;
}
