/* SPDX-License-Identifier: Apache-2.0 */
/* query_run.h: one query within borrowed memory.
 *
 *   query_run   the work runs with what a query should need; when that was not
 *               enough, once more with the whole pool. Its answer goes to `out`
 *   query_begin -> query_next ... query_next -> query_end     a selection of each part
 *
 * A block that cannot be read is left out and counted: the rest is answered. A
 * query whose client has gone ends soon with -ECANCELED, and so do all when
 * the server stops. */
#pragma once

#include "base/cancel.h"
#include "base/jsonw.h"
#include "base/membudget.h"
#include "query/select.h"
#include "server/server.h"
#include "store/view.h"

struct query {
	struct server *server;
	struct membudget budget; /* for everything but `out` */
	struct buf out;
	const void *job;   /* the handler's parameters */
	const char *field; /* the parameter that a failure is about, if known */

	/* Between query_begin() and query_end(): */
	struct view *view;
	struct selector selector; /* with its type in whole */
	struct type_match type;
	const struct filter *filter;
	uint32_t next; /* part */
	bool is_open;  /* part next - 1 is */
	struct selection selection;
	struct framelines lines;
	const struct framelines *lines_held;

	/* What was read. */
	struct scan_stats stats;
	uint32_t n_blocks, n_damaged_blocks;
	int64_t start_ns;
	struct cancel *cancel; /* of the request */
};

typedef int (*query_work)(struct query *q, struct error *err);

/* Takes what is stored now. `filter` NULL = none. -EINVAL: the type is ambiguous; -ENOMEM. */
int query_begin(struct query *q, const struct selector *selector, const struct filter *filter,
		struct error *err) must_check;
void query_end(struct query *q);

/* 1 and the selection of the next part that may have something, which does not
 * change until the next call; 0 at the end. -E2BIG: a pattern needs too much
 * work; -ECANCELED, -ENOBUFS, -ENOMEM. Short, for parts in memory: commits wait. */
int query_next(struct query *q, struct selection **ret, struct error *err) must_check;
/* From the first part on again; what was read is still counted. */
void query_rewind(struct query *q);

/* Two questions at once, on two CPUs if they are free: half(q[0], 0, arg), half(q[1], 1, arg). Each
 * may use half of the memory left, and one that needs more is asked again, alone with what is free.
 * What they made is freed before query_halves_end(). The first failure, with its error. */
struct query_halves {
	struct query q[2];
	int (*half)(struct query *q, int i, void *arg, struct error *err);
	void *arg;
};

int query_halves_run(struct query *q, struct query_halves *h, struct error *err) must_check;
void query_halves_end(struct query *q, struct query_halves *h);

/* The member "stats" of an answer: what it took. */
void query_write_stats(const struct query *q, struct jsonw *w);

/* Runs the work and answers: 200 with `out`, or an error. */
void query_run(struct server *s, struct http_request *rq, query_work work, const void *job, const char *content_type);
