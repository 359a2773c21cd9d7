/* SPDX-License-Identifier: Apache-2.0 */
#include "query/merge.h"

#include "base/saturate.h"
#include "query/summing.h"

#include <errno.h>

struct merge {
	struct membudget *budget;
	struct slice by;
	int series_label; /* of `by`, or -1 */
	bool lines;
	struct calltree_builder *builder;
	struct merge_sums sums;

	struct strtab groups; /* values of `by`; [0] = it has none */
	VEC(int64_t) total;   /* by group; n as groups */
	struct charged rank;  /* by group: uint32_t; NULL until the first merge_add() */
	uint32_t n_ranked;
};

struct merge *merge_new(struct slice by, bool lines, struct membudget *budget)
{
	_cleanup_(merge_free)
	struct merge *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	*m = (struct merge){ .budget = budget, .by = by, .series_label = series_label_find(by), .lines = lines };
	m->builder = calltree_builder_new(budget);
	return m->builder && strtab_init(&m->groups, budget) == 0 ? take_ptr(m) : NULL;
}

void merge_free(struct merge **merge)
{
	struct merge *m = *merge;
	if (!m)
		return;
	calltree_builder_free(&m->builder);
	strtab_done(&m->groups);
	vec_done(m->budget, &m->total);
	charged_done(&m->rank);
	free(m);
	*merge = NULL;
}

bool merge_is_ranked(const struct merge *m)
{
	return m->by.size > 0;
}

/* ---- a part ---- */

/* A part being added. */
struct adding {
	struct merge *merge;
	const struct selection *s;
	struct summing sums;
	struct charged group_of_set; /* uint32_t: label set -> group; NULL where series have the label */
};

static void adding_done(struct adding *t)
{
	summing_done(&t->sums);
	charged_done(&t->group_of_set);
}

static int adding_init(struct adding *t, struct merge *m, const struct selection *s)
{
	*t = (struct adding){ .merge = m, .s = s };
	return summing_init(&t->sums, s);
}

/* What was summed goes into the tree. */
static int add_sums(struct adding *t, struct slice group)
{
	const struct selection *s = t->s;
	struct calltree_view view = {
		.node = s->nodes, .lines = t->merge->lines, .framelines = s->framelines, .hidden = s->hidden
	};
	return calltree_add(t->merge->builder, &s->part->names.dict, t->sums.self.data, group, &view);
}

static int add_plain(struct adding *t)
{
	int r = summing_add(&t->sums, t->s->series);
	return r == 0 ? add_sums(t, slice_of(NULL, 0)) : r;
}

/* ---- groups ---- */

static int group_id(struct merge *m, struct slice value, uint32_t *ret)
{
	struct str_id id;
	int r = strtab_intern(&m->groups, value, &id);
	uint32_t n = strtab_count(&m->groups);
	if (r == 0 && m->total.n < n)
		r = vec_reserve(m->budget, &m->total, n - m->total.n);
	if (r < 0)
		return r;
	while (m->total.n < n)
		m->total.data[m->total.n++] = 0;
	*ret = id.v;
	return 0;
}

/* Where label sets have the label: the group of each. */
static int group_sets(struct adding *t)
{
	struct merge *m = t->merge;
	const struct part *p = t->s->part;
	uint32_t n_sets = part_n_label_sets(p);
	int r = charged_init(&t->group_of_set, m->budget, n_sets, sizeof(uint32_t));
	for (uint32_t set = 0; r == 0 && set < n_sets; set++) {
		char number[24];
		const struct label *label = label_find(p, set, m->by);
		struct slice value = label ? label_text(p, label, number) : slice_of(NULL, 0);
		r = group_id(m, value, (uint32_t *)t->group_of_set.data + set);
	}
	return r;
}

static int group_of_series(struct merge *m, const struct part *p, uint32_t series, uint32_t *ret)
{
	return group_id(m, part_string(p, p->series.data[series].label[m->series_label]), ret);
}

static void rank_rows(struct adding *t, const struct rows *rows)
{
	const uint32_t *group_of_set = t->group_of_set.data;
	for (uint32_t i = 0; i < rows->n; i++) {
		if (!selection_has_row(t->s, rows, i))
			continue;
		int64_t *total = &t->merge->total.data[group_of_set[rows->labels ? rows->labels[i] : 0]];
		*total = i64_add_saturating(*total, rows->value[i]);
	}
}

