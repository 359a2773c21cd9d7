/* SPDX-License-Identifier: Apache-2.0 */
#include "query/merge.h"

#include "base/saturate.h"

#include <errno.h>

/* calloc() charged to a budget. */
struct charged {
	void *data;
	size_t size;
	struct membudget *budget;
};

static void charged_done(struct charged *c)
{
	free(c->data);
	membudget_release(c->budget, c->size);
	*c = (struct charged){ 0 };
}

static int charged_init(struct charged *c, struct membudget *budget, size_t n, size_t elem_size)
{
	size_t size;
	if (__builtin_mul_overflow(n + 1, elem_size, &size) || !membudget_charge(budget, size))
		return -ENOBUFS;
	*c = (struct charged){ .data = calloc(n + 1, elem_size), .size = size, .budget = budget };
	return c->data ? 0 : -ENOMEM;
}

/* Sums on their way. */
struct tally {
	struct stack_ends ends;
	struct merge_sums *sums;
};

static void count_row(struct tally *t, const struct chunk_row *row)
{
	int64_t *sum = &t->sums->ended[stack_ends_of(&t->ends, row->labels)];
	*sum = i64_add_saturating(*sum, row->value);
}

static void sum_chunk(const struct selection *s, const struct chunk *c, int64_t *self, struct tally *t)
{
	struct chunk_reader r = chunk_read(c);
	while (chunk_next(&r)) {
		if (!selection_has_row(s, &r.row))
			continue;
		self[r.row.node] = i64_add_saturating(self[r.row.node], r.row.value);
		count_row(t, &r.row);
	}
}

static struct calltree_view view_of(const struct selection *s, bool lines)
{
	return (struct calltree_view){
		.node = s->nodes, .lines = lines, .framelines = s->framelines, .hidden = s->hidden
	};
}

static int sum_plain(const struct selection *s, bool lines, struct calltree_builder *b, struct membudget *budget,
		     struct tally *t)
{
	const struct head *h = s->head;
	_cleanup_(charged_done)
	struct charged self = { 0 };
	int r = charged_init(&self, budget, dict_n_nodes(&h->names.dict), sizeof(int64_t));
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < h->series.n; i++) {
		const struct series *series = &h->series.data[i];
		for (uint32_t c = 0; s->series[i] && c < series->chunks.n; c++) {
			if (!selection_has_chunk(s, &series->chunks.data[c]))
				continue;
			sum_chunk(s, &series->chunks.data[c], self.data, t);
			t->sums->n_profiles++;
		}
	}
	struct calltree_view view = view_of(s, lines);
	return calltree_add(b, &h->names.dict, self.data, slice_of(NULL, 0), &view);
}

/* Sums per (group, node). A group is a string of the head or a number. */
struct grouping {
	const struct selection *s;
	struct membudget *budget;
	struct tally *tally;
	struct u64map ids; /* group << 32 | node -> row + 1 */
	VEC(uint64_t) key;
	VEC(int64_t) value; /* n as key.n */

	VEC(struct label) group;     /* what names it; key = 0: no such label */
	struct u64map group_ids;     /* hash of the value -> group + 1 */
	struct charged group_of_set; /* uint32_t: label set -> group, for sample labels */
	VEC(int64_t) group_total;    /* n as group.n */
};

static void grouping_done(struct grouping *g)
{
	u64map_done(&g->ids);
	vec_done(g->budget, &g->key);
	vec_done(g->budget, &g->value);
	vec_done(g->budget, &g->group);
	u64map_done(&g->group_ids);
	charged_done(&g->group_of_set);
	vec_done(g->budget, &g->group_total);
}

