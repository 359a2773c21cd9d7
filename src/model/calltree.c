/* SPDX-License-Identifier: Apache-2.0 */
#include "model/calltree.h"

#include "base/saturate.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Nodes in order of arrival: parent before child, children unsorted. */
struct calltree_builder {
	VEC(uint32_t) parent;
	VEC(uint32_t) func;
	VEC(int64_t) self;
	VEC(uint8_t) found;	 /* the four have one n; when loose, this one has the root only */
	struct pairset node_ids; /* by { parent, func }; empty when loose */
	bool loose;

	VEC(struct tree_func) funcs;
	struct u64map func_ids; /* by row hash */
	struct strtab names;
	struct membudget *budget;
};

static int add_func(struct calltree_builder *b, const struct tree_func *row, uint32_t *ret)
{
	int r = vec_reserve(b->budget, &b->funcs, 1);
	if (r < 0)
		return r;
	for (uint64_t key = XXH3_64bits(row, sizeof(*row));; key++) {
		uint32_t *id = u64map_put(&b->func_ids, key);
		if (!id)
			return -ENOBUFS;
		if (*id == 0) {
			*ret = b->funcs.n;
			*id = b->funcs.n + 1;
			b->funcs.data[b->funcs.n++] = *row;
			return 0;
		}
		if (memcmp(&b->funcs.data[*id - 1], row, sizeof(*row)) == 0) {
			*ret = *id - 1;
			return 0;
		}
	}
}

static struct pair_columns node_columns(const struct calltree_builder *b)
{
	return (struct pair_columns){ b->parent.data, b->func.data };
}

/* Room for `n` more nodes. */
static int reserve_nodes(struct calltree_builder *b, uint64_t n)
{
	int r = vec_reserve(b->budget, &b->parent, n);
	if (r == 0)
		r = vec_reserve(b->budget, &b->func, n);
	if (r == 0)
		r = vec_reserve(b->budget, &b->self, n);
	if (r == 0 && !b->loose)
		r = vec_reserve(b->budget, &b->found, n);
	return r;
}

static uint32_t append_node(struct calltree_builder *b, uint32_t parent, uint32_t func)
{
	b->parent.data[b->parent.n++] = parent;
	b->func.data[b->func.n++] = func;
	b->self.data[b->self.n++] = 0;
	if (!b->loose)
		b->found.data[b->found.n++] = 0;
	return b->parent.n - 1;
}

/* The child of `parent` for `func`: in a loose tree always a new one, for
 * which calltree_add() has made room. */
static int add_node(struct calltree_builder *b, uint32_t parent, uint32_t func, uint32_t *ret)
{
	if (b->loose) {
		*ret = append_node(b, parent, func);
		return 0;
	}
	int r = reserve_nodes(b, 1);
	if (r == 0)
		r = pairset_reserve(&b->node_ids, node_columns(b), 1);
	if (r < 0)
		return r;
	struct pair_probe at;
	uint32_t id = pairset_find(&b->node_ids, node_columns(b), parent, func, &at);
	if (!id) {
		id = append_node(b, parent, func);
		pairset_set(&b->node_ids, at, id);
	}
	*ret = id;
	return 0;
}

static int builder_init(struct calltree_builder *b)
{
	struct tree_func all = { .named = 1, .kind = FRAME_SYNTHETIC };
	uint32_t func;
	int r = strtab_init(&b->names, b->budget);
	if (r == 0)
		r = strtab_intern_str(&b->names, "all", &all.name);
	if (r == 0)
		r = add_func(b, &all, &func);
	if (r == 0)
		r = reserve_nodes(b, 1);
	if (r == 0)
		(void)append_node(b, 0, func);
	return r;
}

static void builder_done(struct calltree_builder *b)
{
	vec_done(b->budget, &b->parent);
	vec_done(b->budget, &b->func);
	vec_done(b->budget, &b->self);
	vec_done(b->budget, &b->found);
	vec_done(b->budget, &b->funcs);
	pairset_done(&b->node_ids);
	u64map_done(&b->func_ids);
	strtab_done(&b->names);
}

struct calltree_builder *calltree_builder_new(struct membudget *budget)
{
	struct calltree_builder *b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->budget = budget;
	pairset_init(&b->node_ids, budget);
	u64map_init(&b->func_ids, budget);
	if (builder_init(b) < 0)
		calltree_builder_free(&b);
	return b;
}

