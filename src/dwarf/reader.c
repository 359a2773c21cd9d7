/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/reader.h"

#include "base/arena.h"
#include "dwarf/scopes.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <errno.h>
#include <libelf.h>
#include <malloc.h>
#include <unistd.h>

#define MAX_NESTING 128 /* of namespaces, types and blocks */
#define RANGE_STEPS 256 /* ranges looked at for one address: overlaps are rare */

/* [start, end) belongs to the unit at `unit`, an offset in .debug_info. */
struct unit_range {
	uint64_t start, end;
	uint64_t max_end; /* of this and all before it */
	Dwarf_Off unit;
};

/* One address of a batch and its unit. */
struct place {
	Dwarf_Off unit;
	uint32_t index;
};

struct dwarf_reader {
	int fd;
	Elf *elf;
	Dwarf *dw;
	size_t heap_max, heap_start; /* what libdw may add to what it began with, before it begins anew */
	struct membudget budget;
	VEC(struct unit_range) ranges;
	struct arena names; /* made up for the answer at hand */
};

/* The addresses of a batch that lie in one unit. */
struct unit_walk {
	const uint64_t *addrs;
	const struct place *places; /* by rising address */
	uint32_t n;
	uint8_t *is_found; /* by place */
	uint32_t n_left;
	bool all; /* look for functions inside functions, too */
	Dwarf_Die unit;
	const char *skeleton_folder; /* of a split unit: the compiler's working folder */
	Dwarf_Files *files;
	struct dwarf_reader *reader;
	bool has_namespaces, has_scopes; /* the language; scopes are read */
	struct scopes scopes;
	struct dwarf_sink sink;
};

/* ---- opening ---- */

static size_t heap_used(void)
{
	struct mallinfo2 info = mallinfo2();
	return info.uordblks + info.hblkhd;
}

/* libdw cannot go on without memory. */
__attribute__((noreturn)) static void out_of_memory(void)
{
	_exit(DWARF_EXIT_MEMORY);
}

static int open_dwarf(struct dwarf_reader *r, struct error *err)
{
	r->elf = elf_begin(r->fd, ELF_C_READ_MMAP, NULL);
	if (!r->elf)
		return error_set(err, -EBADMSG, "libelf: %s", elf_errmsg(-1));
	r->dw = dwarf_begin_elf(r->elf, DWARF_C_READ, NULL);
	r->heap_start = heap_used();
	if (r->dw) {
		(void)dwarf_new_oom_handler(r->dw, out_of_memory);
		return 0;
	}
	int e = dwarf_errno();
	bool is_none = e == 0 || strstr(dwarf_errmsg(e), "no DWARF");
	return error_set(err, is_none ? -ENOENT : -EBADMSG, "libdw: %s", dwarf_errmsg(e));
}

static void close_dwarf(struct dwarf_reader *r)
{
	if (r->dw)
		(void)dwarf_end(r->dw);
	if (r->elf)
		(void)elf_end(r->elf);
	r->dw = NULL;
	r->elf = NULL;
}

static int add_unit_ranges(struct dwarf_reader *r, Dwarf_Die *unit)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	Dwarf_Off off = dwarf_dieoffset(unit);
	/* What the linker threw away is left at address 0. */
	while ((at = dwarf_ranges(unit, at, &base, &start, &end)) > 0) {
		if (start == 0 || start >= end)
			continue;
		int e = vec_reserve(&r->budget, &r->ranges, 1);
		if (e < 0)
			return e;
		r->ranges.data[r->ranges.n++] = (struct unit_range){ .start = start, .end = end, .unit = off };
	}
	return 0;
}

static int compare_range(const void *a, const void *b)
{
	const struct unit_range *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->unit < y->unit ? -1 : x->unit > y->unit;
}

static int read_units(struct dwarf_reader *r)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die unit;
	uint8_t type;
	while (dwarf_get_units(r->dw, cu, &cu, NULL, &type, &unit, NULL) == 0) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		int e = add_unit_ranges(r, &unit);
		if (e < 0)
			return e;
	}
	if (r->ranges.n)
		qsort(r->ranges.data, r->ranges.n, sizeof(r->ranges.data[0]), compare_range);
	uint64_t max_end = 0;
	for (uint32_t i = 0; i < r->ranges.n; i++) {
		if (r->ranges.data[i].end > max_end)
			max_end = r->ranges.data[i].end;
		r->ranges.data[i].max_end = max_end;
	}
	return 0;
}

