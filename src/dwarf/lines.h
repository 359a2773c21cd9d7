/* SPDX-License-Identifier: Apache-2.0 */
/* lines.h: from a frame to the address to ask wick-dwarf for, and from its
 * answer to the frame's lines. */
#pragma once

#include "dwarf/answers.h"
#include "model/framelines.h"
#include "object/elf.h"

_Static_assert(DWARF_MAX_DEPTH == FRAMELINES_MAX, "an answer fits");

/* Outermost first, as framelines_put() wants them; how many. The function
 * itself goes by its symbol's name where there is one, as everywhere else. */
uint32_t dwarf_lines(const struct dwarf_answer *a, struct source_line ret[static FRAMELINES_MAX]);

/* The ELF file's own address of a frame of this mapping. `elf` is the binary or
 * its debug file, which knows of segments only how large they were. False: it
 * cannot be told. */
bool dwarf_address(const struct elf *elf, const struct mapping *m, uint64_t address, uint64_t *ret);
