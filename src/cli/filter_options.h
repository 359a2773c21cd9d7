/* SPDX-License-Identifier: Apache-2.0 */
/* filter_options.h: --focus, --ignore ... of every command that reads a
 * profile (docs/query.md). A command's table of options gets their rows by
 *
 *   #define FILTER(id, name, option, value, meaning) FILTER_OPTION_ROW(id, option)
 *   #include "model/filter.def"
 *   #undef FILTER
 *
 * and hands what getopt_long() returns for them to filter_options_add(). */
#pragma once

#include "model/filter_profile.h"

#define FILTER_OPTION_FIRST	      0x1000 /* above any character */
#define FILTER_OPTION_ROW(id, option) { option, required_argument, NULL, FILTER_OPTION_FIRST + FILTER_##id },

/* For usage texts. */
#define FILTER_USAGE                                                                                                   \
	"Filters, each as often as wanted (docs/query.md):\n"                                                          \
	"  --focus RE, --ignore RE    keep, drop stacks with a frame that matches\n"                                   \
	"  --hide RE, --show RE       take matching, all other frames out of stacks\n"                                 \
	"  --show-from RE             cut what is above the first frame that matches\n"                                \
	"  --tag EXPR, --tag-ignore EXPR\n"                                                                            \
	"                             keep, drop samples by labels: KEY=RE, RE, KEY=10mb:20mb, KEY=100ms:\n"

static inline bool is_filter_option(int o)
{
	return o >= FILTER_OPTION_FIRST && o < FILTER_OPTION_FIRST + N_FILTER_KINDS;
}

/* Adds one term to *f, which is made if it is NULL. -EINVAL: the error begins
 * with the option's name. */
int filter_options_add(struct filter **f, int o, const char *value, struct error *err) must_check;

/* Filters what was read from `file`; says on stderr when nothing is left. */
int filter_options_apply(const struct filter *f, const char *file, struct profile *p, struct error *err) must_check;
