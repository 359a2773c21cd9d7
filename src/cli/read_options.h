/* SPDX-License-Identifier: Apache-2.0 */
/* read_options.h: --max-input, --salvage ... of every command that reads a
 * profile (docs/cli.md). A command's table of options gets their rows by
 *
 *   #define READ_LIMIT(field, option, unit, meaning) READ_OPTION_ROW(field, option)
 *   #include "cli/read_option.def"
 *   #undef READ_LIMIT
 *   READ_OPTION_ROWS
 *
 * and hands what getopt_long() returns for them to read_options_set(). */
#pragma once

#include "base/error.h"
#include "base/membudget.h"
#include "cli/dwarf_lines.h"
#include "format/limits.h"

struct read_options {
	struct format_limits limits;
	struct membudget budget; /* of all inputs together */
	bool wants_times;	 /* of single samples: for outputs that hold them */
	bool salvage;		 /* keep the good part of half a file */
	bool no_symbols;	 /* name no frames from this machine's files */
	struct dwarf_options dwarf;
};

enum read_option {
	READ_OPTION_FIRST = 0x2000, /* above any character and other groups */
	READ_OPTION_BEFORE_LIMITS = READ_OPTION_FIRST - 1,
#define READ_LIMIT(field, option, unit, meaning) READ_OPTION_##field,
#include "cli/read_option.def"
#undef READ_LIMIT
	READ_OPTION_MEMORY,
	READ_OPTION_SALVAGE,
	READ_OPTION_NO_SYMBOLS,
	READ_OPTION_END
};

#define READ_OPTION_ROW(field, option) { option, required_argument, NULL, READ_OPTION_##field },
#define READ_OPTION_ROWS                                                                                               \
	{ "max-memory", required_argument, NULL, READ_OPTION_MEMORY },                                                 \
		{ "salvage", no_argument, NULL, READ_OPTION_SALVAGE },                                                 \
		{ "no-symbols", no_argument, NULL, READ_OPTION_NO_SYMBOLS }, DWARF_OPTION_ROWS

/* For usage texts. */
#define READ_USAGE                                                                                                     \
	"Reading (docs/cli.md):\n"                                                                                     \
	"  --salvage                  keep the good part of half a file\n"                                             \
	"  --no-symbols               name no frames of perf.data from this machine's files\n"                         \
	"  --no-dwarf                 read no debug information for perf.data; --debug-dir DIR: more of it;\n"         \
	"                             --dwarf-time SECONDS (30): at most so long\n"                                    \
	"  --max-input, --max-inflated, --max-memory SIZE (512m, 4g); --max-ratio, --max-samples,\n"                   \
	"  --max-locations, --max-strings, --max-depth N\n"                                                            \
	"                             limits of what is read\n"

static inline bool is_read_option(int o)
{
	return (o >= READ_OPTION_FIRST && o < READ_OPTION_END) || is_dwarf_option(o);
}

struct read_options read_options_default(void);

/* -EINVAL: the error begins with the option's name. */
int read_options_set(struct read_options *r, int o, const char *value, struct error *err) must_check;
