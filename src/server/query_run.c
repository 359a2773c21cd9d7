/* SPDX-License-Identifier: Apache-2.0 */
#include "server/query_run.h"

#include "base/clock.h"
#include "base/crew.h"

#include <errno.h>

#define BASE_SIZE	   ((size_t)16 << 20)
#define SIZE_PER_NODE	   256 /* sums, tree nodes, sorting */
#define WAIT_MS		   15000
#define MAX_EXPECTED_NODES 200000 /* a query over more gets more memory when it needs it */

static size_t expected_size(struct server *s)
{
	struct view *v;
	if (view_take(s->store, &v) < 0)
		return BASE_SIZE;
	uint64_t n = view_n_nodes(v, INT64_MIN, INT64_MAX);
	view_free(&v);
	return BASE_SIZE + (size_t)(n < MAX_EXPECTED_NODES ? n : MAX_EXPECTED_NODES) * SIZE_PER_NODE;
}

/* ---- part by part ---- */

static int see_type(void *arg, struct slice type)
{
	struct query *q = arg;
	return type_match_add(&q->type, type, NULL);
}

static int resolve_type(struct query *q, struct error *err)
{
	q->type.asked = q->selector.type;
	if (q->type.asked.size == 0)
		return 0;
	int r = view_types(q->view, q->selector.from_ms, q->selector.to_ms, see_type, q);
	if (r == -EINVAL)
		return error_set(err, r, "type \"%.*s\" is %s as well as others: say which", SLICE_FMT(q->type.asked),
				 q->type.full);
	q->selector.type = type_match_get(&q->type);
	return r;
}

int query_begin(struct query *q, const struct selector *selector, const struct filter *filter, struct error *err)
{
	q->selector = *selector;
	q->filter = filter;
	q->next = 0;
	q->is_open = false;
	q->type = (struct type_match){ 0 };
	q->start_ns = clock_mono_ns();
	int r = view_take(q->server->store, &q->view);
	if (r < 0)
		return error_set(err, r, "out of memory");
	r = resolve_type(q, err);
	if (r < 0)
		query_end(q);
	return r;
}

static void close_part(struct query *q)
{
	if (!q->is_open)
		return;
	selection_done(&q->selection);
	namer_read_end(q->server->namer, q->lines_held);
	view_close(q->view, q->next - 1);
	q->is_open = false;
}

void query_end(struct query *q)
{
	close_part(q);
	view_free(&q->view);
}

void query_rewind(struct query *q)
{
	close_part(q);
	q->next = 0;
	q->n_blocks = 0;
}

/* A selection of the part that view_open() gave. */
static int select_part(struct query *q, const struct part *p, struct error *err)
{
	struct filter_failure failure;
	int r = selection_init(&q->selection, p, &q->selector, &q->budget, err);
	if (r == -E2BIG) {
		q->field = "query";
		error_prefix(err, "query");
		return r;
	}
	if (r < 0)
		return error_set(err, r, "no memory for the query");
	q->selection.stats = &q->stats;
	q->selection.cancel = q->cancel;
	q->lines_held = namer_read_begin(q->server->namer, p, &q->lines);
	q->selection.framelines = q->lines_held;
	q->is_open = true;
	r = selection_filter(&q->selection, q->filter, &failure);
	if (r == -E2BIG) {
		q->field = filter_kind_name(failure.kind);
		(void)error_set(err, r, "%s: %s", q->field, failure.why.text);
	}
	return r;
}

int query_next(struct query *q, struct selection **ret, struct error *err)
{
	close_part(q);
	while (q->next < view_n_parts(q->view)) {
		uint32_t i = q->next++;
		const struct part *p;
		if (!view_may_have(q->view, i, q->selector.from_ms, q->selector.to_ms))
			continue;
		if (cancel_asked(q->cancel))
			return -ECANCELED;
		int r = view_open(q->view, i, &p, err);
		if (r == -EBADMSG || r == -EIO || r == -ENOENT) {
			q->n_damaged_blocks++;
			continue;
		}
		if (r < 0)
			return r;
		q->n_blocks += p->pages != NULL;
		r = select_part(q, p, err);
		if (!q->is_open)
			view_close(q->view, i);
		if (r < 0)
			return r;
		*ret = &q->selection;
		return 1;
	}
	return 0;
}

/* ---- two at a time ---- */

struct running {
	struct query_halves *halves;
	_Atomic int next;
	struct error err[2];
	int r[2];
};

static void run_halves(void *arg, unsigned worker)
{
	struct running *run = arg;
	struct query_halves *h = run->halves;
	(void)worker;
	for (int i; (i = run->next++) < 2;)
		run->r[i] = h->half(&h->q[i], i, h->arg, &run->err[i]);
}

