/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/lines.h"

static struct slice system_name(struct slice name, struct slice mangled)
{
	return mangled.size ? mangled : name;
}

uint32_t dwarf_lines(const struct dwarf_answer *a, struct source_line ret[static FRAMELINES_MAX])
{
	uint32_t n = a->n_frames < FRAMELINES_MAX ? a->n_frames : FRAMELINES_MAX;
	for (uint32_t i = 0; i < n; i++) {
		const struct dwarf_frame *f = &a->frames[n - 1 - i];
		ret[i] = (struct source_line){ f->name, system_name(f->name, f->mangled), f->file, f->line };
	}
	if (a->symbol.size == 0)
		return n;
	if (n == 0)
		ret[n++] = (struct source_line){ 0 };
	ret[0].name = a->symbol;
	ret[0].system_name = system_name(a->symbol, a->mangled);
	return n;
}

#define PAGE UINT64_C(4096)

static uint64_t page_of(uint64_t address)
{
	return address & ~(PAGE - 1);
}

/* The mapping is one whole executable segment, told by its size. */
static bool is_segment(const struct elf_load *l, const struct mapping *m)
{
	return l->executable && l->mem_size > 0 &&
	       m->limit - m->start == page_of(l->vaddr + l->mem_size + PAGE - 1) - page_of(l->vaddr);
}

bool dwarf_address(const struct elf *elf, const struct mapping *m, uint64_t address, uint64_t *ret)
{
	/* The producer did it: the agent, or wick convert. Without a limit it is
	 * an offset in the binary, whose segments are not at hand. */
	if (m->start == 0 && m->offset == 0) {
		*ret = address;
		return m->limit > 0;
	}
	if (address < m->start || address >= m->limit)
		return false;
	uint64_t file_off = address - m->start + m->offset;
	for (uint32_t i = 0; i < elf->n_loads; i++) {
		const struct elf_load *l = &elf->loads[i];
		if (l->executable && file_off >= l->file_off && file_off - l->file_off < l->file_size) {
			*ret = l->vaddr + (file_off - l->file_off);
			return true;
		}
	}
	for (uint32_t i = 0; i < elf->n_loads; i++) {
		if (is_segment(&elf->loads[i], m)) {
			*ret = page_of(elf->loads[i].vaddr) + (address - m->start);
			return true;
		}
	}
	return false;
}
