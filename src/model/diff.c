/* SPDX-License-Identifier: Apache-2.0 */
#include "model/diff.h"

#include "base/crew.h"
#include "base/saturate.h"
#include "model/toptable.h"

#include <errno.h>
#include <string.h>

#define FALSE_DISCOVERY_RATE 0.05
#define MIN_EXPECTED	     5 /* samples a window, for a chi-square to mean something */

static bool type_is(const struct profile *p, uint32_t t, const char *type, const char *unit)
{
	const struct strtab *s = &p->dict.strings;
	return strcmp(strtab_cstr(s, p->types[t].type), type) == 0 &&
	       strcmp(strtab_cstr(s, p->types[t].unit), unit) == 0;
}

static enum diff_source source_of(const struct profile *p, uint32_t type, uint32_t *ret_counts)
{
	for (uint32_t t = 0; t < p->n_types; t++)
		if (type_is(p, t, "samples", "count") || type_is(p, t, "sample", "count")) {
			*ret_counts = t;
			return DIFF_SAMPLES_TYPE;
		}
	*ret_counts = type;
	if (p->period > 0 && p->period_type.type.v && p->period_type.type.v == p->types[type].type.v &&
	    p->period_type.unit.v == p->types[type].unit.v)
		return DIFF_SAMPLES_PERIOD;
	if (p->n_types == 1 && strcmp(strtab_cstr(&p->dict.strings, p->types[type].unit), "count") == 0)
		return DIFF_SAMPLES_VALUE;
	return DIFF_SAMPLES_UNKNOWN;
}

int diff_count_samples(const struct profile *p, uint32_t type, enum diff_source *ret_source, double *ret)
{
	uint32_t counts;
	enum diff_source source = source_of(p, type, &counts);
	double sum = 0, squares = 0;
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		int64_t v = p->value[type].data[i], c = p->value[counts].data[i];
		if (v < 0)
			return -EDOM;
		if (v == 0)
			continue;
		/* A value that no sample stands behind. */
		if (source == DIFF_SAMPLES_TYPE && c <= 0)
			source = DIFF_SAMPLES_UNKNOWN;
		double n = source == DIFF_SAMPLES_PERIOD ? (double)v / (double)p->period : (double)c;
		sum += (double)v;
		squares += n > 0 ? (double)v * (double)v / n : 0;
	}
	*ret_source = source;
	*ret = source != DIFF_SAMPLES_UNKNOWN && squares > 0 ? sum * sum / squares : 0;
	return 0;
}

int diff_init(struct diff *d, struct membudget *budget)
{
	*d = (struct diff){ .budget = budget, .tree.budget = budget, .tree.names.budget = budget };
	d->builder = calltree_builder_new(budget);
	d->match = diffmatch_new(budget);
	return d->builder && d->match ? 0 : -ENOMEM;
}

void diff_done(struct diff *d)
{
	calltree_builder_free(&d->builder);
	diffmatch_free(&d->match);
	calltree_done(&d->tree);
	for (int f = 0; f < DIFF_N_FAMILIES; f++) {
		vec_free(d->budget, (void **)&d->item[f], &d->cap[f], sizeof(*d->item[f]));
		free(d->significant[f]);
		d->significant[f] = NULL;
		d->n[f] = 0;
	}
}

static int make_room(struct diff *d, enum diff_family f, uint32_t n)
{
	if (n <= d->n[f])
		return 0;
	int r = n <= d->cap[f] ? 0
			       : vec_grow(d->budget, (void **)&d->item[f], &d->cap[f], n, VEC_MAX, sizeof(*d->item[f]));
	if (r < 0)
		return r;
	memset(d->item[f] + d->n[f], 0, (size_t)(n - d->n[f]) * sizeof(*d->item[f]));
	d->n[f] = n;
	return 0;
}

/* What one window has of an item. */
static void item_add(struct diff_item *item, enum diff_side side, int64_t value, const struct diff_window *w)
{
	double k = w->whole > 0 ? (double)value / (double)w->whole * w->samples : 0;
	item->value[side] = i64_add_saturating(item->value[side], value);
	item->k[side] += k;
	item->squares[side] += w->samples > 0 ? k * k / w->samples : 0;
}

