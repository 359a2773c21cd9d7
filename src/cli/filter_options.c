/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/filter_options.h"

#include <errno.h>
#include <stdio.h>

int filter_options_add(struct filter **f, int o, const char *value, struct error *err)
{
	enum filter_kind kind = (enum filter_kind)(o - FILTER_OPTION_FIRST);
	if (!*f)
		*f = filter_new();
	if (!*f)
		return error_set(err, -ENOMEM, "out of memory");
	int r = filter_add(*f, kind, slice_str(value), err);
	if (r == 0)
		return 0;
	error_prefix(err, "--%s", filter_kind_option(kind));
	/* All that can be wrong with it is a matter of usage. */
	return r == -ENOMEM ? r : -EINVAL;
}

int filter_options_apply(const struct filter *f, const char *file, struct profile *p, struct error *err)
{
	struct filter_failure failure;
	uint32_t n = profile_n_samples(p);
	int r = filter_profile(f, p, &failure);
	if (r == -E2BIG)
		return error_set(err, r, "%s: --%s: %s", file, filter_kind_option(failure.kind), failure.why.text);
	if (r < 0)
		return error_set(err, r, "%s: out of memory", file);
	if (n && profile_n_samples(p) == 0)
		(void)fprintf(stderr, "wick: %s: the filters leave none of %u samples\n", file, n);
	return 0;
}
