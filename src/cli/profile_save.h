/* SPDX-License-Identifier: Apache-2.0 */
/* profile_save.h: profiles to files, in the formats of docs/cli.md. */
#pragma once

#include "cli/output.h"
#include "format/dot.h"
#include "format/stackcollapse.h"
#include "model/profile.h"

struct save_options {
	uint32_t type;				      /* of formats that show one sample type */
	bool is_type_given;			      /* .csv has no other then */
	const struct dot_options *dot;		      /* NULL: the usual; title, type and unit are put in */
	const struct stackcollapse_options *collapse; /* folded: the lines of stackcollapse-perf.pl; may be NULL */
};

int profile_save(const struct profile *p, const struct output *o, const struct save_options *options,
		 struct error *err) must_check;
