/* SPDX-License-Identifier: Apache-2.0 */
#include "model/callgraph.h"

#include "base/saturate.h"
#include "base/u64map.h"

#include <errno.h>
#include <string.h>

struct builder {
	const struct calltree *tree;
	const bool *keep;
	VEC(struct call_edge) edges;
	VEC(uint32_t) open_until; /* by edge, n as edges.n */
	struct u64map ids;	  /* caller << 32 | callee -> edge + 1 */
	uint32_t *func_open_until;
	uint32_t *kept; /* by node: the nearest kept node from here to the root, 0 = none */
};

static void builder_done(struct builder *b)
{
	struct membudget *budget = b->tree->budget;
	vec_done(budget, &b->edges);
	vec_done(budget, &b->open_until);
	u64map_done(&b->ids);
	free(b->func_open_until);
	free(b->kept);
}

static int add_edge(struct builder *b, uint32_t from, uint32_t node)
{
	const struct calltree *t = b->tree;
	uint32_t caller = t->func[from], callee = t->func[node];
	int r = vec_reserve(t->budget, &b->edges, 1);
	if (r == 0)
		r = vec_reserve(t->budget, &b->open_until, 1);
	if (r < 0)
		return r;
	uint32_t *id = u64map_put(&b->ids, (uint64_t)caller << 32 | callee);
	if (!id)
		return -ENOBUFS;
	if (*id == 0) {
		b->edges.data[b->edges.n++] = (struct call_edge){ .caller = caller, .callee = callee };
		b->open_until.data[b->open_until.n++] = 0;
		*id = b->edges.n;
	}
	struct call_edge *e = &b->edges.data[*id - 1];
	e->residual = e->residual || t->parent[node] != from;
	if (node >= b->open_until.data[*id - 1]) {
		e->weight = i64_add_saturating(e->weight, t->total[node]);
		b->open_until.data[*id - 1] = t->end[node];
	}
	return 0;
}

static void add_to_func(struct builder *b, uint32_t node, struct callgraph *g)
{
	const struct calltree *t = b->tree;
	uint32_t f = t->func[node];
	g->self[f] = i64_add_saturating(g->self[f], t->self[node]);
	if (node >= b->func_open_until[f]) {
		g->total[f] = i64_add_saturating(g->total[f], t->total[node]);
		b->func_open_until[f] = t->end[node];
	}
	g->present[f] = !b->keep || b->keep[f];
}

static int walk(struct builder *b, struct callgraph *g)
{
	const struct calltree *t = b->tree;
	int r = 0;
	b->kept[0] = 0;
	for (uint32_t i = 1; r == 0 && i < t->n; i++) {
		uint32_t from = b->kept[t->parent[i]];
		b->kept[i] = from;
		if (t->func[i] == TREE_FUNC_PRUNED)
			continue;
		add_to_func(b, i, g);
		if (b->keep && !b->keep[t->func[i]])
			continue;
		b->kept[i] = i;
		if (from)
			r = add_edge(b, from, i);
	}
	return r;
}

struct order {
	const struct calltree *tree;
	const struct call_edge *edges;
};

static int compare_func(const struct calltree *t, uint32_t a, uint32_t b)
{
	int c = strcmp(strtab_cstr(&t->names, t->funcs[a].name), strtab_cstr(&t->names, t->funcs[b].name));
	return c ? c : a < b ? -1 : a > b;
}

static int compare_out(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	const struct call_edge *x = a, *y = b;
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return compare_func(o->tree, x->callee, y->callee);
}

static int compare_in(const void *a, const void *b, void *arg)
{
	const struct order *o = arg;
	const struct call_edge *x = &o->edges[*(const uint32_t *)a], *y = &o->edges[*(const uint32_t *)b];
	if (x->weight != y->weight)
		return x->weight > y->weight ? -1 : 1;
	return compare_func(o->tree, x->caller, y->caller);
}

