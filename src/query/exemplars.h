/* SPDX-License-Identifier: Apache-2.0 */
/* exemplars.h: the single profiles in which a question's value is largest.
 *
 * Only profiles that are kept one by one: of those whose sums are left, none. */
#pragma once

#include "query/select.h"

#define EXEMPLARS_MAX 100

struct exemplar {
	int64_t from_ms, value;
	uint32_t duration_ms;
	struct str_id label[N_SERIES_LABELS], type; /* in exemplars.strings */
};

struct exemplars {
	struct exemplar row[EXEMPLARS_MAX];
	uint32_t n, max;
	uint64_t n_profiles; /* looked at */
	struct strtab strings;
};

/* At most `max` of them. -ENOBUFS, -ENOMEM; exemplars_done() in any case. */
int exemplars_init(struct exemplars *e, uint32_t max, struct membudget *budget) must_check;
void exemplars_done(struct exemplars *e);
int exemplars_add(struct exemplars *e, const struct selection *s) must_check;