void calltree_builder_free(struct calltree_builder **b)
{
	if (!*b)
		return;
	builder_done(*b);
	free(*b);
	*b = NULL;
}

static int add_group(struct calltree_builder *b, struct slice group, uint32_t *ret)
{
	struct tree_func row = { .kind = FRAME_SYNTHETIC, .named = 1 };
	uint32_t func;
	int r = strtab_intern(&b->names, group, &row.name);
	if (r == 0)
		r = add_func(b, &row, &func);
	if (r == 0)
		r = add_node(b, 0, func, ret);
	return r;
}

/* One calltree_add() under way. */
struct adder {
	struct calltree_builder *b;
	const struct dict *d;
	const uint8_t *flags;
	bool lines;
	const struct framelines *framelines;
	const uint64_t *hidden;
	uint32_t *node_map; /* tree node + 1; before its turn 1 = needed, 0 = not */
	/* By frame: what a node takes of it, beside each other for the caches' sake. */
	struct tree_frame {
		uint32_t func; /* func + 1, of frames with lines: first of line_funcs + 1; 0 = not yet asked for */
		uint8_t found;
	} * frame_map;
	VEC(uint32_t) line_funcs; /* funcs of a frame's lines, one behind the other */
	/* By function: the func of its frames of one mapping and kind, which
	 * are nearly always all. */
	struct named_func {
		uint32_t func, mapping, kind; /* func + 1 */
	} * function_map;
};

static void adder_done(struct adder *a)
{
	free(a->node_map);
	free(a->frame_map);
	free(a->function_map);
	vec_done(NULL, &a->line_funcs);
}

/* The tree function of one frame. */
static int func_of_frame(struct adder *a, struct frame_id id, uint32_t *ret)
{
	const struct dict *d = a->d;
	struct strtab *names = &a->b->names;
	const struct frame *f = &d->frames.data[id.v];
	const struct function *fn = &d->functions.data[f->function.v];
	struct tree_func row = {
		.kind = f->kind,
		.named = fn->name.v || fn->system_name.v,
		.line = a->lines ? f->line : 0,
	};
	struct named_func *known = row.named && !a->lines ? &a->function_map[f->function.v] : NULL;
	if (known && known->func && known->mapping == f->mapping.v && known->kind == f->kind) {
		*ret = known->func - 1;
		return 0;
	}
	char made_up[FRAME_NAME_SIZE];
	int r = strtab_intern(names, dict_frame_name(d, id, made_up), &row.name);
	if (r == 0)
		r = strtab_intern(names, strtab_get(&d->strings, fn->file), &row.file);
	if (r == 0)
		r = strtab_intern(names, strtab_get(&d->strings, d->mappings.data[f->mapping.v].path), &row.module);
	if (r == 0)
		r = add_func(a->b, &row, ret);
	if (r == 0 && known)
		*known = (struct named_func){ *ret + 1, f->mapping.v, f->kind };
	return r;
}

/* The tree function of line i of a frame; the first is the frame's own function. */
static int func_of_line(struct adder *a, struct frame_id id, uint32_t i, const struct frame_line *line, uint32_t *ret)
{
	const struct dict *d = a->d;
	const struct strtab *strings = &a->framelines->strings;
	struct strtab *names = &a->b->names;
	const struct frame *f = &d->frames.data[id.v];
	const struct function *own = &d->functions.data[f->function.v];
	const struct line_function *fn = &a->framelines->functions.data[line->function];
	bool keeps_name = i == 0 && (own->name.v || own->system_name.v);
	struct tree_func row = { .kind = f->kind, .line = a->lines ? line->line : 0 };
	char made_up[FRAME_NAME_SIZE];
	struct slice name = dict_frame_name(d, id, made_up);
	if (!keeps_name && fn->name.v)
		name = strtab_get(strings, fn->name);
	row.named = keeps_name || fn->name.v;
	int r = strtab_intern(names, name, &row.name);
	if (r == 0)
		r = strtab_intern(names, strtab_get(strings, fn->file), &row.file);
	if (r == 0)
		r = strtab_intern(names, strtab_get(&d->strings, d->mappings.data[f->mapping.v].path), &row.module);
	return r < 0 ? r : add_func(a->b, &row, ret);
}

static uint8_t found_of_frame(const struct adder *a, struct frame_id id)
{
	return CALLTREE_FOUND(a->d->frames.data[id.v].found);
}