static int group_id(struct grouping *g, const struct label *value, uint32_t *ret)
{
	int r = vec_reserve(g->budget, &g->group, 1);
	if (r == 0)
		r = vec_reserve(g->budget, &g->group_total, 1);
	if (r < 0)
		return r;
	/* Strings and numbers apart; a clash of numbers is settled by probing. */
	for (uint64_t at = value->is_num ? (uint64_t)value->num | (uint64_t)1 << 63 : value->str.v;; at++) {
		uint32_t *id = u64map_put(&g->group_ids, at);
		if (!id)
			return -ENOBUFS;
		if (*id == 0) {
			*ret = g->group.n;
			g->group_total.data[g->group.n] = 0;
			g->group.data[g->group.n++] = *value;
			g->group_total.n = *id = g->group.n;
			return 0;
		}
		const struct label *other = &g->group.data[*id - 1];
		if (other->is_num == value->is_num && other->str.v == value->str.v && other->num == value->num &&
		    (other->key.v == 0) == (value->key.v == 0)) {
			*ret = *id - 1;
			return 0;
		}
	}
}

/* The group of each label set, by its value of the label `by`. */
static int group_sets(struct grouping *g, struct slice by)
{
	const struct profile *names = &g->s->head->names;
	uint32_t n_sets = names->labels_off.n - 1;
	bool known;
	struct str_id key = strtab_find(&names->dict.strings, by, &known);
	int r = charged_init(&g->group_of_set, g->budget, n_sets, sizeof(uint32_t));
	for (uint32_t set = 0; r == 0 && set < n_sets; set++) {
		uint32_t n;
		const struct label *labels = profile_label_set(names, (struct labels_id){ set }, &n);
		struct label value = { 0 };
		for (uint32_t i = 0; known && i < n; i++)
			if (labels[i].key.v == key.v) {
				value = labels[i];
				break;
			}
		r = group_id(g, &value, (uint32_t *)g->group_of_set.data + set);
	}
	return r;
}

static int add_value(struct grouping *g, uint32_t group, uint32_t node, int64_t value)
{
	int r = vec_reserve(g->budget, &g->key, 1);
	if (r == 0)
		r = vec_reserve(g->budget, &g->value, 1);
	if (r < 0)
		return r;
	uint64_t key = (uint64_t)group << 32 | node;
	uint32_t *id = u64map_put(&g->ids, key);
	if (!id)
		return -ENOBUFS;
	if (*id == 0) {
		g->key.data[g->key.n++] = key;
		g->value.data[g->value.n++] = 0;
		*id = g->key.n;
	}
	g->value.data[*id - 1] = i64_add_saturating(g->value.data[*id - 1], value);
	g->group_total.data[group] = i64_add_saturating(g->group_total.data[group], value);
	return 0;
}

static int group_chunk(struct grouping *g, const struct chunk *c, uint32_t series_group)
{
	const uint32_t *group_of_set = g->group_of_set.data;
	struct chunk_reader reader = chunk_read(c);
	int r = 0;
	while (r == 0 && chunk_next(&reader)) {
		const struct chunk_row *row = &reader.row;
		if (!selection_has_row(g->s, row))
			continue;
		count_row(g->tally, row);
		r = add_value(g, group_of_set ? group_of_set[row->labels] : series_group, row->node, row->value);
	}
	return r;
}

static int group_series(struct grouping *g, int series_label)
{
	const struct head *h = g->s->head;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < h->series.n; i++) {
		const struct series *series = &h->series.data[i];
		uint32_t group = 0;
		if (!g->s->series[i])
			continue;
		if (series_label >= 0) {
			/* Series labels have no key in the dict; any id but 0 says "has one". */
			struct label value = { .str = series->label[series_label] };
			value.key.v = value.str.v ? 1 : 0;
			r = group_id(g, &value, &group);
		}
		for (uint32_t c = 0; r == 0 && c < series->chunks.n; c++) {
			if (!selection_has_chunk(g->s, &series->chunks.data[c]))
				continue;
			r = group_chunk(g, &series->chunks.data[c], group);
			g->tally->sums->n_profiles++;
		}
	}
	return r;
}

