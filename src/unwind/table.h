/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: all unwind rules of one binary, for a search in at most 16 steps.
 *
 *   pc   = base + page << 16 | low
 *   page   [0, 3, 3, 7 ...]        page p's rows: row[page[p]] .. row[page[p + 1]]
 *   row    {low, rule} {low, rule} ...        4 bytes, by rising pc
 *   rule   what to do from that pc on         shared; few hundred per binary
 *
 * A pc's row is the last at or before it; in a page whose first row starts
 * behind it, that is the row before the page's first. Where no function is, a
 * RULE_GAP stands; gaps of at most 15 bytes are padding and left out.
 *
 * Built in two passes over the section: the first lists the functions, the
 * second runs their programs by rising pc. Beside the table itself this takes
 * 8 bytes per function and two windows (cfi.h). */
#pragma once

#include "base/membudget.h"
#include "unwind/cfi.h"

#define UNWIND_PAGE_BITS 16
#define UNWIND_RULES_MAX 32768

struct unwind_row {
	uint16_t low, rule;
};

struct unwind_table {
	uint64_t base; /* ELF virtual address, a multiple of 64 KiB */
	uint32_t n_pages, n_rows, n_rules;
	uint32_t *page; /* n_pages + 1 */
	struct unwind_row *row;
	struct unwind_rule *rule;

	uint32_t n_functions;
	uint32_t n_unsupported; /* rows that DWARF describes and a rule cannot */
	uint32_t n_malformed;	/* entries that could not be read, or overlap others */
	struct membudget *budget;
	uint32_t page_cap, row_cap, rule_cap;
};

/* From .eh_frame, or .debug_frame where that is missing. -ENOENT: the binary
 * has neither; -E2BIG: it spans 4 GiB or needs more rows or rules than there
 * can be; -ENOBUFS, -ENOMEM; -EIO etc. from pread. What one function has wrong
 * costs that function. */
int unwind_table_build(const struct elf *e, struct membudget *budget, struct unwind_table *ret) must_check;
void unwind_table_done(struct unwind_table *t);

/* The rule for a pc (ELF virtual address); a RULE_GAP outside the table. */
const struct unwind_rule *unwind_table_find(const struct unwind_table *t, uint64_t pc);
