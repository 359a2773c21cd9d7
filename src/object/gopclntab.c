/* SPDX-License-Identifier: Apache-2.0 */
#include "object/gopclntab.h"

#include "object/filewin.h"
#include "object/gomodule.h"

#include <elf.h>
#include <errno.h>

#define HEADER_WINDOW  (4u << 10)
#define SCAN_WINDOW    (64u << 10)
#define MAX_SCAN_MOVES 16384 /* 1 GiB looked through */
#define MAX_CANDIDATES 64
#define MAX_HEADER     72

struct finder {
	const struct elf *e;
	struct filewin scan, header;
	uint32_t n_candidates;
};

static void finder_done(struct finder *f)
{
	filewin_done(&f->scan);
	filewin_done(&f->header);
}

static uint32_t quantum_of(const struct elf *e)
{
	return e->machine == EM_AARCH64 ? 4 : 1;
}

/* Behind the magic: two zeros, the quantum, the size of a pointer. */
static uint32_t magic_end(const struct elf *e)
{
	return 8u << 24 | quantum_of(e) << 16;
}

static bool take_magic(const struct elf *e, uint64_t word, enum gopclntab_layout *ret)
{
	if (word >> 32 != magic_end(e))
		return false;
	switch ((uint32_t)word) {
	case 0xfffffffb:
		*ret = GO_1_2;
		return true;
	case 0xfffffffa:
		*ret = GO_1_16;
		return true;
	case 0xfffffff0:
		*ret = GO_1_18;
		return true;
	case 0xfffffff1:
		*ret = GO_1_20;
		return true;
	default:
		return false;
	}
}

static bool read_words(struct filewin *w, uint64_t off, uint64_t *words, uint32_t n)
{
	const void *p = filewin_at(w, off, n * (uint32_t)sizeof(*words));
	if (p)
		memcpy(words, p, n * sizeof(*words));
	return p;
}

/* The offset in the header's word `i`. */
static bool take_part(struct gopclntab *t, uint64_t word, uint64_t *ret)
{
	*ret = t->off + word;
	return word < t->size;
}

/* Where the parts lie; `t` has off, size, vaddr and layout. */
static bool read_header(struct finder *f, struct gopclntab *t)
{
	static const uint32_t sizes[] = { [GO_1_2] = 16, [GO_1_16] = 64, [GO_1_18] = 72, [GO_1_20] = 72 };
	uint64_t words[MAX_HEADER / 8];
	uint32_t size = sizes[t->layout];
	if (t->size < size || !read_words(&f->header, t->off, words, size / 8))
		return false;
	if (words[1] == 0 || words[1] > GOPCLNTAB_MAX_FUNCS)
		return false;
	t->n_funcs = (uint32_t)words[1];
	t->quantum = quantum_of(f->e);
	if (t->layout == GO_1_2) {
		t->records = t->names = t->pctab = t->off;
		t->functab = t->off + size;
		return true;
	}
	/* Behind the numbers of functions and files comes, since 1.18, the start
	 * of the text; then names, compilation units, files, pctab, functab. */
	const uint64_t *parts = words + (t->layout == GO_1_16 ? 3 : 4);
	if (t->layout != GO_1_16)
		t->text = words[3];
	if (!take_part(t, parts[0], &t->names) || !take_part(t, parts[3], &t->pctab) ||
	    !take_part(t, parts[4], &t->functab))
		return false;
	t->records = t->functab;
	return true;
}

static uint32_t field_size(const struct gopclntab *t)
{
	return t->layout >= GO_1_18 ? 4 : 8;
}

static bool read_field(struct finder *f, const struct gopclntab *t, uint64_t off, uint64_t *ret)
{
	uint32_t size = field_size(t);
	const void *p = off >= t->off && off - t->off <= t->size - size ? filewin_at(&f->header, off, size) : NULL;
	*ret = 0;
	if (p)
		memcpy(ret, p, size);
	return p;
}

