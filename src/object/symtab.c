/* SPDX-License-Identifier: Apache-2.0 */
#include "object/symtab.h"

#include "object/filewin.h"

#include <elf.h>
#include <errno.h>

#define SYMBOL_WINDOW (32u << 10)
#define NAME_WINDOW   (16u << 10)
#define MAX_TIES      4
#define MAX_TABLES    2

enum symbol_class { CLASS_FUNC, CLASS_LABEL, N_CLASSES };

/* Where a symbol's name is. */
struct name_place {
	uint32_t table, off;
};

/* The best symbols met so far that start at one address: equal in all but name. */
struct candidate {
	uint64_t start;
	struct name_place names[MAX_TIES];
	uint32_t n;
	uint32_t rank; /* of the binding */
};

/* What one pass collects for addr[i]. `below`, `above` and `open` are filled
 * for the gap before (after) this address only; gaps_spread() then carries
 * them over to the addresses whose nearest boundary lies further away. */
struct slot {
	uint64_t below[N_CLASSES]; /* greatest boundary <= address */
	uint64_t above[N_CLASSES]; /* least boundary > address */
	struct candidate sized[N_CLASSES];
	struct candidate open[N_CLASSES]; /* of size 0, the last that starts <= address */
};

struct table {
	struct filewin symbols, names;
	struct elf_table entries, strings;
};

struct pass {
	const struct elf *e;
	const uint64_t *addrs;
	struct slot *slots;
	uint32_t n;
	uint32_t n_tables;
	struct table tables[MAX_TABLES];
};

static void pass_done(struct pass *p)
{
	free(p->slots);
	for (uint32_t i = 0; i < p->n_tables; i++) {
		filewin_done(&p->tables[i].symbols);
		filewin_done(&p->tables[i].names);
	}
}

