/* SPDX-License-Identifier: Apache-2.0 */
/* A tree's functions are those of the file with their lines; sorted, the lines
 * of one stand side by side:
 *
 *   order   main:10 main:12 parse:3 parse:7     index into tree->funcs
 *   group      0       0       1       1        by func
 *
 * A call is a pair (func of the caller, group of the callee). */
#include "format/callgrind.h"

#include "base/saturate.h"
#include "base/u64map.h"

#include <errno.h>
#include <inttypes.h>

struct call {
	uint32_t caller, callee; /* place in `order`; group */
	uint32_t open_until;	 /* an ancestor of nodes before this is the same call */
	int64_t cost;
};

struct writer {
	const struct calltree *t;
	struct buf *out;
	uint32_t *order, *place, *group; /* the last two by func */
	uint32_t *first;		 /* by group: its first place in `order` */
	uint32_t n_groups;
	int64_t *self; /* by func */
	VEC(struct call) calls;
	struct u64map call_ids; /* caller << 32 | callee -> call + 1 */
	bool *named[3];		/* by string: objects, files, names that have their number */
};

static void writer_done(struct writer *w)
{
	free(w->order);
	free(w->place);
	free(w->group);
	free(w->first);
	free(w->self);
	vec_done(w->t->budget, &w->calls);
	u64map_done(&w->call_ids);
	for (int i = 0; i < 3; i++)
		free(w->named[i]);
}

static bool same_function(const struct tree_func *a, const struct tree_func *b)
{
	return a->module.v == b->module.v && a->file.v == b->file.v && a->name.v == b->name.v;
}

static int compare_func(const void *a, const void *b, void *arg)
{
	const struct writer *w = arg;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	const struct tree_func *x = &w->t->funcs[i], *y = &w->t->funcs[k];
	if (x->module.v != y->module.v)
		return x->module.v < y->module.v ? -1 : 1;
	if (x->file.v != y->file.v)
		return x->file.v < y->file.v ? -1 : 1;
	if (x->name.v != y->name.v)
		return x->name.v < y->name.v ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return i < k ? -1 : i > k;
}

static int group_funcs(struct writer *w)
{
	size_t n = w->t->n_funcs, n_strings = strtab_count(&w->t->names);
	w->order = malloc(n * sizeof(*w->order));
	w->place = malloc(n * sizeof(*w->place));
	w->group = malloc(n * sizeof(*w->group));
	w->first = malloc((n + 1) * sizeof(*w->first));
	w->self = calloc(n, sizeof(*w->self));
	for (int i = 0; i < 3; i++)
		w->named[i] = calloc(n_strings, sizeof(*w->named[i]));
	if (!w->order || !w->place || !w->group || !w->first || !w->self || !w->named[0] || !w->named[1] ||
	    !w->named[2])
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		w->order[i] = i;
	qsort_r(w->order, n, sizeof(*w->order), compare_func, w);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t f = w->order[i];
		if (i == 0 || !same_function(&w->t->funcs[f], &w->t->funcs[w->order[i - 1]]))
			w->first[w->n_groups++] = i;
		w->place[f] = i;
		w->group[f] = w->n_groups - 1;
	}
	w->first[w->n_groups] = (uint32_t)n;
	return 0;
}

static int add_call(struct writer *w, uint32_t node)
{
	const struct calltree *t = w->t;
	struct call call = { .caller = w->place[t->func[t->parent[node]]], .callee = w->group[t->func[node]] };
	if (w->group[t->func[t->parent[node]]] == call.callee)
		return 0;
	int r = vec_reserve(t->budget, &w->calls, 1);
	if (r < 0)
		return r;
	uint32_t *id = u64map_put(&w->call_ids, (uint64_t)call.caller << 32 | call.callee);
	if (!id)
		return -ENOBUFS;
	if (*id == 0) {
		w->calls.data[w->calls.n++] = call;
		*id = w->calls.n;
	}
	struct call *c = &w->calls.data[*id - 1];
	if (node >= c->open_until) {
		c->cost = i64_add_saturating(c->cost, t->total[node]);
		c->open_until = t->end[node];
	}
	return 0;
}

static int walk(struct writer *w)
{
	const struct calltree *t = w->t;
	int r = t->self[0] < 0 ? -EDOM : 0;
	for (uint32_t i = 1; r == 0 && i < t->n; i++) {
		if (t->self[i] < 0)
			return -EDOM;
		if (t->func[i] == TREE_FUNC_PRUNED || t->func[t->parent[i]] == TREE_FUNC_PRUNED)
			continue;
		w->self[t->func[i]] = i64_add_saturating(w->self[t->func[i]], t->self[i]);
		if (t->parent[i])
			r = add_call(w, i);
	}
	return r;
}

