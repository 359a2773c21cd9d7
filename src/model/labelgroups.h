/* SPDX-License-Identifier: Apache-2.0 */
/* labelgroups.h: the samples of a profile, apart by the value of one label.
 *
 *   label set -> value as text -> group        "512 bytes" for a number with unit,
 *                                              "a, b" where a set has several
 *
 * A call tree of g groups costs g walks over the dict, so that only the
 * heaviest values (by the sum of |value|) have a group of their own and the rest
 * share the last one. */
#pragma once

#include "model/calltree.h"
#include "model/profile.h"

#define LABELGROUPS_MAX 64

struct labelgroups {
	uint32_t n;	     /* groups that samples are in; heaviest first, "others" last */
	struct str_id *name; /* in `names`; 0 = samples without the label */
	uint32_t *of_set;    /* group by label set; UINT32_MAX = no sample has it */
	uint32_t n_others;   /* values that share the last group; 0 = none do */
	struct strtab names;
};

/* -ENOENT: no sample has the label; the error lists those there are. -ENOMEM.
 * `err` may be NULL. */
int labelgroups_init(const struct profile *p, uint32_t type, const char *key, struct labelgroups *ret,
		     struct error *err) must_check;
void labelgroups_done(struct labelgroups *g);

/* The call tree with the groups as its first level, named `none` where the
 * label is missing ("": no frame for these). `view` as in calltree_add(). */
int labelgroups_tree(const struct labelgroups *g, const struct profile *p, uint32_t type, const char *none,
		     const struct calltree_view *view, struct calltree *ret) must_check;
