/* SPDX-License-Identifier: Apache-2.0 */
/* profile_save.h: profiles to files, in the formats of docs/cli.md. */
#pragma once

#include "format/dot.h"
#include "format/stackcollapse.h"
#include "model/profile.h"

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
