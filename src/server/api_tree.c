/* SPDX-License-Identifier: Apache-2.0 */
/* api_tree.c: GET tree and top: the merged call tree and its functions. */
#include "base/jsonw.h"
#include "format/slab.h"
#include "model/toptable.h"
#include "model/treeprune.h"
#include "query/merge.h"
#include "query/quality.h"
#include "server/param.h"
#include "server/query_run.h"

#include <errno.h>

#define DEFAULT_NODES 65536
#define MAX_NODES     2000000

enum tree_format { FORMAT_JSON, FORMAT_SLAB };

struct tree_job {
	struct selector selector;
	struct filter *filter;
	struct slice by;
	int64_t max_nodes;
	int64_t lines; /* 1: a function's lines stand apart */
	int format;
	int order;     /* of top */
	int64_t limit; /* of top */
};

/* What one look at the store yields; owns all it points to. */
struct tree_result {
	struct calltree tree;
	struct merge_sums sums;
	struct quality quality;
	char type[INTAKE_TYPE_MAX * 4], unit[INTAKE_TYPE_MAX];
};

static void tree_job_done(struct tree_job *job)
{
	selector_done(&job->selector);
	filter_free(&job->filter);
}

static void tree_result_done(struct tree_result *t)
{
	calltree_done(&t->tree);
}

static void copy_text(char *out, size_t size, struct slice text)
{
	(void)snprintf(out, size, "%.*s", (int)(text.size < size ? text.size : size - 1), (const char *)text.data);
}

/* Each part by `add`. */
static int walk_parts(struct query *q, struct merge *m, int (*add)(struct merge *m, const struct selection *s),
		      struct quality *quality, struct error *err)
{
	struct selection *s;
	int r;
	while ((r = query_next(q, &s, err)) == 1) {
		if (quality)
			quality_add(quality, s);
		r = add(m, s);
		if (r < 0)
			return r;
	}
	return r;
}

static int merge_parts(struct query *q, const struct tree_job *job, struct tree_result *ret, struct error *err)
{
	_cleanup_(merge_free)
	struct merge *m = merge_new(job->by, job->lines, &q->budget);
	int r = m ? 0 : -ENOBUFS;
	if (r == 0 && merge_is_ranked(m)) {
		r = walk_parts(q, m, merge_rank, NULL, err);
		query_rewind(q);
	}
	if (r == 0)
		r = walk_parts(q, m, merge_add, &ret->quality, err);
	return r == 0 ? merge_finish(m, &ret->tree, &ret->sums) : r;
}

static int read_tree(struct query *q, const struct tree_job *job, struct tree_result *ret, struct error *err)
{
	int r = query_begin(q, &job->selector, job->filter, err);
	if (r < 0)
		return r;
	r = merge_parts(q, job, ret, err);
	copy_text(ret->type, sizeof(ret->type), q->selector.type);
	copy_text(ret->unit, sizeof(ret->unit), type_unit(q->selector.type));
	query_end(q);
	if (r == 0)
		quality_of_names(&ret->tree, &ret->quality);
	return r;
}

static const char *source_word(const struct source *s, bool unwind)
{
	return unwind ? s->unwind : s->name;
}

/* What the selection's sources say, each word once. */
static void write_source_words(struct jsonw *w, const char *key, const struct quality *q, bool unwind)
{
	jsonw_array(w, key);
	for (uint32_t i = 0; i < q->n_sources; i++) {
		const char *word = source_word(&q->sources[i], unwind);
		bool is_new = *word;
		for (uint32_t k = 0; is_new && k < i; k++)
			is_new = strcmp(word, source_word(&q->sources[k], unwind)) != 0;
		if (is_new)
			jsonw_cstr(w, NULL, word);
	}
	jsonw_end(w, ']');
}

/* The reason with the largest value that is not yet written; STACK_NOT_ENDED = none is left. */
static enum stack_ended next_end(const struct merge_sums *sums, const bool written[static N_STACK_ENDED])
{
	enum stack_ended best = STACK_NOT_ENDED;
	for (int e = STACK_NOT_ENDED + 1; e < N_STACK_ENDED; e++)
		if (!written[e] && sums->ended[e] > 0 &&
		    (best == STACK_NOT_ENDED || sums->ended[e] > sums->ended[best]))
			best = (enum stack_ended)e;
	return best;
}

static void write_stack_ends(struct jsonw *w, const struct merge_sums *sums)
{
	bool written[N_STACK_ENDED] = { false };
	jsonw_array(w, "stack_ends");
	for (enum stack_ended e; (e = next_end(sums, written)) != STACK_NOT_ENDED; written[e] = true) {
		jsonw_object(w, NULL);
		if (e == STACK_ENDED_OTHERWISE)
			jsonw_null(w, "reason");
		else
			jsonw_cstr(w, "reason", stack_ended_name(e));
		jsonw_cstr(w, "text", stack_ended_text(e));
		jsonw_i64(w, "value", sums->ended[e]);
		jsonw_end(w, '}');
	}
	jsonw_end(w, ']');
}

