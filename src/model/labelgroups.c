/* SPDX-License-Identifier: Apache-2.0 */
#include "model/labelgroups.h"

#include "base/buf.h"
#include "base/saturate.h"

#include <errno.h>
#include <inttypes.h>

#define TEXT_MAX ((size_t)1 << 30) /* of one set's values */

static void add_value(const struct profile *p, const struct label *l, struct buf *out)
{
	struct slice s = strtab_get(&p->dict.strings, l->is_num ? l->unit : l->str);
	if (out->n)
		buf_add_str(out, ", ");
	if (l->is_num)
		buf_printf(out, s.size ? "%" PRId64 " " : "%" PRId64, l->num);
	buf_add(out, s.data, s.size);
}

/* (*ret)[set] = name of the set's values in g->names. */
static int name_sets(struct labelgroups *g, const struct profile *p, struct str_id key, struct str_id *ret)
{
	_cleanup_(buf_done)
	struct buf text = buf_of(TEXT_MAX);
	uint32_t n;
	for (uint32_t i = 0; i + 1 < p->labels_off.n; i++) {
		const struct label *set = profile_label_set(p, (struct labels_id){ i }, &n);
		text.n = 0;
		for (uint32_t k = 0; k < n; k++)
			if (set[k].key.v == key.v)
				add_value(p, &set[k], &text);
		if (text.failed)
			return -ENOMEM;
		int r = strtab_intern(&g->names, slice_of(text.data, text.n), &ret[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* What is asked for is not there: say what is. */
static int no_such_label(const struct profile *p, const char *key, struct error *err)
{
	_cleanup_(free_ptr)
	bool *known = calloc(strtab_count(&p->dict.strings), sizeof(*known));
	_cleanup_(buf_done)
	struct buf list = buf_of(256);
	for (uint32_t i = 0; known && i < p->label.n && !list.failed; i++) {
		struct str_id id = p->label.data[i].key;
		if (!known[id.v])
			buf_printf(&list, "%s%s", list.n ? ", " : "", strtab_cstr(&p->dict.strings, id));
		known[id.v] = true;
	}
	if (list.n == 0)
		return error_set(err, -ENOENT, "no sample has a label \"%s\", nor any other", key);
	return error_set(err, -ENOENT, "no sample has a label \"%s\"; there are: %.*s%s", key, (int)list.n,
			 (const char *)list.data, list.failed ? " ..." : "");
}

struct ranking {
	const int64_t *weight;
	const struct strtab *names;
};

static int compare_weight(const void *a, const void *b, void *arg)
{
	const struct ranking *k = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (k->weight[x] != k->weight[y])
		return k->weight[x] > k->weight[y] ? -1 : 1;
	return strcmp(strtab_cstr(k->names, (struct str_id){ x }), strtab_cstr(k->names, (struct str_id){ y }));
}

static int64_t magnitude(int64_t v)
{
	return v >= 0 ? v : v == INT64_MIN ? INT64_MAX : -v;
}

/* Gives the heaviest names a group each, the others the last one. */
static int make_groups(struct labelgroups *g, const struct profile *p, uint32_t type, const struct str_id *name_of)
{
	uint32_t n_names = strtab_count(&g->names), n_sets = p->labels_off.n - 1, n = 0;
	_cleanup_(free_ptr)
	int64_t *weight = calloc(n_names, sizeof(*weight));
	_cleanup_(free_ptr)
	bool *used = calloc(n_names, sizeof(*used));
	_cleanup_(free_ptr)
	uint32_t *order = malloc(n_names * sizeof(*order));
	_cleanup_(free_ptr)
	uint32_t *group = malloc(n_names * sizeof(*group));
	g->name = calloc(LABELGROUPS_MAX, sizeof(*g->name));
	g->of_set = malloc(n_sets * sizeof(*g->of_set));
	if (!weight || !used || !order || !group || !g->name || !g->of_set)
		return -ENOMEM;
	for (uint32_t i = 0; i < profile_n_samples(p); i++) {
		uint32_t name = name_of[p->labels.data[i].v].v;
		weight[name] = i64_add_saturating(weight[name], magnitude(p->value[type].data[i]));
		used[name] = true;
	}
	for (uint32_t i = 0; i < n_names; i++) {
		group[i] = UINT32_MAX;
		if (used[i])
			order[n++] = i;
	}
	struct ranking ranking = { weight, &g->names };
	qsort_r(order, n, sizeof(*order), compare_weight, &ranking);
	g->n = n < LABELGROUPS_MAX ? n : LABELGROUPS_MAX;
	g->n_others = n > LABELGROUPS_MAX ? n - (LABELGROUPS_MAX - 1) : 0;
	for (uint32_t i = 0; i < n; i++)
		group[order[i]] = i < g->n ? i : g->n - 1;
	for (uint32_t i = 0; i < g->n; i++)
		g->name[i].v = order[i];
	for (uint32_t i = 0; i < n_sets; i++)
		g->of_set[i] = group[name_of[i].v];
	if (!g->n_others)
		return 0;
	char text[32];
	(void)snprintf(text, sizeof(text), "(%u others)", g->n_others);
	return strtab_intern_str(&g->names, text, &g->name[g->n - 1]);
}

int labelgroups_init(const struct profile *p, uint32_t type, const char *key, struct labelgroups *ret,
		     struct error *err)
{
	bool found;
	struct str_id id = strtab_find(&p->dict.strings, slice_str(key), &found);
	bool has_label = false;
	for (uint32_t i = 0; found && i < p->label.n; i++)
		has_label = has_label || p->label.data[i].key.v == id.v;
	if (!has_label)
		return no_such_label(p, key, err);
	_cleanup_(labelgroups_done)
	struct labelgroups g = { 0 };
	_cleanup_(free_ptr)
	struct str_id *name_of = calloc(p->labels_off.n, sizeof(*name_of));
	int r = name_of ? strtab_init(&g.names, NULL) : -ENOMEM;
	if (r == 0)
		r = name_sets(&g, p, id, name_of);
	if (r == 0)
		r = make_groups(&g, p, type, name_of);
	if (r < 0)
		return error_set(err, r, "out of memory");
	*ret = g;
	g = (struct labelgroups){ 0 };
	return 0;
}

void labelgroups_done(struct labelgroups *g)
{
	free(g->name);
	free(g->of_set);
	strtab_done(&g->names);
	*g = (struct labelgroups){ 0 };
}

/* Sample rows in the order of their groups: those of group i are
 * row[first[i]] to row[first[i + 1]]. */
static uint32_t *sort_rows(const struct labelgroups *g, const struct profile *p,
			   uint32_t first[static LABELGROUPS_MAX + 2])
{
	uint32_t n = profile_n_samples(p);
	uint32_t *row = malloc(((size_t)n + 1) * sizeof(*row));
	memset(first, 0, (LABELGROUPS_MAX + 2) * sizeof(*first));
	for (uint32_t i = 0; i < n; i++)
		first[g->of_set[p->labels.data[i].v] + 2]++;
	for (uint32_t i = 2; i < LABELGROUPS_MAX + 2; i++)
		first[i] += first[i - 1];
	for (uint32_t i = 0; row && i < n; i++)
		row[first[g->of_set[p->labels.data[i].v] + 1]++] = i;
	return row;
}

int labelgroups_tree(const struct labelgroups *g, const struct profile *p, uint32_t type, const char *none,
		     const struct calltree_view *view, struct calltree *ret)
{
	uint32_t first[LABELGROUPS_MAX + 2], n_nodes = dict_n_nodes(&p->dict);
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(NULL);
	_cleanup_(free_ptr)
	uint32_t *row = sort_rows(g, p, first);
	_cleanup_(free_ptr)
	int64_t *self = malloc((size_t)n_nodes * sizeof(*self));
	int r = b && row && self ? 0 : -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < g->n; i++) {
		memset(self, 0, (size_t)n_nodes * sizeof(*self));
		for (uint32_t k = first[i]; k < first[i + 1]; k++) {
			int64_t *sum = &self[p->node.data[row[k]].v];
			*sum = i64_add_saturating(*sum, p->value[type].data[row[k]]);
		}
		struct slice name = g->name[i].v ? strtab_get(&g->names, g->name[i]) : slice_str(none);
		r = calltree_add(b, &p->dict, self, name, view);
	}
	return r < 0 ? r : calltree_finish(b, ret);
}