/* Index of the first address >= v. */
static uint32_t lower_bound(const struct pass *p, uint64_t v)
{
	uint32_t lo = 0, hi = p->n;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (p->addrs[mid] < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Symbols of `cls` change at v; `i` = lower_bound(v). */
static void add_boundary(struct pass *p, enum symbol_class cls, uint64_t v, uint32_t i)
{
	if (i < p->n && p->slots[i].below[cls] < v)
		p->slots[i].below[cls] = v;
	if (i > 0 && p->slots[i - 1].above[cls] > v)
		p->slots[i - 1].above[cls] = v;
}

static void candidate_offer(struct candidate *c, uint64_t start, uint32_t rank, struct name_place name)
{
	bool better = c->n == 0 || start > c->start || (start == c->start && rank > c->rank);
	if (better)
		*c = (struct candidate){ .start = start, .rank = rank };
	else if (start != c->start || rank != c->rank || c->n == MAX_TIES)
		return;
	c->names[c->n++] = name;
}

static uint32_t binding_rank(uint8_t info)
{
	switch (ELF64_ST_BIND(info)) {
	case STB_GLOBAL:
	case STB_GNU_UNIQUE:
		return 3;
	case STB_LOCAL:
		return 2;
	default:
		return 1;
	}
}

static bool is_executable(const struct elf *e, uint64_t vaddr)
{
	for (uint32_t i = 0; i < e->n_loads; i++)
		if (e->loads[i].executable && vaddr >= e->loads[i].vaddr &&
		    vaddr - e->loads[i].vaddr < e->loads[i].mem_size)
			return true;
	return false;
}

/* False for symbols that name no code. */
static bool symbol_class(const struct elf *e, const Elf64_Sym *s, enum symbol_class *ret)
{
	if (s->st_name == 0 || s->st_shndx == SHN_UNDEF || s->st_shndx == SHN_ABS || s->st_shndx == SHN_COMMON)
		return false;
	switch (ELF64_ST_TYPE(s->st_info)) {
	case STT_FUNC:
	case STT_GNU_IFUNC:
		*ret = CLASS_FUNC;
		return true;
	case STT_NOTYPE:
		*ret = CLASS_LABEL;
		if (e->machine == EM_AARCH64 && ELF64_ST_BIND(s->st_info) == STB_LOCAL)
			return false;
		return is_executable(e, s->st_value);
	default:
		return false;
	}
}

static void add_symbol(struct pass *p, uint32_t table, const Elf64_Sym *s)
{
	enum symbol_class cls;
	struct name_place name = { table, s->st_name };
	uint64_t start = s->st_value, end;
	if (!symbol_class(p->e, s, &cls) || __builtin_add_overflow(start, s->st_size, &end))
		return;
	uint32_t first = lower_bound(p, start), limit = first;
	add_boundary(p, cls, start, first);
	uint32_t rank = binding_rank(s->st_info);
	if (s->st_size == 0) {
		if (first < p->n)
			candidate_offer(&p->slots[first].open[cls], start, rank, name);
		return;
	}
	/* Most functions hold none of the addresses: one look decides. */
	if (first < p->n && p->addrs[first] < end)
		limit = lower_bound(p, end);
	add_boundary(p, cls, end, limit);
	for (uint32_t i = first; i < limit; i++)
		candidate_offer(&p->slots[i].sized[cls], start, rank, name);
}

static int read_symbols(struct pass *p, uint32_t table)
{
	struct table *t = &p->tables[table];
	for (uint64_t pos = 0; pos < t->entries.size; pos += sizeof(Elf64_Sym)) {
		const void *bytes = filewin_at(&t->symbols, t->entries.off + pos, sizeof(Elf64_Sym));
		if (!bytes)
			return t->symbols.error;
		Elf64_Sym s;
		memcpy(&s, bytes, sizeof(s));
		add_symbol(p, table, &s);
	}
	return 0;
}

static void add_edges(struct pass *p, uint64_t start, uint64_t end)
{
	for (uint32_t cls = 0; cls < N_CLASSES; cls++) {
		add_boundary(p, (enum symbol_class)cls, start, lower_bound(p, start));
		add_boundary(p, (enum symbol_class)cls, end, lower_bound(p, end));
	}
}

/* Where a segment or section ends, so does every symbol in it: _init, of size
 * 0, does not own the .plt behind it. */
static void add_segments(struct pass *p)
{
	for (uint32_t i = 0; i < p->e->n_loads; i++)
		add_edges(p, p->e->loads[i].vaddr, p->e->loads[i].vaddr + p->e->loads[i].mem_size);
	for (uint32_t i = 0; i < p->e->n_code; i++)
		add_edges(p, p->e->code[i].start, p->e->code[i].end);
}

static void gaps_spread(struct pass *p)
{
	for (uint32_t cls = 0; cls < N_CLASSES; cls++) {
		for (uint32_t i = 1; i < p->n; i++) {
			struct slot *s = &p->slots[i], *prev = s - 1;
			if (s->below[cls] < prev->below[cls])
				s->below[cls] = prev->below[cls];
			if (s->open[cls].n == 0)
				s->open[cls] = prev->open[cls];
		}
		for (uint32_t i = p->n - 1; i > 0; i--) {
			struct slot *s = &p->slots[i], *prev = s - 1;
			if (prev->above[cls] > s->above[cls])
				prev->above[cls] = s->above[cls];
		}
	}
}

/* The name, cut at a version and at SYMBOL_NAME_MAX; empty when it lies outside
 * the string table. Valid until the window moves. */
static struct slice read_name(struct pass *p, struct name_place place)
{
	struct table *t = &p->tables[place.table];
	if (place.off >= t->strings.size)
		return slice_of(NULL, 0);
	uint64_t left = t->strings.size - place.off;
	uint32_t n = left < SYMBOL_NAME_MAX ? (uint32_t)left : SYMBOL_NAME_MAX;
	const char *name = filewin_at(&t->names, t->strings.off + place.off, n);
	if (!name)
		return slice_of(NULL, 0);
	size_t size = strnlen(name, n);
	const char *version = size > 1 ? memchr(name + 1, '@', size - 1) : NULL;
	return slice_of(name, version ? (size_t)(version - name) : size);
}

static size_t n_underscores(struct slice name)
{
	size_t n = 0;
	while (n < name.size && name.data[n] == '_')
		n++;
	return n;
}

static bool reads_better(struct slice a, struct slice b)
{
	size_t under_a = n_underscores(a), under_b = n_underscores(b);
	if (under_a != under_b)
		return under_a < under_b;
	size_t n = a.size < b.size ? a.size : b.size;
	int order = memcmp(a.data, b.data, n);
	return order != 0 ? order < 0 : a.size < b.size;
}

/* Copies the best of the tied names to `out`. */
static struct slice best_name(struct pass *p, const struct candidate *c, uint8_t out[static SYMBOL_NAME_MAX])
{
	struct slice best = slice_of(out, 0);
	for (uint32_t i = 0; i < c->n; i++) {
		struct slice name = read_name(p, c->names[i]);
		if (name.size == 0 || (best.size && !reads_better(name, best)))
			continue;
		memcpy(out, name.data, name.size);
		best.size = name.size;
	}
	return best;
}

/* The candidate that names slot `s`, NULL for none, and the range in which
 * that holds: between the nearest boundaries the symbols that cover an
 * address are always the same ones. Labels matter only where no function
 * answers. */
static const struct candidate *slot_answer(const struct slot *s, struct symrange *ret)
{
	ret->start = s->below[CLASS_FUNC];
	ret->end = s->above[CLASS_FUNC];
	for (uint32_t cls = 0; cls < N_CLASSES; cls++) {
		if (ret->start < s->below[cls])
			ret->start = s->below[cls];
		if (ret->end > s->above[cls])
			ret->end = s->above[cls];
		if (s->sized[cls].n)
			return &s->sized[cls];
		if (s->open[cls].n && s->open[cls].start == s->below[cls])
			return &s->open[cls];
	}
	return NULL;
}

static int names_error(const struct pass *p)
{
	for (uint32_t i = 0; i < p->n_tables; i++)
		if (p->tables[i].names.error)
			return p->tables[i].names.error;
	return 0;
}

static int answer(struct pass *p, struct symrange_sink sink)
{
	uint8_t name[SYMBOL_NAME_MAX];
	uint64_t done = 0; /* end of the last range given */
	for (uint32_t i = 0; i < p->n; i++) {
		if (p->addrs[i] < done || p->addrs[i] == SYMRANGE_NO_ADDRESS)
			continue;
		struct symrange range = { 0 };
		const struct candidate *c = slot_answer(&p->slots[i], &range);
		if (c)
			range.name = best_name(p, c, name);
		int r = names_error(p);
		if (r < 0)
			return r;
		r = sink.put(sink.arg, &range);
		if (r < 0)
			return r;
		done = range.end;
	}
	return 0;
}

/* .symtab of `e`, or .dynsym. */
static int add_table(struct pass *p, const struct elf *e)
{
	bool stripped = e->symtab.size == 0;
	struct table *t = &p->tables[p->n_tables++];
	t->entries = stripped ? e->dynsym : e->symtab;
	t->strings = stripped ? e->dynsym_names : e->symtab_names;
	int r = filewin_init(&t->symbols, e->fd, e->file_size, SYMBOL_WINDOW);
	return r < 0 ? r : filewin_init(&t->names, e->fd, e->file_size, NAME_WINDOW);
}

static int pass_init(struct pass *p, const struct elf *e, const struct elf *more, const uint64_t *addrs, uint32_t n)
{
	*p = (struct pass){ .e = e, .addrs = addrs, .n = n, .slots = calloc(n, sizeof(*p->slots)) };
	if (!p->slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t cls = 0; cls < N_CLASSES; cls++)
			p->slots[i].above[cls] = UINT64_MAX;
	int r = add_table(p, e);
	return r < 0 || !more ? r : add_table(p, more);
}

static int read_tables(struct pass *p, struct error *err)
{
	for (uint32_t i = 0; i < p->n_tables; i++) {
		uint64_t size = p->tables[i].entries.size;
		if (size > SYMTAB_MAX_SIZE)
			return error_set(err, -E2BIG, "symbol table of %llu bytes; at most %llu",
					 (unsigned long long)size, (unsigned long long)SYMTAB_MAX_SIZE);
		int r = read_symbols(p, i);
		if (r < 0)
			return error_set(err, r, "cannot read the symbol table: %s", strerror(-r));
	}
	return 0;
}

int symtab_lookup_both(const struct elf *e, const struct elf *more, const uint64_t *addrs, uint32_t n,
		       struct symrange_sink sink, struct error *err)
{
	if (n == 0)
		return 0;
	if (n > SYMTAB_MAX_BATCH)
		return error_set(err, -E2BIG, "%u addresses in one batch; at most %d", n, SYMTAB_MAX_BATCH);
	_cleanup_(pass_done)
	struct pass p;
	int r = pass_init(&p, e, more, addrs, n);
	if (r < 0)
		return error_set(err, r, "no memory for %u addresses", n);
	add_segments(&p);
	r = read_tables(&p, err);
	if (r < 0)
		return r;
	gaps_spread(&p);
	r = answer(&p, sink);
	if (names_error(&p))
		return error_set(err, r, "cannot read the string table: %s", strerror(-r));
	return r;
}

int symtab_lookup(const struct elf *e, const uint64_t *addrs, uint32_t n, struct symrange_sink sink, struct error *err)
{
	return symtab_lookup_both(e, NULL, addrs, n, sink, err);
}
