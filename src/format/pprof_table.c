/* SPDX-License-Identifier: Apache-2.0 */
#include "format/pprof_decoder.h"

#include <inttypes.h>

/* Makes `id` of the file mean `ours`. Some producers write rows without ids
 * and refer to them by position. */
static int define_id(struct pprof_decoder *d, const uint8_t *at, struct idtable *t, uint64_t id, uint32_t ours)
{
	if (id == 0)
		id = d->row;
	int r = idtable_set(t, id, ours);
	if (r == -EEXIST)
		return pprof_fail(d, at, -EBADMSG, "id %" PRIu64 " is defined twice", id);
	return r < 0 ? pprof_fail_memory(d, at, r) : 0;
}

/* A line or column: negative means unknown. */
static int line_field(struct pprof_decoder *d, const struct pb_field *f, const char *name, uint32_t *ret)
{
	uint64_t v = 0;
	int r = pprof_number(d, f, name, &v);
	if (r < 0)
		return r;
	int64_t line = (int64_t)v < 0 ? 0 : (int64_t)v;
	if (line > UINT32_MAX)
		return pprof_fail(d, f->at, -EBADMSG, "%s %" PRId64 " does not fit into 32 bits", name, line);
	*ret = (uint32_t)line;
	return 0;
}

static int read_mapping_field(struct pprof_decoder *d, const struct pb_field *f, uint64_t *id, struct mapping *m)
{
	static const uint32_t flags[] = {
		[PB_MAPPING_HAS_FUNCTIONS] = MAPPING_HAS_FUNCTIONS,
		[PB_MAPPING_HAS_FILENAMES] = MAPPING_HAS_FILENAMES,
		[PB_MAPPING_HAS_LINE_NUMBERS] = MAPPING_HAS_LINES,
		[PB_MAPPING_HAS_INLINE_FRAMES] = MAPPING_HAS_INLINES,
	};
	uint64_t flag = 0;
	int r;
	switch (f->number) {
	case PB_MAPPING_ID:
		return pprof_number(d, f, "id", id);
	case PB_MAPPING_START:
		return pprof_number(d, f, "memory_start", &m->start);
	case PB_MAPPING_LIMIT:
		return pprof_number(d, f, "memory_limit", &m->limit);
	case PB_MAPPING_OFFSET:
		return pprof_number(d, f, "file_offset", &m->offset);
	case PB_MAPPING_FILENAME:
		return pprof_string(d, f, "filename", &m->path);
	case PB_MAPPING_BUILD_ID:
		return pprof_string(d, f, "build_id", &m->build_id);
	case PB_MAPPING_HAS_FUNCTIONS:
	case PB_MAPPING_HAS_FILENAMES:
	case PB_MAPPING_HAS_LINE_NUMBERS:
	case PB_MAPPING_HAS_INLINE_FRAMES:
		r = pprof_number(d, f, "has_...", &flag);
		if (r == 0 && flag)
			m->flags |= flags[f->number];
		return r;
	default:
		return 0;
	}
}

int pprof_take_mapping(struct pprof_decoder *d, const struct pb_field *message)
{
	struct mapping m = { 0 };
	uint64_t id = 0;
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		k = read_mapping_field(d, &f, &id, &m);
		if (k < 0)
			return k;
	}
	if (k < 0)
		return pprof_fail_reader(d, &r, k);
	struct mapping_id ours;
	k = dict_mapping(&d->p->dict, &m, &ours);
	if (k < 0)
		return pprof_fail_memory(d, message->at, k);
	return define_id(d, message->at, &d->mappings, id, ours.v);
}

/* ---- what nearly all rows are like ----
 *
 * Known fields of the right kind, whose numbers fit and whose references exist, are read in one go. A row with
 * anything else, wrong or rare, and one at the very end of the input is left to the functions behind these: they begin
 * anew and find the words for what is wrong. */

