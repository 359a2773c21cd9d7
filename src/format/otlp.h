/* SPDX-License-Identifier: Apache-2.0 */
/* otlp.h: OpenTelemetry profiles, both ways.
 *
 *   request { resource { scope { profile { one value type, samples } } } ...,
 *             dictionary: strings, functions, mappings, locations, stacks,
 *                         attributes }
 *
 * All profiles of a request become one: its value types are theirs, a sample
 * is one (stack, labels) with a value for each type. Attributes of resource,
 * scope, profile and sample are labels, the inner one counting where both
 * have a key; a link is the labels "trace_id" and "span_id".
 *
 * Times: with p->wants_times each is a row of its own, with the value that
 * stands at its place, 1 where there are no values, or its equal share of
 * values that are not as many as times. Otherwise a sample's observations are
 * summed.
 *
 * Lost on the way in: ids of profiles, original payloads, dropped counts, all
 * periods but the first. docs/formats.md has the tables. */
#pragma once

#include "base/buf.h"
#include "format/limits.h"
#include "format/salvage.h"
#include "model/profile.h"

/* ExportProfilesServiceRequest or ProfilesData (the bytes are the same), raw,
 * gzip'd or zstd, in the layouts of v1.7, v1.8 to v1.9 and since v1.10, told
 * apart by content. `p` as for pprof_decode(). Messages read
 * "at byte 123: sample 12: stack 99 does not exist"; -EPROTONOSUPPORT for
 * layouts before v1.7. */
int otlp_decode(struct slice bytes, const struct format_limits *limits, struct profile *p,
		struct error *err) must_check;

/* The same of plain bytes. With `salvage`, unless NULL, a file that ends early
 * gives its whole samples, without labels whose attributes are behind the end;
 * those whose stacks are behind it are left out. Both are counted in
 * salvage->lost. -ENODATA when nothing can be kept. */
int otlp_salvage(struct slice plain, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		 struct error *err) must_check;

/* A request of several profiles, for whoever wants them apart again. Where they
 * cover different times, each sample has the number label OTLP_RANGE_LABEL: which
 * of `ranges` its profile covers. */
#define OTLP_RANGE_LABEL "wick.range"
#define OTLP_RANGES_MAX	 1024

struct otlp_range {
	int64_t time_ns, duration_ns; /* 0 = not said */
};

struct otlp_request {
	VEC(struct otlp_range) ranges;
	struct labels_id labels; /* what all samples of its first profile have; it may have none */
};

void otlp_request_done(struct otlp_request *r);

/* otlp_salvage() of a whole request that tells of it. -E2BIG past
 * OTLP_RANGES_MAX. `ret` is done by the caller, on failure, too. */
int otlp_decode_request(struct slice plain, const struct format_limits *limits, struct profile *p,
			struct otlp_request *ret, struct error *err) must_check;

/* Whether a protobuf message is this and not a pprof profile. */
bool otlp_looks_like(struct slice bytes);

/* Appends the profile in the layout since v1.10, one OTLP profile per value
 * type, uncompressed; rows with times that have stack and labels in common are
 * one sample. Same profile, same bytes. -E2BIG past out->max, -ENOMEM. */
int otlp_encode(const struct profile *p, struct buf *out) must_check;

/* The same of a resource with these attributes, but those without a value. */
struct otlp_text {
	const char *key;
	struct slice value;
};
int otlp_encode_resource(const struct profile *p, const struct otlp_text *attributes, uint32_t n,
			 struct buf *out) must_check;

/* The same as otlp_encode() through gzip_compress(). */
int otlp_encode_gz(const struct profile *p, struct buf *out) must_check;
