/* SPDX-License-Identifier: Apache-2.0 */
/* shipper.h: sealed series as zstd'd OTLP in the upload queue.
 *
 * The profile and its encoder live for one series at a time, under a budget
 * of their own, and are gone when it is queued. */
#pragma once

#include "agent/cost.h"
#include "agent/recorder.h"
#include "agent/upload.h"

struct shipper {
	struct recorder *recorder; /* NULL while none is open */
	struct upload *upload;
	struct upload_labels labels;
	uint64_t n_samples_lost; /* of upload_stats, up to here reported */
};

/* A series of a window, as recorder_sink has it. */
int shipper_series(struct shipper *s, const struct window *w, uint32_t series, const struct window_info *info);

/* What the agent used between the two, as a profile of its own: service
 * wick-agent, type agent_cpu:nanoseconds. */
void shipper_cost(struct shipper *s, const struct window *w, const struct cost *from, const struct cost *to);

/* Losses of the upload go with the next window. */
void shipper_report_lost(struct shipper *s);
