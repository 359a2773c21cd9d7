/* SPDX-License-Identifier: Apache-2.0 */
/* perfdata.h: what `perf record` writes, as a file or through a pipe.
 *
 *   file   header | attributes, ids | records        | features
 *   pipe   magic  | records, among which attributes and features are
 *   COMPRESSED records hold pieces of one zstd stream of further records
 *
 *   sample    one row; labels pid, thread_id, thread_name, event
 *   types     samples:count, then one per event: its period; the default is
 *             the first event's
 *   frame     kernel: its address; else the byte's offset in the mapped
 *             file, so that processes merge; perf.data holds no names but
 *             those of BPF and other code the kernel made (KSYMBOL)
 *   comments  host, system, perf's version, command line, and what was lost
 *
 * Records of several CPUs lie out of order: all are sorted by time before
 * they are read, so that a sample meets the maps of its moment.
 *
 * Lost: cpu, the time of each sample (duration_ns keeps the span), registers,
 * user stacks (a warning says of how many samples), branch stacks, data
 * addresses, weights, trace payloads. */
#pragma once

#include "base/error.h"
#include "format/limits.h"
#include "format/salvage.h"
#include "model/profile.h"

bool perfdata_looks(struct slice bytes);

/* Decodes into `p`, empty as for pprof_decode(). -ENODATA when the file ends
 * early, unless `salvage` is given and a sample was read. */
int perfdata_decode(struct slice bytes, const struct format_limits *limits, struct salvage *salvage, struct profile *p,
		    struct error *err) must_check;
