/* SPDX-License-Identifier: Apache-2.0 */
/* scopes.h: full names of functions that have none for the linker.
 *
 *   namespace net { struct parser { int peek(); }; }     peek  ->  net::parser::peek
 *
 * GCC gives no linkage name to a function that was inlined wherever it is
 * called, and a "begin" or "operator()" alone says nothing. A DIE does not know
 * what it stands in, so one walk over its unit notes the scope of each such
 * function; only units that need it are walked. */
#pragma once

#include "base/arena.h"
#include "base/membudget.h"

#include <elfutils/libdw.h>

struct scope {
	const char *name; /* libdw's */
	uint32_t parent;  /* 0 = the unit itself */
};

struct scoped_function {
	Dwarf_Off off;
	uint32_t scope;
};

struct scopes {
	VEC(struct scope) scopes;	       /* [0] = the unit */
	VEC(struct scoped_function) functions; /* by rising offset */
	struct membudget *budget;
};

/* The functions of one unit. -ENOBUFS. `s` needs scopes_done() in any case. */
int scopes_init(struct scopes *s, Dwarf_Die *unit, struct membudget *budget) must_check;
void scopes_done(struct scopes *s);

/* "net::parser::peek", in the arena; `name` itself when its scope is not
 * known. NULL: the arena is full. */
const char *scopes_name(const struct scopes *s, Dwarf_Off function, const char *name, struct arena *a);