/* What a half does not hold is free for others. */
static void shrink_half(struct query *q, struct query *half)
{
	membudget_release(&q->budget, half->budget.max - half->budget.used);
	half->budget.max = half->budget.used;
}

/* With all that is free. */
static void run_again(struct query *q, struct running *run, int i)
{
	struct query *half = &run->halves->q[i];
	size_t size = q->budget.max - q->budget.used;
	if (!membudget_charge(&q->budget, size))
		return;
	half->budget.max += size;
	run->r[i] = run->halves->half(half, i, run->halves->arg, &run->err[i]);
	shrink_half(q, half);
}

static void count_half(struct query *q, const struct query *half)
{
	scan_stats_add(&q->stats, &half->stats);
	q->n_blocks += half->n_blocks;
	q->n_damaged_blocks += half->n_damaged_blocks;
	if (type_match_get(&half->type).size)
		q->type = half->type;
}

int query_halves_run(struct query *q, struct query_halves *h, struct error *err)
{
	struct running run = { .halves = h };
	size_t size = (q->budget.max - q->budget.used) / 2;
	if (!membudget_charge(&q->budget, size * 2))
		return -ENOBUFS;
	for (int i = 0; i < 2; i++)
		h->q[i] = (struct query){
			.server = q->server, .budget = membudget_of(size), .job = q->job, .cancel = q->cancel
		};
	crew_run(2, run_halves, &run);
	for (int i = 0; i < 2; i++)
		shrink_half(q, &h->q[i]);
	for (int i = 0; i < 2; i++) {
		if (run.r[i] == -ENOBUFS)
			run_again(q, &run, i);
		count_half(q, &h->q[i]);
	}
	int failed = run.r[0] < 0 ? 0 : 1;
	if (run.r[failed] < 0) {
		q->field = h->q[failed].field;
		*err = run.err[failed];
	}
	return run.r[failed];
}

void query_halves_end(struct query *q, struct query_halves *h)
{
	membudget_release(&q->budget, h->q[0].budget.max + h->q[1].budget.max);
}

void query_write_stats(const struct query *q, struct jsonw *w)
{
	jsonw_object(w, "stats");
	jsonw_u64(w, "blocks", q->n_blocks);
	jsonw_u64(w, "damaged_blocks", q->n_damaged_blocks);
	jsonw_u64(w, "damaged_pages", q->stats.n_damaged);
	jsonw_u64(w, "chunks", q->stats.n_chunks);
	jsonw_u64(w, "rows", q->stats.n_rows);
	jsonw_u64(w, "bytes_read", q->stats.n_bytes);
	jsonw_array(w, "resolutions");
	for (int r = 0; r < N_RESOLUTIONS; r++)
		if (q->stats.resolutions >> r & 1)
			jsonw_cstr(w, NULL, resolution_name((enum resolution)r));
	jsonw_end(w, ']');
	jsonw_bool(w, "exact", !q->stats.is_inexact && q->stats.n_damaged == 0 && q->n_damaged_blocks == 0);
	jsonw_f64(w, "seconds", (double)(clock_mono_ns() - q->start_ns) / 1e9);
	jsonw_end(w, '}');
}

/* ---- memory, answers ---- */

/* Of a query that is being worked on. */
struct asking {
	const struct server *server;
	const struct http_request *rq;
};

static bool is_unwanted(void *arg)
{
	const struct asking *a = arg;
	return a->server->stopping || http_is_gone(a->rq);
}

static void answer_failure(struct server *s, struct http_request *rq, int r, const char *field, const struct error *err)
{
	if (r == -ECANCELED) {
		s->n_queries_cancelled++;
		http_answer_error(rq, 503, "unavailable", NULL, -1, "the query was given up: %s",
				  s->stopping ? "the server is stopping" : "its client has gone");
		return;
	}
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
static int run_once(struct server *s, size_t size, query_work work, const void *job, struct cancel *cancel,
		    struct buf *ret_out, const char **ret_field, struct error *err)
{
	size_t granted;
	if (!workmem_take(&s->work, size, WAIT_MS, &granted))
		return -EAGAIN;
	/* The answer is written when most of what it took to find it is free again. */
	struct query q = {
		.server = s,
		.budget = membudget_of(granted / 4 * 3),
		.out = buf_of(granted / 4),
		.job = job,
		.cancel = cancel,
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
	struct asking asking = { .server = s, .rq = rq };
	struct cancel cancel = { .ask = is_unwanted, .arg = &asking };
	s->n_queries++;
	size_t size = expected_size(s);
	int r = run_once(s, size, work, job, &cancel, &out, &field, &err);
	if (r == -ENOBUFS && size < s->work.max)
		r = run_once(s, s->work.max, work, job, &cancel, &out, &field, &err);
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
