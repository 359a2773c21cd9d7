/* SPDX-License-Identifier: Apache-2.0 */
#include "model/dict.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int dict_init(struct dict *d, struct membudget *budget)
{
	*d = (struct dict){ .budget = budget };
	rowset_init(&d->function_ids, budget);
	rowset_init(&d->mapping_ids, budget);
	rowset_init(&d->frame_ids, budget);
	pairset_init(&d->node_ids, budget);
	int r = strtab_init(&d->strings, budget);
	if (r == 0)
		r = vec_reserve(budget, &d->functions, 1);
	if (r == 0)
		r = vec_reserve(budget, &d->mappings, 1);
	if (r == 0)
		r = vec_reserve(budget, &d->frames, 1);
	if (r == 0)
		r = vec_reserve(budget, &d->node_parent, 1);
	if (r == 0)
		r = vec_reserve(budget, &d->node_frame, 1);
	if (r < 0) {
		dict_done(d);
		return r;
	}
	d->functions.data[d->functions.n++] = (struct function){ 0 };
	d->mappings.data[d->mappings.n++] = (struct mapping){ 0 };
	d->frames.data[d->frames.n++] = (struct frame){ 0 };
	d->node_parent.data[d->node_parent.n++] = (struct node_id){ 0 };
	d->node_frame.data[d->node_frame.n++] = (struct frame_id){ 0 };
	return 0;
}

void dict_done(struct dict *d)
{
	strtab_done(&d->strings);
	vec_done(d->budget, &d->functions);
	vec_done(d->budget, &d->mappings);
	vec_done(d->budget, &d->frames);
	vec_done(d->budget, &d->node_parent);
	vec_done(d->budget, &d->node_frame);
	rowset_done(&d->function_ids);
	rowset_done(&d->mapping_ids);
	rowset_done(&d->frame_ids);
	pairset_done(&d->node_ids);
}

/* Rows are plain bytes without hidden padding: equality is memcmp. */
_Static_assert(sizeof(struct function) == 16, "struct function has padding");
_Static_assert(sizeof(struct mapping) == 40, "struct mapping has padding");
_Static_assert(sizeof(struct frame) == 32, "struct frame has padding");

/* Finds `row` among `rows` or makes room for it as row n: 1, or 0 when it is to be stored as *ret. */
static inline int row_intern(struct rowset *ids, const void *rows, uint32_t n, const void *row, size_t size,
			     uint32_t *ret)
{
	int r = rowset_reserve(ids, rows, size, 1);
	if (r < 0)
		return r;
	uint64_t hash = rowset_hash(ids, row, size);
	uint32_t slot;
	*ret = rowset_find(ids, rows, row, size, hash, &slot);
	if (*ret)
		return 1;
	rowset_set(ids, slot, hash, n);
	*ret = n;
	return 0;
}

int dict_function(struct dict *d, const struct function *row, struct func_id *ret)
{
	uint32_t n_strings = strtab_count(&d->strings), id = 0;
	assert(row->name.v < n_strings && row->system_name.v < n_strings && row->file.v < n_strings);
	int r = vec_reserve(d->budget, &d->functions, 1);
	if (r == 0)
		r = row_intern(&d->function_ids, d->functions.data, d->functions.n, row, sizeof(*row), &id);
	if (r < 0)
		return r;
	if (r == 0)
		d->functions.data[d->functions.n++] = *row;
	ret->v = id;
	return 0;
}

int dict_mapping(struct dict *d, const struct mapping *row, struct mapping_id *ret)
{
	uint32_t n_strings = strtab_count(&d->strings), id = 0;
	assert(row->path.v < n_strings && row->build_id.v < n_strings);
	struct mapping clean = *row;
	clean.pad = 0;
	int r = vec_reserve(d->budget, &d->mappings, 1);
	if (r == 0)
		r = row_intern(&d->mapping_ids, d->mappings.data, d->mappings.n, &clean, sizeof(clean), &id);
	if (r < 0)
		return r;
	if (r == 0)
		d->mappings.data[d->mappings.n++] = clean;
	ret->v = id;
	return 0;
}

