/* SPDX-License-Identifier: Apache-2.0 */
/* table.h: the unwind rules of one binary, compiled into a pool.
 *
 *   .eh_frame --------+  functions by      rows of one page      pool: heads
 *   Go's tables ------+- rising address -> (64 KiB of code)   ->       and rows
 *   .debug_frame -----+
 *
 * Rows stand by offset in the file, not by virtual address: a mapping says at
 * which offset it begins, so no binary has to be opened to know where its rows
 * would be.
 *
 * Two passes over each section: the first lists the functions, the second
 * runs their programs by rising pc. Beside what goes into the pool this takes
 * 8 bytes per function, the rows of one page, and two windows (cfi.h).
 *
 * A function that more than one source describes is taken from the first.
 * Where no function is, a RULE_GAP stands; gaps of at most 15 bytes are
 * padding and left out. */
#pragma once

#include "base/membudget.h"
#include "unwind/cfi.h"
#include "unwind/pool.h"

struct unwind_page {
	uint32_t word, n_words; /* 0, 0: without rows */
};

struct unwind_table {
	struct pool_table in_pool;
	struct unwind_page *pages;
	uint32_t pages_cap;
	struct membudget *budget;

	uint32_t n_functions, n_rows;
	uint32_t n_unsupported; /* rows that DWARF describes and a rule cannot */
	uint32_t n_malformed;	/* entries that could not be read, or overlap others */
};

/* -ENOENT: the binary has no unwind information; -E2BIG: its code
 * lies beyond 4 GiB; -ENOBUFS: the pool or the budget (of what is needed meanwhile, and of
 * *ret) has no room; -ENOMEM; -EIO etc. from pread. What one function has wrong
 * costs that function. */
int unwind_table_load(const struct elf *e, struct pool *pool, struct membudget *budget,
		      struct unwind_table *ret) must_check;

/* Gives its words back to the pool it was loaded into. */
void unwind_table_unload(struct unwind_table *t, struct pool *pool);