static int rank_series(struct adding *t, uint32_t series)
{
	struct merge *m = t->merge;
	uint32_t group = 0;
	int r = m->series_label >= 0 ? group_of_series(m, t->s->part, series, &group) : 0;
	if (r < 0)
		return r;
	r = scan_series(&t->sums.scan, series);
	while (r >= 0 && (r = scan_next(&t->sums.scan)) == 1) {
		struct rows rows;
		int64_t total = 0;
		if (m->series_label >= 0) {
			r = selection_chunk_total(t->s, &t->sums.scan, &total);
			m->total.data[group] = i64_add_saturating(m->total.data[group], total);
		} else if ((r = scan_rows(&t->sums.scan, &rows)) == 1) {
			rank_rows(t, &rows);
		}
		if (r < 0)
			return r;
	}
	return r;
}

int merge_rank(struct merge *m, const struct selection *s)
{
	_cleanup_(adding_done)
	struct adding t;
	int r = adding_init(&t, m, s);
	if (r == 0 && m->series_label < 0)
		r = group_sets(&t);
	for (uint32_t i = 0; r == 0 && i < s->part->series.n; i++)
		if (s->series[i])
			r = rank_series(&t, i);
	return r;
}

static int compare_total(const void *a, const void *b, void *arg)
{
	const struct merge *m = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (m->total.data[x] != m->total.data[y])
		return m->total.data[x] > m->total.data[y] ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* rank[group] = place by total, MERGE_MAX_GROUPS for all behind the limit. */
static int rank_groups(struct merge *m)
{
	uint32_t n = m->total.n;
	_cleanup_(charged_done)
	struct charged order = { 0 };
	int r = charged_init(&m->rank, m->budget, n, sizeof(uint32_t));
	if (r == 0)
		r = charged_init(&order, m->budget, n, sizeof(uint32_t));
	if (r < 0)
		return r;
	uint32_t *ids = order.data, *rank = m->rank.data;
	for (uint32_t i = 0; i < n; i++)
		ids[i] = i;
	qsort_r(ids, n, sizeof(*ids), compare_total, m);
	for (uint32_t i = 0; i < n; i++)
		rank[ids[i]] = i < MERGE_MAX_GROUPS ? i : MERGE_MAX_GROUPS;
	m->n_ranked = n;
	return 0;
}

/* A group that came up since the ranking is one of the others. */
static uint32_t rank_of(const struct merge *m, uint32_t group)
{
	return group < m->n_ranked ? ((const uint32_t *)m->rank.data)[group] : MERGE_MAX_GROUPS;
}

static struct slice rank_name(const struct merge *m, uint32_t rank, uint32_t group)
{
	struct slice name = strtab_get(&m->groups, (struct str_id){ group });
	if (rank == MERGE_MAX_GROUPS)
		return slice_str("(other)");
	return name.size ? name : slice_str("(none)");
}

/* Series of one group after the other. */
static int add_by_series(struct adding *t)
{
	struct merge *m = t->merge;
	const struct part *p = t->s->part;
	_cleanup_(charged_done)
	struct charged groups = { 0 };
	_cleanup_(charged_done)
	struct charged members = { 0 };
	int r = charged_init(&groups, m->budget, p->series.n, sizeof(uint32_t));
	if (r == 0)
		r = charged_init(&members, m->budget, p->series.n, 1);
	uint32_t *group_of = groups.data;
	for (uint32_t i = 0; r == 0 && i < p->series.n; i++)
		if (t->s->series[i])
			r = group_of_series(m, p, i, &group_of[i]);
	for (uint32_t rank = 0; r == 0 && rank <= MERGE_MAX_GROUPS; rank++) {
		uint32_t group = UINT32_MAX;
		uint8_t *wanted = members.data;
		for (uint32_t i = 0; i < p->series.n; i++) {
			wanted[i] = t->s->series[i] && rank_of(m, group_of[i]) == rank;
			if (wanted[i])
				group = group_of[i];
		}
		if (group == UINT32_MAX)
			continue;
		r = summing_add(&t->sums, wanted);
		if (r == 0)
			r = add_sums(t, rank_name(m, rank, group));
		memset(t->sums.self.data, 0, t->sums.self.size);
	}
	return r;
}

/* Sums per (rank, node), for labels of samples. */
struct pair_sums {
	struct membudget *budget;
	struct u64map ids; /* rank << 32 | node -> row + 1 */
	VEC(uint64_t) key;
	VEC(int64_t) value;		      /* n as key.n */
	uint32_t group[MERGE_MAX_GROUPS + 1]; /* one of each rank */
};

static void pair_sums_done(struct pair_sums *p)
{
	u64map_done(&p->ids);
	vec_done(p->budget, &p->key);
	vec_done(p->budget, &p->value);
}

static int pair_add(struct pair_sums *p, uint32_t rank, uint32_t node, int64_t value)
{
	int r = vec_reserve(p->budget, &p->key, 1);
	if (r == 0)
		r = vec_reserve(p->budget, &p->value, 1);
	if (r < 0)
		return r;
	uint64_t key = (uint64_t)rank << 32 | node;
	uint32_t *id = u64map_put(&p->ids, key);
	if (!id)
		return -ENOBUFS;
	if (*id == 0) {
		p->key.data[p->key.n++] = key;
		p->value.data[p->value.n++] = 0;
		*id = p->key.n;
	}
	p->value.data[*id - 1] = i64_add_saturating(p->value.data[*id - 1], value);
	return 0;
}

static int pair_series(struct adding *t, uint32_t series, struct pair_sums *pairs)
{
	const uint32_t *group_of_set = t->group_of_set.data;
	int r = scan_series(&t->sums.scan, series);
	while (r >= 0 && (r = scan_next(&t->sums.scan)) == 1) {
		struct rows rows;
		r = scan_rows(&t->sums.scan, &rows);
		for (uint32_t i = 0; r == 1 && i < rows.n; i++) {
			if (!selection_has_row(t->s, &rows, i))
				continue;
			uint32_t group = group_of_set[rows.labels ? rows.labels[i] : 0];
			uint32_t rank = rank_of(t->merge, group);
			pairs->group[rank] = group;
			int e = pair_add(pairs, rank, rows.node[i], rows.value[i]);
			if (e < 0)
				return e;
		}
		if (r < 0)
			return r;
		if (r == 0)
			continue;
		summing_count(&t->sums, &rows);
	}
	return r;
}

static int add_by_sets(struct adding *t)
{
	_cleanup_(pair_sums_done)
	struct pair_sums pairs = { .budget = t->merge->budget };
	u64map_init(&pairs.ids, pairs.budget);
	int r = group_sets(t);
	for (uint32_t i = 0; r == 0 && i < t->s->part->series.n; i++)
		if (t->s->series[i])
			r = pair_series(t, i, &pairs);
	int64_t *self = t->sums.self.data;
	for (uint32_t rank = 0; r == 0 && rank <= MERGE_MAX_GROUPS; rank++) {
		bool any = false;
		for (uint32_t i = 0; i < pairs.key.n; i++) {
			if (pairs.key.data[i] >> 32 != rank)
				continue;
			uint32_t node = (uint32_t)pairs.key.data[i];
			self[node] = i64_add_saturating(self[node], pairs.value.data[i]);
			any = true;
		}
		if (!any)
			continue;
		r = add_sums(t, rank_name(t->merge, rank, pairs.group[rank]));
		memset(t->sums.self.data, 0, t->sums.self.size);
	}
	return r;
}

/* ---- all of it ---- */

int merge_add(struct merge *m, const struct selection *s)
{
	_cleanup_(adding_done)
	struct adding t;
	int r = adding_init(&t, m, s);
	if (r == 0 && merge_is_ranked(m) && !m->rank.data)
		r = rank_groups(m);
	if (r < 0)
		return r;
	if (!merge_is_ranked(m))
		r = add_plain(&t);
	else
		r = m->series_label >= 0 ? add_by_series(&t) : add_by_sets(&t);
	merge_sums_add(&m->sums, &t.sums.sums);
	return r;
}

int merge_finish(struct merge *m, struct calltree *ret, struct merge_sums *ret_sums)
{
	int r = calltree_finish(m->builder, ret);
	if (r == 0)
		*ret_sums = m->sums;
	return r;
}
