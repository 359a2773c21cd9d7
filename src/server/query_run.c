/* SPDX-License-Identifier: Apache-2.0 */
#include "server/query_run.h"

#include <errno.h>

#define BASE_SIZE     ((size_t)16 << 20)
#define SIZE_PER_NODE 256 /* sums, tree nodes, sorting */
#define WAIT_MS	      15000

static size_t expected_size(struct server *s)
{
	const struct head *h = store_read_begin(s->store);
	size_t n = dict_n_nodes(&h->names.dict);
	store_read_end(s->store);
	/* Inlined functions are nodes, too. */
	const struct framelines *lines = namer_read_begin(s->namer);
	if (lines)
		n *= 2;
	namer_read_end(s->namer, lines);
	return BASE_SIZE + n * SIZE_PER_NODE;
}

const struct head *query_read_begin(struct query *q)
{
	const struct head *h = store_read_begin(q->server->store);
	q->lines = namer_read_begin(q->server->namer);
	return h;
}

void query_read_end(struct query *q)
{
	namer_read_end(q->server->namer, q->lines);
	store_read_end(q->server->store);
}

int query_select(struct query *q, const struct head *h, const struct selector *selector, const struct filter *filter,
		 struct selection *ret, struct error *err)
{
	struct filter_failure failure;
	int r = selection_init(ret, h, selector, &q->budget, err);
	if (r < 0)
		return r;
	ret->framelines = q->lines;
	r = selection_filter(ret, filter, &failure);
	if (r == -E2BIG) {
		q->field = filter_kind_name(failure.kind);
		(void)error_set(err, r, "%s: %s", q->field, failure.why.text);
	}
	if (r < 0)
		selection_done(ret);
	return r;
}

static void answer_failure(struct server *s, struct http_request *rq, int r, const char *field, const struct error *err)
{
	if (r == -ENOBUFS) {
		s->n_queries_refused++;
		http_answer_error(
			rq, 413, "too_large", "from", (int64_t)s->work.max,
			"this selection needs more than the %zu MiB that queries have: narrow the time range or "
			"the labels, or restart with a larger --memory-limit",
			s->work.max >> 20);
		return;
	}
	if (r == -EINVAL || r == -E2BIG) {
		http_answer_error(rq, 400, "bad_request", field ? field : "type", -1, "%s", err->text);
		return;
	}
	http_answer_error(rq, 500, "internal", NULL, -1, "%s", err->text[0] ? err->text : "out of memory");
}

/* -EAGAIN when no memory came free. */
static int run_once(struct server *s, size_t size, query_work work, const void *job, struct buf *ret_out,
		    const char **ret_field, struct error *err)
{
	size_t granted;
	if (!workmem_take(&s->work, size, WAIT_MS, &granted))
		return -EAGAIN;
	/* The answer is written when most of what it took to find it is free again. */
	struct query q = {
		.server = s, .budget = membudget_of(granted / 4 * 3), .out = buf_of(granted / 4), .job = job
	};
	int r = work(&q, err);
	if (r == 0 && q.out.failed)
		r = -ENOBUFS;
	workmem_give(&s->work, granted);
	*ret_field = q.field;
	if (r < 0)
		buf_done(&q.out);
	else
		*ret_out = q.out;
	return r;
}

void query_run(struct server *s, struct http_request *rq, query_work work, const void *job, const char *content_type)
{
	struct error err = { "" };
	struct buf out;
	const char *field = NULL;
	s->n_queries++;
	size_t size = expected_size(s);
	int r = run_once(s, size, work, job, &out, &field, &err);
	if (r == -ENOBUFS && size < s->work.max)
		r = run_once(s, s->work.max, work, job, &out, &field, &err);
	if (r == -EAGAIN) {
		s->n_queries_refused++;
		http_answer_error(rq, 503, "too_many_requests", NULL, (int64_t)s->work.max,
				  "other requests use the %zu MiB that queries have; try again", s->work.max >> 20);
	} else if (r < 0) {
		answer_failure(s, rq, r, field, &err);
	} else {
		http_answer(rq, 200, content_type, &out);
	}
}
