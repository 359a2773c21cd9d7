/* SPDX-License-Identifier: Apache-2.0 */
/* namesake.h: what tells functions of one name apart, for a person to read.
 *
 *   init  a.c  /bin/x        init [a.c]
 *   init  b.c  /bin/x        init [b.c]
 *   init  a.c  /lib/y.so     init [y.so]
 *   main  m.c  /bin/x        main
 *
 * The binary's name where no other has it, else the file. Lines of one
 * function are no namesakes. */
#pragma once

#include "model/calltree.h"

enum namesake { NAMESAKE_NONE, NAMESAKE_MODULE, NAMESAKE_FILE };

/* (*ret)[func] of the functions that have nodes, enum namesake. *ret is
 * malloc()ed, or NULL when no two have one name. -ENOMEM. */
int namesakes_find(const struct calltree *t, uint8_t **ret) must_check;

/* "y.so", "a.c", or "". */
struct slice namesake_text(const struct calltree *t, uint32_t func, enum namesake n);
