/* SPDX-License-Identifier: Apache-2.0 */
/* query_run.h: one query within borrowed memory.
 *
 * The work runs with what a query over this head should need; when that was
 * not enough, once more with the whole pool. Its answer goes to `out`. */
#pragma once

#include "base/membudget.h"
#include "query/select.h"
#include "server/server.h"

struct query {
	struct server *server;
	struct membudget budget; /* for everything but `out` */
	struct buf out;
	const void *job;		/* the handler's parameters */
	const struct framelines *lines; /* of the head, between query_read_begin() and _end() */
	const char *field;		/* the parameter that a failure is about, if known */
};

typedef int (*query_work)(struct query *q, struct error *err);

/* The head and what came late of its frames, which do not change until the end. Short: commits wait. */
const struct head *query_read_begin(struct query *q);
void query_read_end(struct query *q);

/* The selection for a query's work, filtered. -E2BIG when a pattern needs too
 * much work; else as selection_init(). `ret` is done on failure. */
int query_select(struct query *q, const struct head *h, const struct selector *selector, const struct filter *filter,
		 struct selection *ret, struct error *err) must_check;

/* Runs the work and answers: 200 with `out`, or an error. */
void query_run(struct server *s, struct http_request *rq, query_work work, const void *job, const char *content_type);