int dict_frame(struct dict *d, const struct frame *row, struct frame_id *ret)
{
	assert(row->function.v < d->functions.n && row->mapping.v < d->mappings.n && row->found < N_FRAME_FOUNDS);
	struct frame clean = *row;
	clean.pad = 0;
	clean.pad2 = 0;
	uint32_t id = 0;
	int r = vec_reserve(d->budget, &d->frames, 1);
	if (r == 0)
		r = row_intern(&d->frame_ids, d->frames.data, d->frames.n, &clean, sizeof(clean), &id);
	if (r < 0)
		return r;
	if (r == 0)
		d->frames.data[d->frames.n++] = clean;
	ret->v = id;
	return 0;
}

/* Room for `n` more nodes in both columns and their index. */
static int reserve_nodes(struct dict *d, uint32_t n)
{
	int r = vec_reserve(d->budget, &d->node_parent, n);
	if (r == 0)
		r = vec_reserve(d->budget, &d->node_frame, n);
	return r < 0 ? r : pairset_reserve(&d->node_ids, dict_node_columns(d), n);
}

static uint32_t append_node(struct dict *d, struct node_id parent, struct frame_id frame, struct pair_probe at)
{
	uint32_t id = d->node_parent.n;
	d->node_parent.data[d->node_parent.n++] = parent;
	d->node_frame.data[d->node_frame.n++] = frame;
	pairset_set(&d->node_ids, at, id);
	return id;
}

int dict_node(struct dict *d, struct node_id parent, struct frame_id frame, struct node_id *ret)
{
	assert(parent.v < d->node_parent.n && frame.v < d->frames.n);
	int r = reserve_nodes(d, 1);
	if (r < 0)
		return r;
	struct pair_probe at;
	uint32_t id = pairset_find(&d->node_ids, dict_node_columns(d), parent.v, frame.v, &at);
	ret->v = id ? id : append_node(d, parent, frame, at);
	return 0;
}

static int new_chain(struct dict *d, uint32_t *node, const uint32_t *frames, uint32_t n, int32_t step)
{
	int r = reserve_nodes(d, n);
	if (r < 0)
		return r;
	for (; n; n--, frames += step) {
		assert(*frames < d->frames.n);
		struct pair_probe at = pairset_free_slot(&d->node_ids, *node, *frames);
		*node = append_node(d, (struct node_id){ *node }, (struct frame_id){ *frames }, at);
	}
	return 0;
}

int dict_chain(struct dict *d, uint32_t *node, const uint32_t *frames, uint32_t n, int32_t step)
{
	for (; n; n--, frames += step) {
		uint32_t n_nodes = d->node_parent.n;
		int r = dict_step(d, node, *frames);
		if (r < 0)
			return r;
		/* What hangs from a new node is new, too. */
		if (*node == n_nodes)
			return new_chain(d, node, frames + step, n - 1, step);
	}
	return 0;
}

void dict_frames_changed(struct dict *d)
{
	rowset_rebuild(&d->frame_ids, d->frames.data, sizeof(struct frame), d->frames.n - 1);
}

void dict_reserve(struct dict *d, const struct dict_counts *more)
{
	strtab_reserve(&d->strings, more->n_strings, more->n_string_bytes);
	if (vec_reserve(d->budget, &d->functions, more->n_functions) == 0)
		(void)!rowset_reserve(&d->function_ids, d->functions.data, sizeof(struct function), more->n_functions);
	if (vec_reserve(d->budget, &d->frames, more->n_frames) == 0)
		(void)!rowset_reserve(&d->frame_ids, d->frames.data, sizeof(struct frame), more->n_frames);
	(void)!reserve_nodes(d, more->n_nodes);
}