/* Keys and numbers that begin before `end` can be read without asking where they end. */
static bool has_slack(const struct pprof_decoder *d, const uint8_t *end)
{
	return (size_t)(d->bytes.data + d->bytes.size - end) >= 2 + PB_QUICK_SIZE;
}

static bool quick_string(const struct pprof_decoder *d, uint64_t index, struct str_id *ret)
{
	if (index >= d->strings.n)
		return false;
	*ret = d->strings.data[index];
	return true;
}

static bool quick_u32(uint64_t v, uint32_t *ret)
{
	*ret = (uint32_t)v;
	return v <= UINT32_MAX;
}

static bool quick_function(const struct pprof_decoder *d, struct slice message, uint64_t *id, struct function *fn)
{
	const uint8_t *at = message.data, *end = slice_end(message);
	bool ok = has_slack(d, end);
	while (ok && at < end) {
		uint64_t v;
		uint8_t key = *at;
		at = pb_quick(at + 1, &v);
		if (!at)
			return false;
		if (key == pb_key(FUNCTION_ID, PB_VARINT))
			*id = v;
		else if (key == pb_key(FUNCTION_NAME, PB_VARINT))
			ok = quick_string(d, v, &fn->name);
		else if (key == pb_key(FUNCTION_SYSTEM_NAME, PB_VARINT))
			ok = quick_string(d, v, &fn->system_name);
		else if (key == pb_key(FUNCTION_FILENAME, PB_VARINT))
			ok = quick_string(d, v, &fn->file);
		else
			ok = key == pb_key(FUNCTION_START_LINE, PB_VARINT) && quick_u32(v, &fn->start_line);
	}
	return ok && at == end;
}

static int read_function(struct pprof_decoder *d, const struct pb_field *message, uint64_t *id, struct function *fn)
{
	struct pb_reader r = pb_reader_nested(message->bytes);
	struct pb_field f;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == FUNCTION_ID)
			k = pprof_number(d, &f, "id", id);
		else if (f.number == FUNCTION_NAME)
			k = pprof_string(d, &f, "name", &fn->name);
		else if (f.number == FUNCTION_SYSTEM_NAME)
			k = pprof_string(d, &f, "system_name", &fn->system_name);
		else if (f.number == FUNCTION_FILENAME)
			k = pprof_string(d, &f, "filename", &fn->file);
		else if (f.number == FUNCTION_START_LINE)
			k = line_field(d, &f, "start_line", &fn->start_line);
		if (k < 0)
			return k;
	}
	return k < 0 ? pprof_fail_reader(d, &r, k) : 0;
}

int pprof_take_function(struct pprof_decoder *d, const struct pb_field *message)
{
	struct function fn = { 0 };
	uint64_t id = 0, n_lost = d->lost.strings;
	if (!quick_function(d, message->bytes, &id, &fn)) {
		fn = (struct function){ 0 };
		id = 0;
		int k = read_function(d, message, &id, &fn);
		if (k < 0)
			return k;
	}
	/* Half a file: its frames count as nameless. */
	if (d->lost.strings > n_lost && !fn.name.v) {
		d->lost.strings = n_lost;
		return 0;
	}
	struct func_id ours;
	int k = dict_function(&d->p->dict, &fn, &ours);
	if (k < 0)
		return pprof_fail_memory(d, message->at, k);
	return define_id(d, message->at, &d->functions, id, ours.v);
}

struct location {
	uint64_t id;
	struct frame frame; /* what all its lines share */
	uint32_t n_lines;
	const uint8_t *at;
};

/* Somebody else may use the number for something else, and a later wick may
 * know more ways: what is not one of ours says nothing. */
static uint8_t read_found(const struct pb_field *f)
{
	return f->wire == PB_VARINT && f->value < N_FRAME_FOUNDS ? (uint8_t)f->value : FRAME_FOUND_UNKNOWN;
}

