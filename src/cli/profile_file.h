/* SPDX-License-Identifier: Apache-2.0 */
/* profile_file.h: profiles from and to files, the formats of docs/cli.md. */
#pragma once

#include "format/dot.h"
#include "cli/read_options.h"
#include "format/stackcollapse.h"
#include "model/calltree.h"
#include "model/profile.h"

/* Reads a file ("-" = stdin) of any format wick knows, told by content. `p`
 * is initialised here, on o->budget, and needs profile_done() when 0 is
 * returned. What --salvage gave up is said on stderr and in a comment. */
int profile_load(const char *path, struct read_options *o, struct profile *p, struct error *err) must_check;

/* -EINVAL when the end of the name says no format; messages list those known. */
int profile_check_output(const char *path, bool force, struct error *err) must_check;

/* Writes in the format of the name. `type`: the sample type that one-type
 * formats show, NULL = the profile's default. */
int profile_save(const struct profile *p, const char *path, const char *type, bool force, struct error *err) must_check;

/* Writes the lines of stackcollapse-perf.pl to a file of folded stacks. */
int profile_save_collapsed(const struct profile *p, const char *path, const struct stackcollapse_options *options,
			   bool force, struct error *err) must_check;

/* Writes the call graph to a .dot file; title, type and unit of `options` are
 * put in here. */
int profile_save_dot(const struct profile *p, const char *path, const char *type, const struct dot_options *options,
		     bool force, struct error *err) must_check;

/* The call tree of one sample type. `by`: a first level with the values of
 * that label, where there are several; NULL = none. `view` may be NULL
 * (calltree_add). `ret` needs calltree_done(). */
int profile_calltree(const struct profile *p, uint32_t type, const char *by, const struct calltree_view *view,
		     struct calltree *ret) must_check;