static int compare_total(const void *a, const void *b, void *arg)
{
	const struct grouping *g = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	int64_t tx = g->group_total.data[x], ty = g->group_total.data[y];
	if (tx != ty)
		return tx > ty ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* rank[group] = place by total, MERGE_MAX_GROUPS for all behind the limit. */
static int rank_groups(const struct grouping *g, struct charged *rank)
{
	uint32_t n = g->group.n;
	_cleanup_(charged_done)
	struct charged order = { 0 };
	int r = charged_init(rank, g->budget, n, sizeof(uint32_t));
	if (r == 0)
		r = charged_init(&order, g->budget, n, sizeof(uint32_t));
	if (r < 0)
		return r;
	uint32_t *ids = order.data, *ranks = rank->data;
	for (uint32_t i = 0; i < n; i++)
		ids[i] = i;
	qsort_r(ids, n, sizeof(*ids), compare_total, (void *)g);
	for (uint32_t i = 0; i < n; i++)
		ranks[ids[i]] = i < MERGE_MAX_GROUPS ? i : MERGE_MAX_GROUPS;
	return 0;
}

/* One calltree_add() per rank that has rows. */
static int add_groups(const struct grouping *g, const uint32_t *rank, bool lines, struct calltree_builder *b)
{
	const struct head *h = g->s->head;
	struct calltree_view view = view_of(g->s, lines);
	_cleanup_(charged_done)
	struct charged sums = { 0 };
	int r = charged_init(&sums, g->budget, dict_n_nodes(&h->names.dict), sizeof(int64_t));
	int64_t *self = sums.data;
	for (uint32_t place = 0; r == 0 && place <= MERGE_MAX_GROUPS; place++) {
		uint32_t group = 0;
		bool any = false;
		for (uint32_t i = 0; i < g->key.n; i++) {
			if (rank[g->key.data[i] >> 32] != place)
				continue;
			uint32_t node = (uint32_t)g->key.data[i];
			group = (uint32_t)(g->key.data[i] >> 32);
			self[node] = i64_add_saturating(self[node], g->value.data[i]);
			any = true;
		}
		if (!any)
			continue;
		char number[24];
		const struct label *value = &g->group.data[group];
		struct slice name = label_text(h, value, number);
		if (place == MERGE_MAX_GROUPS)
			name = slice_str("(other)");
		else if (!value->is_num && name.size == 0)
			name = slice_str("(none)");
		r = calltree_add(b, &h->names.dict, self, name, &view);
		memset(self, 0, sums.size);
	}
	return r;
}

static int sum_grouped(const struct selection *s, struct slice by, bool lines, struct calltree_builder *b,
		       struct membudget *budget, struct tally *t)
{
	_cleanup_(grouping_done)
	struct grouping g = { .s = s, .budget = budget, .tally = t };
	_cleanup_(charged_done)
	struct charged rank = { 0 };
	u64map_init(&g.ids, budget);
	u64map_init(&g.group_ids, budget);
	int series_label = series_label_find(by);
	int r = series_label < 0 ? group_sets(&g, by) : 0;
	if (r == 0)
		r = group_series(&g, series_label);
	if (r == 0)
		r = rank_groups(&g, &rank);
	return r < 0 ? r : add_groups(&g, rank.data, lines, b);
}

static void tally_done(struct tally *t)
{
	stack_ends_done(&t->ends);
}

int merge_tree(const struct selection *s, struct slice by, bool lines, struct membudget *budget, struct calltree *ret,
	       struct merge_sums *ret_sums)
{
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(budget);
	struct merge_sums sums = { 0 };
	_cleanup_(tally_done)
	struct tally t = { .sums = &sums };
	if (!b)
		return -ENOBUFS;
	int r = stack_ends_init(&t.ends, s->head, budget);
	if (r == 0)
		r = by.size ? sum_grouped(s, by, lines, b, budget, &t) : sum_plain(s, lines, b, budget, &t);
	if (r == 0)
		r = calltree_finish(b, ret);
	if (r == 0)
		*ret_sums = sums;
	return r;
}