static void side_add(struct diff *d, enum diff_side side, const struct diff_window *w)
{
	struct diff_side_sum *sum = &d->side[side];
	/* A window without any value says nothing of shares. */
	if (w->whole > 0) {
		d->df += sum->n_windows > 0;
		sum->n_windows++;
		d->is_unknown = d->is_unknown || !(w->samples > 0);
	}
	sum->whole = i64_add_saturating(sum->whole, w->whole);
	sum->samples += w->samples;
	sum->seconds += w->seconds;
}

int diff_add(struct diff *d, enum diff_side side, const struct calltree *t, const struct diff_window *w)
{
	_cleanup_(free_ptr)
	uint32_t *node_map = malloc((size_t)t->n * sizeof(*node_map));
	_cleanup_(free_ptr)
	uint32_t *func_map = malloc((size_t)t->n_funcs * sizeof(*func_map));
	_cleanup_(free_ptr)
	struct top_row *rows = NULL;
	uint32_t n_rows = 0, n_nodes, n_funcs;
	if (!node_map || !func_map)
		return -ENOMEM;
	int r = calltree_add_tree(d->builder, t, side == DIFF_B ? t->self : NULL, node_map, func_map);
	calltree_builder_count(d->builder, &n_nodes, &n_funcs);
	if (r == 0)
		r = top_compute(t, TOP_BY_SELF, &rows, &n_rows);
	for (int f = 0; r == 0 && f < DIFF_N_FAMILIES; f++)
		r = make_room(d, (enum diff_family)f, f < DIFF_NODE_SELF ? n_funcs : n_nodes);
	if (r < 0)
		return r;
	_cleanup_(free_ptr)
	uint32_t *present = malloc(((size_t)n_rows + 1) * sizeof(*present));
	if (!present)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++) {
		item_add(&d->item[DIFF_NODE_SELF][node_map[i]], side, t->self[i], w);
		item_add(&d->item[DIFF_NODE_TOTAL][node_map[i]], side, t->total[i], w);
	}
	for (uint32_t i = 0; i < n_rows; i++) {
		uint32_t func = func_map[rows[i].func];
		item_add(&d->item[DIFF_FUNC_SELF][func], side, rows[i].self, w);
		item_add(&d->item[DIFF_FUNC_TOTAL][func], side, rows[i].total, w);
		present[i] = func;
	}
	side_add(d, side, w);
	return diffmatch_window(d->match, d->builder, side, present, n_rows);
}

static double chi_square(const struct diff *d, const struct diff_item *item)
{
	double sum = 0;
	for (int s = 0; s < 2; s++)
		if (d->side[s].n_windows > 1)
			sum += diffstat_chi_square(
				(struct diffstat_windows){ item->k[s], d->side[s].samples, item->squares[s] });
	return sum;
}

/* Functions' own values, which do not contain each other. */
static double pooled_phi(const struct diff *d)
{
	double sum = 0, windows = d->side[0].n_windows + d->side[1].n_windows;
	uint32_t n = 0;
	for (uint32_t i = 1; d->df > 0 && i < d->n[DIFF_FUNC_SELF]; i++) {
		const struct diff_item *item = &d->item[DIFF_FUNC_SELF][i];
		double k = item->k[0] + item->k[1], all = d->side[0].samples + d->side[1].samples;
		if (k < MIN_EXPECTED * windows || all - k < MIN_EXPECTED * windows)
			continue;
		sum += chi_square(d, item) / d->df;
		n++;
	}
	return n ? sum / n : 1;
}

static struct diffstat_spread spread_of(const struct diff *d, const struct diff_item *item)
{
	return diffstat_spread_of(chi_square(d, item), d->df, d->pooled_phi);
}

static struct diffstat_count count_of(const struct diff *d, const struct diff_item *item, enum diff_side s)
{
	double share = d->side[s].whole > 0 ? (double)item->value[s] / (double)d->side[s].whole : 0;
	return (struct diffstat_count){ (share < 1 ? share : 1) * d->side[s].samples, d->side[s].samples };
}

static double p_value(const struct diff *d, const struct diff_item *item)
{
	return diffstat_p_value(count_of(d, item, DIFF_A), count_of(d, item, DIFF_B), spread_of(d, item));
}

/* Most nodes have as few samples as thousands of others, or all of their only
 * child: the same numbers have the same p. Slot by hash, the last one stays. */