/* A record repeats the entry that led to it. */
static bool check_function(struct finder *f, const struct gopclntab *t, uint32_t i, uint64_t *ret_entry)
{
	uint32_t size = field_size(t);
	uint64_t at = t->functab + (uint64_t)i * 2 * size, record, again;
	return read_field(f, t, at, ret_entry) && read_field(f, t, at + size, &record) && record < t->size &&
	       read_field(f, t, t->records + record, &again) && again == *ret_entry;
}

static bool is_code(const struct elf *e, uint64_t start, uint64_t end)
{
	for (uint32_t i = 0; i < e->n_loads; i++) {
		const struct elf_load *l = &e->loads[i];
		if (l->executable && start >= l->vaddr && end - l->vaddr <= l->mem_size)
			return true;
	}
	return false;
}

/* Whether the bytes at t->off are such a table, and all that can be known of
 * it without reading it through. */
static bool take_table(struct finder *f, struct gopclntab *t)
{
	uint64_t first, last, end;
	if (!read_header(f, t))
		return false;
	uint64_t functab_size = ((uint64_t)t->n_funcs * 2 + 1) * field_size(t);
	if (functab_size > t->size - (t->functab - t->off))
		return false;
	if (!check_function(f, t, 0, &first) || !check_function(f, t, t->n_funcs - 1, &last) ||
	    !read_field(f, t, t->functab + functab_size - field_size(t), &end) || first > last || last >= end)
		return false;
	if (t->layout >= GO_1_18 && t->text == 0 && gomodule_text(t, &t->text) < 0)
		return false;
	if (__builtin_add_overflow(t->text, first, &t->start) || __builtin_add_overflow(t->text, end, &t->end))
		return false;
	return is_code(f->e, t->start, t->end);
}

static bool try_at(struct finder *f, uint64_t off, uint64_t size, uint64_t vaddr, struct gopclntab *ret)
{
	struct gopclntab t = { .elf = f->e, .off = off, .size = size, .vaddr = vaddr };
	uint64_t word;
	if (size < sizeof(word) || !read_words(&f->header, off, &word, 1) || !take_magic(f->e, word, &t.layout))
		return false;
	if (f->n_candidates++ >= MAX_CANDIDATES || !take_table(f, &t))
		return false;
	*ret = t;
	return true;
}

/* The table is aligned to a pointer at least. */
static bool scan_load(struct finder *f, const struct elf_load *l, struct gopclntab *ret)
{
	uint64_t off = l->file_off + (-l->vaddr & 7), end = l->file_off + l->file_size;
	if (end > f->e->file_size)
		end = f->e->file_size;
	uint64_t value = (uint64_t)magic_end(f->e) << 32, mask = (uint64_t)UINT32_MAX << 32;
	for (; filewin_find(&f->scan, &off, end, mask, value); off += 8) {
		if (try_at(f, off, end - off, l->vaddr + (off - l->file_off), ret))
			return true;
	}
	return false;
}

/* Read-only data first; old linkers put it beside the code. */
static bool scan_loads(struct finder *f, struct gopclntab *ret)
{
	for (int executable = 0; executable <= 1; executable++)
		for (uint32_t i = 0; i < f->e->n_loads; i++)
			if (f->e->loads[i].executable == executable && scan_load(f, &f->e->loads[i], ret))
				return true;
	return false;
}

int gopclntab_find(const struct elf *e, struct gopclntab *ret)
{
	const struct elf_section *s = &e->gopclntab;
	if (!e->is_go && !s->size)
		return -ENOENT;
	_cleanup_(finder_done)
	struct finder f = { .e = e };
	int r = filewin_init(&f.scan, e->fd, e->file_size, SCAN_WINDOW);
	if (r == 0)
		r = filewin_init(&f.header, e->fd, e->file_size, HEADER_WINDOW);
	if (r < 0)
		return r;
	f.scan.moves_left = MAX_SCAN_MOVES;
	bool found = s->size ? try_at(&f, s->off, s->size, s->vaddr, ret) : scan_loads(&f, ret);
	if (found)
		return 0;
	return f.header.error ? f.header.error : f.scan.error ? f.scan.error : -ENOENT;
}
