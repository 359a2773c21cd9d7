/* SPDX-License-Identifier: Apache-2.0 */
/* server.h: what the handlers of wick-server share.
 *
 *   --memory-limit  | heads 6/32 | tables 5/32 | build 4/32 | names 1/32 | work 10/32 | bodies 2/32 | answers 2/32 |
 *                   | rest 2/32 |
 *
 * heads: what is in memory only. tables: of blocks. build: of the block being written. names: what debug files
 * say of frames (namer.h). work: decoding and queries (workmem.h). bodies:
 * request bodies being received or waiting for the disk. answers: what
 * clients have not read yet. rest: buffers of connections, stacks, the
 * program itself. */
#pragma once

#include "debuginfo/debugstore.h"
#include "http/http.h"
#include "meta/db.h"
#include "server/fetcher.h"
#include "server/namer.h"
#include "server/options.h"
#include "server/workmem.h"
#include "store/store.h"

#include <stdatomic.h>

#define BODY_MAX ((size_t)64 << 20)

#define HEAD_SHARE(limit)    ((limit) / 32 * 6)
#define TABLES_SHARE(limit)  ((limit) / 32 * 5)
#define BUILD_SHARE(limit)   ((limit) / 32 * 4)
#define NAMES_SHARE(limit)   ((limit) / 32)
#define WORK_SHARE(limit)    ((limit) / 16 * 5)
#define BODIES_SHARE(limit)  ((limit) / 16)
#define ANSWERS_SHARE(limit) ((limit) / 16)

struct live;
struct uploads;

struct server {
	const struct options *options;
	struct keyring *keys; /* NULL: nothing is sealed */
	struct store *store;
	struct store_replay replay;
	struct workmem work;
	struct http_server *http;
	struct http_channel *channel;
	struct live *live;
	struct debugstore *debugstore;
	struct namer *namer;
	struct uploads *uploads;
	struct fetcher *fetcher; /* NULL: nobody is asked */
	struct db *meta;
	struct eraser *eraser;
	size_t bodies_max, body_max;

	/* Requests suspended until their profile or file is on disk. */
	_Atomic unsigned n_waiting;
	_Atomic bool stopping;

	_Atomic uint64_t n_malformed, n_too_large, n_unsupported, n_out_of_space, n_ingest_bytes, n_ingest_samples;
	_Atomic uint64_t n_queries, n_queries_refused, n_queries_cancelled;
};

/* ---- waiting.c: requests suspended until something is on disk ---- */

/* False: the server is stopping, and the request is answered with that. */
bool waiting_begin(struct server *s, struct http_request *rq) must_check;
/* The request is answered. The server may be gone when this returns. */
void waiting_end(struct server *s, struct http_request *rq);

/* ---- live.c: tells open pages that there is news ---- */

int live_start(struct server *s, struct live **ret, struct error *err) must_check;
void live_stop(struct live *l);
/* A profile of `service` became visible. From any thread. */
void live_profile(struct live *l, struct slice service, int64_t to_ms);
/* Frames got names: what is shown may have changed. From any thread. */
void live_names(struct live *l);

/* ---- api_debuginfo.c: a thread that makes uploads durable ---- */

int uploads_start(struct server *s, struct uploads **ret, struct error *err) must_check;
/* No request waits any more. */
void uploads_stop(struct uploads *u);
extern const struct http_stream api_debuginfo_stream;

/* ---- handlers: one file per group; ctx is the struct server ---- */

void api_ingest(struct http_request *rq, void *ctx);
void api_otlp(struct http_request *rq, void *ctx);
void api_tree(struct http_request *rq, void *ctx);
void api_top(struct http_request *rq, void *ctx);
void api_heatmap(struct http_request *rq, void *ctx);
void api_diff(struct http_request *rq, void *ctx);
void api_profiles(struct http_request *rq, void *ctx);
void api_series(struct http_request *rq, void *ctx);
void api_services(struct http_request *rq, void *ctx);
void api_types(struct http_request *rq, void *ctx);
void api_labels(struct http_request *rq, void *ctx);
void api_debuginfo(struct http_request *rq, void *ctx);
void api_debuginfo_get(struct http_request *rq, void *ctx);
void api_debuginfo_put(struct http_request *rq, void *ctx);
void api_deletions(struct http_request *rq, void *ctx);
void api_deletions_post(struct http_request *rq, void *ctx);
void api_status(struct http_request *rq, void *ctx);
void api_health(struct http_request *rq, void *ctx);
void api_metrics(struct http_request *rq, void *ctx);
void api_live(struct http_request *rq, void *ctx);
/* The dashboard's files; false for any other path. */
bool page_file(struct http_request *rq, void *ctx);
