/* SPDX-License-Identifier: Apache-2.0 */
/* api_heatmap.c: GET heatmap: value in columns of cells of time. */
#include "query/heatmap.h"

#include "server/param.h"
#include "server/query_run.h"

#include <errno.h>

struct heatmap_job {
	struct selector selector;
	struct filter *filter;
	int64_t column_ms, rows, cell_ms;
	uint32_t n;
};

static void heatmap_job_done(struct heatmap_job *job)
{
	selector_done(&job->selector);
	filter_free(&job->filter);
}

static int read_heatmap(struct query *q, const struct heatmap_job *job, struct heatmap *h, struct error *err)
{
	int r = query_begin(q, &job->selector, job->filter, err);
	if (r < 0)
		return r;
	struct selection *s;
	while ((r = query_next(q, &s, err)) == 1) {
		r = heatmap_add(h, s);
		if (r < 0)
			break;
	}
	query_end(q);
	return r;
}

static void write_heatmap(struct query *q, const struct heatmap_job *job, const struct heatmap *h)
{
	struct jsonw w = { .out = &q->out };
	double all = h->timed + h->spread;
	jsonw_object(&w, NULL);
	jsonw_str(&w, "type", type_match_get(&q->type));
	jsonw_str(&w, "unit", type_unit(type_match_get(&q->type)));
	jsonw_i64(&w, "from_ms", h->from_ms);
	jsonw_i64(&w, "column_ms", job->column_ms);
	jsonw_i64(&w, "rows", job->rows);
	jsonw_f64(&w, "timed_share", all > 0 ? h->timed / all : 0);
	jsonw_array(&w, "columns");
	for (uint32_t i = 0; i < h->n; i++) {
		if (i % job->rows == 0)
			jsonw_array(&w, NULL);
		jsonw_f64(&w, NULL, h->cells[i]);
		if ((i + 1) % job->rows == 0)
			jsonw_end(&w, ']');
	}
	jsonw_end(&w, ']');
	query_write_stats(q, &w);
	jsonw_end(&w, '}');
}

static int heatmap_work(struct query *q, struct error *err)
{
	const struct heatmap_job *job = q->job;
	struct heatmap h;
	int r = heatmap_init(&h, job->selector.from_ms, job->cell_ms, job->n, &q->budget);
	if (r < 0)
		return r;
	r = read_heatmap(q, job, &h, err);
	if (r == 0)
		write_heatmap(q, job, &h);
	heatmap_done(&h);
	return r;
}

void api_heatmap(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { PARAM_SELECTION, PARAM_FILTER, "column", "rows", NULL };
	_cleanup_(heatmap_job_done)
	struct heatmap_job job = { 0 };
	if (!param_check(rq, known) || !param_selector(rq, &job.selector) || !param_filter(rq, &job.filter) ||
	    !param_int(rq, "column", 1, INTAKE_TIME_MAX_MS, 1000, &job.column_ms) ||
	    !param_int(rq, "rows", 1, 1000, 50, &job.rows))
		return;
	if (job.column_ms % job.rows) {
		http_answer_error(rq, 400, "bad_request", "rows", -1,
				  "a column of %lld ms cannot be cut into %lld rows of whole milliseconds",
				  (long long)job.column_ms, (long long)job.rows);
		return;
	}
	/* Columns lie at multiples of their size, so that those of two views can be compared. */
	job.cell_ms = job.column_ms / job.rows;
	job.selector.from_ms -= job.selector.from_ms % job.column_ms;
	int64_t n = (job.selector.to_ms - job.selector.from_ms + job.column_ms - 1) / job.column_ms * job.rows;
	if (n > HEATMAP_MAX_CELLS) {
		http_answer_error(rq, 400, "bad_request", "column", HEATMAP_MAX_CELLS,
				  "the range has more than %d cells: take fewer rows or a larger column",
				  HEATMAP_MAX_CELLS);
		return;
	}
	job.n = (uint32_t)n;
	query_run(ctx, rq, heatmap_work, &job, "application/json");
}
