/* SPDX-License-Identifier: Apache-2.0 */
/* dict.h: everything a call stack is made of, as columns of 32-bit ids.
 *
 *   strings     interned bytes
 *   functions   { name, system_name, file, start_line }
 *   mappings    { start, limit, offset, path, build_id, flags }
 *   frames      { function, mapping, line, address, kind, found, flags }
 *   nodes       { parent, frame }     parent < child: the call tree in
 *                                     topological order
 *
 * Rows are interned: equal rows have one id. Id 0 of every table is "none";
 * node 0 is the root. Because a parent always precedes its children, totals
 * are one backward sweep: total[parent[i]] += total[i].
 *
 * A frame without a function keeps its mapping and address, so that it can
 * be named later. Mapping.start/limit/offset and frame.address are as in
 * pprof: virtual addresses of the process that was sampled, unless the
 * producer normalised them (the agent does: address is the ELF's own virtual
 * address, start = 0, so that windows of different processes merge).
 *
 * Not thread-safe. All memory is charged to the budget. */
#pragma once

#include "base/error.h"
#include "base/pairset.h"
#include "base/rowset.h"
#include "base/strtab.h"
#include "base/u64map.h"

struct func_id {
	uint32_t v;
};
struct mapping_id {
	uint32_t v;
};
struct frame_id {
	uint32_t v;
};
struct node_id {
	uint32_t v;
};

struct function {
	struct str_id name, system_name, file;
	uint32_t start_line;
};

enum mapping_flags {
	MAPPING_HAS_FUNCTIONS = 1 << 0,
	MAPPING_HAS_FILENAMES = 1 << 1,
	MAPPING_HAS_LINES = 1 << 2,
	MAPPING_HAS_INLINES = 1 << 3,
};

struct mapping {
	uint64_t start, limit, offset;
	struct str_id path, build_id; /* build_id in lower-case hex */
	uint32_t flags;
	uint32_t pad;
};

enum frame_kind {
	FRAME_UNKNOWN,
	FRAME_USER,
	FRAME_KERNEL,
	FRAME_PYTHON,
	FRAME_JS,
	FRAME_JVM,
	FRAME_GO,
	FRAME_JIT,
	FRAME_SYNTHETIC, /* put there by wick: a grouping label, "[process gone]" */
};

enum frame_found {
#define FOUND(id, name, text) FRAME_FOUND_##id,
#include "model/found.def"
#undef FOUND
	N_FRAME_FOUNDS
};

enum frame_flags {
	FRAME_INLINED = 1 << 0,	  /* into the frame of its parent node; same address, found the same way */
	FRAME_IS_FOLDED = 1 << 1, /* pprof Location.is_folded */
};

struct frame {
	struct func_id function;
	struct mapping_id mapping;
	uint64_t address;
	uint32_t line;
	uint8_t kind, found, flags, pad; /* found: enum frame_found */
	uint32_t column;
	uint32_t pad2;
};

struct dict {
	struct strtab strings;
	VEC(struct function) functions;
	VEC(struct mapping) mappings;
	VEC(struct frame) frames;
	VEC(struct node_id) node_parent;
	VEC(struct frame_id) node_frame; /* same n as node_parent */

	struct rowset function_ids, mapping_ids, frame_ids;
	struct pairset node_ids;
	struct membudget *budget;
};

int dict_init(struct dict *d, struct membudget *budget) must_check;
void dict_done(struct dict *d);

static inline uint32_t dict_n_nodes(const struct dict *d)
{
	return d->node_parent.n;
}

static inline struct pair_columns dict_node_columns(const struct dict *d)
{
	return (struct pair_columns){ &d->node_parent.data->v, &d->node_frame.data->v };
}

/* How many rows a dict may come to hold. */
struct dict_counts {
	uint32_t n_strings, n_string_bytes, n_functions, n_frames, n_nodes;
};

/* Takes the room for so many more rows at once instead of growing again and again, as far as there is memory. The
 * counts are guesses: what they are too high by is charged all the same. */
void dict_reserve(struct dict *d, const struct dict_counts *more);

/* Interning: the id of an equal row, or a new one. Ids inside the row must
 * come from this dict (asserted). 0, -ENOBUFS or -ENOMEM. */
int dict_function(struct dict *d, const struct function *row, struct func_id *ret) must_check;
int dict_mapping(struct dict *d, const struct mapping *row, struct mapping_id *ret) must_check;
int dict_frame(struct dict *d, const struct frame *row, struct frame_id *ret) must_check;
int dict_node(struct dict *d, struct node_id parent, struct frame_id frame, struct node_id *ret) must_check;

/* One step of a stack from the root (stackwalk.h is for whole ones): *node = its child for `frame`, added if
 * new. 0, -ENOBUFS or -ENOMEM. */
static inline int must_check dict_step(struct dict *d, uint32_t *node, uint32_t frame)
{
	struct node_id child;
	int r = dict_node(d, (struct node_id){ *node }, (struct frame_id){ frame }, &child);
	if (r == 0)
		*node = child.v;
	return r;
}

/* n steps: frames[0], frames[step], ... (nodes before a failure stay). */
int dict_chain(struct dict *d, uint32_t *node, const uint32_t *frames, uint32_t n, int32_t step) must_check;

/* A frame that is only a name (folded input, synthetic rows). */
int dict_named_frame(struct dict *d, struct slice name, enum frame_kind kind, struct frame_id *ret) must_check;

/* After frame rows were changed in place (named): they can be found again. Of
 * rows that became equal the first is found. */
void dict_frames_changed(struct dict *d);

/* Adds all of `src` to `dst`. node_map[src node] = dst node, in an array of
 * dict_n_nodes(src) that the caller provides. `dst` may have grown on error. */
int dict_import(struct dict *dst, const struct dict *src, struct node_id *node_map) must_check;

/* Adds only the nodes i with wanted[i] and what those refer to; the parent of each is wanted, too. Other entries
 * of `node_map` stay as they are. frame_map[src frame] = dst frame, 0 = to be looked for; those found or added are
 * entered. */
int dict_import_some(struct dict *dst, const struct dict *src, const uint8_t *wanted, struct frame_id *frame_map,
		     struct node_id *node_map) must_check;

/* What a person reads for this frame: the function's name, else
 * "libc.so.6+0x1234" (basename of the mapping), else "0x1234", else
 * "[unknown]". `buf` holds the made-up ones; the slice points there or into
 * the dict. */
#define FRAME_NAME_SIZE 320
struct slice dict_frame_name(const struct dict *d, struct frame_id frame, char buf[static FRAME_NAME_SIZE]);

/* "table", "fp" ...; "" for FRAME_FOUND_UNKNOWN, which is also what a name that is none stands for. */
const char *frame_found_name(enum frame_found f);
enum frame_found frame_found_of_name(struct slice name);

/* What a pprof mapping says of its frames: FRAME_KERNEL for "[kernel...",
 * FRAME_JIT for "[jit]" and perf maps, FRAME_SYNTHETIC for "[wick]", else
 * FRAME_USER. */
enum frame_kind frame_kind_of_path(struct slice mapping_path);