int dwarf_open(int fd, size_t memory_max, struct dwarf_reader **ret, struct error *err)
{
	(void)elf_version(EV_CURRENT);
	_cleanup_(dwarf_free)
	struct dwarf_reader *r = calloc(1, sizeof(*r));
	if (!r)
		return error_set(err, -ENOMEM, "out of memory");
	r->fd = fd;
	r->heap_max = memory_max / 2;
	r->budget = membudget_of(memory_max / 4);
	arena_init(&r->names, (size_t)DWARF_MAX_DEPTH * DWARF_TEXT_MAX * 3);
	int e = open_dwarf(r, err);
	if (e < 0)
		return e;
	e = read_units(r);
	if (e < 0)
		return error_set(err, e, "no memory for the table of its units");
	*ret = take_ptr(r);
	return 0;
}

void dwarf_free(struct dwarf_reader **r)
{
	if (!*r)
		return;
	close_dwarf(*r);
	vec_done(&(*r)->budget, &(*r)->ranges);
	arena_done(&(*r)->names);
	free(*r);
	*r = NULL;
}

/* ---- one address in one function ---- */

/* 1: holds the address, 0: does not, -1: says nothing of addresses. */
static int holds(Dwarf_Die *die, uint64_t addr)
{
	if (dwarf_hasattr(die, DW_AT_low_pc) || dwarf_hasattr(die, DW_AT_ranges))
		return dwarf_haspc(die, addr) > 0;
	return -1;
}

static bool is_block(int tag)
{
	return tag == DW_TAG_lexical_block || tag == DW_TAG_try_block || tag == DW_TAG_catch_block ||
	       tag == DW_TAG_with_stmt;
}

/* The inlined call at `addr` below `die`, through blocks. */
static bool find_inlined(Dwarf_Die *die, uint64_t addr, unsigned nesting, Dwarf_Die *ret)
{
	Dwarf_Die child;
	if (nesting == MAX_NESTING || dwarf_child(die, &child) != 0)
		return false;
	do {
		int tag = dwarf_tag(&child);
		bool is_call = tag == DW_TAG_inlined_subroutine;
		if (!is_call && !is_block(tag))
			continue;
		int held = holds(&child, addr);
		if (is_call && held > 0) {
			*ret = child;
			return true;
		}
		if (!is_call && held != 0 && find_inlined(&child, addr, nesting + 1, ret))
			return true;
	} while (dwarf_siblingof(&child, &child) == 0);
	return false;
}

/* chain[0] = the function itself, then what is inlined into it; how many. */
static uint32_t inline_chain(Dwarf_Die *function, uint64_t addr, Dwarf_Die chain[static DWARF_MAX_DEPTH])
{
	uint32_t n = 1;
	chain[0] = *function;
	while (n < DWARF_MAX_DEPTH && find_inlined(&chain[n - 1], addr, 0, &chain[n]))
		n++;
	return n;
}

static struct slice text_of(const char *text)
{
	return text ? slice_str(text) : slice_of(NULL, 0);
}

static const char *linkage_name(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	const char *name = dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attr));
	return name ? name : dwarf_formstring(dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attr));
}

/* Where the function was declared: that stands in its scope. */
static Dwarf_Die declaration_of(Dwarf_Die die)
{
	static const unsigned links[] = { DW_AT_abstract_origin, DW_AT_specification };
	for (unsigned i = 0; i < ARRAY_SIZE(links); i++) {
		Dwarf_Attribute attr;
		Dwarf_Die next;
		if (dwarf_formref_die(dwarf_attr(&die, links[i], &attr), &next))
			die = next;
	}
	return die;
}

/* The linker's name, else the source's with its namespaces and types, as far
 * as the unit tells them. */
static int function_name(struct unit_walk *w, Dwarf_Die *die, struct slice *ret)
{
	const char *name = linkage_name(die);
	if (!name && (name = dwarf_diename(die)) && w->has_namespaces) {
		Dwarf_Die declaration = declaration_of(*die);
		int r = w->has_scopes ? 0 : scopes_init(&w->scopes, &w->unit, &w->reader->budget);
		w->has_scopes = true;
		if (r < 0)
			return r;
		if (declaration.cu == w->unit.cu)
			name = scopes_name(&w->scopes, dwarf_dieoffset(&declaration), name, &w->reader->names);
		if (!name)
			return -ENOBUFS;
	}
	*ret = text_of(name);
	return 0;
}

