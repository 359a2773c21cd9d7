/* SPDX-License-Identifier: Apache-2.0 */
/* gopclntab.h: where a Go program keeps the table of its functions.
 *
 *   header    magic, quantum of pcs, size of a pointer; how many functions,
 *             where the other parts begin
 *   functab   { entry, where its record is } of each function, rising; the end
 *             of the last one
 *   records   entry, name, pcsp ... of each function
 *   names     "main.main\0main.(*T).Method\0" ...
 *   pctab     how far sp has moved at which pc (pcsp) ...
 *
 * The program's own runtime walks stacks by it, so strip leaves it alone and
 * it is there without symbols, debug information and section headers. Where
 * no section says so it is found by its magic:
 *
 *   0xfffffffb  Go 1.2   one part: all offsets count from the header
 *   0xfffffffa  Go 1.16  each part has an offset in the header
 *   0xfffffff0  Go 1.18  entries count from the start of the text
 *   0xfffffff1  Go 1.20  the same with a line number in the records
 *
 * The start of the text was in the header until Go 1.25; it is in the
 * moduledata (gomodule.h) since.
 *
 * Until Go 1.17 entries are addresses that a position-independent program
 * relocates. Linkers for x86-64 write them into the file, too; where one has
 * not, the table counts as absent.
 *
 * Sources: src/debug/gosym/pclntab.go and src/cmd/link/internal/ld/pcln.go of
 * Go 1.26, src/runtime/runtime2.go and symtab.go of 1.15 to 1.26. */
#pragma once

#include "object/elf.h"

#define GOPCLNTAB_MAX_FUNCS (8u << 20)

enum gopclntab_layout { GO_1_2, GO_1_16, GO_1_18, GO_1_20 };

/* Plain data: nothing to release. Offsets are in the file. */
struct gopclntab {
	const struct elf *elf; /* the caller's; must outlive this */
	enum gopclntab_layout layout;
	uint64_t vaddr;	    /* of the header */
	uint64_t off, size; /* size: at most this, where no section gave it */
	uint64_t functab, records, names, pctab;
	uint32_t n_funcs;
	uint32_t quantum;
	uint64_t text;	     /* what entries count from */
	uint64_t start, end; /* the code that the functions cover: virtual addresses */
};

/* -ENOENT: not a Go program, or one whose table is not understood; -ENOMEM,
 * -EIO etc. from pread. */
int gopclntab_find(const struct elf *e, struct gopclntab *ret) must_check;
