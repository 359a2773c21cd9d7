/* SPDX-License-Identifier: Apache-2.0 */
#include "model/framelines_profile.h"

#include <errno.h>

struct applier {
	const struct framelines *l;
	struct dict *d;
	uint32_t *first;	     /* by frame: where its new frames stand, + 1 */
	VEC(struct frame_id) frames; /* of the lines of a frame, outermost first */
	struct node_id *new_id;	     /* by node */
};

static void applier_done(struct applier *a)
{
	free(a->first);
	free(a->new_id);
	vec_done(NULL, &a->frames);
}

static int copy_string(struct applier *a, struct str_id id, struct str_id *ret)
{
	return strtab_intern(&a->d->strings, strtab_get(&a->l->strings, id), ret);
}

/* The function of line i; the frame's own keeps its name. */
static int function_of_line(struct applier *a, const struct frame *f, uint32_t i, const struct frame_line *line,
			    struct func_id *ret)
{
	const struct line_function *fn = &a->l->functions.data[line->function];
	struct function row = { 0 };
	if (i == 0)
		row = a->d->functions.data[f->function.v];
	int r = 0;
	if (!row.name.v && !row.system_name.v) {
		r = copy_string(a, fn->name, &row.name);
		if (r == 0)
			r = copy_string(a, fn->system_name, &row.system_name);
	}
	if (r == 0)
		r = copy_string(a, fn->file, &row.file);
	/* Only its place is known: no function. */
	if (r == 0 && !row.name.v && !row.system_name.v && !row.file.v) {
		*ret = (struct func_id){ 0 };
		return 0;
	}
	return r < 0 ? r : dict_function(a->d, &row, ret);
}

static void mark_mapping(struct applier *a, uint32_t mapping, uint32_t n_lines)
{
	if (mapping)
		a->d->mappings.data[mapping].flags |= MAPPING_HAS_FUNCTIONS | MAPPING_HAS_FILENAMES |
						      MAPPING_HAS_LINES | (n_lines > 1 ? MAPPING_HAS_INLINES : 0);
}

/* Makes the frame's new frames, once; *ret = where they stand. */
static int frames_of(struct applier *a, uint32_t frame, const struct frame_line *lines, uint32_t n, uint32_t *ret)
{
	if (!a->first[frame]) {
		int r = vec_reserve(NULL, &a->frames, n);
		for (uint32_t i = 0; r == 0 && i < n; i++) {
			struct frame row = a->d->frames.data[frame];
			r = function_of_line(a, &row, i, &lines[i], &row.function);
			row.line = lines[i].line;
			row.flags |= i ? FRAME_INLINED : 0;
			if (r == 0)
				r = dict_frame(a->d, &row, &a->frames.data[a->frames.n + i]);
		}
		if (r < 0)
			return r;
		a->first[frame] = a->frames.n + 1;
		a->frames.n += n;
		mark_mapping(a, a->d->frames.data[frame].mapping.v, n);
	}
	*ret = a->first[frame] - 1;
	return 0;
}

/* The node's new place below that of its parent. */
static int move_node(struct applier *a, uint32_t i)
{
	struct dict *d = a->d;
	struct frame_id frame = d->node_frame.data[i];
	uint32_t parent = d->node_parent.data[i].v, n, first;
	const struct frame_line *lines = framelines_get(a->l, frame.v, &n);
	a->new_id[i] = a->new_id[parent];
	if (n == 0 && a->new_id[parent].v == parent) {
		a->new_id[i].v = i;
		return 0;
	}
	if (n == 0)
		return dict_node(d, a->new_id[parent], frame, &a->new_id[i]);
	int r = frames_of(a, frame.v, lines, n, &first);
	for (uint32_t k = 0; r == 0 && k < n; k++)
		r = dict_node(d, a->new_id[i], a->frames.data[first + k], &a->new_id[i]);
	return r;
}

int framelines_apply(const struct framelines *l, struct profile *p)
{
	struct dict *d = &p->dict;
	_cleanup_(applier_done)
	struct applier a = { .l = l, .d = d };
	uint32_t n_nodes = dict_n_nodes(d);
	a.first = calloc(d->frames.n, sizeof(*a.first));
	a.new_id = calloc(n_nodes, sizeof(*a.new_id));
	if (!a.first || !a.new_id)
		return -ENOMEM;
	/* A parent is moved before its children; nodes are added behind the old ones. */
	for (uint32_t i = 1; i < n_nodes; i++) {
		int r = move_node(&a, i);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 0; i < profile_n_samples(p); i++)
		p->node.data[i] = a.new_id[p->node.data[i].v];
	return 0;
}
