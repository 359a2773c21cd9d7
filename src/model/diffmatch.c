/* SPDX-License-Identifier: Apache-2.0 */
#include "model/diffmatch.h"

#include <errno.h>
#include <string.h>

#define BOTH_SIDES 3

/* One function of the builder. */
struct member {
	uint32_t group; /* 0: the root's */
	uint32_t sides; /* bits */
};

struct group {
	uint32_t window, first;	    /* the last window that has it, and its first function there */
	bool is_unclear, is_listed; /* is_listed: `first` is among `meetings` for that window */
};

/* A window in which a function is not the only one of its group. */
struct meeting {
	uint32_t group, window, func;
	uint32_t pad;
	uint64_t key; /* while descriptions are tried */
};

struct diffmatch {
	VEC(struct member) members; /* by function */
	VEC(struct group) groups;   /* [0] is none */
	VEC(struct meeting) meetings;
	struct u64map group_ids; /* name << 2 | realm -> group */
	struct strtab basenames;
	uint32_t n_windows;
	struct membudget *budget;
};

struct diffmatch *diffmatch_new(struct membudget *budget)
{
	struct diffmatch *m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->budget = budget;
	u64map_init(&m->group_ids, budget);
	int r = strtab_init(&m->basenames, budget);
	if (r == 0)
		r = vec_reserve(budget, &m->groups, 1);
	if (r < 0)
		diffmatch_free(&m);
	else
		m->groups.data[m->groups.n++] = (struct group){ 0 };
	return m;
}

void diffmatch_free(struct diffmatch **m)
{
	struct diffmatch *d = *m;
	if (!d)
		return;
	vec_done(d->budget, &d->members);
	vec_done(d->budget, &d->groups);
	vec_done(d->budget, &d->meetings);
	u64map_done(&d->group_ids);
	strtab_done(&d->basenames);
	free(d);
	*m = NULL;
}

/* --- windows --- */

/* Functions of programs may be of any kind in another format; those of the
 * kernel and what wick made up are nobody else's. */
static uint32_t realm_of(uint32_t kind)
{
	return kind == FRAME_KERNEL ? 1 : kind == FRAME_SYNTHETIC ? 2 : 0;
}

static int find_group(struct diffmatch *m, const struct tree_func *f, uint32_t *ret)
{
	int r = vec_reserve(m->budget, &m->groups, 1);
	if (r < 0)
		return r;
	uint32_t *slot = u64map_put(&m->group_ids, (uint64_t)f->name.v << 2 | realm_of(f->kind));
	if (!slot)
		return -ENOBUFS;
	if (*slot == 0) {
		*slot = m->groups.n;
		m->groups.data[m->groups.n++] = (struct group){ 0 };
	}
	*ret = *slot;
	return 0;
}

/* New functions join their groups. */
static int follow(struct diffmatch *m, const struct tree_func *funcs, uint32_t n)
{
	int r = n > m->members.n ? vec_reserve(m->budget, &m->members, n - m->members.n) : 0;
	while (r == 0 && m->members.n < n) {
		struct member member = { 0 };
		/* The root is nobody else. */
		if (m->members.n)
			r = find_group(m, &funcs[m->members.n], &member.group);
		m->members.data[m->members.n++] = member;
	}
	return r;
}

static int add_meeting(struct diffmatch *m, uint32_t group, uint32_t func)
{
	int r = vec_reserve(m->budget, &m->meetings, 1);
	if (r == 0)
		m->meetings.data[m->meetings.n++] = (struct meeting){ group, m->n_windows, func, 0, 0 };
	return r;
}

/* The second of a group in one window makes it unclear. */
static int note(struct diffmatch *m, uint32_t func, uint32_t side)
{
	m->members.data[func].sides |= 1u << side;
	uint32_t id = m->members.data[func].group;
	struct group *g = &m->groups.data[id];
	if (g->window != m->n_windows) {
		g->window = m->n_windows;
		g->first = func;
		g->is_listed = false;
		return 0;
	}
	int r = g->is_listed ? 0 : add_meeting(m, id, g->first);
	g->is_unclear = g->is_listed = true;
	return r < 0 ? r : add_meeting(m, id, func);
}

