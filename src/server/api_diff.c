/* SPDX-License-Identifier: Apache-2.0 */
/* api_diff.c: GET diff: what changed between two ranges of time, by function or as a tree. */
#include "model/diff.h"

#include "format/slab.h"
#include "query/merge.h"
#include "query/observed.h"
#include "server/param.h"
#include "server/query_run.h"

#include <errno.h>
#include <math.h>

#define DEFAULT_NODES 65536
#define MAX_NODES     2000000

enum diff_format { FORMAT_JSON, FORMAT_SLAB };

struct diff_job {
	struct selector selector; /* of B; A has the same but its range */
	struct filter *filter;
	int64_t a_from_ms, a_to_ms;
	struct slice by; /* of trees */
	int64_t limit, max_nodes, lines;
	int format;
	int order; /* 0 = by total, 1 = by self */
};

static void diff_job_done(struct diff_job *job)
{
	selector_done(&job->selector);
	filter_free(&job->filter);
}

static int merge_side(struct query *q, const struct diff_job *job, enum diff_side side, struct calltree *ret,
		      struct observed *ret_observed, struct error *err)
{
	struct selector selector = job->selector;
	if (side == DIFF_A) {
		selector.from_ms = job->a_from_ms;
		selector.to_ms = job->a_to_ms;
	}
	_cleanup_(merge_free)
	struct merge *m = merge_new(job->by, job->lines, &q->budget);
	struct merge_sums sums;
	struct selection *s;
	int r = m ? query_begin(q, &selector, job->filter, err) : -ENOBUFS;
	if (r < 0)
		return r;
	if (merge_is_ranked(m)) {
		while ((r = query_next(q, &s, err)) == 1) {
			r = merge_rank(m, s);
			if (r < 0)
				break;
		}
		query_rewind(q);
	}
	while (r >= 0 && (r = query_next(q, &s, err)) == 1) {
		r = merge_add(m, s);
		if (r == 0)
			r = observed_add(ret_observed, s);
		if (r < 0)
			break;
	}
	query_end(q);
	return r == 0 ? merge_finish(m, ret, &sums) : r;
}

/* The trees of both sides, while they are being made. */
struct sides {
	const struct diff_job *job;
	struct calltree tree[2];
	struct observed observed[2];
	bool has_tree[2];
};

static int make_side(struct query *q, int side, void *arg, struct error *err)
{
	struct sides *sides = arg;
	int r = merge_side(q, sides->job, (enum diff_side)side, &sides->tree[side], &sides->observed[side], err);
	sides->has_tree[side] = r == 0;
	return r;
}

static int add_sides(struct query *q, const struct diff_job *job, struct diff *d, struct error *err)
{
	struct sides sides = { .job = job };
	struct query_halves halves = { .half = make_side, .arg = &sides };
	int r = query_halves_run(q, &halves, err);
	for (int i = 0; i < 2; i++) {
		if (!sides.has_tree[i])
			continue;
		const struct diff_window window = {
			.whole = sides.tree[i].total[0],
			.samples = observed_samples(&sides.observed[i]),
		};
		if (r == 0)
			r = diff_add(d, (enum diff_side)i, &sides.tree[i], &window);
		calltree_done(&sides.tree[i]);
	}
	query_halves_end(q, &halves);
	return r;
}

/* A function and how far its share moved. */
struct change {
	double by;
	uint32_t func;
};

static int compare_change(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	if (x->by != y->by)
		return x->by > y->by ? -1 : 1;
	return x->func < y->func ? -1 : x->func > y->func;
}

static void write_item(struct jsonw *w, const char *key, const struct diff *d, enum diff_family family, uint32_t i)
{
	const struct diff_item *item = &d->item[family][i];
	struct diff_result r = diff_result(d, family, i, 0.05);
	jsonw_object(w, key);
	jsonw_i64(w, "a", item->value[DIFF_A]);
	jsonw_i64(w, "b", item->value[DIFF_B]);
	jsonw_f64(w, "share_a", r.share[DIFF_A]);
	jsonw_f64(w, "share_b", r.share[DIFF_B]);
	jsonw_f64(w, "delta", r.delta);
	if (r.has_interval) {
		jsonw_f64(w, "low", r.interval.low);
		jsonw_f64(w, "high", r.interval.high);
		jsonw_bool(w, "significant", r.is_significant);
	}
	jsonw_end(w, '}');
}

static void write_function(struct jsonw *w, const struct diff *d, uint32_t func)
{
	const struct calltree *t = &d->tree;
	jsonw_object(w, NULL);
	jsonw_str(w, "name", strtab_get(&t->names, t->funcs[func].name));
	jsonw_str(w, "file", strtab_get(&t->names, t->funcs[func].file));
	jsonw_str(w, "module", strtab_get(&t->names, t->funcs[func].module));
	write_item(w, "self", d, DIFF_FUNC_SELF, func);
	write_item(w, "total", d, DIFF_FUNC_TOTAL, func);
	jsonw_end(w, '}');
}

/* 0 = nobody knows. */
static void write_samples(struct jsonw *w, const char *key, double n)
{
	if (n > 0)
		jsonw_f64(w, key, n);
	else
		jsonw_null(w, key);
}

