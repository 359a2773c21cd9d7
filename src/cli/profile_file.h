/* SPDX-License-Identifier: Apache-2.0 */
/* profile_file.h: profiles from files; profile_save.h is for the way out. */
#pragma once

#include "cli/read_options.h"
#include "model/calltree.h"
#include "model/profile.h"

/* Reads a file ("-" = stdin) of any format wick knows, told by content. `p`
 * is initialised here, on o->budget, and needs profile_done() when 0 is
 * returned. What --salvage gave up is said on stderr and in a comment. */
int profile_load(const char *path, struct read_options *o, struct profile *p, struct error *err) must_check;

/* The sample type of that name, NULL = the profile's default. Messages begin
 * with `file`. */
int profile_choose_type(const struct profile *p, const char *name, const char *file, uint32_t *ret,
			struct error *err) must_check;

/* The call tree of one sample type. `by`: a first level with the values of
 * that label, where there are several; NULL = none. `view` may be NULL
 * (calltree_add). `ret` needs calltree_done(). */
int profile_calltree(const struct profile *p, uint32_t type, const char *by, const struct calltree_view *view,
		     struct calltree *ret) must_check;
