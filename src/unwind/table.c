/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/table.h"

#include "base/u64map.h"

#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define PAGE_SIZE     ((uint64_t)1 << UNWIND_PAGE_BITS)
#define PADDING_MAX   15
#define FUNCTIONS_MAX (8u << 20)
#define ROWS_MAX      (32u << 20)

struct function {
	uint32_t start; /* from the table's base */
	uint32_t off;	/* of its FDE in the section */
};

struct builder {
	struct unwind_table *t;
	struct cfi *cfi;
	struct function *functions;
	uint32_t n_functions, functions_cap;
	struct u64map rule_ids; /* by hash -> index + 1 */
	uint64_t lowest, highest;
	uint64_t done_to; /* rows up to here are written */
	uint16_t last_rule;
	uint32_t n_bad; /* entries that could not be read */
};

/* Where the image starts in its own address space. */
static uint64_t image_base(const struct elf *e)
{
	uint64_t base = UINT64_MAX;
	for (uint32_t i = 0; i < e->n_loads; i++)
		if (e->loads[i].executable && e->loads[i].vaddr < base)
			base = e->loads[i].vaddr;
	return base & ~(PAGE_SIZE - 1);
}

static int add_function(struct builder *b, uint64_t start, uint64_t off)
{
	uint64_t base = b->t->base;
	/* Discarded functions of old linkers start at 0. */
	if (start < base) {
		b->t->n_malformed++;
		return 0;
	}
	if (start - base > UINT32_MAX || off > UINT32_MAX)
		return -E2BIG;
	int r = b->n_functions < b->functions_cap ? 0
						  : vec_grow(b->t->budget, (void **)&b->functions, &b->functions_cap,
							     b->n_functions + 1, FUNCTIONS_MAX, sizeof(*b->functions));
	if (r == 0)
		b->functions[b->n_functions++] = (struct function){ (uint32_t)(start - base), (uint32_t)off };
	return r;
}

static int compare_function(const void *a, const void *b)
{
	const struct function *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->off < y->off ? -1 : x->off > y->off;
}

/* First pass. */
static int list_functions(struct builder *b)
{
	uint64_t off = 0;
	bool sorted = true;
	for (;;) {
		struct cfi_fde fde;
		uint64_t at = off;
		int r = cfi_next(b->cfi, &off, &fde);
		if (r == -ENODATA)
			break;
		if (r == -EBADMSG)
			b->t->n_malformed++;
		else if (r < 0)
			return r;
		if (r != 1 || fde.start == fde.end)
			continue;
		uint32_t n = b->n_functions;
		r = add_function(b, fde.start, at);
		if (r < 0)
			return r;
		sorted =
			sorted && (n == b->n_functions || n == 0 || b->functions[n - 1].start <= b->functions[n].start);
	}
	if (!sorted)
		qsort(b->functions, b->n_functions, sizeof(*b->functions), compare_function);
	return 0;
}

static int rule_id(struct builder *b, const struct unwind_rule *rule, uint16_t *ret)
{
	struct unwind_table *t = b->t;
	for (uint64_t key = XXH3_64bits(rule, sizeof(*rule));; key++) {
		uint32_t *id = u64map_put(&b->rule_ids, key);
		if (!id)
			return -ENOBUFS;
		if (*id && memcmp(&t->rule[*id - 1], rule, sizeof(*rule)) != 0)
			continue;
		if (*id == 0) {
			int r = vec_grow(t->budget, (void **)&t->rule, &t->rule_cap, t->n_rules + 1, UNWIND_RULES_MAX,
					 sizeof(*t->rule));
			if (r < 0)
				return r == -ENOBUFS && t->n_rules == UNWIND_RULES_MAX ? -E2BIG : r;
			t->rule[t->n_rules++] = *rule;
			*id = t->n_rules;
		}
		*ret = (uint16_t)(*id - 1);
		return 0;
	}
}

/* Pages up to that of `off` begin with the next row. */
static int open_pages(struct unwind_table *t, uint32_t off)
{
	uint32_t n = (off >> UNWIND_PAGE_BITS) + 1;
	int r = n + 1 <= t->page_cap
			? 0
			: vec_grow(t->budget, (void **)&t->page, &t->page_cap, n + 1, UINT32_MAX / 2, sizeof(*t->page));
	while (r == 0 && t->n_pages < n)
		t->page[t->n_pages++] = t->n_rows;
	return r;
}

