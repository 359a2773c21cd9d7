/* SPDX-License-Identifier: Apache-2.0 */
/* intake_otlp.h: an OTLP request as the profiles that it holds.
 *
 *   request -> decoded once -> rows by (series labels, time covered) -> parts
 *                                one part:  it is the request
 *                                several:   each gets a request of its own,
 *                                           which its log record holds
 *
 * Series labels come from attributes (series_source.def), of samples before
 * those of their resource. What a series says its samples do not repeat. */
#pragma once

#include "base/buf.h"
#include "store/intake.h"

#define INTAKE_PARTS_MAX 1024

struct intake_part {
	struct intake intake;
	char *texts; /* what its labels and key point to, each with a NUL behind it */
	int result;  /* negative: `error` says why it cannot be stored, and there is no more */
	struct error error;
	struct intake_profile profile;
	struct buf body; /* empty: the request's */
};

struct intake_parts {
	struct intake_part *data;
	uint32_t n; /* 0: it holds no profile */
};

void intake_parts_done(struct intake_parts *p);

/* `in` has what comes beside the body: key and time of arrival. The parts of a
 * request with a key get keys made of it. As intake_decode(); -E2BIG past
 * INTAKE_PARTS_MAX. */
int intake_split(const struct intake *in, struct slice body, const struct format_limits *limits,
		 struct membudget *budget, struct intake_parts *ret, struct error *err) must_check;

/* Takes labels out of samples that the series has. */
int intake_drop_series_labels(const struct intake *in, struct profile *p) must_check;
