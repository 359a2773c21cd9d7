/* SPDX-License-Identifier: Apache-2.0 */
/* shipper.h: sealed series as gzip'd pprof in the upload queue.
 *
 * The profile and its encoder live for one series at a time, under a budget
 * of their own, and are gone when it is queued. */
#pragma once

#include "agent/recorder.h"
#include "agent/upload.h"

struct shipper {
	struct recorder *recorder; /* set once it is open */
	struct upload *upload;
	uint64_t n_samples_lost; /* of upload_stats, up to here reported */
};

/* A recorder_sink's function: `arg` is a struct shipper. */
int shipper_series(void *arg, const struct window *w, uint32_t series, const struct window_info *info);

/* Losses of the upload go with the next window. */
void shipper_report_lost(struct shipper *s);
