/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/table.h"

#include "unwind/gorows.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define PAGE_SIZE     ((uint64_t)1 << ROW_PAGE_BITS)
#define PADDING_MAX   15
#define FUNCTIONS_MAX (8u << 20)
#define PAGES_MAX     (1u << 16)

/* What Go says in its own tables knows how its stacks change; .debug_frame does not. */
enum source { EH_FRAME, GO_TABLES, DEBUG_FRAME, N_SOURCES };

struct function {
	uint32_t start; /* offset in the file */
	uint32_t source : 2;
	uint32_t place : 30; /* of its FDE, in the section; its number, in Go's tables */
};
#define PLACE_MAX ((1u << 30) - 1)

/* One function as its source tells it. */
struct told {
	uint64_t start, end; /* ELF virtual addresses */
	union {
		struct cfi_fde fde;
		struct gorows_func go;
	};
};

struct builder {
	const struct elf *elf;
	struct unwind_table *t;
	struct pool *pool;
	bool has[N_SOURCES];
	enum source first_source; /* that there is */
	struct cfi cfi[N_SOURCES];
	struct gorows go;
	VEC(struct function) functions;
	VEC(struct pool_row) rows; /* of the page at hand */
	uint32_t page;		   /* its number */
	uint64_t done_to;	   /* rows up to this offset are written */
	uint64_t bias;		   /* from offset to virtual address, in the function at hand */
	uint16_t last_rule;
	uint16_t gap;
};

/* Where code of a virtual address lies in the file. */
static bool file_offset(const struct elf *e, uint64_t vaddr, uint64_t *ret)
{
	for (uint32_t i = 0; i < e->n_loads; i++) {
		const struct elf_load *load = &e->loads[i];
		if (!load->executable || vaddr < load->vaddr || vaddr - load->vaddr >= load->file_size)
			continue;
		*ret = vaddr - load->vaddr + load->file_off;
		return true;
	}
	return false;
}

/* ---- pages --------------------------------------------------------------- */

static int reserve_pages(struct builder *b, uint32_t n)
{
	struct unwind_table *t = b->t;
	return n <= t->pages_cap
		       ? 0
		       : vec_grow(t->budget, (void **)&t->pages, &t->pages_cap, n, PAGES_MAX, sizeof(*t->pages));
}

/* Heads: how many rows stand before each 4 KiB of the page, and in it. */
static void write_heads(const struct builder *b, uint32_t *heads)
{
	uint32_t i = 0;
	for (uint32_t h = 0; h < ROW_HEADS; h++) {
		uint32_t before = i;
		while (i < b->rows.n && b->rows.data[i].low >> ROW_HEAD_BITS == h)
			i++;
		heads[h] = before | (i - before) << 16;
	}
}

static int write_page(struct builder *b, struct unwind_page *ret)
{
	uint32_t n_words = ROW_HEADS + b->rows.n, word;
	int r = pool_alloc(b->pool, n_words, &word);
	if (r < 0)
		return r;
	uint32_t *words = pool_words(b->pool, word, n_words);
	if (!words) {
		pool_free(b->pool, word, n_words);
		return -ENOMEM;
	}
	write_heads(b, words);
	memcpy(words + ROW_HEADS, b->rows.data, b->rows.n * sizeof(b->rows.data[0]));
	*ret = (struct unwind_page){ word, n_words };
	return 0;
}

/* The page at hand is complete. */
static int end_page(struct builder *b)
{
	struct unwind_table *t = b->t;
	struct unwind_page page = { 0 };
	bool is_gap = b->rows.n == 0 || (b->rows.n == 1 && b->rows.data[0].rule == b->gap);
	int r = reserve_pages(b, b->page + 1);
	/* "rows before" has 16 bits. */
	if (r == 0 && b->rows.n > UINT16_MAX)
		t->n_malformed++;
	else if (r == 0 && !is_gap)
		r = write_page(b, &page);
	if (r < 0)
		return r;
	t->pages[b->page] = page;
	t->in_pool.n_pages = b->page + 1;
	t->n_rows += b->rows.n;
	b->rows.n = 0;
	b->page++;
	return 0;
}

