/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/read_options.h"

#include "cli/number.h"

#include <errno.h>

struct read_options read_options_default(void)
{
	return (struct read_options){ .limits = format_limits_default,
				      .budget = membudget_of(SIZE_MAX),
				      .dwarf = dwarf_options_default() };
}

static int set_size(size_t *ret, const char *option, const char *value, struct error *err)
{
	uint64_t n;
	if (!size_parse(value, &n) || n == 0 || n > SIZE_MAX / 4)
		return error_set(err, -EINVAL, "--%s wants a size such as 512m or 4g, not \"%.64s\"", option, value);
	*ret = (size_t)n;
	return 0;
}

static int set_count(uint32_t *ret, const char *option, const char *value, struct error *err)
{
	uint64_t n;
	if (!number_parse(value, 1, UINT32_MAX / 4, &n))
		return error_set(err, -EINVAL, "--%s wants a number from 1 to %u, not \"%.64s\"", option,
				 UINT32_MAX / 4, value);
	*ret = (uint32_t)n;
	return 0;
}

#define SET_SIZE  set_size
#define SET_COUNT set_count

int read_options_set(struct read_options *r, int o, const char *value, struct error *err)
{
	if (is_dwarf_option(o))
		return dwarf_options_set(&r->dwarf, o, value, err);
	switch (o) {
#define READ_LIMIT(field, option, unit, meaning)                                                                       \
	case READ_OPTION_##field:                                                                                      \
		return SET_##unit(&r->limits.field, option, value, err);
#include "cli/read_option.def"
#undef READ_LIMIT
	case READ_OPTION_MEMORY:
		return set_size(&r->budget.max, "max-memory", value, err);
	case READ_OPTION_SALVAGE:
		r->salvage = true;
		return 0;
	default:
		r->no_symbols = true;
		return 0;
	}
}