static int read_location(struct pprof_decoder *d, struct slice message, struct location *loc)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	uint64_t mapping = 0, folded = 0;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == LOCATION_ID) {
			k = pprof_number(d, &f, "id", &loc->id);
		} else if (f.number == LOCATION_ADDRESS) {
			k = pprof_number(d, &f, "address", &loc->frame.address);
		} else if (f.number == LOCATION_IS_FOLDED) {
			k = pprof_number(d, &f, "is_folded", &folded);
		} else if (f.number == LOCATION_LINE) {
			k = pprof_expect_wire(d, &f, PB_BYTES, "line");
			loc->n_lines++;
		} else if (f.number == LOCATION_WICK_FOUND) {
			loc->frame.found = read_found(&f);
		} else if (f.number == LOCATION_MAPPING_ID) {
			k = pprof_number(d, &f, "mapping_id", &mapping);
			if (k == 0 && mapping && !idtable_get(&d->mappings, mapping))
				k = pprof_miss(d, f.at, "mapping", mapping, &d->lost.mappings);
		}
		if (k < 0)
			return k;
	}
	if (k < 0)
		return pprof_fail_reader(d, &r, k);
	loc->frame.mapping.v = idtable_get(&d->mappings, mapping);
	loc->frame.flags = folded ? FRAME_IS_FOLDED : 0;
	return 0;
}

static int read_line(struct pprof_decoder *d, struct slice message, struct frame *frame)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	uint64_t function = 0;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number == LINE_LINE) {
			k = line_field(d, &f, "line", &frame->line);
		} else if (f.number == LINE_COLUMN) {
			k = line_field(d, &f, "column", &frame->column);
		} else if (f.number == LINE_FUNCTION_ID) {
			k = pprof_number(d, &f, "function_id", &function);
			if (k == 0 && function && !idtable_get(&d->functions, function))
				k = pprof_miss(d, f.at, "function", function, &d->lost.frames);
		}
		if (k < 0)
			return k;
	}
	if (k < 0)
		return pprof_fail_reader(d, &r, k);
	frame->function.v = idtable_get(&d->functions, function);
	return 0;
}

struct line {
	const uint8_t *at;
	struct func_id function;
	uint32_t line, column;
};

static bool quick_line(const struct pprof_decoder *d, struct slice message, struct line *ret)
{
	const uint8_t *at = message.data, *end = slice_end(message);
	bool ok = true;
	while (ok && at < end) {
		uint64_t v;
		uint8_t key = *at;
		at = pb_quick(at + 1, &v);
		if (!at)
			return false;
		if (key == pb_key(LINE_FUNCTION_ID, PB_VARINT))
			ok = (ret->function.v = idtable_get(&d->functions, v)) != 0 || v == 0;
		else if (key == pb_key(LINE_LINE, PB_VARINT))
			ok = quick_u32(v, &ret->line);
		else
			ok = key == pb_key(LINE_COLUMN, PB_VARINT) && quick_u32(v, &ret->column);
	}
	return ok && at == end;
}

#define QUICK_LINES 8

/* The two bytes of its key. */
#define KEY_1_FOUND (0x80 | (LOCATION_WICK_FOUND << 3 & 0x7f))
#define KEY_2_FOUND (LOCATION_WICK_FOUND >> 4)

/* *loc and its lines, innermost first. */
static bool quick_location(const struct pprof_decoder *d, struct slice message, struct location *loc,
			   struct line *lines)
{
	const uint8_t *at = message.data, *end = slice_end(message);
	bool ok = has_slack(d, end);
	while (ok && at < end) {
		uint64_t v;
		const uint8_t *start = at;
		uint8_t key = *at++;
		bool is_found = key == KEY_1_FOUND && *at++ == KEY_2_FOUND;
		at = pb_quick(at, &v);
		if (!at)
			return false;
		if (key == pb_key(LOCATION_ID, PB_VARINT)) {
			loc->id = v;
		} else if (key == pb_key(LOCATION_MAPPING_ID, PB_VARINT)) {
			ok = (loc->frame.mapping.v = idtable_get(&d->mappings, v)) != 0 || v == 0;
		} else if (key == pb_key(LOCATION_ADDRESS, PB_VARINT)) {
			loc->frame.address = v;
		} else if (key == pb_key(LOCATION_LINE, PB_BYTES)) {
			if (at > end || v > (size_t)(end - at) || loc->n_lines == QUICK_LINES)
				return false;
			struct line *line = &lines[loc->n_lines++];
			*line = (struct line){ .at = start };
			ok = quick_line(d, slice_of(at, (size_t)v), line);
			at += v;
		} else {
			ok = is_found;
			loc->frame.found = v < N_FRAME_FOUNDS ? (uint8_t)v : FRAME_FOUND_UNKNOWN;
		}
	}
	return ok && at == end;
}