/* first[f] = edges of all functions before f; expects counts in first[f + 1]. */
static void sum_up(uint32_t *first, uint32_t n)
{
	for (uint32_t f = 0; f < n; f++)
		first[f + 1] += first[f];
}

static int sort_edges(struct builder *b, struct callgraph *g)
{
	uint32_t n = b->edges.n, n_funcs = g->n_funcs;
	_cleanup_(free_ptr)
	uint32_t *cursor = malloc(((size_t)n_funcs + 1) * sizeof(*cursor));
	if (!cursor)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		g->first_out[b->edges.data[i].caller + 1]++;
		g->first_in[b->edges.data[i].callee + 1]++;
	}
	sum_up(g->first_out, n_funcs);
	sum_up(g->first_in, n_funcs);
	memcpy(cursor, g->first_out, ((size_t)n_funcs + 1) * sizeof(*cursor));
	for (uint32_t i = 0; i < n; i++)
		g->edge[cursor[b->edges.data[i].caller]++] = b->edges.data[i];
	struct order o = { b->tree, g->edge };
	for (uint32_t f = 0; f < n_funcs; f++)
		if (g->first_out[f + 1] - g->first_out[f] > 1)
			qsort_r(g->edge + g->first_out[f], g->first_out[f + 1] - g->first_out[f], sizeof(*g->edge),
				compare_out, &o);
	memcpy(cursor, g->first_in, ((size_t)n_funcs + 1) * sizeof(*cursor));
	for (uint32_t i = 0; i < n; i++)
		g->in[cursor[g->edge[i].callee]++] = i;
	for (uint32_t f = 0; f < n_funcs; f++)
		if (g->first_in[f + 1] - g->first_in[f] > 1)
			qsort_r(g->in + g->first_in[f], g->first_in[f + 1] - g->first_in[f], sizeof(*g->in), compare_in,
				&o);
	g->n_edges = n;
	return 0;
}

static int alloc_funcs(struct callgraph *g, uint32_t n)
{
	g->n_funcs = n;
	g->self = calloc(n, sizeof(*g->self));
	g->total = calloc(n, sizeof(*g->total));
	g->present = calloc(n, sizeof(*g->present));
	g->first_out = calloc((size_t)n + 1, sizeof(*g->first_out));
	g->first_in = calloc((size_t)n + 1, sizeof(*g->first_in));
	return g->self && g->total && g->present && g->first_out && g->first_in ? 0 : -ENOMEM;
}

static int alloc_edges(struct callgraph *g, uint32_t n)
{
	g->edge = calloc((size_t)n + 1, sizeof(*g->edge));
	g->in = calloc((size_t)n + 1, sizeof(*g->in));
	return g->edge && g->in ? 0 : -ENOMEM;
}

int callgraph_compute(const struct calltree *t, const bool *keep, struct callgraph *ret)
{
	_cleanup_(builder_done)
	struct builder b = { .tree = t, .keep = keep };
	u64map_init(&b.ids, t->budget);
	_cleanup_(callgraph_done)
	struct callgraph g = { 0 };
	b.func_open_until = calloc(t->n_funcs, sizeof(*b.func_open_until));
	b.kept = malloc((size_t)t->n * sizeof(*b.kept));
	int r = alloc_funcs(&g, t->n_funcs);
	if (r == 0 && (!b.func_open_until || !b.kept))
		r = -ENOMEM;
	if (r == 0)
		r = walk(&b, &g);
	if (r == 0)
		r = alloc_edges(&g, b.edges.n);
	if (r == 0)
		r = sort_edges(&b, &g);
	if (r < 0)
		return r;
	*ret = g;
	g = (struct callgraph){ 0 };
	return 0;
}

void callgraph_done(struct callgraph *g)
{
	free(g->self);
	free(g->total);
	free(g->present);
	free(g->edge);
	free(g->first_out);
	free(g->first_in);
	free(g->in);
	*g = (struct callgraph){ 0 };
}