/* Of the value, what has stacks that are not whole. */
static double truncated_share(const struct tree_result *t)
{
	double sum = 0;
	for (int e = STACK_NOT_ENDED + 1; e < N_STACK_ENDED; e++)
		sum += (double)t->sums.ended[e];
	return t->tree.n && t->tree.total[0] > 0 ? sum / (double)t->tree.total[0] : 0;
}

static void write_quality(struct jsonw *w, const struct tree_result *t)
{
	const struct quality *q = &t->quality;
	jsonw_object(w, "quality");
	jsonw_u64(w, "samples", q->n_samples);
	jsonw_object(w, "lost");
	for (int i = 0; i < N_LOSSES; i++)
		jsonw_u64(w, loss_name((enum loss)i), q->lost[i]);
	jsonw_end(w, '}');
	jsonw_u64(w, "lost_total", q->lost_total);
	jsonw_u64(w, "truncated", q->truncated);
	jsonw_f64(w, "truncated_share", truncated_share(t));
	jsonw_f64(w, "unnamed_share", q->unnamed_share);
	jsonw_u64(w, "unnamed_frames", q->n_unnamed_frames);
	write_source_words(w, "sources", q, false);
	write_source_words(w, "unwind", q, true);
	write_stack_ends(w, &t->sums);
	jsonw_end(w, '}');
}

/* What slabs and JSON both say of the whole. */
static void write_about(struct jsonw *w, const struct query *q, const struct tree_job *job, const struct tree_result *t)
{
	jsonw_i64(w, "from_ms", job->selector.from_ms);
	jsonw_i64(w, "to_ms", job->selector.to_ms);
	jsonw_u64(w, "profiles", t->sums.n_profiles);
	write_quality(w, t);
	query_write_stats(q, w);
}

static int write_slab(struct query *q, const struct tree_job *job, const struct tree_result *t)
{
	_cleanup_(buf_done)
	struct buf about = buf_of(64 << 10);
	struct jsonw w = { .out = &about };
	write_about(&w, q, job, t);
	if (about.failed)
		return -ENOMEM;
	struct slab_meta meta = {
		.type = slice_str(t->type),
		.unit = slice_str(t->unit),
		.lines = job->lines,
		.extra = slice_of(about.data, about.n),
	};
	int r = slab_encode(&t->tree, &meta, &q->out);
	return r == -E2BIG ? -ENOBUFS : r;
}

/* new_id[func] = row in the answer: pruning leaves functions nobody uses. */
static uint32_t *used_functions(const struct calltree *t)
{
	uint32_t *new_id = malloc(((size_t)t->n_funcs + 1) * sizeof(*new_id));
	if (!new_id)
		return NULL;
	memset(new_id, 0xff, ((size_t)t->n_funcs + 1) * sizeof(*new_id));
	for (uint32_t i = 0; i < t->n; i++)
		if (t->func[i] != TREE_FUNC_PRUNED)
			new_id[t->func[i]] = 0;
	uint32_t n = 0;
	for (uint32_t f = 0; f < t->n_funcs; f++)
		if (new_id[f] == 0)
			new_id[f] = n++;
	return new_id;
}

/* Who the function is; tables and trees say it alike. */
static void write_identity(struct jsonw *w, const struct tree_job *job, const struct calltree *t,
			   const struct tree_func *f)
{
	jsonw_str(w, "name", strtab_get(&t->names, f->name));
	jsonw_str(w, "file", strtab_get(&t->names, f->file));
	if (job->lines)
		jsonw_u64(w, "line", f->line);
	jsonw_str(w, "module", strtab_get(&t->names, f->module));
}

static void write_function(struct jsonw *w, const struct tree_job *job, const struct calltree *t, uint32_t func)
{
	const struct tree_func *f = &t->funcs[func];
	jsonw_object(w, NULL);
	write_identity(w, job, t, f);
	jsonw_u64(w, "kind", f->kind);
	jsonw_bool(w, "named", f->named);
	jsonw_end(w, '}');
}

static void write_columns(struct jsonw *w, const struct calltree *t, const uint32_t *new_id)
{
	jsonw_object(w, "tree");
	jsonw_array(w, "func");
	for (uint32_t i = 0; i < t->n; i++)
		jsonw_u64(w, NULL, t->func[i] == TREE_FUNC_PRUNED ? TREE_FUNC_PRUNED : new_id[t->func[i]]);
	jsonw_end(w, ']');
	jsonw_array(w, "depth");
	for (uint32_t i = 0; i < t->n; i++)
		jsonw_u64(w, NULL, t->depth[i]);
	jsonw_end(w, ']');
	jsonw_array(w, "self");
	for (uint32_t i = 0; i < t->n; i++)
		jsonw_i64(w, NULL, t->self[i]);
	jsonw_end(w, ']');
	jsonw_array(w, "pruned");
	for (uint32_t i = 0; i < t->n; i++)
		jsonw_u64(w, NULL, t->pruned[i]);
	jsonw_end(w, ']');
	if (calltree_has_found(t)) {
		jsonw_array(w, "found");
		for (uint32_t i = 0; i < t->n; i++)
			jsonw_u64(w, NULL, t->found[i]);
		jsonw_end(w, ']');
	}
	jsonw_end(w, '}');
}

