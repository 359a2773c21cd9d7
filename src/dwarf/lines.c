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
