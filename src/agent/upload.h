/* SPDX-License-Identifier: Apache-2.0 */
/* upload.h: profiles on their way to the server.
 *
 *   upload_add -> [oldest ... newest] -> POST /v1development/profiles
 *                  at most max_bytes     one at a time, in order
 *                       |  ^             (a server without that: /api/v1/ingest)
 *                       v  |
 *                      spool             while the server is away
 *
 * Sent again, with growing pauses, until the server has acknowledged or
 * refused it for good; the key makes a repeat harmless. While the server is
 * away profiles go to the spool, if there is one; when it is back, those that
 * come meanwhile go first. When the queue is full and the spool cannot take
 * them the oldest go, counted in samples. Never blocks on the network. */
#pragma once

#include "agent/http_client.h"
#include "agent/spool.h"

struct upload_labels {
	const char *host, *region, *zone; /* "" = not set */
};

struct upload_stats {
	uint64_t n_sent, n_bytes; /* acknowledged */
	uint64_t n_failed;	  /* attempts */
	uint64_t n_refused;	  /* profiles the server does not take */
	uint64_t n_dropped;	  /* profiles, queue or spool full */
	uint64_t n_samples_lost;  /* in refused, dropped and torn profiles */
	uint32_t n_queued;	  /* in memory */
	size_t queued_bytes;
	bool is_away;	  /* the last attempt failed */
	bool sends_pprof; /* the server takes no OTLP */
};

struct upload;

/* `spool` may be NULL; it stays the caller's. */
int upload_new(const char *url, const struct upload_labels *labels, size_t max_bytes, struct spool *spool,
	       struct upload **ret, struct error *err) must_check;
void upload_free(struct upload **u); /* for _cleanup_ */

/* What belongs to one profile. */
struct upload_series {
	struct slice service, container;
	const char *type; /* "cpu:nanoseconds" */
	uint32_t window;  /* counts from 1 with every recorder: unique together with start_ms */
	int64_t start_ms, end_ms;
	uint64_t n_samples;
};

/* Takes over `data` (malloc()ed, OTLP in one zstd frame) in every case. -ENOMEM
 * or -E2BIG: it is larger than the whole queue; it is counted as dropped. */
int upload_add(struct upload *u, const struct upload_series *s, uint8_t *data, size_t size) must_check;

/* poll(2) on the fd (-1 = none), or come back after the timeout (-1 = no need). */
int upload_fd(const struct upload *u, short *ret_events);
int upload_timeout_ms(const struct upload *u);

/* Goes on, as far as the next answer: a backlog does not keep the caller from
 * other work. `err` is set, and false returned, when an attempt has failed. */
bool upload_step(struct upload *u, struct error *err);

/* Tries again now, whatever the pause: for the last moments of a program. */
void upload_hurry(struct upload *u);
/* What is queued goes to the spool, as far as that takes it. */
void upload_spill(struct upload *u);

struct upload_stats upload_stats(const struct upload *u);
/* Why the spool did not take something; "" when it takes all. */
const char *upload_spool_problem(const struct upload *u);

/* The profile's name among all that were ever sent. */
void upload_key(struct buf *out, const struct upload_series *s, const char *run_id);
/* "/api/v1/ingest?service=..." with everything escaped. */
void upload_target(struct buf *out, const struct upload_series *s, const struct upload_labels *labels,
		   struct slice key);