int dict_named_frame(struct dict *d, struct slice name, enum frame_kind kind, struct frame_id *ret)
{
	struct function function = { 0 };
	struct frame frame = { .kind = (uint8_t)kind };
	int r = strtab_intern(&d->strings, name, &function.name);
	if (r == 0)
		r = dict_function(d, &function, &frame.function);
	if (r == 0)
		r = dict_frame(d, &frame, ret);
	return r;
}

/* Old id -> new id for one table, 0 -> 0. */
struct remap {
	uint32_t *strings, *functions, *mappings, *frames;
};

static void remap_done(struct remap *m)
{
	free(m->strings);
	free(m->functions);
	free(m->mappings);
	free(m->frames);
}

static int remap_init(struct remap *m, const struct dict *src)
{
	*m = (struct remap){
		.strings = calloc(strtab_count(&src->strings), sizeof(uint32_t)),
		.functions = calloc(src->functions.n, sizeof(uint32_t)),
		.mappings = calloc(src->mappings.n, sizeof(uint32_t)),
		.frames = calloc(src->frames.n, sizeof(uint32_t)),
	};
	return m->strings && m->functions && m->mappings && m->frames ? 0 : -ENOMEM;
}

/* Each of these adds row i of its table unless it was. */
static int import_string(struct dict *dst, const struct dict *src, struct remap *m, struct str_id *id)
{
	uint32_t i = id->v;
	int r = m->strings[i] || i == 0 ? 0 : strtab_intern_from(&dst->strings, &src->strings, *id, id);
	if (r == 0 && !m->strings[i])
		m->strings[i] = id->v;
	id->v = m->strings[i];
	return r;
}

static int import_function(struct dict *dst, const struct dict *src, struct remap *m, uint32_t i)
{
	if (m->functions[i] || i == 0)
		return 0;
	struct function row = src->functions.data[i];
	struct func_id id;
	int r = import_string(dst, src, m, &row.name);
	if (r == 0)
		r = import_string(dst, src, m, &row.system_name);
	if (r == 0)
		r = import_string(dst, src, m, &row.file);
	if (r == 0)
		r = dict_function(dst, &row, &id);
	if (r == 0)
		m->functions[i] = id.v;
	return r;
}

static int import_mapping(struct dict *dst, const struct dict *src, struct remap *m, uint32_t i)
{
	if (m->mappings[i] || i == 0)
		return 0;
	struct mapping row = src->mappings.data[i];
	struct mapping_id id;
	int r = import_string(dst, src, m, &row.path);
	if (r == 0)
		r = import_string(dst, src, m, &row.build_id);
	if (r == 0)
		r = dict_mapping(dst, &row, &id);
	if (r == 0)
		m->mappings[i] = id.v;
	return r;
}

static int import_frame(struct dict *dst, const struct dict *src, struct remap *m, uint32_t i)
{
	if (m->frames[i] || i == 0)
		return 0;
	struct frame row = src->frames.data[i];
	struct frame_id id;
	int r = import_function(dst, src, m, row.function.v);
	if (r == 0)
		r = import_mapping(dst, src, m, row.mapping.v);
	row.function.v = m->functions[row.function.v];
	row.mapping.v = m->mappings[row.mapping.v];
	if (r == 0)
		r = dict_frame(dst, &row, &id);
	if (r == 0)
		m->frames[i] = id.v;
	return r;
}

static int import_tables(struct dict *dst, const struct dict *src, struct remap *m)
{
	int r = 0;
	for (uint32_t i = 1; r == 0 && i < strtab_count(&src->strings); i++)
		r = import_string(dst, src, m, &(struct str_id){ i });
	for (uint32_t i = 1; r == 0 && i < src->functions.n; i++)
		r = import_function(dst, src, m, i);
	for (uint32_t i = 1; r == 0 && i < src->mappings.n; i++)
		r = import_mapping(dst, src, m, i);
	for (uint32_t i = 1; r == 0 && i < src->frames.n; i++)
		r = import_frame(dst, src, m, i);
	return r;
}

