/* SPDX-License-Identifier: Apache-2.0 */
/* api_profiles.c: GET profiles: single profiles, those with the largest value first. */
#include "query/exemplars.h"
#include "server/param.h"
#include "server/query_run.h"

#include <errno.h>

struct profiles_job {
	struct selector selector;
	struct filter *filter;
	int64_t limit;
};

static void profiles_job_done(struct profiles_job *job)
{
	selector_done(&job->selector);
	filter_free(&job->filter);
}

static int read_profiles(struct query *q, const struct profiles_job *job, struct exemplars *e, struct error *err)
{
	int r = query_begin(q, &job->selector, job->filter, err);
	if (r < 0)
		return r;
	struct selection *s;
	while ((r = query_next(q, &s, err)) == 1) {
		r = exemplars_add(e, s);
		if (r < 0)
			break;
	}
	query_end(q);
	return r;
}

static void write_profile(struct jsonw *w, const struct exemplars *e, const struct exemplar *x)
{
	jsonw_object(w, NULL);
	for (int k = 0; k < N_SERIES_LABELS; k++)
		if (x->label[k].v)
			jsonw_str(w, series_label_name((enum series_label)k), strtab_get(&e->strings, x->label[k]));
	jsonw_str(w, "type", strtab_get(&e->strings, x->type));
	jsonw_i64(w, "from_ms", x->from_ms);
	jsonw_i64(w, "to_ms", x->from_ms + x->duration_ms);
	jsonw_i64(w, "value", x->value);
	jsonw_end(w, '}');
}

static int profiles_work(struct query *q, struct error *err)
{
	const struct profiles_job *job = q->job;
	struct exemplars e;
	int r = exemplars_init(&e, (uint32_t)job->limit, &q->budget);
	if (r == 0)
		r = read_profiles(q, job, &e, err);
	if (r == 0) {
		struct jsonw w = { .out = &q->out };
		jsonw_object(&w, NULL);
		jsonw_u64(&w, "profiles", e.n_profiles);
		jsonw_array(&w, "largest");
		for (uint32_t i = 0; i < e.n; i++)
			write_profile(&w, &e, &e.row[i]);
		jsonw_end(&w, ']');
		query_write_stats(q, &w);
		jsonw_end(&w, '}');
	}
	exemplars_done(&e);
	return r;
}

void api_profiles(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { PARAM_SELECTION, PARAM_FILTER, "limit", NULL };
	_cleanup_(profiles_job_done)
	struct profiles_job job = { 0 };
	if (!param_check(rq, known) || !param_selector(rq, &job.selector) || !param_filter(rq, &job.filter) ||
	    !param_int(rq, "limit", 1, EXEMPLARS_MAX, 10, &job.limit))
		return;
	query_run(ctx, rq, profiles_work, &job, "application/json");
}