int diffmatch_window(struct diffmatch *m, const struct calltree_builder *b, uint32_t side, const uint32_t *funcs,
		     uint32_t n)
{
	const struct strtab *names;
	uint32_t n_nodes, n_funcs;
	calltree_builder_count(b, &n_nodes, &n_funcs);
	int r = follow(m, calltree_builder_funcs(b, &names), n_funcs);
	m->n_windows++;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = note(m, funcs[i], side);
	return r;
}

/* --- descriptions --- */

enum description { BY_KIND, BY_FILE, BY_FILE_BASE, BY_MODULE, BY_MODULE_BASE, BY_BASES, BY_ALL, N_DESCRIPTIONS };

/* A function by what it is described with. */
struct keyed {
	uint64_t key;
	uint32_t func;
};

/* What a group is solved with. */
struct solver {
	struct diffmatch *m;
	const struct tree_func *funcs;
	const struct strtab *names;
	uint32_t *order;     /* functions, group by group */
	struct keyed *keyed; /* of the group at hand */
	uint32_t *root;	     /* by function: the first of those that are one with it */
	bool *is_confused;
};

static void solver_done(struct solver *s)
{
	free(s->order);
	free(s->keyed);
	free(s->root);
	free(s->is_confused);
}

static int base_of(struct solver *s, struct str_id path, uint32_t *ret)
{
	struct slice text = strtab_get(s->names, path);
	const uint8_t *slash = text.size ? memrchr(text.data, '/', text.size) : NULL;
	struct slice base = slash ? slice_of(slash + 1, (size_t)(text.data + text.size - slash - 1)) : text;
	struct str_id id;
	int r = strtab_intern(&s->m->basenames, base, &id);
	if (r == 0)
		*ret = id.v;
	return r;
}

static int key_of(struct solver *s, enum description by, uint32_t func, uint64_t *ret)
{
	const struct tree_func *f = &s->funcs[func];
	uint32_t file, module;
	int r = base_of(s, f->file, &file);
	if (r == 0)
		r = base_of(s, f->module, &module);
	if (r < 0)
		return r;
	const uint64_t keys[N_DESCRIPTIONS] = {
		[BY_KIND] = f->kind,	   [BY_FILE] = f->file.v,     [BY_FILE_BASE] = file,
		[BY_MODULE] = f->module.v, [BY_MODULE_BASE] = module, [BY_BASES] = (uint64_t)file << 32 | module,
		[BY_ALL] = func,
	};
	*ret = keys[by];
	return 0;
}

static int compare_keyed(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->func < y->func ? -1 : x->func > y->func;
}

static int compare_meeting(const void *a, const void *b)
{
	const struct meeting *x = a, *y = b;
	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->window != y->window)
		return x->window < y->window ? -1 : 1;
	return x->key < y->key ? -1 : x->key > y->key;
}

/* Functions [from, to) of s->order with their keys, sorted by them. */
static int describe(struct solver *s, enum description by, uint32_t from, uint32_t to)
{
	int r = 0;
	for (uint32_t i = from; r == 0 && i < to; i++) {
		struct keyed *k = &s->keyed[i - from];
		k->func = s->order[i];
		r = key_of(s, by, k->func, &k->key);
	}
	if (r == 0)
		qsort(s->keyed, to - from, sizeof(*s->keyed), compare_keyed);
	return r;
}

/* Whether those that met in a window have different keys. */
static int tells_apart(struct solver *s, enum description by, struct meeting *met, uint32_t n, bool *ret)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = key_of(s, by, met[i].func, &met[i].key);
	if (r < 0)
		return r;
	qsort(met, n, sizeof(*met), compare_meeting);
	*ret = true;
	for (uint32_t i = 1; i < n; i++)
		if (met[i].window == met[i - 1].window && met[i].key == met[i - 1].key)
			*ret = false;
	return 0;
}

/* Values of the keys that both sides know. */
static uint32_t count_common(const struct solver *s, uint32_t n)
{
	uint32_t common = 0, sides = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || s->keyed[i].key != s->keyed[i - 1].key)
			sides = 0;
		uint32_t before = sides;
		sides |= s->m->members.data[s->keyed[i].func].sides;
		common += sides == BOTH_SIDES && before != BOTH_SIDES;
	}
	return common;
}

/* --- groups --- */

/* Of the n that are described, those that share a key are one. */
static void join_equal(struct solver *s, uint32_t n)
{
	uint32_t root = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || s->keyed[i].key != s->keyed[i - 1].key)
			root = s->keyed[i].func;
		s->root[s->keyed[i].func] = root;
	}
}