static uint32_t u32_attr(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attr;
	Dwarf_Word value;
	if (dwarf_formudata(dwarf_attr(die, name, &attr), &value) != 0 || value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

/* libdw leaves a path relative where DWARF 5 gives a relative folder. */
static struct slice whole_path(struct unit_walk *w, const char *path)
{
	Dwarf_Attribute attr;
	if (!path || path[0] == '/')
		return text_of(path);
	const char *folder = dwarf_formstring(dwarf_attr(&w->unit, DW_AT_comp_dir, &attr));
	if (!folder)
		folder = w->skeleton_folder;
	size_t size = folder ? strlen(folder) + strlen(path) + 2 : 0;
	char *whole = size && size <= DWARF_TEXT_MAX ? arena_alloc(&w->reader->names, size) : NULL;
	if (!whole)
		return text_of(path);
	(void)snprintf(whole, size, "%s/%s", folder, path);
	return slice_of(whole, size - 1);
}

/* Where the inlined function `die` was called. */
static void set_call(struct unit_walk *w, Dwarf_Die *die, struct dwarf_frame *caller)
{
	caller->line = u32_attr(die, DW_AT_call_line);
	/* File 0 is a file in DWARF 5. */
	if (!dwarf_hasattr(die, DW_AT_call_file) || (!w->files && dwarf_getsrcfiles(&w->unit, &w->files, NULL) != 0))
		return;
	caller->file = whole_path(w, dwarf_filesrc(w->files, u32_attr(die, DW_AT_call_file), NULL, NULL));
}

static void set_line(struct unit_walk *w, uint64_t addr, struct dwarf_frame *f)
{
	Dwarf_Line *line = dwarf_getsrc_die(&w->unit, addr);
	int number = 0;
	if (!line)
		return;
	f->file = whole_path(w, dwarf_linesrc(line, NULL, NULL));
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		f->line = (uint32_t)number;
}

/* `function` NULL: only the line is known, as in assembly. */
static int answer(struct unit_walk *w, uint32_t place, Dwarf_Die *function)
{
	uint32_t index = w->places[place].index;
	uint64_t addr = w->addrs[index];
	Dwarf_Die chain[DWARF_MAX_DEPTH];
	struct dwarf_frame frames[DWARF_MAX_DEPTH];
	uint32_t n = function ? inline_chain(function, addr, chain) : 1;
	memset(frames, 0, n * sizeof(frames[0]));
	arena_reset(&w->reader->names);
	for (uint32_t i = 0; function && i < n; i++) {
		int r = function_name(w, &chain[i], &frames[n - 1 - i].name);
		if (r < 0)
			return r;
		if (i > 0)
			set_call(w, &chain[i], &frames[n - i]);
	}
	set_line(w, addr, &frames[0]);
	w->is_found[place] = 1;
	w->n_left--;
	if (n == 1 && frames[0].name.size == 0 && frames[0].line == 0)
		return 0;
	struct dwarf_answer a = { .index = index, .frames = frames, .n_frames = n };
	return w->sink.put(w->sink.arg, &a);
}

/* ---- the functions of one unit ---- */

static uint32_t first_from(const struct unit_walk *w, uint64_t start)
{
	uint32_t low = 0, high = w->n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (w->addrs[w->places[middle].index] < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Answers for the addresses in the function's ranges. */
static int take_function(struct unit_walk *w, Dwarf_Die *die)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t at = 0;
	while ((at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
		for (uint32_t i = first_from(w, start); i < w->n && w->addrs[w->places[i].index] < end; i++) {
			int e = w->is_found[i] ? 0 : answer(w, i, die);
			if (e < 0)
				return e;
		}
	}
	return 0;
}

/* Where functions may be found inside. */
static bool is_scope(const struct unit_walk *w, int tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
	case DW_TAG_variant_part:
	case DW_TAG_variant:
		return true;
	case DW_TAG_subprogram:
		return w->all;
	default:
		return w->all && is_block(tag);
	}
}

static int walk(struct unit_walk *w, Dwarf_Die *scope, unsigned nesting)
{
	Dwarf_Die die;
	if (nesting == MAX_NESTING || dwarf_child(scope, &die) != 0)
		return 0;
	int e = 0;
	do {
		int tag = dwarf_tag(&die);
		if (tag == DW_TAG_subprogram)
			e = take_function(w, &die);
		if (e == 0 && is_scope(w, tag))
			e = walk(w, &die, nesting + 1);
	} while (e == 0 && w->n_left && dwarf_siblingof(&die, &die) == 0);
	return e;
}

static bool has_namespaces(Dwarf_Die *unit)
{
	switch (dwarf_srclang(unit)) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
	case DW_LANG_Rust:
		return true;
	default:
		return false;
	}
}

/* The unit itself, or the one that a skeleton stands for. */
static bool load_unit(struct dwarf_reader *r, struct unit_walk *w, Dwarf_Off off)
{
	Dwarf_Attribute attr;
	Dwarf_Die split;
	uint8_t type;
	if (!dwarf_offdie(r->dw, off, &w->unit))
		return false;
	memset(&split, 0, sizeof(split));
	if (dwarf_cu_info(w->unit.cu, NULL, &type, NULL, &split, NULL, NULL, NULL) == 0 && type == DW_UT_skeleton &&
	    dwarf_tag(&split) == DW_TAG_compile_unit) {
		w->skeleton_folder = dwarf_formstring(dwarf_attr(&w->unit, DW_AT_comp_dir, &attr));
		w->unit = split;
	}
	w->has_namespaces = has_namespaces(&w->unit);
	return true;
}

static int look_up_unit(struct dwarf_reader *r, struct unit_walk *w)
{
	if (!load_unit(r, w, w->places[0].unit))
		return 0;
	int e = walk(w, &w->unit, 0);
	/* Functions within functions are rare: only when somebody is missing. */
	w->all = true;
	if (e == 0 && w->n_left)
		e = walk(w, &w->unit, 0);
	for (uint32_t i = 0; e == 0 && i < w->n; i++)
		if (!w->is_found[i])
			e = answer(w, i, NULL);
	return e;
}

/* ---- a batch ---- */

/* The unit whose range around the address starts last; false: none has it. */
static bool find_unit(const struct dwarf_reader *r, uint64_t addr, Dwarf_Off *ret)
{
	uint32_t low = 0, high = r->ranges.n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (r->ranges.data[middle].start <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	for (uint32_t steps = 0; low > 0 && r->ranges.data[low - 1].max_end > addr && steps < RANGE_STEPS; steps++) {
		const struct unit_range *range = &r->ranges.data[--low];
		*ret = range->unit;
		if (range->end > addr)
			return true;
	}
	return false;
}

static int compare_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->unit != y->unit)
		return x->unit < y->unit ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

/* libdw keeps what it has read of every unit until its end. */
static int shrink(struct dwarf_reader *r, struct error *err)
{
	if (heap_used() < r->heap_start + r->heap_max)
		return 0;
	close_dwarf(r);
	return open_dwarf(r, err);
}

static int look_up_places(struct dwarf_reader *r, const uint64_t *addrs, const struct place *places, uint32_t n,
			  uint8_t *is_found, struct dwarf_sink sink, struct error *err)
{
	int e = 0;
	for (uint32_t from = 0, to; e == 0 && from < n; from = to) {
		struct unit_walk w = {
			.reader = r, .addrs = addrs, .places = places + from, .is_found = is_found + from, .sink = sink
		};
		for (to = from; to < n && places[to].unit == places[from].unit; to++)
			;
		w.n = w.n_left = to - from;
		e = look_up_unit(r, &w);
		scopes_done(&w.scopes);
		if (e == 0)
			e = shrink(r, err);
	}
	return e;
}

int dwarf_lookup(struct dwarf_reader *r, const uint64_t *addrs, uint32_t n, struct dwarf_sink sink, struct error *err)
{
	_cleanup_(free_ptr)
	struct place *places = calloc((size_t)n + 1, sizeof(*places));
	_cleanup_(free_ptr)
	uint8_t *is_found = calloc((size_t)n + 1, 1);
	if (!places || !is_found)
		return error_set(err, -ENOMEM, "no memory for %u addresses", n);
	uint32_t n_places = 0;
	for (uint32_t i = 0; i < n; i++) {
		places[n_places].index = i;
		n_places += find_unit(r, addrs[i], &places[n_places].unit);
	}
	qsort(places, n_places, sizeof(*places), compare_place);
	return look_up_places(r, addrs, places, n_places, is_found, sink, err);
}
