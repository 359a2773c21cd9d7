/* SPDX-License-Identifier: Apache-2.0 */
/* dwarf_lines.h: files, lines and inlined functions for a profile from this
 * machine's debug information.
 *
 *   mapping, build id  ->  the binary itself, or its debug file by build id  ->  wick-dwarf  ->  the profile's stacks
 *
 * What a frame is called already stays. Without the debug information, without
 * wick-dwarf, or when time is up, frames stay as they are; stderr says so when
 * something went wrong. */
#pragma once

#include "base/error.h"
#include "model/profile.h"

#define DWARF_SECONDS 30

struct dwarf_options {
	bool off;
	const char *folder; /* looked in before /usr/lib/debug; NULL */
	unsigned seconds;   /* for all binaries together */
};

struct dwarf_options dwarf_options_default(void);

struct dwarf_stats {
	uint32_t n_frames, n_lines;	  /* of user binaries; those that got a line */
	uint32_t n_binaries, n_described; /* met; with debug information */
};

/* Frames whose addresses are the ELF file's own (mapping.limit is set, its
 * start is 0) and that have no line yet. `is_exact` by frame: its address is
 * where it was, not where it returns to; NULL: all are to be looked up as they
 * stand. `file` is the profile's, for messages. -ENOMEM, -ENOBUFS. */
int profile_add_lines(struct profile *p, const char *file, const bool *is_exact, const struct dwarf_options *o,
		      struct dwarf_stats *ret) must_check;

/* ---- --no-dwarf, --debug-dir, --dwarf-time ---- */

enum dwarf_option {
	DWARF_OPTION_FIRST = 0x3000, /* above any character and other groups */
	DWARF_OPTION_OFF = DWARF_OPTION_FIRST,
	DWARF_OPTION_FOLDER,
	DWARF_OPTION_SECONDS,
	DWARF_OPTION_END
};

#define DWARF_OPTION_ROWS                                                                                              \
	{ "no-dwarf", no_argument, NULL, DWARF_OPTION_OFF },                                                           \
		{ "debug-dir", required_argument, NULL, DWARF_OPTION_FOLDER },                                         \
		{ "dwarf-time", required_argument, NULL, DWARF_OPTION_SECONDS },

static inline bool is_dwarf_option(int o)
{
	return o >= DWARF_OPTION_FIRST && o < DWARF_OPTION_END;
}

/* -EINVAL: the error begins with the option's name. */
int dwarf_options_set(struct dwarf_options *d, int o, const char *value, struct error *err) must_check;