static int push_row(struct builder *b, uint16_t low, uint16_t rule)
{
	int r = vec_reserve(b->t->budget, &b->rows, 1);
	if (r == 0)
		b->rows.data[b->rows.n++] = (struct pool_row){ low, rule };
	return r;
}

/* Ends the pages before that of `off`. Every page begins with the row that
 * holds at its start. */
static int go_to_page(struct builder *b, uint32_t off)
{
	uint32_t page = off >> ROW_PAGE_BITS;
	int r = page < PAGES_MAX ? 0 : -E2BIG;
	while (r == 0 && b->page < page) {
		r = end_page(b);
		if (r == 0 && (b->page < page || off & (PAGE_SIZE - 1)))
			r = push_row(b, 0, b->last_rule);
	}
	return r;
}

/* `arg` is the builder; rows come by rising start, a virtual address. */
static int put_row(void *arg, uint64_t start, const struct unwind_rule *rule)
{
	struct builder *b = arg;
	if (start - b->bias > UINT32_MAX)
		return -E2BIG;
	uint32_t off = (uint32_t)(start - b->bias);
	uint16_t id = pool_rule(b->pool, rule);
	if (id == b->last_rule)
		return 0;
	int r = go_to_page(b, off);
	if (r == 0 && b->page == 0 && b->rows.n == 0 && off)
		r = push_row(b, 0, b->gap);
	if (r == 0)
		r = push_row(b, (uint16_t)off, id);
	if (r < 0)
		return r;
	b->t->n_unsupported += rule->cfa == RULE_UNSUPPORTED;
	b->last_rule = id;
	return 0;
}

static int put_gap(struct builder *b, uint64_t off)
{
	static const struct unwind_rule gap = { .cfa = RULE_GAP };
	return put_row(b, off + b->bias, &gap);
}

/* The pages' words become the table of them that the programs read. */
static int write_table(struct builder *b)
{
	struct unwind_table *t = b->t;
	int r = b->rows.n ? end_page(b) : 0;
	if (r < 0 || t->in_pool.n_pages == 0)
		return r < 0 ? r : -ENOENT;
	r = pool_alloc(b->pool, t->in_pool.n_pages, &t->in_pool.pages);
	uint32_t *words = r < 0 ? NULL : pool_words(b->pool, t->in_pool.pages, t->in_pool.n_pages);
	if (!words)
		return r < 0 ? r : -ENOMEM;
	for (uint32_t i = 0; i < t->in_pool.n_pages; i++)
		words[i] = t->pages[i].word;
	return 0;
}

/* ---- functions ----------------------------------------------------------- */

/* As cfi_next(). */
static int next_told(struct builder *b, enum source source, uint64_t *place, struct told *ret)
{
	int r;
	if (source == GO_TABLES) {
		r = gorows_next(&b->go, place, &ret->go);
		ret->start = ret->go.start;
		ret->end = ret->go.end;
	} else {
		r = cfi_next(&b->cfi[source], place, &ret->fde);
		ret->start = ret->fde.start;
		ret->end = ret->fde.end;
	}
	return r;
}

static int rows_of(struct builder *b, enum source source, const struct told *told)
{
	struct cfi_sink sink = { put_row, b };
	return source == GO_TABLES ? gorows_rows(&b->go, &told->go, sink) : cfi_rows(&b->cfi[source], &told->fde, sink);
}

/* Discarded functions, which old linkers leave at 0, lie in no code. */
static int add_function(struct builder *b, enum source source, const struct told *told, uint64_t place)
{
	uint64_t start, last;
	if (!file_offset(b->elf, told->start, &start) || !file_offset(b->elf, told->end - 1, &last) ||
	    last - start != told->end - 1 - told->start) {
		b->t->n_malformed++;
		return 0;
	}
	if (start > UINT32_MAX || place > PLACE_MAX || b->functions.n == FUNCTIONS_MAX)
		return -E2BIG;
	int r = vec_reserve(b->t->budget, &b->functions, 1);
	if (r == 0)
		b->functions.data[b->functions.n++] =
			(struct function){ (uint32_t)start, source, (uint32_t)place & PLACE_MAX };
	return r;
}

