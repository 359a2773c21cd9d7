/* SPDX-License-Identifier: Apache-2.0 */
/* intake.h: one profile on its way in: what came with it, and its decoding.
 *
 *   request or log record = intake (labels, times, key) + body as received
 *   body --intake_decode--> struct profile + types kept + [from, to)
 *
 * Ingest and replay both go through here, so that a restart yields what was
 * acknowledged. */
#pragma once

#include "format/limits.h"
#include "model/profile.h"

/* What tells series apart, beside the value type. */
enum series_label {
#define SERIES_LABEL(id, name) SERIES_##id,
#include "store/series_label.def"
#undef SERIES_LABEL
	N_SERIES_LABELS
};

const char *series_label_name(enum series_label l); /* "host" */

#define INTAKE_LABEL_MAX   256 /* bytes of a series label */
#define INTAKE_TYPE_MAX	   256
#define INTAKE_KEY_MAX	   64
#define INTAKE_TIME_MAX_MS 4102444800000 /* the year 2100 */
#define INTAKE_AHEAD_MS	   600000	 /* how far in the future a profile may end */

struct intake {
	struct slice label[N_SERIES_LABELS]; /* service is never empty */
	struct slice type;		     /* keep only this one if the profile has it; empty = all */
	struct slice key;		     /* idempotency; empty = none */
	int64_t from_ms, to_ms;		     /* 0 = not given */
	int64_t received_ms;
};

/* Sizes and times within their limits? -EINVAL names the field. */
int intake_check(const struct intake *in, struct error *err) must_check;

/* A decoded body: which types are kept, and the time it covers. */
struct intake_profile {
	struct profile profile;
	uint32_t keep; /* bit t = type t */
	int64_t from_ms, to_ms;
};

void intake_profile_done(struct intake_profile *p);

/* Decodes with all memory charged to `budget`: pprof, or OTLP profiles, which
 * become one and keep the times of samples. As pprof_decode(); further
 * -EPROTONOSUPPORT for a profile without value types or with negative
 * values. `ret` needs
 * intake_profile_done() only on success. */
int intake_decode(const struct intake *in, struct slice body, const struct format_limits *limits,
		  struct membudget *budget, struct intake_profile *ret, struct error *err) must_check;

/* The rest of it, for a profile that is decoded already and now is in `ret`;
 * on failure it stays the caller's. */
int intake_take(const struct intake *in, struct profile *p, struct intake_profile *ret, struct error *err) must_check;
