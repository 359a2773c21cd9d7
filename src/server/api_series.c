/* SPDX-License-Identifier: Apache-2.0 */
/* api_series.c: GET series: a selection's value over time. */
#include "base/jsonw.h"
#include "query/timeline.h"
#include "server/param.h"
#include "server/query_run.h"

#include <errno.h>
#include <math.h>

#define DEFAULT_STEPS 300
#define WINDOW_MS     10000

struct series_job {
	struct selector selector;
	struct filter *filter;
	int64_t step_ms;
	uint32_t n;
};

static void series_job_done(struct series_job *job)
{
	selector_done(&job->selector);
	filter_free(&job->filter);
}

static int read_series(struct query *q, const struct series_job *job, struct timeline *t, struct error *err)
{
	int r = query_begin(q, &job->selector, job->filter, err);
	if (r < 0)
		return r;
	struct selection *s;
	while ((r = query_next(q, &s, err)) == 1) {
		r = timeline_add(t, s);
		if (r < 0)
			break;
	}
	query_end(q);
	return r;
}

static int series_work(struct query *q, struct error *err)
{
	const struct series_job *job = q->job;
	_cleanup_(timeline_free)
	struct timeline *t = timeline_new(job->selector.from_ms, job->step_ms, job->n, &q->budget);
	if (!t)
		return -ENOBUFS;
	int r = read_series(q, job, t, err);
	if (r < 0)
		return r;
	const struct timeline_step *steps = timeline_finish(t);
	struct jsonw w = { .out = &q->out };
	jsonw_object(&w, NULL);
	jsonw_str(&w, "type", type_match_get(&q->type));
	jsonw_str(&w, "unit", type_unit(type_match_get(&q->type)));
	jsonw_i64(&w, "from_ms", job->selector.from_ms);
	jsonw_i64(&w, "step_ms", job->step_ms);
	jsonw_array(&w, "values");
	for (uint32_t i = 0; i < job->n; i++)
		jsonw_f64(&w, NULL, steps[i].measured ? steps[i].value : NAN);
	jsonw_end(&w, ']');
	jsonw_array(&w, "covered_ms");
	for (uint32_t i = 0; i < job->n; i++)
		jsonw_f64(&w, NULL, steps[i].covered_ms);
	jsonw_end(&w, ']');
	jsonw_array(&w, "capacity_cores");
	for (uint32_t i = 0; i < job->n; i++)
		jsonw_f64(&w, NULL, steps[i].n_cpus ? (double)steps[i].n_cpus : NAN);
	jsonw_end(&w, ']');
	query_write_stats(q, &w);
	jsonw_end(&w, '}');
	return 0;
}

void api_series(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { PARAM_SELECTION, PARAM_FILTER, "step", NULL };
	_cleanup_(series_job_done)
	struct series_job job = { 0 };
	if (!param_check(rq, known) || !param_selector(rq, &job.selector) || !param_filter(rq, &job.filter))
		return;
	int64_t range = job.selector.to_ms - job.selector.from_ms;
	int64_t otherwise = (range + DEFAULT_STEPS - 1) / DEFAULT_STEPS;
	if (otherwise < WINDOW_MS)
		otherwise = WINDOW_MS;
	if (!param_int(rq, "step", 1, INTAKE_TIME_MAX_MS, otherwise, &job.step_ms))
		return;
	/* Steps lie at multiples of their size, so that a live view's bars do not
	 * change their borders with every update. */
	job.selector.from_ms -= job.selector.from_ms % job.step_ms;
	int64_t n = (job.selector.to_ms - job.selector.from_ms + job.step_ms - 1) / job.step_ms;
	if (n > TIMELINE_MAX_STEPS) {
		http_answer_error(rq, 400, "bad_request", "step", TIMELINE_MAX_STEPS,
				  "the range has more than %d steps: take a larger step", TIMELINE_MAX_STEPS);
		return;
	}
	job.n = (uint32_t)n;
	query_run(ctx, rq, series_work, &job, "application/json");
}