/* One frame per line into chains[from ...], as read_lines(). */
static int take_lines(struct pprof_decoder *d, const struct location *loc, const struct line *lines, uint32_t from)
{
	for (uint32_t i = loc->n_lines; i-- > 0; lines++) {
		struct frame frame = loc->frame;
		frame.function = lines->function;
		frame.line = lines->line;
		frame.column = lines->column;
		if (i > 0)
			frame.flags |= FRAME_INLINED;
		struct frame_id id;
		int r = dict_frame(&d->p->dict, &frame, &id);
		if (r < 0)
			return pprof_fail_memory(d, lines->at, r);
		d->chains.data[from + i] = id.v;
	}
	return 0;
}

/* One frame per line into chains[from ...], which has room for them. The
 * file has the innermost line first, the chain the caller. */
static int read_lines(struct pprof_decoder *d, struct slice message, const struct location *loc, uint32_t from)
{
	struct pb_reader r = pb_reader_nested(message);
	struct pb_field f;
	uint32_t i = loc->n_lines;
	int k;
	while ((k = pb_next(&r, &f)) > 0) {
		if (f.number != LOCATION_LINE)
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
			return pprof_fail_memory(d, f.at, k);
		d->chains.data[from + i] = id.v;
	}
	return k;
}

static uint8_t kind_of(struct pprof_decoder *d, struct mapping_id mapping)
{
	const struct dict *dict = &d->p->dict;
	if (!d->kind || mapping.v != d->kind_mapping.v) {
		struct slice path = strtab_get(&dict->strings, dict->mappings.data[mapping.v].path);
		d->kind = (uint8_t)frame_kind_of_path(path);
		d->kind_mapping = mapping;
	}
	return d->kind;
}

int pprof_take_location(struct pprof_decoder *d, const struct pb_field *message)
{
	struct location loc = { .at = message->at };
	struct line lines[QUICK_LINES];
	bool is_quick = quick_location(d, message->bytes, &loc, lines);
	int r = 0;
	if (!is_quick) {
		loc = (struct location){ .at = message->at };
		r = read_location(d, message->bytes, &loc);
	}
	if (r < 0)
		return r;
	if (loc.n_lines > d->limits->depth)
		return pprof_fail_limit(d, loc.at, "lines in one location", d->limits->depth);
	loc.frame.kind = kind_of(d, loc.frame.mapping);
	uint32_t from = d->chains.n, code;
	r = vec_reserve(d->p->budget, &d->chains, loc.n_lines + 1);
	if (r < 0)
		return pprof_fail_memory(d, loc.at, r);
	if (loc.n_lines == 0) {
		struct frame_id id;
		r = dict_frame(&d->p->dict, &loc.frame, &id);
		if (r < 0)
			return pprof_fail_memory(d, loc.at, r);
		code = id.v;
	} else {
		r = is_quick ? take_lines(d, &loc, lines, from + 1) : read_lines(d, message->bytes, &loc, from + 1);
		if (r < 0)
			return r;
		code = d->chains.data[from + 1];
		if (loc.n_lines > 1) {
			d->chains.data[from] = loc.n_lines;
			d->chains.n += loc.n_lines + 1;
			code = PPROF_CHAIN | from;
		}
	}
	return define_id(d, loc.at, &d->locations, loc.id, code);
}
