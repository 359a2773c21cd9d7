/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/scopes.h"

#include "dwarf/answers.h"

#include <dwarf.h>
#include <errno.h>
#include <string.h>

#define MAX_NESTING 128
#define MAX_PARTS   32 /* of a full name */

static const char *scope_name(int tag, Dwarf_Die *die)
{
	const char *name = dwarf_diename(die);
	return name ? name : tag == DW_TAG_namespace ? "(anonymous namespace)" : "(anonymous)";
}

static int add_scope(struct scopes *s, const char *name, uint32_t parent, uint32_t *ret)
{
	int r = vec_reserve(s->budget, &s->scopes, 1);
	if (r < 0)
		return r;
	*ret = s->scopes.n;
	s->scopes.data[s->scopes.n++] = (struct scope){ name, parent };
	return 0;
}

static int add_function(struct scopes *s, Dwarf_Die *die, uint32_t scope)
{
	if (scope == 0 || dwarf_hasattr(die, DW_AT_linkage_name))
		return 0;
	int r = vec_reserve(s->budget, &s->functions, 1);
	if (r == 0)
		s->functions.data[s->functions.n++] = (struct scoped_function){ dwarf_dieoffset(die), scope };
	return r;
}

static int walk(struct scopes *s, Dwarf_Die *parent, uint32_t scope, unsigned nesting)
{
	Dwarf_Die die;
	if (nesting == MAX_NESTING || dwarf_child(parent, &die) != 0)
		return 0;
	int r = 0;
	do {
		int tag = dwarf_tag(&die);
		uint32_t inner = scope;
		switch (tag) {
		case DW_TAG_subprogram:
			r = add_function(s, &die, scope);
			break;
		case DW_TAG_namespace:
		case DW_TAG_class_type:
		case DW_TAG_structure_type:
		case DW_TAG_union_type:
		case DW_TAG_lexical_block:
			break;
		default:
			continue;
		}
		if (r == 0 && dwarf_haschildren(&die) > 0) {
			if (tag != DW_TAG_lexical_block)
				r = add_scope(s, scope_name(tag, &die), scope, &inner);
			if (r == 0)
				r = walk(s, &die, inner, nesting + 1);
		}
	} while (r == 0 && dwarf_siblingof(&die, &die) == 0);
	return r;
}

int scopes_init(struct scopes *s, Dwarf_Die *unit, struct membudget *budget)
{
	uint32_t none;
	*s = (struct scopes){ .budget = budget };
	int r = add_scope(s, NULL, 0, &none);
	return r < 0 ? r : walk(s, unit, 0, 0);
}

void scopes_done(struct scopes *s)
{
	vec_done(s->budget, &s->scopes);
	vec_done(s->budget, &s->functions);
}

static uint32_t scope_of(const struct scopes *s, Dwarf_Off function)
{
	uint32_t low = 0, high = s->functions.n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (s->functions.data[middle].off < function)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->functions.n && s->functions.data[low].off == function ? s->functions.data[low].scope : 0;
}

const char *scopes_name(const struct scopes *s, Dwarf_Off function, const char *name, struct arena *a)
{
	const char *part[MAX_PARTS];
	uint32_t n = 0;
	size_t size = strlen(name) + 1, at = 0;
	for (uint32_t scope = scope_of(s, function); scope && n < MAX_PARTS; scope = s->scopes.data[scope].parent) {
		part[n] = s->scopes.data[scope].name;
		size += strlen(part[n++]) + 2;
	}
	if (n == 0)
		return name;
	char *full = size <= DWARF_TEXT_MAX ? arena_alloc(a, size) : NULL;
	if (!full)
		return size <= DWARF_TEXT_MAX ? NULL : name;
	while (n > 0)
		at += (size_t)sprintf(full + at, "%s::", part[--n]);
	(void)memcpy(full + at, name, strlen(name) + 1);
	return full;
}