/* `wanted` NULL: all. */
static int import_nodes(struct dict *dst, const struct dict *src, struct remap *m, const uint8_t *wanted,
			struct node_id *node_map)
{
	int r = 0;
	node_map[0].v = 0;
	for (uint32_t i = 1; r == 0 && i < dict_n_nodes(src); i++) {
		uint32_t frame = src->node_frame.data[i].v;
		if (wanted && !wanted[i])
			continue;
		if (wanted)
			r = import_frame(dst, src, m, frame);
		if (r == 0)
			r = dict_node(dst, node_map[src->node_parent.data[i].v], (struct frame_id){ m->frames[frame] },
				      &node_map[i]);
	}
	return r;
}

int dict_import(struct dict *dst, const struct dict *src, struct node_id *node_map)
{
	_cleanup_(remap_done)
	struct remap m;
	int r = remap_init(&m, src);
	if (r == 0)
		r = import_tables(dst, src, &m);
	return r == 0 ? import_nodes(dst, src, &m, NULL, node_map) : r;
}

int dict_import_some(struct dict *dst, const struct dict *src, const uint8_t *wanted, struct frame_id *frame_map,
		     struct node_id *node_map)
{
	_cleanup_(remap_done)
	struct remap m;
	int r = remap_init(&m, src);
	if (r < 0)
		return r;
	memcpy(m.frames, frame_map, src->frames.n * sizeof(*frame_map));
	r = import_nodes(dst, src, &m, wanted, node_map);
	memcpy(frame_map, m.frames, src->frames.n * sizeof(*frame_map));
	return r;
}

static struct slice basename_of(struct slice path)
{
	size_t from = path.size;
	while (from > 0 && path.data[from - 1] != '/')
		from--;
	return slice_of(path.data + from, path.size - from);
}

struct slice dict_frame_name(const struct dict *d, struct frame_id frame, char buf[static FRAME_NAME_SIZE])
{
	assert(frame.v < d->frames.n);
	const struct frame *f = &d->frames.data[frame.v];
	struct slice name = strtab_get(&d->strings, d->functions.data[f->function.v].name);
	if (name.size)
		return name;
	name = strtab_get(&d->strings, d->functions.data[f->function.v].system_name);
	if (name.size)
		return name;
	struct slice module = basename_of(strtab_get(&d->strings, d->mappings.data[f->mapping.v].path));
	int n;
	if (module.size && f->address)
		n = snprintf(buf, FRAME_NAME_SIZE, "%.*s+0x%" PRIx64, (int)(module.size > 255 ? 255 : module.size),
			     (const char *)module.data, f->address);
	else if (module.size)
		n = snprintf(buf, FRAME_NAME_SIZE, "[%.*s]", (int)(module.size > 255 ? 255 : module.size),
			     (const char *)module.data);
	else if (f->address)
		n = snprintf(buf, FRAME_NAME_SIZE, "0x%" PRIx64, f->address);
	else
		n = snprintf(buf, FRAME_NAME_SIZE, "[unknown]");
	return slice_of(buf, n < 0 ? 0 : (size_t)n);
}

static const char *const found_names[N_FRAME_FOUNDS] = {
#define FOUND(id, name, text) [FRAME_FOUND_##id] = name,
#include "model/found.def"
#undef FOUND
};

const char *frame_found_name(enum frame_found f)
{
	return found_names[f];
}

enum frame_found frame_found_of_name(struct slice name)
{
	for (int f = 0; f < N_FRAME_FOUNDS; f++)
		if (slice_eq(name, slice_str(found_names[f])))
			return (enum frame_found)f;
	return FRAME_FOUND_UNKNOWN;
}

enum frame_kind frame_kind_of_path(struct slice path)
{
	if (slice_has_prefix(path, "[kernel") || slice_has_prefix(path, "[guest.kernel"))
		return FRAME_KERNEL;
	if (slice_has_prefix(path, "[jit") || slice_has_prefix(path, "/tmp/perf-"))
		return FRAME_JIT;
	if (slice_has_prefix(path, "[wick]"))
		return FRAME_SYNTHETIC;
	return FRAME_USER;
}