/* Funcs of all lines of a frame, found once per frame: *ret is where the first stands in line_funcs. */
static int funcs_of_lines(struct adder *a, struct frame_id id, const struct frame_line *lines, uint32_t n,
			  uint32_t *ret)
{
	struct tree_frame *f = &a->frame_map[id.v];
	if (!f->func) {
		int r = vec_reserve(NULL, &a->line_funcs, n);
		for (uint32_t i = 0; r == 0 && i < n; i++)
			r = func_of_line(a, id, i, &lines[i], &a->line_funcs.data[a->line_funcs.n + i]);
		if (r < 0)
			return r;
		*f = (struct tree_frame){ a->line_funcs.n + 1, found_of_frame(a, id) };
		a->line_funcs.n += n;
	}
	*ret = f->func - 1;
	return 0;
}

static bool is_dropped(const struct adder *a, uint32_t node)
{
	return a->flags && a->flags[node] & CALLTREE_DROPPED;
}

/* Marks the nodes with a value and all above them; returns how many. */
static uint32_t mark_needed(struct adder *a, const int64_t *self)
{
	uint32_t *node_map = a->node_map, n_needed = 0;
	for (uint32_t i = dict_n_nodes(a->d) - 1; i > 0; i--) {
		if (self[i] && !is_dropped(a, i))
			node_map[i] = 1;
		if (node_map[i])
			node_map[a->d->node_parent.data[i].v] = 1;
		n_needed += node_map[i];
	}
	if (self[0] && !is_dropped(a, 0))
		node_map[0] = 1;
	return n_needed + node_map[0];
}

/* How many nodes the needed ones become at most. */
static uint64_t count_lines(const struct adder *a, uint32_t n_needed)
{
	uint64_t n = n_needed;
	for (uint32_t i = 1; a->framelines && i < dict_n_nodes(a->d); i++) {
		uint32_t n_lines;
		(void)framelines_get(a->framelines, a->d->node_frame.data[i].v, &n_lines);
		if (a->node_map[i] && n_lines)
			n += n_lines - 1;
	}
	return n;
}

static int add_frame_node(struct adder *a, uint32_t func, uint8_t found, uint32_t *node)
{
	int r = add_node(a->b, *node, func, node);
	if (r == 0 && !a->b->loose)
		a->b->found.data[*node] |= found;
	return r;
}

/* A node for each line that shows; *node = the parent, then the innermost. */
static int add_lines(struct adder *a, uint32_t i, const struct frame_line *lines, uint32_t n, uint32_t *node)
{
	struct frame_id frame = a->d->node_frame.data[i];
	uint32_t first;
	uint64_t hidden = a->hidden ? a->hidden[i] : 0;
	int r = funcs_of_lines(a, frame, lines, n, &first);
	for (uint32_t k = 0; r == 0 && k < n; k++)
		if (!(hidden >> k & 1))
			r = add_frame_node(a, a->line_funcs.data[first + k], a->frame_map[frame.v].found, node);
	return r;
}

/* The tree node of a dict's node whose parent has got its own. */
static int add_dict_node(struct adder *a, uint32_t i, uint32_t *ret)
{
	struct frame_id frame = a->d->node_frame.data[i];
	uint32_t n_lines;
	const struct frame_line *lines = framelines_get(a->framelines, frame.v, &n_lines);
	*ret = a->node_map[a->d->node_parent.data[i].v] - 1;
	if (n_lines)
		return add_lines(a, i, lines, n_lines, ret);
	if (a->flags && a->flags[i] & CALLTREE_HIDDEN)
		return 0;
	struct tree_frame *f = &a->frame_map[frame.v];
	if (!f->func) {
		uint32_t func;
		int r = func_of_frame(a, frame, &func);
		if (r < 0)
			return r;
		*f = (struct tree_frame){ func + 1, found_of_frame(a, frame) };
	}
	return add_frame_node(a, f->func - 1, f->found, ret);
}

