/* SPDX-License-Identifier: Apache-2.0 */
#include "object/gomodule.h"

#include "object/filewin.h"

#include <elf.h>
#include <errno.h>

#define SCAN_WINDOW    (64u << 10)
#define MODULE_WINDOW  (4u << 10)
#define MAX_MOVES      16384 /* 1 GiB looked through */
#define MAX_CANDIDATES 16

/* Words of moduledata. A slice is a pointer, its length and its capacity. */
enum { MODULE_HEADER, MODULE_NAMES, MODULE_PCTAB = 10, MODULE_FUNCTAB = 16, MODULE_TEXT = 22, MODULE_WORDS };

struct finder {
	const struct gopclntab *t;
	struct filewin scan, module;
	struct elf_table relocations; /* DT_RELA */
	uint32_t n_candidates;
};

static void finder_done(struct finder *f)
{
	filewin_done(&f->scan);
	filewin_done(&f->module);
}

static bool is_relative(const struct elf *e, const Elf64_Rela *rela)
{
	uint64_t type = ELF64_R_TYPE(rela->r_info);
	return type == (e->machine == EM_AARCH64 ? R_AARCH64_RELATIVE : R_X86_64_RELATIVE);
}

static bool read_rela(struct finder *f, uint64_t pos, Elf64_Rela *ret)
{
	const void *p = filewin_at(&f->scan, f->relocations.off + pos, sizeof(*ret));
	if (p)
		memcpy(ret, p, sizeof(*ret));
	return p;
}

/* What the dynamic linker will write over the words of the module at `vaddr`. */
static void relocate(struct finder *f, uint64_t vaddr, uint64_t words[static MODULE_WORDS])
{
	Elf64_Rela rela;
	for (uint64_t pos = 0; pos < f->relocations.size && read_rela(f, pos, &rela); pos += sizeof(rela)) {
		uint64_t at = rela.r_offset - vaddr;
		if (is_relative(f->t->elf, &rela) && at % 8 == 0 && at / 8 < MODULE_WORDS)
			words[at / 8] = (uint64_t)rela.r_addend;
	}
}

static bool is_module_of(const struct gopclntab *t, const uint64_t words[static MODULE_WORDS])
{
	return words[MODULE_HEADER] == t->vaddr && words[MODULE_NAMES] == t->vaddr + (t->names - t->off) &&
	       words[MODULE_PCTAB] == t->vaddr + (t->pctab - t->off) &&
	       words[MODULE_FUNCTAB] == t->vaddr + (t->functab - t->off) &&
	       words[MODULE_FUNCTAB + 1] == (uint64_t)t->n_funcs + 1;
}

static bool try_at(struct finder *f, uint64_t vaddr, bool relocated, uint64_t *ret)
{
	uint64_t words[MODULE_WORDS], off;
	const void *p = NULL;
	if (elf_file_off(f->t->elf, vaddr, sizeof(words), &off))
		p = filewin_at(&f->module, off, sizeof(words));
	if (!p)
		return false;
	memcpy(words, p, sizeof(words));
	if (relocated)
		relocate(f, vaddr, words);
	if (!is_module_of(f->t, words))
		return false;
	*ret = words[MODULE_TEXT];
	return true;
}

static bool scan_load(struct finder *f, const struct elf_load *l, uint64_t *ret)
{
	uint64_t off = l->file_off + (-l->vaddr & 7), end = l->file_off + l->file_size;
	for (; filewin_find(&f->scan, &off, end, UINT64_MAX, f->t->vaddr); off += 8) {
		if (f->n_candidates++ >= MAX_CANDIDATES)
			return false;
		if (try_at(f, l->vaddr + (off - l->file_off), false, ret))
			return true;
	}
	return false;
}

/* Data comes last in a program. */
static bool find_in_data(struct finder *f, uint64_t *ret)
{
	const struct elf *e = f->t->elf;
	for (uint32_t i = e->n_loads; i > 0; i--)
		if (!e->loads[i - 1].executable && scan_load(f, &e->loads[i - 1], ret))
			return true;
	return false;
}

static void read_dynamic(struct finder *f)
{
	const struct elf *e = f->t->elf;
	uint64_t vaddr = 0, size = 0, off;
	for (uint64_t pos = 0; pos + sizeof(Elf64_Dyn) <= e->dynamic.size; pos += sizeof(Elf64_Dyn)) {
		Elf64_Dyn dyn;
		const void *p = filewin_at(&f->module, e->dynamic.off + pos, sizeof(dyn));
		if (!p)
			return;
		memcpy(&dyn, p, sizeof(dyn));
		if (dyn.d_tag == DT_NULL)
			break;
		if (dyn.d_tag == DT_RELA)
			vaddr = dyn.d_un.d_ptr;
		else if (dyn.d_tag == DT_RELASZ)
			size = dyn.d_un.d_val;
	}
	size -= size % sizeof(Elf64_Rela);
	if (size && elf_file_off(e, vaddr, size, &off))
		f->relocations = (struct elf_table){ off, size };
}

static bool find_in_relocations(struct finder *f, uint64_t *ret)
{
	uint64_t at[MAX_CANDIDATES];
	uint32_t n = 0;
	Elf64_Rela rela;
	read_dynamic(f);
	for (uint64_t pos = 0; pos < f->relocations.size && n < MAX_CANDIDATES && read_rela(f, pos, &rela);
	     pos += sizeof(rela))
		if (is_relative(f->t->elf, &rela) && (uint64_t)rela.r_addend == f->t->vaddr)
			at[n++] = rela.r_offset;
	for (uint32_t i = 0; i < n; i++)
		if (try_at(f, at[i], true, ret))
			return true;
	return false;
}

int gomodule_text(const struct gopclntab *t, uint64_t *ret)
{
	_cleanup_(finder_done)
	struct finder f = { .t = t };
	int r = filewin_init(&f.scan, t->elf->fd, t->elf->file_size, SCAN_WINDOW);
	if (r == 0)
		r = filewin_init(&f.module, t->elf->fd, t->elf->file_size, MODULE_WINDOW);
	if (r < 0)
		return r;
	f.scan.moves_left = MAX_MOVES;
	if (find_in_data(&f, ret) || find_in_relocations(&f, ret))
		return 0;
	return f.scan.error ? f.scan.error : f.module.error ? f.module.error : -ENOENT;
}