static int compare_function(const void *a, const void *b)
{
	const struct function *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

/* First pass. */
static int list_functions(struct builder *b, enum source source)
{
	uint64_t place = 0;
	for (;;) {
		struct told told;
		uint64_t at = place;
		int r = next_told(b, source, &place, &told);
		if (r == -ENODATA)
			return 0;
		if (r == -EBADMSG)
			b->t->n_malformed++;
		else if (r < 0)
			return r;
		if (r == 1 && told.start != told.end && (r = add_function(b, source, &told, at)) < 0)
			return r;
	}
}

static void sort_functions(struct builder *b)
{
	for (uint32_t i = 1; i < b->functions.n; i++) {
		if (compare_function(&b->functions.data[i - 1], &b->functions.data[i]) <= 0)
			continue;
		qsort(b->functions.data, b->functions.n, sizeof(b->functions.data[0]), compare_function);
		return;
	}
}

/* The rows of one function, unless it begins inside the last. Rows of a
 * program that breaks off are kept as far as they go. */
static int put_function(struct builder *b, const struct function *f)
{
	struct told told;
	uint64_t place = f->place;
	int r = next_told(b, f->source, &place, &told);
	if (r < 0)
		return r;
	if (r == 0 || f->start < b->done_to) {
		b->t->n_malformed += f->source == b->first_source;
		return 0;
	}
	b->bias = told.start - f->start;
	if (f->start - b->done_to > PADDING_MAX) {
		r = put_gap(b, b->done_to);
		if (r < 0)
			return r;
	}
	r = rows_of(b, f->source, &told);
	if (r == -EBADMSG) {
		b->t->n_malformed++;
		r = 0;
	}
	b->t->n_functions++;
	b->done_to = told.end - b->bias;
	return r;
}

static int put_functions(struct builder *b)
{
	static const struct unwind_rule gap = { .cfa = RULE_GAP };
	b->gap = b->last_rule = pool_rule(b->pool, &gap);
	sort_functions(b);
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < b->functions.n; i++)
		r = put_function(b, &b->functions.data[i]);
	if (r == 0)
		r = put_gap(b, b->done_to);
	return r < 0 ? r : write_table(b);
}

/* ---- the whole ----------------------------------------------------------- */

/* -ENOENT: the binary has no such source. */
static int open_source(struct builder *b, enum source source)
{
	return source == GO_TABLES ? gorows_init(&b->go, b->elf)
				   : cfi_init(&b->cfi[source], b->elf, source == DEBUG_FRAME);
}

static void close_source(struct builder *b, enum source source)
{
	if (source == GO_TABLES)
		gorows_done(&b->go);
	else
		cfi_done(&b->cfi[source]);
}

int unwind_table_load(const struct elf *e, struct pool *pool, struct membudget *budget, struct unwind_table *ret)
{
	struct unwind_table t = { .budget = budget };
	struct builder b = { .elf = e, .t = &t, .pool = pool, .first_source = N_SOURCES };
	int r = 0;
	for (enum source i = 0; i < N_SOURCES && r == 0; i++) {
		r = open_source(&b, i);
		b.has[i] = r == 0;
		if (r == 0 && b.first_source == N_SOURCES)
			b.first_source = i;
		if (r == 0)
			r = list_functions(&b, i);
		else if (r == -ENOENT)
			r = 0;
	}
	if (r == 0)
		r = b.functions.n ? put_functions(&b) : -ENOENT;
	for (enum source i = 0; i < N_SOURCES; i++)
		if (b.has[i])
			close_source(&b, i);
	vec_done(budget, &b.functions);
	vec_done(budget, &b.rows);
	if (r < 0)
		unwind_table_unload(&t, pool);
	else
		*ret = t;
	return r;
}

void unwind_table_unload(struct unwind_table *t, struct pool *pool)
{
	for (uint32_t i = 0; i < t->in_pool.n_pages; i++)
		pool_free(pool, t->pages[i].word, t->pages[i].n_words);
	pool_free(pool, t->in_pool.pages, t->in_pool.n_pages);
	vec_free(t->budget, (void **)&t->pages, &t->pages_cap, sizeof(*t->pages));
	*t = (struct unwind_table){ .budget = t->budget };
}