/* `arg` is the builder; rows come by rising start. */
static int put_row(void *arg, uint64_t start, const struct unwind_rule *rule)
{
	struct builder *b = arg;
	struct unwind_table *t = b->t;
	uint16_t id;
	if (start - t->base > UINT32_MAX)
		return -E2BIG;
	uint32_t off = (uint32_t)(start - t->base);
	int r = rule_id(b, rule, &id);
	if (r == 0 && t->n_rows && id == b->last_rule)
		return 0;
	if (r == 0)
		r = open_pages(t, off);
	if (r == 0 && t->n_rows == t->row_cap)
		r = vec_grow(t->budget, (void **)&t->row, &t->row_cap, t->n_rows + 1, ROWS_MAX, sizeof(*t->row));
	if (r < 0)
		return r;
	t->n_unsupported += rule->cfa == RULE_UNSUPPORTED;
	t->row[t->n_rows++] = (struct unwind_row){ (uint16_t)off, id };
	b->last_rule = id;
	return 0;
}

static int put_gap(struct builder *b, uint64_t start)
{
	static const struct unwind_rule gap = { .cfa = RULE_GAP };
	return put_row(b, start, &gap);
}

/* The rows of one function, unless it begins inside the last. Rows of a
 * program that breaks off are kept as far as they go. */
static int put_function(struct builder *b, const struct function *f)
{
	struct cfi_fde fde;
	uint64_t off = f->off;
	int r = cfi_next(b->cfi, &off, &fde);
	if (r < 0)
		return r;
	if (r == 0 || fde.start < b->done_to) {
		b->t->n_malformed++;
		return 0;
	}
	if (b->t->n_rows && fde.start - b->done_to > PADDING_MAX) {
		r = put_gap(b, b->done_to);
		if (r < 0)
			return r;
	}
	r = cfi_rows(b->cfi, &fde, (struct cfi_sink){ put_row, b });
	if (r == -EBADMSG) {
		b->t->n_malformed++;
		r = 0;
	}
	b->t->n_functions++;
	b->done_to = fde.end;
	return r;
}

static int put_functions(struct builder *b)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < b->n_functions; i++)
		r = put_function(b, &b->functions[i]);
	if (r == 0 && b->done_to)
		r = put_gap(b, b->done_to);
	if (r == 0)
		r = open_pages(b->t, b->t->n_pages ? (b->t->n_pages - 1) << UNWIND_PAGE_BITS : 0);
	if (r == 0)
		b->t->page[b->t->n_pages] = b->t->n_rows;
	return r;
}

static int build(const struct elf *e, bool debug_frame, struct unwind_table *t)
{
	_cleanup_(cfi_done)
	struct cfi cfi;
	int r = cfi_init(&cfi, e, debug_frame);
	if (r < 0) {
		cfi = (struct cfi){ .entries.fd = -1, .cies.fd = -1 };
		return r;
	}
	struct builder b = { .t = t, .cfi = &cfi };
	u64map_init(&b.rule_ids, t->budget);
	r = list_functions(&b);
	if (r == 0)
		r = put_functions(&b);
	vec_free(t->budget, (void **)&b.functions, &b.functions_cap, sizeof(*b.functions));
	u64map_done(&b.rule_ids);
	return r;
}

int unwind_table_build(const struct elf *e, struct membudget *budget, struct unwind_table *ret)
{
	_cleanup_(unwind_table_done)
	struct unwind_table t = { .base = image_base(e), .budget = budget };
	int r = build(e, false, &t);
	if (r == -ENOENT)
		r = build(e, true, &t);
	if (r < 0)
		return r;
	*ret = t;
	t = (struct unwind_table){ .budget = budget };
	return 0;
}

void unwind_table_done(struct unwind_table *t)
{
	vec_free(t->budget, (void **)&t->page, &t->page_cap, sizeof(*t->page));
	vec_free(t->budget, (void **)&t->row, &t->row_cap, sizeof(*t->row));
	vec_free(t->budget, (void **)&t->rule, &t->rule_cap, sizeof(*t->rule));
	*t = (struct unwind_table){ .budget = t->budget };
}

const struct unwind_rule *unwind_table_find(const struct unwind_table *t, uint64_t pc)
{
	static const struct unwind_rule gap = { .cfa = RULE_GAP };
	uint64_t page = (pc - t->base) >> UNWIND_PAGE_BITS;
	if (pc < t->base || page >= t->n_pages)
		return &gap;
	uint32_t low = t->page[page], high = t->page[page + 1];
	uint16_t off = (uint16_t)(pc - t->base);
	/* The first row behind the pc. */
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (t->row[middle].low <= off)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? &t->rule[t->row[low - 1].rule] : &gap;
}