static void join_all(struct solver *s, uint32_t from, uint32_t to, bool is_confused)
{
	for (uint32_t i = from; i < to; i++)
		s->root[s->order[i]] = s->order[from];
	s->is_confused[s->order[from]] = is_confused;
}

static int solve_unclear(struct solver *s, uint32_t from, uint32_t to, struct meeting *met, uint32_t n_met)
{
	enum description best = N_DESCRIPTIONS;
	uint32_t most = 0;
	int r = 0;
	for (int by = 0; r == 0 && by < N_DESCRIPTIONS; by++) {
		bool apart = false;
		r = tells_apart(s, (enum description)by, met, n_met, &apart);
		if (r == 0 && apart)
			r = describe(s, (enum description)by, from, to);
		uint32_t common = r == 0 && apart ? count_common(s, to - from) : 0;
		if (common > most) {
			best = (enum description)by;
			most = common;
		}
	}
	if (r < 0)
		return r;
	if (most == 0) {
		join_all(s, from, to, true);
		return 0;
	}
	r = describe(s, best, from, to);
	if (r == 0)
		join_equal(s, to - from);
	return r;
}

/* Counting sort by group: functions of a group stand by their numbers. */
static int sort_by_group(struct solver *s, uint32_t **ret_first)
{
	const struct diffmatch *m = s->m;
	uint32_t *first = calloc((size_t)m->groups.n + 1, sizeof(*first));
	if (!first)
		return -ENOMEM;
	for (uint32_t f = 0; f < m->members.n; f++)
		first[m->members.data[f].group + 1]++;
	for (uint32_t g = 1; g <= m->groups.n; g++)
		first[g] += first[g - 1];
	/* first[g] is the cursor of g and ends as the start of g + 1. */
	for (uint32_t f = 0; f < m->members.n; f++)
		s->order[first[m->members.data[f].group]++] = f;
	*ret_first = first;
	return 0;
}

static int solve_groups(struct solver *s)
{
	struct diffmatch *m = s->m;
	_cleanup_(free_ptr)
	uint32_t *end = NULL;
	int r = sort_by_group(s, &end);
	if (r == 0 && m->meetings.n)
		qsort(m->meetings.data, m->meetings.n, sizeof(*m->meetings.data), compare_meeting);
	for (uint32_t g = 1, met = 0; r == 0 && g < m->groups.n; g++) {
		uint32_t from_met = met;
		while (met < m->meetings.n && m->meetings.data[met].group == g)
			met++;
		if (m->groups.data[g].is_unclear)
			r = solve_unclear(s, end[g - 1], end[g], m->meetings.data + from_met, met - from_met);
		else if (end[g] > end[g - 1])
			join_all(s, end[g - 1], end[g], false);
	}
	return r;
}

/* The roots become dense numbers in order of appearance. */
static uint32_t number(const struct solver *s, uint32_t *into, bool *is_confused)
{
	uint32_t n = 0;
	for (uint32_t f = 0; f < s->m->members.n; f++) {
		if (s->root[f] != f) {
			into[f] = into[s->root[f]];
			continue;
		}
		is_confused[n] = s->is_confused[f];
		into[f] = n++;
	}
	return n;
}

int diffmatch_solve(struct diffmatch *m, const struct calltree_builder *b, uint32_t *into, bool *is_confused,
		    uint32_t *ret_n)
{
	uint32_t n_nodes, n;
	calltree_builder_count(b, &n_nodes, &n);
	_cleanup_(solver_done)
	struct solver s = { .m = m };
	s.funcs = calltree_builder_funcs(b, &s.names);
	s.order = malloc((size_t)n * sizeof(*s.order));
	s.keyed = malloc((size_t)n * sizeof(*s.keyed));
	s.root = malloc((size_t)n * sizeof(*s.root));
	s.is_confused = calloc(n, sizeof(*s.is_confused));
	if (!s.order || !s.keyed || !s.root || !s.is_confused)
		return -ENOMEM;
	int r = follow(m, s.funcs, n);
	s.root[0] = 0;
	if (r == 0)
		r = solve_groups(&s);
	if (r == 0)
		*ret_n = number(&s, into, is_confused);
	return r;
}
