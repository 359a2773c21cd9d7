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
 * Lost on the way in: the times of single samples (a sample without values
 * counts them), ids of profiles, original payloads, dropped counts, all
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

/* Whether a protobuf message is this and not a pprof profile. */
bool otlp_looks_like(struct slice bytes);

/* Appends the profile in the layout since v1.10, one OTLP profile per value
 * type, uncompressed. Same profile, same bytes. -E2BIG past out->max, -ENOMEM. */
int otlp_encode(const struct profile *p, struct buf *out) must_check;

/* The same through gzip_compress(). */
int otlp_encode_gz(const struct profile *p, struct buf *out) must_check;
