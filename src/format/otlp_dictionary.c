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

/* Strings missing since `n_before` were are of rows of one kind. */
static void count_lost(struct otlp_decoder *d, uint64_t n_before, uint64_t *rows)
{
	*rows += d->lost.strings > n_before;
	d->lost.strings = n_before;
}

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
		if (!a)
			continue;
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
	uint64_t n_lost = d->lost.strings;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		k = mapping_field(d, &f, &m, &better);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return otlp_fail_reader(d, &r, k);
	count_lost(d, n_lost, &d->lost.mappings);
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
	uint64_t n_lost = d->lost.strings;
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
	count_lost(d, n_lost, &d->lost.names);
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
		if (!a)
			continue;
		if (a->role == ROLE_FRAME_TYPE) {
			loc->frame.kind = a->arg;
			loc->has_kind = true;
		}
		if (a->role == ROLE_FRAME_FOUND)
			loc->frame.found = a->arg;
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

static int read_stacks(struct otlp_decoder *d)
{
	const struct otlp_section *s = &d->sections[DICTIONARY_STACK];
	int r = pathcache_init(&d->paths, d->p->budget, s->end - s->first);
	if (r < 0)
		return otlp_fail_memory(d, d->dictionary.data, r);
	r = each_row(d, DICTIONARY_STACK, "stack", otlp_take_stack);
	d->row_name = "stack";
	if (r == 0)
		r = otlp_end_stacks(d);
	d->row_name = NULL;
	return r;
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
		r = read_stacks(d);
	return r;
}
