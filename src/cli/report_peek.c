/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report_peek.h"

#include "model/callgraph.h"

#include <errno.h>
#include <math.h>

#define NAME_COLUMN 58 /* columns before a function's name */
#define EDGE_INDENT 4  /* and before a caller's or callee's, more */

struct peek {
	const struct report *r;
	struct callgraph graph;
	uint32_t *func; /* those that match, by falling total */
	uint32_t n, n_shown;
};

static void peek_done(struct peek *p)
{
	callgraph_done(&p->graph);
	free(p->func);
}

static int compare_total(const void *a, const void *b, void *arg)
{
	const struct callgraph *g = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (g->total[x] != g->total[y])
		return g->total[x] > g->total[y] ? -1 : 1;
	return x < y ? -1 : x > y;
}

static int peek_init(struct peek *p, const struct report *r, const bool *match)
{
	*p = (struct peek){ .r = r };
	int k = callgraph_compute(r->tree, NULL, &p->graph);
	if (k < 0)
		return k;
	p->func = malloc((size_t)p->graph.n_funcs * sizeof(*p->func));
	if (!p->func)
		return -ENOMEM;
	for (uint32_t f = 0; f < p->graph.n_funcs; f++)
		if (match[f] && p->graph.present[f])
			p->func[p->n++] = f;
	qsort_r(p->func, p->n, sizeof(*p->func), compare_total, &p->graph);
	p->n_shown = r->limit && r->limit < p->n ? r->limit : p->n;
	return 0;
}

/* The k-th caller of `f`, or its k-th callee; NULL behind the last. */
static const struct call_edge *edge_of(const struct callgraph *g, uint32_t f, bool callers, uint32_t k)
{
	if (callers)
		return k < g->first_in[f + 1] - g->first_in[f] ? &g->edge[g->in[g->first_in[f] + k]] : NULL;
	return k < g->first_out[f + 1] - g->first_out[f] ? &g->edge[g->first_out[f] + k] : NULL;
}

static bool is_shown(const struct report *r, const struct call_edge *e)
{
	return fabs(report_percent(r, e->weight)) >= r->min_percent;
}

/* Share of the function's own total, as pprof has it. */
static double edge_percent(int64_t weight, int64_t total)
{
	return total ? 100.0 * (double)weight / (double)total : 0;
}

static void print_edges(const struct peek *p, uint32_t f, bool callers)
{
	const struct report *r = p->r;
	const struct call_edge *e;
	uint32_t n_left_out = 0;
	for (uint32_t k = 0; (e = edge_of(&p->graph, f, callers, k)); k++) {
		if (!is_shown(r, e)) {
			n_left_out++;
			continue;
		}
		double percent = edge_percent(e->weight, p->graph.total[f]);
		const char *color = terminal_share(&r->terminal, percent);
		(void)printf("%38s", "");
		report_put_value(r, e->weight);
		(void)printf(" %s%6.2f%%%s  %*s", color, percent, *color ? terminal_plain(&r->terminal) : "",
			     EDGE_INDENT, "");
		report_put_function(r, callers ? e->caller : e->callee, NAME_COLUMN + EDGE_INDENT);
	}
	if (n_left_out)
		(void)printf("%58s%*s(%u more below %g%%)\n", "", EDGE_INDENT, "", n_left_out, r->min_percent);
}

static void print_functions(const struct peek *p)
{
	const struct report *r = p->r;
	const struct callgraph *g = &p->graph;
	(void)printf("%s%10s %7s %10s %7s %10s %7s  %s%s\n", terminal_bold(&r->terminal), "self", "self%", "total",
		     "total%", "calls", "calls%", "function", terminal_plain(&r->terminal));
	for (uint32_t i = 0; i < p->n_shown; i++) {
		uint32_t f = p->func[i];
		if (i > 0)
			(void)putchar('\n');
		print_edges(p, f, true);
		report_put_value(r, g->self[f]);
		(void)putchar(' ');
		report_put_share(r, g->self[f]);
		(void)putchar(' ');
		report_put_value(r, g->total[f]);
		(void)putchar(' ');
		report_put_share(r, g->total[f]);
		(void)printf("%21s", "");
		report_put_function(r, f, NAME_COLUMN);
		print_edges(p, f, false);
	}
	if (p->n_shown < p->n)
		(void)printf("\n%u more functions match; --limit %u shows all\n", p->n - p->n_shown, p->n);
}

static void json_edges(const struct peek *p, struct jsonw *w, uint32_t f, bool callers)
{
	const struct report *r = p->r;
	const struct call_edge *e;
	uint32_t n_left_out = 0;
	jsonw_array(w, callers ? "callers" : "callees");
	for (uint32_t k = 0; (e = edge_of(&p->graph, f, callers, k)); k++) {
		if (!is_shown(r, e)) {
			n_left_out++;
			continue;
		}
		jsonw_object(w, NULL);
		report_json_function(w, r, callers ? e->caller : e->callee);
		jsonw_i64(w, "weight", e->weight);
		jsonw_end(w, '}');
		report_json_flush(w, false);
	}
	jsonw_end(w, ']');
	jsonw_u64(w, callers ? "callers_left_out" : "callees_left_out", n_left_out);
}

static void json_functions(const struct peek *p)
{
	const struct report *r = p->r;
	_cleanup_(buf_done)
	struct buf out = buf_of((size_t)1 << 30);
	struct jsonw w = { .out = &out };
	report_json_begin(&w, r, "peek");
	jsonw_u64(&w, "functions_left_out", p->n - p->n_shown);
	jsonw_array(&w, "functions");
	for (uint32_t i = 0; i < p->n_shown; i++) {
		jsonw_object(&w, NULL);
		report_json_function(&w, r, p->func[i]);
		jsonw_i64(&w, "self", p->graph.self[p->func[i]]);
		jsonw_i64(&w, "total", p->graph.total[p->func[i]]);
		json_edges(p, &w, p->func[i], true);
		json_edges(p, &w, p->func[i], false);
		jsonw_end(&w, '}');
		report_json_flush(&w, false);
	}
	jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	buf_add_byte(&out, '\n');
	report_json_flush(&w, true);
}

int report_peek(const struct report *r, const bool *match)
{
	_cleanup_(peek_done)
	struct peek p;
	int k = peek_init(&p, r, match);
	if (k < 0)
		return k;
	if (r->json) {
		json_functions(&p);
	} else if (report_heading(r)) {
		(void)printf("; %u %s\n", p.n, p.n == 1 ? "function matches" : "functions match");
		print_functions(&p);
	}
	return 0;
}
