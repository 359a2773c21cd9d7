/* SPDX-License-Identifier: Apache-2.0 */
/* gomodule.h: where the text of a Go program begins.
 *
 *   moduledata   { header*, names[], ..., functab[], ..., text, end of text ... }
 *
 * The functions of gopclntab.h count from runtime.text. That is not where
 * .text begins: a C linker puts code of its own before it. The program's
 * moduledata, a variable, has it, and is found by what it points to: the
 * header of the table, then the table's parts. A position-independent program
 * has these pointers in its relocations; in the variable itself only where the
 * linker wrote them there, too.
 *
 * Source: type moduledata in src/runtime/symtab.go, the same in this part
 * since Go 1.16. */
#pragma once

#include "object/gopclntab.h"

/* `t` as far as its header goes. -ENOENT: no moduledata that fits. */
int gomodule_text(const struct gopclntab *t, uint64_t *ret) must_check;