int calltree_add(struct calltree_builder *b, const struct dict *d, const int64_t *self, struct slice group,
		 const struct calltree_view *view)
{
	bool loose = view && view->loose;
	assert(b->parent.n == 1 || b->loose == loose);
	b->loose = loose;
	_cleanup_(adder_done)
	struct adder a = {
		.b = b,
		.d = d,
		.flags = view ? view->node : NULL,
		.lines = view && view->lines,
		.framelines = view ? view->framelines : NULL,
		.hidden = view ? view->hidden : NULL,
		.node_map = calloc(dict_n_nodes(d), sizeof(*a.node_map)),
		.frame_map = calloc(d->frames.n, sizeof(*a.frame_map)),
		.function_map = calloc(d->functions.n, sizeof(*a.function_map)),
	};
	if (!a.node_map || !a.frame_map || !a.function_map)
		return -ENOMEM;
	uint32_t n_needed = mark_needed(&a, self), node = 0;
	if (!n_needed)
		return 0;
	int r = loose ? reserve_nodes(b, count_lines(&a, n_needed) + 1) : 0; /* the group, too */
	if (r == 0 && group.size)
		r = add_group(b, group, &node);
	for (uint32_t i = 0; r == 0 && i < dict_n_nodes(d); i++) {
		if (i > 0 && !a.node_map[i])
			continue;
		if (i > 0)
			r = add_dict_node(&a, i, &node);
		if (r < 0)
			break;
		a.node_map[i] = node + 1;
		if (self[i] && !is_dropped(&a, i))
			b->self.data[node] = i64_add_saturating(b->self.data[node], self[i]);
	}
	return r;
}

static int import_func(struct calltree_builder *b, const struct calltree *t, uint32_t func, uint32_t *ret)
{
	struct tree_func row = t->funcs[func];
	int r = strtab_intern(&b->names, strtab_get(&t->names, row.name), &row.name);
	if (r == 0)
		r = strtab_intern(&b->names, strtab_get(&t->names, row.file), &row.file);
	if (r == 0)
		r = strtab_intern(&b->names, strtab_get(&t->names, row.module), &row.module);
	if (r == 0)
		r = add_func(b, &row, ret);
	return r;
}

/* 1 for nodes with a value, and for all on the way to them. */
static uint32_t *nodes_with_value(const struct calltree *t, const int64_t *self)
{
	uint32_t *keep = calloc(t->n, sizeof(*keep));
	for (uint32_t i = t->n - 1; keep && i > 0; i--) {
		keep[i] = keep[i] || self[i] != 0;
		if (keep[i])
			keep[t->parent[i]] = 1;
	}
	return keep;
}

int calltree_add_tree(struct calltree_builder *b, const struct calltree *t, const int64_t *self, uint32_t *ret_node,
		      uint32_t *ret_func)
{
	assert(!b->loose && t->found);
	_cleanup_(free_ptr)
	uint32_t *own_node = ret_node ? NULL : nodes_with_value(t, self);
	_cleanup_(free_ptr)
	uint32_t *own_func = ret_func ? NULL : malloc((size_t)t->n_funcs * sizeof(*own_func));
	uint32_t *node = ret_node ? ret_node : own_node, *func = ret_func ? ret_func : own_func;
	if (!node || !func)
		return -ENOMEM;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < t->n_funcs; i++)
		r = import_func(b, t, i, &func[i]);
	node[0] = 0;
	for (uint32_t i = 0; r == 0 && i < t->n; i++) {
		if (i > 0 && (ret_node || node[i]))
			r = add_node(b, node[t->parent[i]], func[t->func[i]], &node[i]);
		if (r < 0)
			break;
		if (node[i])
			b->found.data[node[i]] |= t->found[i];
		if (self && self[i])
			b->self.data[node[i]] = i64_add_saturating(b->self.data[node[i]], self[i]);
	}
	return r;
}

void calltree_builder_count(const struct calltree_builder *b, uint32_t *ret_nodes, uint32_t *ret_funcs)
{
	*ret_nodes = b->parent.n;
	*ret_funcs = b->funcs.n;
}

const struct tree_func *calltree_builder_funcs(const struct calltree_builder *b, const struct strtab **ret_names)
{
	*ret_names = &b->names;
	return b->funcs.data;
}

void calltree_builder_node(const struct calltree_builder *b, uint32_t node, uint32_t *ret_parent, uint32_t *ret_func)
{
	*ret_parent = b->parent.data[node];
	*ret_func = b->func.data[node];
}