#define KNOWN_SLOTS 4096 /* 2^12: the hash's upper bits say which */

struct known_p {
	struct diff_item item;
	double p;
};

static double known_p_value(const struct diff *d, const struct diff_item *item, struct known_p *known)
{
	if (item->value[0] == 0 && item->value[1] == 0)
		return NAN;
	uint64_t words[sizeof(*item) / sizeof(uint64_t)], hash = 0;
	memcpy(words, item, sizeof(words));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		hash = (hash ^ words[i] ^ hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
	struct known_p *slot = &known[hash >> 52];
	if (memcmp(&slot->item, item, sizeof(*item)) != 0)
		*slot = (struct known_p){ *item, p_value(d, item) };
	return slot->p;
}

static int test_family(struct diff *d, enum diff_family f)
{
	uint32_t n = d->n[f];
	_cleanup_(free_ptr)
	double *p = malloc((size_t)n * sizeof(*p));
	_cleanup_(free_ptr)
	uint32_t *order = malloc((size_t)n * sizeof(*order));
	_cleanup_(free_ptr)
	struct known_p *known = calloc(KNOWN_SLOTS, sizeof(*known));
	d->significant[f] = calloc(n, sizeof(bool));
	if (!p || !order || !known || !d->significant[f])
		return -ENOMEM;
	if (!d->has_samples)
		return 0;
	/* Item 0 is the root: always the whole. */
	p[0] = NAN;
	for (uint32_t i = 1; i < n; i++) {
		p[i] = known_p_value(d, &d->item[f][i], known);
		d->n_tested[f] += isnan(p[i]) ? 0 : 1;
	}
	d->n_significant[f] = diffstat_benjamini_hochberg(p, n, FALSE_DISCOVERY_RATE, order, d->significant[f]);
	return 0;
}

/* --- functions that are one --- */

/* What a window has of two items is in sum k^2 only as if it had one of them:
 * the cross terms are gone. They are at most what makes the roots add up
 * (Cauchy, Schwarz), which believes the windows too little, not too much. */
static void item_join(struct diff_item *item, const struct diff_item *other, bool share_windows)
{
	for (int s = 0; s < 2; s++) {
		item->value[s] = i64_add_saturating(item->value[s], other->value[s]);
		item->k[s] += other->k[s];
		double cross = share_windows ? 2 * sqrt(item->squares[s] * other->squares[s]) : 0;
		item->squares[s] += other->squares[s] + cross;
	}
}

/* Items become those of their new numbers, which are never above the old. */
static void join_items(struct diff *d, enum diff_family f, const uint32_t *into, uint32_t n_left,
		       const bool *share_windows)
{
	struct diff_item *item = d->item[f];
	uint32_t n = 0;
	for (uint32_t i = 0; i < d->n[f]; i++) {
		if (into[i] == n)
			item[n++] = item[i];
		else
			item_join(&item[into[i]], &item[i], share_windows[i]);
	}
	d->n[f] = n_left;
}

/* Whether a stack holds a function that stands for several of one window: by
 * function, and by node along its path. */
struct confusion {
	bool *func, *node;
	uint32_t *into, *node_into; /* old number -> new */
};

static void confusion_done(struct confusion *c)
{
	free(c->func);
	free(c->node);
	free(c->into);
	free(c->node_into);
}

/* By the functions' old numbers; a parent stands before its children. */
static void spread_confusion(struct diff *d, const bool *is_confused, struct confusion *c)
{
	uint32_t parent, func;
	for (uint32_t f = 0; f < d->n[DIFF_FUNC_SELF]; f++)
		c->func[f] = is_confused[c->into[f]];
	for (uint32_t i = 0; i < d->n[DIFF_NODE_SELF]; i++) {
		calltree_builder_node(d->builder, i, &parent, &func);
		c->node[i] = c->func[func] || (i && c->node[parent]);
	}
}

/* A function of several that call each other: its total is that of the
 * outermost, each stack once. The squares stay as they were joined, too large. */
static void count_totals_again(struct diff *d, const bool *is_confused, uint32_t *open_until)
{
	const struct calltree *t = &d->tree;
	struct diff_item *items = d->item[DIFF_FUNC_TOTAL];
	for (uint32_t f = 1; f < t->n_funcs; f++)
		for (int s = 0; s < 2 && is_confused[f]; s++)
			items[f].k[s] = 0, items[f].value[s] = 0;
	for (uint32_t i = 1; i < t->n; i++) {
		uint32_t f = t->func[i];
		if (!is_confused[f] || i < open_until[f])
			continue;
		open_until[f] = t->end[i];
		const struct diff_item *node = &d->item[DIFF_NODE_TOTAL][i];
		for (int s = 0; s < 2; s++) {
			items[f].value[s] = i64_add_saturating(items[f].value[s], node->value[s]);
			items[f].k[s] += node->k[s];
		}
	}
}

/* Joins the functions that are one, and their nodes. is_confused: by the new
 * numbers. */
static int join_functions(struct diff *d, bool *is_confused)
{
	uint32_t n_funcs = d->n[DIFF_FUNC_SELF], n_nodes = d->n[DIFF_NODE_SELF], n_left;
	_cleanup_(confusion_done)
	struct confusion c = {
		.func = calloc(n_funcs, sizeof(bool)),
		.node = calloc(n_nodes, sizeof(bool)),
		.into = malloc((size_t)n_funcs * sizeof(uint32_t)),
		.node_into = malloc((size_t)n_nodes * sizeof(uint32_t)),
	};
	if (!c.func || !c.node || !c.into || !c.node_into)
		return -ENOMEM;
	int r = diffmatch_solve(d->match, d->builder, c.into, is_confused, &n_left);
	if (r < 0 || n_left == n_funcs)
		return r;
	spread_confusion(d, is_confused, &c);
	r = calltree_builder_join(d->builder, c.into, c.node_into);
	if (r < 0)
		return r;
	calltree_builder_count(d->builder, &n_nodes, &n_funcs);
	join_items(d, DIFF_FUNC_SELF, c.into, n_funcs, c.func);
	join_items(d, DIFF_FUNC_TOTAL, c.into, n_funcs, c.func);
	join_items(d, DIFF_NODE_SELF, c.node_into, n_nodes, c.node);
	join_items(d, DIFF_NODE_TOTAL, c.node_into, n_nodes, c.node);
	return 0;
}

/* From the builder's order to the tree's. */
static int reorder(struct diff *d, enum diff_family f, const uint32_t *new_id)
{
	uint32_t n = d->n[f];
	struct diff_item *old = d->item[f];
	struct diff_item *sorted = malloc((size_t)d->cap[f] * sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		sorted[new_id[i]] = old[i];
	d->item[f] = sorted;
	free(old);
	return 0;
}

static int make_tree(struct diff *d)
{
	uint32_t n_nodes, n_funcs;
	calltree_builder_count(d->builder, &n_nodes, &n_funcs);
	int r = 0;
	for (int f = 0; r == 0 && f < DIFF_N_FAMILIES; f++)
		r = make_room(d, (enum diff_family)f, f < DIFF_NODE_SELF ? n_funcs : n_nodes);
	_cleanup_(free_ptr)
	bool *is_confused = calloc(n_funcs, sizeof(*is_confused));
	_cleanup_(free_ptr)
	uint32_t *new_id = NULL, *open_until = calloc(n_funcs, sizeof(*open_until));
	if (!is_confused || !open_until)
		return -ENOMEM;
	if (r == 0)
		r = join_functions(d, is_confused);
	if (r == 0)
		r = calltree_finish_mapped(d->builder, &d->tree, &new_id);
	if (r == 0)
		r = reorder(d, DIFF_NODE_SELF, new_id);
	if (r == 0)
		r = reorder(d, DIFF_NODE_TOTAL, new_id);
	if (r == 0)
		count_totals_again(d, is_confused, open_until);
	return r;
}

struct testing {
	struct diff *diff;
	_Atomic int next; /* enum diff_family */
	int r[DIFF_N_FAMILIES];
};

/* Families do not know of each other. */
static void test_next(void *arg, unsigned worker)
{
	struct testing *t = arg;
	(void)worker;
	/* The nodes' first: they are many. */
	for (int f; (f = DIFF_N_FAMILIES - 1 - t->next++) >= 0;)
		t->r[f] = test_family(t->diff, (enum diff_family)f);
}

static int test_families(struct diff *d)
{
	struct testing t = { .diff = d };
	crew_run(2, test_next, &t);
	for (int f = 0; f < DIFF_N_FAMILIES; f++)
		if (t.r[f] < 0)
			return t.r[f];
	return 0;
}

int diff_finish(struct diff *d)
{
	int r = make_tree(d);
	d->has_samples = !d->is_unknown && d->side[DIFF_A].samples > 0 && d->side[DIFF_B].samples > 0;
	d->pooled_phi = d->has_samples ? pooled_phi(d) : 1;
	if (r == 0)
		r = test_families(d);
	calltree_builder_free(&d->builder);
	diffmatch_free(&d->match);
	return r;
}

struct diff_result diff_result(const struct diff *d, enum diff_family family, uint32_t i, double detect)
{
	const struct diff_item *item = &d->item[family][i];
	struct diff_result ret = { .is_significant = d->significant[family][i],
				   .is_new = item->value[DIFF_A] == 0 && item->value[DIFF_B] > 0,
				   .is_gone = item->value[DIFF_A] > 0 && item->value[DIFF_B] == 0,
				   .p = 1,
				   .phi = 1 };
	for (int s = 0; s < 2; s++)
		if (d->side[s].whole > 0)
			ret.share[s] = (double)item->value[s] / (double)d->side[s].whole;
	ret.delta = ret.share[DIFF_B] - ret.share[DIFF_A];
	if (!d->has_samples || (item->value[DIFF_A] == 0 && item->value[DIFF_B] == 0))
		return ret;
	struct diffstat_count a = count_of(d, item, DIFF_A), b = count_of(d, item, DIFF_B);
	struct diffstat_spread spread = spread_of(d, item);
	ret.has_interval = true;
	ret.interval = diffstat_newcombe(a, b, spread);
	ret.p = diffstat_p_value(a, b, spread);
	ret.phi = spread.phi;
	if (ret.is_new || ret.is_gone)
		ret.zero_bound = diffstat_zero_bound(ret.is_new ? a.n : b.n, spread.phi);
	double pooled = (a.k + b.k) / (a.n + b.n);
	if (detect > 0 && pooled > 0)
		ret.needed = diffstat_samples_needed(pooled < 1 ? pooled : 1, detect, spread.phi);
	return ret;
}

/* The node of `t` each node of `part` was made of; functions have the same
 * numbers in both. */
static int find_origins(const struct calltree *part, const struct calltree *t, struct membudget *budget, uint32_t *ret)
{
	_cleanup_(u64map_done)
	struct u64map nodes;
	u64map_init(&nodes, budget);
	for (uint32_t i = 1; i < t->n; i++) {
		uint32_t *node = u64map_put(&nodes, (uint64_t)t->parent[i] << 32 | t->func[i]);
		if (!node)
			return -ENOBUFS;
		*node = i;
	}
	ret[0] = 0;
	for (uint32_t i = 1; i < part->n; i++)
		ret[i] = u64map_get(&nodes, (uint64_t)ret[part->parent[i]] << 32 | part->func[i]);
	return 0;
}

int diff_gone_tree(const struct diff *d, struct calltree *ret, uint32_t **ret_from)
{
	const struct calltree *t = &d->tree;
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(d->budget);
	_cleanup_(free_ptr)
	int64_t *self = malloc((size_t)t->n * sizeof(*self));
	_cleanup_(free_ptr)
	uint32_t *from = NULL;
	_cleanup_(calltree_done)
	struct calltree gone = { .budget = d->budget, .names.budget = d->budget };
	if (!b || !self)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++) {
		bool is_gone = d->item[DIFF_NODE_TOTAL][i].value[DIFF_B] == 0;
		self[i] = is_gone ? d->item[DIFF_NODE_SELF][i].value[DIFF_A] : 0;
	}
	int r = calltree_add_tree(b, t, self, NULL, NULL);
	if (r == 0)
		r = calltree_finish(b, &gone);
	if (r == 0)
		from = malloc((size_t)gone.n * sizeof(*from));
	if (r == 0)
		r = from ? find_origins(&gone, t, d->budget, from) : -ENOMEM;
	if (r < 0)
		return r;
	*ret = gone;
	gone = (struct calltree){ .budget = d->budget, .names.budget = d->budget };
	*ret_from = take_ptr(from);
	return 0;
}