static int compare_call(const void *a, const void *b)
{
	const struct call *x = a, *y = b;
	if (x->caller != y->caller)
		return x->caller < y->caller ? -1 : 1;
	return x->callee < y->callee ? -1 : x->callee > y->callee;
}

/* --- text --- */

static void put_text(struct buf *out, struct slice s)
{
	for (size_t i = 0; i < s.size; i++)
		buf_add_byte(out, s.data[i] < 0x20 || s.data[i] == 0x7f ? ' ' : s.data[i]);
}

/* "fn=(3) main", from then on "fn=(3)". `which`: objects, files or names. */
static void put_name(struct writer *w, const char *key, int which, struct str_id id)
{
	buf_printf(w->out, "%s=(%" PRIu32 ")", key, id.v + 1);
	if (!w->named[which][id.v]) {
		w->named[which][id.v] = true;
		buf_add_byte(w->out, ' ');
		put_text(w->out, id.v ? strtab_get(&w->t->names, id) : slice_str("???"));
	}
	buf_add_byte(w->out, '\n');
}

static void put_calls(struct writer *w, uint32_t place, uint32_t *next)
{
	uint32_t line = w->t->funcs[w->order[place]].line;
	for (; *next < w->calls.n && w->calls.data[*next].caller == place; (*next)++) {
		const struct call *c = &w->calls.data[*next];
		const struct tree_func *callee = &w->t->funcs[w->order[w->first[c->callee]]];
		put_name(w, "cob", 0, callee->module);
		put_name(w, "cfi", 1, callee->file);
		put_name(w, "cfn", 2, callee->name);
		buf_printf(w->out, "calls=1 %" PRIu32 "\n%" PRIu32 " %" PRId64 "\n", callee->line, line, c->cost);
	}
}

static void put_group(struct writer *w, uint32_t group, uint32_t *next)
{
	const struct tree_func *f = &w->t->funcs[w->order[w->first[group]]];
	bool is_head_put = false;
	for (uint32_t place = w->first[group]; place < w->first[group + 1]; place++) {
		int64_t self = w->self[w->order[place]];
		bool has_calls = *next < w->calls.n && w->calls.data[*next].caller == place;
		if (self == 0 && !has_calls)
			continue;
		if (!is_head_put) {
			buf_add_byte(w->out, '\n');
			put_name(w, "ob", 0, f->module);
			put_name(w, "fl", 1, f->file);
			put_name(w, "fn", 2, f->name);
			is_head_put = true;
		}
		if (self)
			buf_printf(w->out, "%" PRIu32 " %" PRId64 "\n", w->t->funcs[w->order[place]].line, self);
		put_calls(w, place, next);
	}
}

/* Readers take an event's name for one word. */
static void put_event(struct buf *out, const char *type)
{
	for (const char *c = type; *c; c++)
		buf_add_byte(out, strchr(" \t\r\n:=", *c) ? '_' : (uint8_t)*c);
	if (!*type)
		buf_add_str(out, "value");
}

static void put_header(const struct writer *w, const char *type, const char *unit)
{
	struct buf *out = w->out;
	buf_add_str(out, "# callgrind format\nversion: 1\ncreator: wick " WICK_VERSION "\npositions: line\nevent: ");
	put_event(out, type);
	buf_add_str(out, " : ");
	put_text(out, slice_str(type));
	buf_add_str(out, " (");
	put_text(out, slice_str(unit));
	buf_add_str(out, ")\nevents: ");
	put_event(out, type);
	buf_printf(out, "\nsummary: %" PRId64 "\n", w->t->total[0]);
}

int callgrind_encode(const struct calltree *t, const char *type, const char *unit, struct buf *out)
{
	_cleanup_(writer_done)
	struct writer w = { .t = t, .out = out };
	u64map_init(&w.call_ids, t->budget);
	int r = group_funcs(&w);
	if (r == 0)
		r = walk(&w);
	if (r < 0)
		return r;
	if (w.calls.n > 1)
		qsort(w.calls.data, w.calls.n, sizeof(*w.calls.data), compare_call);
	put_header(&w, type, unit);
	if (t->self[0])
		buf_printf(out, "\nob=(0) ???\nfl=(0) ???\nfn=(0) [unknown]\n0 %" PRId64 "\n", t->self[0]);
	uint32_t next = 0;
	for (uint32_t g = 0; g < w.n_groups && !out->failed; g++)
		put_group(&w, g, &next);
	buf_printf(out, "\ntotals: %" PRId64 "\n", t->total[0]);
	return out->failed ? -E2BIG : 0;
}