static int write_json(struct query *q, const struct diff_job *job, const struct diff *d)
{
	uint32_t n = d->tree.n_funcs;
	_cleanup_(free_ptr)
	struct change *changes = malloc(((size_t)n + 1) * sizeof(*changes));
	if (!changes)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct diff_result r = diff_result(d, job->order ? DIFF_FUNC_SELF : DIFF_FUNC_TOTAL, i, 0.05);
		changes[i] = (struct change){ fabs(r.delta), i };
	}
	qsort(changes, n, sizeof(*changes), compare_change);
	struct jsonw w = { .out = &q->out };
	jsonw_object(&w, NULL);
	jsonw_str(&w, "type", type_match_get(&q->type));
	jsonw_str(&w, "unit", type_unit(type_match_get(&q->type)));
	jsonw_i64(&w, "total_a", d->side[DIFF_A].whole);
	jsonw_i64(&w, "total_b", d->side[DIFF_B].whole);
	write_samples(&w, "samples_a", d->side[DIFF_A].samples);
	write_samples(&w, "samples_b", d->side[DIFF_B].samples);
	jsonw_array(&w, "functions");
	for (uint32_t i = 0; i < n && i < job->limit; i++)
		if (changes[i].by > 0)
			write_function(&w, d, changes[i].func);
	jsonw_end(&w, ']');
	query_write_stats(q, &w);
	jsonw_end(&w, '}');
	return 0;
}

static int write_slab(struct query *q, const struct diff_job *job, const struct diff *d)
{
	_cleanup_(buf_done)
	struct buf about = buf_of(4 << 10);
	struct jsonw w = { .out = &about };
	jsonw_i64(&w, "from_ms", job->selector.from_ms);
	jsonw_i64(&w, "to_ms", job->selector.to_ms);
	jsonw_i64(&w, "base_from_ms", job->a_from_ms);
	jsonw_i64(&w, "base_to_ms", job->a_to_ms);
	jsonw_object(&w, "diff");
	jsonw_i64(&w, "whole_a", d->side[DIFF_A].whole);
	jsonw_i64(&w, "whole_b", d->side[DIFF_B].whole);
	write_samples(&w, "samples_a", d->side[DIFF_A].samples);
	write_samples(&w, "samples_b", d->side[DIFF_B].samples);
	jsonw_end(&w, '}');
	query_write_stats(q, &w);
	if (about.failed)
		return -ENOMEM;
	struct slab_meta meta = {
		.type = type_match_get(&q->type),
		.unit = type_unit(type_match_get(&q->type)),
		.extra = slice_of(about.data, about.n),
		.diff = d,
		.lines = job->lines,
		.max_nodes = (uint32_t)job->max_nodes,
	};
	int r = slab_encode(&d->tree, &meta, &q->out);
	return r == -E2BIG ? -ENOBUFS : r;
}

static int diff_work(struct query *q, struct error *err)
{
	const struct diff_job *job = q->job;
	struct diff d;
	int r = diff_init(&d, &q->budget);
	if (r < 0)
		return r;
	r = add_sides(q, job, &d, err);
	if (r == 0)
		r = diff_finish(&d);
	if (r == 0)
		r = job->format == FORMAT_SLAB ? write_slab(q, job, &d) : write_json(q, job, &d);
	diff_done(&d);
	return r;
}

void api_diff(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { PARAM_SELECTION, PARAM_FILTER, "base_from", "base_to", "limit", "order",
					     "format",	      "max_nodes",  "lines",	 "by",	    NULL };
	static const char *const orders[] = { "total", "self", NULL };
	static const char *const formats[] = { "json", "slab", NULL };
	_cleanup_(diff_job_done)
	struct diff_job job = { 0 };
	if (!param_check(rq, known) || !param_selector(rq, &job.selector) || !param_filter(rq, &job.filter))
		return;
	/* As long as the range, right before it. */
	int64_t from = job.selector.from_ms, to = job.selector.to_ms;
	if (!param_int(rq, "base_from", 0, INTAKE_TIME_MAX_MS, from - (to - from), &job.a_from_ms) ||
	    !param_int(rq, "base_to", 0, INTAKE_TIME_MAX_MS, from, &job.a_to_ms) ||
	    !param_int(rq, "limit", 1, 10000, 100, &job.limit) || !param_int(rq, "lines", 0, 1, 0, &job.lines) ||
	    !param_int(rq, "max_nodes", 1, MAX_NODES, DEFAULT_NODES, &job.max_nodes) ||
	    !param_text(rq, "by", INTAKE_LABEL_MAX, &job.by) || !param_word(rq, "order", orders, &job.order) ||
	    !param_word(rq, "format", formats, &job.format))
		return;
	if (job.a_from_ms >= job.a_to_ms) {
		http_answer_error(rq, 400, "bad_request", "base_from", -1, "base_from must come before base_to");
		return;
	}
	query_run(ctx, rq, diff_work, &job,
		  job.format == FORMAT_SLAB ? "application/octet-stream" : "application/json");
}
