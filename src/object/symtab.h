/* SPDX-License-Identifier: Apache-2.0 */
/* symtab.h: names for a batch of addresses from one ELF file.
 *
 *   symbols, streamed once   [f1][f2]   [f3   ][lbl..
 *   sorted addresses             a1  a2   a3
 *   answers                     f2   -   f3
 *
 * No table is kept: a pass reads the symbol table in windows and holds some
 * 230 bytes per address asked for, so its memory follows the batch and never
 * the file. Names are read at the end, for the winners only.
 *
 * .symtab is used, or .dynsym where that has been stripped. At one address
 * the answer is, in this order:
 *   1. a function (STT_FUNC, STT_GNU_IFUNC) whose [value, value + size)
 *      holds it: the one that starts last, then global before local before
 *      weak, then the fewest leading underscores, then the first by name;
 *   2. a function of size 0 that starts before it (hand-written assembly),
 *      with neither another function's boundary nor the end of its section
 *      in between;
 *   3. and 4. the same for untyped symbols in executable segments (on arm64
 *      not the local ones, which are its mapping symbols $x and $d).
 * A symbol version behind "@" is not part of the name. */
#pragma once

#include "object/elf.h"
#include "object/symrange.h"

#define SYMTAB_MAX_BATCH 4096
#define SYMTAB_MAX_SIZE	 ((uint64_t)256 << 20) /* of one symbol table */

/* Answers for `n` ELF virtual addresses in rising order (repeats allowed). A
 * file without any symbols answers with one nameless range.
 * -E2BIG over one of the maxima, -ENOMEM, -EIO etc. from pread, -ENODATA when
 * the file shrank meanwhile, or what the sink returned. */
int symtab_lookup(const struct elf *e, const uint64_t *addrs, uint32_t n, struct symrange_sink sink,
		  struct error *err) must_check;

/* The same with the symbols of `more` (NULL: none), a file about the same
 * code, as if both were one table: a label in one does not reach over a
 * function that is in the other. */
int symtab_lookup_both(const struct elf *e, const struct elf *more, const uint64_t *addrs, uint32_t n,
		       struct symrange_sink sink, struct error *err) must_check;
