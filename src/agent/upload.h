/* SPDX-License-Identifier: Apache-2.0 */
/* upload.h: profiles on their way to the server.
 *
 *   upload_add -> [oldest ... newest] -> POST /api/v1/ingest
 *                  at most max_bytes     one at a time, in order
 *
 * Sent again, with growing pauses, until the server has acknowledged or
 * refused it for good; the key makes a repeat harmless. When the queue is
 * full the oldest go, counted in samples. Never blocks. */
#pragma once

#include "agent/http_client.h"

struct upload_labels {
	const char *host, *region, *zone; /* "" = not set */
};

struct upload_stats {
	uint64_t n_sent, n_bytes; /* acknowledged */
	uint64_t n_failed;	  /* attempts */
	uint64_t n_refused;	  /* profiles the server does not take */
	uint64_t n_dropped;	  /* profiles, queue full */
	uint64_t n_samples_lost;  /* in refused and dropped profiles */
	uint32_t n_queued;
	size_t queued_bytes;
};

struct upload;

int upload_new(const char *url, const struct upload_labels *labels, size_t max_bytes, struct upload **ret,
	       struct error *err) must_check;
void upload_free(struct upload **u); /* for _cleanup_ */

/* What belongs to one profile. */
struct upload_series {
	struct slice service, container;
	const char *type; /* "cpu:nanoseconds" */
	uint32_t window;  /* counts from 1 with every recorder: unique together with start_ms */
	int64_t start_ms, end_ms;
	uint64_t n_samples;
};

/* Takes over `data` (malloc()ed, a gzip'd pprof) in every case. -ENOMEM or
 * -E2BIG: it is larger than the whole queue; it is counted as dropped. */
int upload_add(struct upload *u, const struct upload_series *s, uint8_t *data, size_t size) must_check;

/* poll(2) on the fd (-1 = none), or come back after the timeout (-1 = no need). */
int upload_fd(const struct upload *u, short *ret_events);
int upload_timeout_ms(const struct upload *u);

/* Goes on. `err` is set, and false returned, when an attempt has failed. */
bool upload_step(struct upload *u, struct error *err);

/* Tries again now, whatever the pause: for the last moments of a program. */
void upload_hurry(struct upload *u);

struct upload_stats upload_stats(const struct upload *u);

/* "/api/v1/ingest?service=..." with everything escaped. */
void upload_target(struct buf *out, const struct upload_series *s, const struct upload_labels *labels,
		   const char *run_id);
