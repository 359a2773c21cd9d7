/* SPDX-License-Identifier: Apache-2.0 */
#include "model/inlining.h"

#include <errno.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum seen { SEEN_CALLED = 1 << 0, SEEN_INLINED = 1 << 1 };

struct finder {
	const struct dict *d;
	const struct calltree *t;
	bool lines;
	struct u64map funcs;  /* hash of a function's row -> its number + 1 */
	uint32_t *frame_func; /* by frame; 0 = not in the tree */
	bool *is_needed;      /* by node: a stack with a value goes through it */
	uint8_t *seen;	      /* by function */
};

static void finder_done(struct finder *f)
{
	u64map_done(&f->funcs);
	free(f->frame_func);
	free(f->is_needed);
	free(f->seen);
}

static bool has_inlined(const struct dict *d)
{
	for (uint32_t i = 1; i < d->frames.n; i++)
		if (d->frames.data[i].flags & FRAME_INLINED)
			return true;
	return false;
}

static int index_funcs(struct finder *f)
{
	for (uint32_t i = 0; i < f->t->n_funcs; i++) {
		uint64_t key = XXH3_64bits(&f->t->funcs[i], sizeof(f->t->funcs[i]));
		uint32_t *id;
		while ((id = u64map_put(&f->funcs, key)) && *id)
			key++;
		if (!id)
			return -ENOMEM;
		*id = i + 1;
	}
	return 0;
}

/* The tree's function with these words; 0 = there is none. */
static uint32_t find_func(const struct finder *f, const struct tree_func *row)
{
	uint32_t id;
	for (uint64_t key = XXH3_64bits(row, sizeof(*row)); (id = u64map_get(&f->funcs, key)); key++)
		if (memcmp(&f->t->funcs[id - 1], row, sizeof(*row)) == 0)
			return id - 1;
	return 0;
}

static void find_frame_func(struct finder *f, uint32_t id)
{
	const struct dict *d = f->d;
	const struct frame *frame = &d->frames.data[id];
	const struct function *fn = &d->functions.data[frame->function.v];
	struct slice path = strtab_get(&d->strings, d->mappings.data[frame->mapping.v].path);
	bool name, file, module;
	char made_up[FRAME_NAME_SIZE];
	struct tree_func row = {
		.name = strtab_find(&f->t->names, dict_frame_name(d, (struct frame_id){ id }, made_up), &name),
		.file = strtab_find(&f->t->names, strtab_get(&d->strings, fn->file), &file),
		.module = strtab_find(&f->t->names, path, &module),
		.kind = frame->kind,
		.named = fn->name.v || fn->system_name.v,
		.line = f->lines ? frame->line : 0,
	};
	f->frame_func[id] = name && file && module ? find_func(f, &row) : 0;
}

static int find_needed(struct finder *f, const struct profile *p, uint32_t type)
{
	uint32_t n = dict_n_nodes(f->d);
	_cleanup_(free_ptr)
	int64_t *self = calloc(n, sizeof(*self));
	if (!self)
		return -ENOMEM;
	profile_node_values(p, type, self);
	for (uint32_t i = n; i-- > 1;) {
		f->is_needed[i] = f->is_needed[i] || self[i];
		if (f->is_needed[i])
			f->is_needed[f->d->node_parent.data[i].v] = true;
	}
	return 0;
}

static int finder_init(struct finder *f, const struct profile *p, uint32_t type, const struct calltree *t, bool lines)
{
	const struct dict *d = &p->dict;
	*f = (struct finder){
		.d = d,
		.t = t,
		.lines = lines,
		.frame_func = calloc(d->frames.n, sizeof(*f->frame_func)),
		.is_needed = calloc(dict_n_nodes(d), sizeof(*f->is_needed)),
		.seen = calloc(t->n_funcs, sizeof(*f->seen)),
	};
	u64map_init(&f->funcs, NULL);
	if (!f->frame_func || !f->is_needed || !f->seen)
		return -ENOMEM;
	int r = index_funcs(f);
	for (uint32_t i = 1; r == 0 && i < d->frames.n; i++)
		find_frame_func(f, i);
	return r < 0 ? r : find_needed(f, p, type);
}

int inlining_find(const struct profile *p, uint32_t type, const struct calltree *t, bool lines, uint8_t **ret)
{
	*ret = NULL;
	if (!has_inlined(&p->dict))
		return 0;
	_cleanup_(finder_done)
	struct finder f;
	int r = finder_init(&f, p, type, t, lines);
	if (r < 0)
		return r;
	for (uint32_t i = 1; i < dict_n_nodes(f.d); i++) {
		if (!f.is_needed[i] || f.d->node_parent.data[i].v == 0)
			continue;
		uint32_t frame = f.d->node_frame.data[i].v;
		bool inlined = f.d->frames.data[frame].flags & FRAME_INLINED;
		f.seen[f.frame_func[frame]] |= inlined ? SEEN_INLINED : SEEN_CALLED;
	}
	/* The root's function stands for frames that are not in the tree. */
	f.seen[0] = 0;
	for (uint32_t i = 0; i < t->n_funcs; i++)
		f.seen[i] = !(f.seen[i] & SEEN_INLINED) ? INLINED_NEVER
			    : f.seen[i] & SEEN_CALLED	? INLINED_PARTLY
							: INLINED_ALWAYS;
	*ret = take_ptr(f.seen);
	return 0;
}