/* In place: a node's new number is never above its old one. */
static int join_nodes(struct calltree_builder *b, const uint32_t *into, uint32_t *ret_node)
{
	uint32_t n_old = b->parent.n, n = 1;
	ret_node[0] = 0;
	for (uint32_t i = 1; i < n_old; i++) {
		uint32_t parent = ret_node[b->parent.data[i]], func = into[b->func.data[i]];
		int64_t self = b->self.data[i];
		int r = pairset_reserve(&b->node_ids, node_columns(b), 1);
		if (r < 0)
			return r;
		struct pair_probe at;
		uint32_t id = pairset_find(&b->node_ids, node_columns(b), parent, func, &at);
		if (!id) {
			id = n++;
			b->parent.data[id] = parent;
			b->func.data[id] = func;
			b->self.data[id] = 0;
			pairset_set(&b->node_ids, at, id);
		}
		b->self.data[id] = i64_add_saturating(b->self.data[id], self);
		ret_node[i] = id;
	}
	b->parent.n = b->func.n = b->self.n = n;
	return 0;
}

int calltree_builder_join(struct calltree_builder *b, const uint32_t *into, uint32_t *ret_node)
{
	assert(!b->loose);
	pairset_done(&b->node_ids);
	pairset_init(&b->node_ids, b->budget);
	int r = join_nodes(b, into, ret_node);
	if (r < 0)
		return r;
	uint32_t n = 0;
	for (uint32_t f = 0; f < b->funcs.n; f++) {
		assert(into[f] <= n && into[f] <= f);
		b->funcs.data[into[f]] = b->funcs.data[f];
		n = into[f] == n ? n + 1 : n;
	}
	b->funcs.n = n;
	u64map_clear(&b->func_ids);
	return 0;
}

/* Everything finish needs beside the builder, n nodes each. */
struct layout {
	const struct calltree_builder *b;
	int64_t *total;
	uint32_t *size;	 /* nodes of the subtree */
	uint32_t *place; /* in preorder */
	uint32_t *first; /* children of i: child[first[i] .. first[i + 1]) */
	uint32_t *child;
};

static void layout_done(struct layout *l)
{
	free(l->total);
	free(l->size);
	free(l->place);
	free(l->first);
	free(l->child);
}

static int layout_init(struct layout *l, const struct calltree_builder *b)
{
	uint32_t n = b->parent.n;
	*l = (struct layout){
		.b = b,
		.total = malloc((size_t)n * sizeof(int64_t)),
		.size = malloc((size_t)n * sizeof(uint32_t)),
		.place = malloc((size_t)n * sizeof(uint32_t)),
		.first = calloc((size_t)n + 2, sizeof(uint32_t)),
		.child = b->loose ? NULL : malloc((size_t)n * sizeof(uint32_t)),
	};
	if (!l->total || !l->size || !l->place || !l->first || (!b->loose && !l->child))
		return -ENOMEM;
	memcpy(l->total, b->self.data, (size_t)n * sizeof(int64_t));
	for (uint32_t i = 0; i < n; i++)
		l->size[i] = 1;
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t parent = b->parent.data[i];
		l->total[parent] = i64_add_saturating(l->total[parent], l->total[i]);
		l->size[parent] += l->size[i];
	}
	return 0;
}

/* Children in order of arrival; first[i] is where the next one of i goes. */
static void place_loosely(struct layout *l)
{
	const uint32_t *parent = l->b->parent.data;
	uint32_t *next = l->first;
	l->place[0] = 0;
	next[0] = 1;
	for (uint32_t i = 1; i < l->b->parent.n; i++) {
		uint32_t place = next[parent[i]];
		next[parent[i]] += l->size[i];
		l->place[i] = place;
		next[i] = place + 1;
	}
}

static int compare_child(const void *a, const void *b, void *arg)
{
	const struct layout *l = arg;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	if (l->total[x] != l->total[y])
		return l->total[x] > l->total[y] ? -1 : 1;
	const struct strtab *names = &l->b->names;
	uint32_t fx = l->b->func.data[x], fy = l->b->func.data[y];
	int c = strcmp(strtab_cstr(names, l->b->funcs.data[fx].name), strtab_cstr(names, l->b->funcs.data[fy].name));
	if (c)
		return c;
	return fx < fy ? -1 : fx > fy;
}

/* Children by falling total. A parent has its place before its children,
 * whose ids are larger. */
