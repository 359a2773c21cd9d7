/* SPDX-License-Identifier: Apache-2.0 */
/* output.h: what a command writes to: a name, and the format that its end, or
 * --to, says. */
#pragma once

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum output_format {
	OUTPUT_PPROF_GZ,
	OUTPUT_PPROF,
	OUTPUT_OTLP_GZ,
	OUTPUT_OTLP,
	OUTPUT_FOLDED,
	OUTPUT_SVG,
	OUTPUT_HTML,
	OUTPUT_SLAB,
	OUTPUT_SPEEDSCOPE,
	OUTPUT_FLAMEBEARER,
	OUTPUT_DOT,
	OUTPUT_CSV,
	OUTPUT_CALLGRIND
};

/* Sets of formats. */
#define OUTPUT_BIT(format) (UINT32_C(1) << (format))
#define OUTPUT_ANY	   UINT32_MAX
#define OUTPUT_PICTURES	   (OUTPUT_BIT(OUTPUT_SVG) | OUTPUT_BIT(OUTPUT_HTML) | OUTPUT_BIT(OUTPUT_SLAB))

struct output {
	const char *path; /* borrowed; "-": standard output */
	enum output_format format;
	bool force;
};

/* `to`: a name of --to, NULL = the end of `path` says it. To be called before
 * long inputs are read. -EINVAL: no format, none of `allowed`, or one that is
 * nothing for a terminal; -EEXIST: `path` is there, and not `force`. Messages
 * list the formats that are known. */
int output_init(struct output *o, const char *path, const char *to, bool force, uint32_t allowed,
		struct error *err) must_check;

/* The name of the file without its folder; of standard output none. */
const char *output_title(const struct output *o);
