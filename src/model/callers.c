/* SPDX-License-Identifier: Apache-2.0 */
#include "model/callers.h"

#include "base/saturate.h"

#include <errno.h>

int callers_match(const struct calltree *t, const struct pattern *p, bool **ret, uint32_t *ret_n, struct error *err)
{
	_cleanup_(free_ptr)
	bool *match = calloc(t->n_funcs, sizeof(*match));
	_cleanup_(pattern_work_done)
	struct pattern_work work = { 0 };
	int r = match ? pattern_work_init(&work) : -ENOMEM;
	if (r < 0)
		return error_set(err, r, "out of memory");
	uint32_t n = 0;
	/* funcs[0] is the root's. */
	for (uint32_t f = 1; f < t->n_funcs; f++) {
		r = pattern_match(p, strtab_get(&t->names, t->funcs[f].name), &work, err);
		if (r < 0)
			return r;
		match[f] = r;
		n += match[f];
	}
	*ret = take_ptr(match);
	*ret_n = n;
	return 0;
}

/* A dict with the stacks of the tree to be, and their values. */
struct turn {
	const struct calltree *from;
	struct dict dict;
	uint32_t *frame; /* by function of `from`; 0 = not yet made */
	VEC(int64_t) self;
};

static int turn_init(struct turn *u, const struct calltree *t)
{
	*u = (struct turn){ .from = t, .frame = calloc(t->n_funcs, sizeof(uint32_t)) };
	return u->frame ? dict_init(&u->dict, t->budget) : -ENOMEM;
}

static void turn_done(struct turn *u)
{
	free(u->frame);
	vec_done(u->from->budget, &u->self);
	dict_done(&u->dict);
}

static int make_frame(struct turn *u, uint32_t func)
{
	const struct calltree *t = u->from;
	const struct tree_func *f = &t->funcs[func];
	struct function fn = { 0 };
	struct mapping m = { 0 };
	struct frame frame = { .kind = (uint8_t)f->kind, .line = f->line };
	struct frame_id id;
	int r = strtab_intern(&u->dict.strings, strtab_get(&t->names, f->name), &fn.name);
	if (r == 0)
		r = strtab_intern(&u->dict.strings, strtab_get(&t->names, f->file), &fn.file);
	if (r == 0)
		r = strtab_intern(&u->dict.strings, strtab_get(&t->names, f->module), &m.path);
	if (r == 0)
		r = dict_function(&u->dict, &fn, &frame.function);
	if (r == 0 && m.path.v)
		r = dict_mapping(&u->dict, &m, &frame.mapping);
	if (r == 0)
		r = dict_frame(&u->dict, &frame, &id);
	if (r == 0)
		u->frame[func] = id.v;
	return r;
}

/* *node = its child for the function of tree node `i`. */
static int step(struct turn *u, uint32_t *node, uint32_t i)
{
	uint32_t func = u->from->func[i];
	int r = u->frame[func] ? 0 : make_frame(u, func);
	if (r == 0)
		r = dict_step(&u->dict, node, u->frame[func]);
	uint32_t n = dict_n_nodes(&u->dict);
	if (r == 0)
		r = vec_reserve(u->from->budget, &u->self, n - u->self.n);
	while (r == 0 && u->self.n < n)
		u->self.data[u->self.n++] = 0;
	return r;
}

static void add(struct turn *u, uint32_t node, int64_t value)
{
	u->self.data[node] = i64_add_saturating(u->self.data[node], value);
}

static int finish(struct turn *u, struct calltree *ret)
{
	_cleanup_(calltree_builder_free)
	struct calltree_builder *b = calltree_builder_new(u->from->budget);
	struct calltree_view view = { .lines = true };
	int r = b ? vec_reserve(u->from->budget, &u->self, 1) : -ENOMEM;
	if (r == 0 && u->self.n == 0)
		u->self.data[u->self.n++] = 0;
	if (r == 0)
		r = calltree_add(b, &u->dict, u->self.data, slice_of("", 0), &view);
	return r < 0 ? r : calltree_finish(b, ret);
}

static bool is_match(const struct calltree *t, const bool *match, uint32_t node)
{
	return t->func[node] != TREE_FUNC_PRUNED && match[t->func[node]];
}

/* The outermost matches in the order of the tree, at most t->n. */
static uint32_t outermost(const struct calltree *t, const bool *match, uint32_t *ret)
{
	uint32_t n = 0;
	for (uint32_t i = 1; i < t->n;) {
		if (is_match(t, match, i)) {
			ret[n++] = i;
			i = t->end[i];
		} else {
			i++;
		}
	}
	return n;
}

static uint64_t magnitude(int64_t v)
{
	return v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
}

static int compare_total(const void *a, const void *b, void *arg)
{
	const struct calltree *t = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	uint64_t vx = magnitude(t->total[x]), vy = magnitude(t->total[y]);
	if (vx != vy)
		return vx > vy ? -1 : 1;
	return x < y ? -1 : x > y;
}

int callers_above(const struct calltree *t, const bool *match, struct calltree *ret, struct callers_cut *ret_cut)
{
	_cleanup_(turn_done)
	struct turn u;
	int r = turn_init(&u, t);
	_cleanup_(free_ptr)
	uint32_t *starts = malloc((size_t)t->n * sizeof(*starts));
	if (r == 0 && !starts)
		r = -ENOMEM;
	if (r < 0)
		return r;
	uint32_t n = outermost(t, match, starts);
	qsort_r(starts, n, sizeof(*starts), compare_total, (void *)t);
	uint64_t left = (uint64_t)t->n * CALLERS_STEPS_PER_NODE;
	struct callers_cut cut = { 0 };
	for (uint32_t k = 0; r == 0 && k < n; k++) {
		uint32_t i = starts[k], node = 0;
		r = step(&u, &node, i);
		if (r == 0 && left < t->depth[i]) {
			cut.n++;
			cut.total = i64_add_saturating(cut.total, t->total[i]);
		} else {
			left -= t->depth[i];
			for (uint32_t up = t->parent[i]; r == 0 && up; up = t->parent[up])
				r = step(&u, &node, up);
		}
		if (r == 0)
			add(&u, node, t->total[i]);
	}
	if (r == 0)
		r = finish(&u, ret);
	if (r == 0)
		*ret_cut = cut;
	return r;
}

int callers_below(const struct calltree *t, const bool *match, struct calltree *ret)
{
	_cleanup_(turn_done)
	struct turn u;
	int r = turn_init(&u, t);
	/* By node of `t` within a match; 0 = the walk is outside of one. */
	_cleanup_(free_ptr)
	uint32_t *node_of = calloc(t->n, sizeof(*node_of));
	if (r == 0 && !node_of)
		r = -ENOMEM;
	for (uint32_t i = 1; r == 0 && i < t->n; i++) {
		uint32_t node = node_of[t->parent[i]];
		if (node == 0 && !is_match(t, match, i))
			continue;
		r = step(&u, &node, i);
		if (r == 0) {
			node_of[i] = node;
			add(&u, node, t->self[i]);
		}
	}
	return r < 0 ? r : finish(&u, ret);
}