static void place_sorted(struct layout *l)
{
	uint32_t n = l->b->parent.n, *first = l->first, *child = l->child;
	const uint32_t *parent = l->b->parent.data;
	for (uint32_t i = 1; i < n; i++)
		first[parent[i] + 2]++;
	for (uint32_t i = 2; i <= n; i++)
		first[i] += first[i - 1];
	/* first[p + 1] is the fill cursor of p and ends as the start of p + 1. */
	for (uint32_t i = 1; i < n; i++)
		child[first[parent[i] + 1]++] = i;
	l->place[0] = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t n_children = first[i + 1] - first[i], place = l->place[i] + 1;
		if (n_children > 1)
			qsort_r(child + first[i], n_children, sizeof(*child), compare_child, l);
		for (uint32_t k = first[i]; k < first[i + 1]; k++) {
			l->place[child[k]] = place;
			place += l->size[child[k]];
		}
	}
}

static size_t columns_size(uint32_t n)
{
	return (size_t)n * (5 * sizeof(uint32_t) + 2 * sizeof(int64_t) + sizeof(uint8_t));
}

int calltree_alloc(struct calltree *t, uint32_t n, bool loose)
{
	if (!membudget_charge(t->budget, columns_size(n)))
		return -ENOBUFS;
	t->cap = n;
	t->parent = malloc((size_t)n * sizeof(uint32_t));
	t->func = malloc((size_t)n * sizeof(uint32_t));
	t->end = malloc((size_t)n * sizeof(uint32_t));
	t->depth = malloc((size_t)n * sizeof(uint32_t));
	t->pruned = calloc(n, sizeof(uint32_t));
	t->self = malloc((size_t)n * sizeof(int64_t));
	t->total = malloc((size_t)n * sizeof(int64_t));
	t->found = loose ? NULL : calloc(n, sizeof(uint8_t));
	return t->parent && t->func && t->end && t->depth && t->pruned && t->self && t->total && (t->found || loose)
		       ? 0
		       : -ENOMEM;
}

static void emit(struct calltree *t, const struct layout *l)
{
	const struct calltree_builder *b = l->b;
	t->n = b->parent.n;
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t to = l->place[i], parent = l->place[b->parent.data[i]];
		t->parent[to] = parent;
		t->func[to] = b->func.data[i];
		t->end[to] = to + l->size[i];
		t->depth[to] = i ? t->depth[parent] + 1 : 0;
		t->self[to] = b->self.data[i];
		t->total[to] = l->total[i];
		if (t->found)
			t->found[to] = b->found.data[i];
	}
}

int calltree_finish(struct calltree_builder *b, struct calltree *ret)
{
	return calltree_finish_mapped(b, ret, NULL);
}

int calltree_finish_mapped(struct calltree_builder *b, struct calltree *ret, uint32_t **ret_node)
{
	_cleanup_(layout_done)
	struct layout l;
	int r = layout_init(&l, b);
	_cleanup_(calltree_done)
	struct calltree t = { .budget = b->budget };
	if (r == 0)
		r = calltree_alloc(&t, b->parent.n, b->loose);
	if (r < 0)
		return r;
	if (b->loose)
		place_loosely(&l);
	else
		place_sorted(&l);
	emit(&t, &l);
	if (ret_node)
		*ret_node = take_ptr(l.place);
	/* The functions and names move over; the builder starts anew. */
	t.funcs = b->funcs.data;
	t.n_funcs = b->funcs.n;
	t.funcs_cap = b->funcs.cap;
	t.names = b->names;
	b->funcs.data = NULL;
	b->funcs.n = b->funcs.cap = 0;
	b->names = (struct strtab){ .budget = b->budget };
	builder_done(b);
	b->loose = false;
	*ret = t;
	t = (struct calltree){ .budget = b->budget };
	return builder_init(b);
}

void calltree_done(struct calltree *t)
{
	free(t->parent);
	free(t->func);
	free(t->end);
	free(t->depth);
	free(t->pruned);
	free(t->self);
	free(t->total);
	free(t->found);
	membudget_release(t->budget, columns_size(t->cap));
	vec_free(t->budget, (void **)&t->funcs, &t->funcs_cap, sizeof(*t->funcs));
	struct membudget *budget = t->budget;
	strtab_done(&t->names);
	*t = (struct calltree){ .budget = budget, .names.budget = budget };
}

bool calltree_has_found(const struct calltree *t)
{
	for (uint32_t i = 0; t->found && i < t->n; i++)
		if (t->found[i] & ~CALLTREE_FOUND(FRAME_FOUND_UNKNOWN))
			return true;
	return false;
}
