/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/coverage.h"

#include "base/saturate.h"

#include <errno.h>
#include <string.h>

static const char *const end_names[N_STACK_ENDS] = {
	"",
#define STACK_END(id, name, text) [STACK_END_##id] = name,
#include "bpf/stack_end.def"
#undef STACK_END
};

static const char *const end_texts[N_STACK_ENDS] = {
	"",
#define STACK_END(id, name, text) [STACK_END_##id] = text,
#include "bpf/stack_end.def"
#undef STACK_END
};

static const char *const how_names[N_FRAME_HOWS] = {
	[HOW_UNKNOWN] = "unknown", [HOW_REGISTER] = "register",	  [HOW_TABLE] = "table", [HOW_SIGNAL] = "signal",
	[HOW_FP] = "fp",	   [HOW_HEURISTIC] = "heuristic",
};

const char *stack_end_name(enum stack_end end)
{
	return end_names[end];
}

const char *stack_end_text(enum stack_end end)
{
	return end_texts[end];
}

const char *frame_how_name(enum frame_how how)
{
	return how_names[how];
}

static void row_done(struct coverage_row *row)
{
	free(row->path);
	free(row->build_id);
	*row = (struct coverage_row){ 0 };
}

void coverage_done(struct coverage *c)
{
	for (uint32_t i = 0; i < c->n_rows; i++)
		row_done(&c->rows[i]);
	c->n_rows = 0;
}

static void add_row(struct coverage_row *to, const struct coverage_row *from)
{
	for (int i = 0; i < N_FRAME_HOWS; i++)
		to->n_found[i] = u64_add_saturating(to->n_found[i], from->n_found[i]);
	for (int i = 0; i < N_STACK_ENDS; i++)
		to->n_ends[i] = u64_add_saturating(to->n_ends[i], from->n_ends[i]);
	to->n = u64_add_saturating(to->n, from->n);
}

static int begin_row(struct coverage_row *row, const char *path, const char *build_id)
{
	*row = (struct coverage_row){ .path = strdup(path), .build_id = strdup(build_id) };
	if (row->path && row->build_id)
		return 0;
	row_done(row);
	return -ENOMEM;
}

/* rows[0] takes what has no row of its own. */
static int find_row(struct coverage *c, const char *path, const char *build_id, struct coverage_row **ret)
{
	if (c->n_rows == 0) {
		int r = begin_row(&c->rows[0], "", "");
		if (r < 0)
			return r;
		c->n_rows = 1;
	}
	uint32_t least = 1;
	for (uint32_t i = 0; i < c->n_rows; i++) {
		struct coverage_row *row = &c->rows[i];
		if (strcmp(row->path, path) == 0 && strcmp(row->build_id, build_id) == 0) {
			*ret = row;
			return 0;
		}
		if (i > 1 && row->n < c->rows[least].n)
			least = i;
	}
	uint32_t at = c->n_rows < COVERAGE_ROWS ? c->n_rows : least;
	struct coverage_row fresh;
	int r = begin_row(&fresh, path, build_id);
	if (r < 0)
		return r;
	if (at == c->n_rows) {
		c->n_rows++;
	} else {
		add_row(&c->rows[0], &c->rows[at]);
		row_done(&c->rows[at]);
	}
	c->rows[at] = fresh;
	*ret = &c->rows[at];
	return 0;
}

static const char *path_of(const struct window_object *o)
{
	switch (o->kind) {
	case OBJECT_FILE:
		return o->binary->path;
	case OBJECT_CODE:
		return "[jit]";
	case OBJECT_NONE:
		return "[no mapping]";
	case OBJECT_KERNEL:
	case OBJECT_SYNTHETIC:
		break;
	}
	return NULL;
}

struct counting {
	const struct window *w;
	uint64_t *n_through;	    /* samples, by node */
	uint32_t *outer;	    /* outermost user frame on the way to it, by node; 0 = none yet */
	struct coverage_row *count; /* by object */
};

static bool is_user(const struct window *w, uint32_t node)
{
	enum object_kind kind = w->objects.data[w->places.data[w->nodes.data[node].place].object].kind;
	return kind != OBJECT_KERNEL && kind != OBJECT_SYNTHETIC;
}

/* A parent's number is smaller than its children's. */
static void count_nodes(const struct counting *c)
{
	const struct window *w = c->w;
	for (uint32_t i = 1; i < w->nodes.n; i++) {
		uint32_t above = c->outer[w->nodes.data[i].parent];
		c->outer[i] = above ? above : is_user(w, i) ? i : 0;
	}
	for (uint32_t i = 0; i < w->samples.n; i++)
		c->n_through[w->samples.data[i].node] += w->samples.data[i].n;
	for (uint32_t i = w->nodes.n; i-- > 1;) {
		const struct window_place *place = &w->places.data[w->nodes.data[i].place];
		c->n_through[w->nodes.data[i].parent] += c->n_through[i];
		c->count[place->object].n_found[place->how] += c->n_through[i];
		c->count[place->object].n += c->n_through[i];
	}
}

static void count_ends(const struct counting *c, struct coverage *coverage)
{
	const struct window *w = c->w;
	for (uint32_t i = 0; i < w->samples.n; i++) {
		const struct window_sample *s = &w->samples.data[i];
		uint32_t outer = c->outer[s->node];
		if (!outer && s->end == STACK_GOES_ON)
			continue;
		coverage->n_ends[s->end] = u64_add_saturating(coverage->n_ends[s->end], s->n);
		if (outer)
			c->count[w->places.data[w->nodes.data[outer].place].object].n_ends[s->end] += s->n;
	}
}

int coverage_add(struct coverage *c, const struct window *w)
{
	_cleanup_(free_ptr)
	uint64_t *n_through = calloc(w->nodes.n, sizeof(*n_through));
	_cleanup_(free_ptr)
	uint32_t *outer = calloc(w->nodes.n, sizeof(*outer));
	_cleanup_(free_ptr)
	struct coverage_row *count = calloc(w->objects.n, sizeof(*count));
	if (!n_through || !outer || !count)
		return -ENOMEM;
	const struct counting counting = { w, n_through, outer, count };
	count_nodes(&counting);
	count_ends(&counting, c);
	for (uint32_t i = 0; i < w->objects.n; i++) {
		const struct window_object *o = &w->objects.data[i];
		struct coverage_row *row;
		if (!path_of(o) || count[i].n == 0)
			continue;
		int r = find_row(c, path_of(o), o->kind == OBJECT_FILE ? o->binary->build_id : "", &row);
		if (r < 0)
			return r;
		add_row(row, &count[i]);
	}
	return 0;
}