static int write_json(struct query *q, const struct tree_job *job, const struct tree_result *result)
{
	const struct calltree *t = &result->tree;
	_cleanup_(free_ptr)
	uint32_t *new_id = used_functions(t);
	if (!new_id)
		return -ENOMEM;
	struct jsonw w = { .out = &q->out };
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "type", result->type);
	jsonw_cstr(&w, "unit", result->unit);
	jsonw_i64(&w, "total", t->total[0]);
	jsonw_u64(&w, "nodes", t->n);
	jsonw_u64(&w, "pruned_nodes", t->n_pruned);
	write_about(&w, q, job, result);
	jsonw_array(&w, "functions");
	for (uint32_t f = 0; f < t->n_funcs; f++)
		if (new_id[f] != UINT32_MAX)
			write_function(&w, job, t, f);
	jsonw_end(&w, ']');
	write_columns(&w, t, new_id);
	jsonw_end(&w, '}');
	return 0;
}

static int tree_work(struct query *q, struct error *err)
{
	const struct tree_job *job = q->job;
	_cleanup_(tree_result_done)
	struct tree_result t = { 0 };
	int r = read_tree(q, job, &t, err);
	if (r == 0)
		r = calltree_prune(&t.tree, (uint32_t)job->max_nodes);
	if (r < 0)
		return r;
	return job->format == FORMAT_SLAB ? write_slab(q, job, &t) : write_json(q, job, &t);
}

void api_tree(struct http_request *rq, void *ctx)
{
	static const char *const known[] = {
		PARAM_SELECTION, PARAM_FILTER, "max_nodes", "by", "format", "lines", NULL
	};
	static const char *const formats[] = { "json", "slab", NULL };
	_cleanup_(tree_job_done)
	struct tree_job job = { 0 };
	if (!param_check(rq, known) || !param_selector(rq, &job.selector) || !param_filter(rq, &job.filter) ||
	    !param_int(rq, "max_nodes", 1, MAX_NODES, DEFAULT_NODES, &job.max_nodes) ||
	    !param_int(rq, "lines", 0, 1, 0, &job.lines) || !param_text(rq, "by", INTAKE_LABEL_MAX, &job.by) ||
	    !param_word(rq, "format", formats, &job.format))
		return;
	query_run(ctx, rq, tree_work, &job,
		  job.format == FORMAT_SLAB ? "application/octet-stream" : "application/json");
}

static int top_work(struct query *q, struct error *err)
{
	const struct tree_job *job = q->job;
	_cleanup_(tree_result_done)
	struct tree_result t = { 0 };
	int r = read_tree(q, job, &t, err);
	if (r < 0)
		return r;
	_cleanup_(free_ptr)
	struct top_row *rows = NULL;
	uint32_t n = 0;
	r = top_compute(&t.tree, job->order ? TOP_BY_TOTAL : TOP_BY_SELF, &rows, &n);
	if (r < 0)
		return r;
	struct jsonw w = { .out = &q->out };
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "type", t.type);
	jsonw_cstr(&w, "unit", t.unit);
	jsonw_i64(&w, "total", t.tree.total[0]);
	write_quality(&w, &t);
	query_write_stats(q, &w);
	jsonw_array(&w, "functions");
	for (uint32_t i = 0; i < n && i < job->limit; i++) {
		const struct tree_func *f = &t.tree.funcs[rows[i].func];
		jsonw_object(&w, NULL);
		write_identity(&w, job, &t.tree, f);
		jsonw_i64(&w, "self", rows[i].self);
		jsonw_i64(&w, "total", rows[i].total);
		jsonw_end(&w, '}');
	}
	jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	return 0;
}

void api_top(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { PARAM_SELECTION, PARAM_FILTER, "limit", "order", "lines", NULL };
	static const char *const orders[] = { "self", "total", NULL };
	_cleanup_(tree_job_done)
	struct tree_job job = { 0 };
	if (!param_check(rq, known) || !param_selector(rq, &job.selector) || !param_filter(rq, &job.filter) ||
	    !param_int(rq, "lines", 0, 1, 0, &job.lines) || !param_int(rq, "limit", 1, 10000, 100, &job.limit) ||
	    !param_word(rq, "order", orders, &job.order))
		return;
	query_run(ctx, rq, top_work, &job, "application/json");
}
