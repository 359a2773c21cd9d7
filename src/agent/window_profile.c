/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/window_profile.h"

#include "agent/coverage.h"

#include <errno.h>

#define MAX_DEPTH (SAMPLER_DEPTH + SAMPLER_DEPTH_FP + 8)

_Static_assert((int)HOW_REGISTER == FRAME_FOUND_REGISTER && (int)HOW_TABLE == FRAME_FOUND_TABLE &&
		       (int)HOW_SIGNAL == FRAME_FOUND_SIGNAL && (int)HOW_FP == FRAME_FOUND_FP &&
		       (int)HOW_HEURISTIC == FRAME_FOUND_HEURISTIC && (int)N_FRAME_HOWS == N_FRAME_FOUNDS,
	       "frame_how and frame_found are the same, one for each side of the agent");

struct writer {
	const struct window *w;
	const struct window_profile_options *o;
	struct profile *p;
	uint32_t *frames; /* by place: id in p, 0 = not yet */
	uint32_t *nodes;  /* by node */
	uint32_t *labels; /* by thread: id + 1 of those without an end */
};

int profile_begin(struct profile *p, uint32_t rate_hz, int64_t start_ns, int64_t end_ns)
{
	int r = profile_add_type(p, slice_str("cpu"), slice_str("nanoseconds"));
	if (r < 0)
		return r;
	p->period_type = p->types[0];
	p->period = 1000000000 / (int64_t)rate_hz;
	p->time_ns = start_ns;
	p->duration_ns = end_ns - start_ns;
	return 0;
}

static int intern(struct writer *wr, struct slice s, struct str_id *ret)
{
	return strtab_intern(&wr->p->dict.strings, s, ret);
}

static int write_mapping(struct writer *wr, const struct window_place *p, struct mapping_id *ret)
{
	const struct window_object *o = &wr->w->objects.data[p->object];
	struct mapping m = { .flags = MAPPING_HAS_FUNCTIONS };
	struct slice module = strtab_get(&wr->w->strings, p->module), path = { 0 }, build_id = { 0 };
	char in_brackets[256];
	switch (o->kind) {
	case OBJECT_FILE:
		path = slice_str(o->binary->path);
		build_id = slice_str(o->binary->build_id);
		m.limit = o->binary->limit;
		break;
	case OBJECT_KERNEL:
		m.limit = UINT64_MAX;
		path = slice_str("[kernel.kallsyms]");
		build_id = slice_str(wr->o->kernel_build_id);
		if (module.size) {
			(void)snprintf(in_brackets, sizeof(in_brackets), "[kernel:%.*s]", SLICE_FMT(module));
			path = slice_str(in_brackets);
			build_id = slice_str("");
		}
		break;
	case OBJECT_CODE:
		m.limit = UINT64_MAX;
		path = slice_str("[jit]");
		break;
	case OBJECT_SYNTHETIC:
		path = slice_str("[wick]");
		break;
	case OBJECT_NONE:
		*ret = (struct mapping_id){ 0 };
		return 0;
	}
	int r = intern(wr, path, &m.path);
	if (r == 0)
		r = intern(wr, build_id, &m.build_id);
	return r < 0 ? r : dict_mapping(&wr->p->dict, &m, ret);
}

static enum frame_kind kind_of(const struct window_object *o)
{
	switch (o->kind) {
	case OBJECT_KERNEL:
		return FRAME_KERNEL;
	case OBJECT_CODE:
		return FRAME_JIT;
	case OBJECT_SYNTHETIC:
		return FRAME_SYNTHETIC;
	case OBJECT_FILE:
	case OBJECT_NONE:
		break;
	}
	return FRAME_USER;
}

static int write_function(struct writer *wr, const struct window_place *p, struct func_id *ret)
{
	struct function f = { 0 };
	*ret = (struct func_id){ 0 };
	if (!p->name.v)
		return 0;
	int r = intern(wr, strtab_get(&wr->w->strings, p->name), &f.name);
	if (r == 0)
		r = intern(wr, strtab_get(&wr->w->strings, p->system_name), &f.system_name);
	return r < 0 ? r : dict_function(&wr->p->dict, &f, ret);
}

static int write_frame(struct writer *wr, uint32_t place, struct frame_id *ret)
{
	const struct window_place *p = &wr->w->places.data[place];
	const struct window_object *o = &wr->w->objects.data[p->object];
	ret->v = wr->frames[place];
	if (ret->v)
		return 0;
	int r;
	if (o->kind == OBJECT_SYNTHETIC) {
		char name[64];
		(void)snprintf(name, sizeof(name), "[incomplete: %s]", stack_end_name((enum stack_end)p->addr));
		r = dict_named_frame(&wr->p->dict, slice_str(name), FRAME_SYNTHETIC, ret);
	} else {
		struct frame f = { .address = p->addr, .kind = (uint8_t)kind_of(o), .found = p->how };
		r = write_function(wr, p, &f.function);
		if (r == 0)
			r = write_mapping(wr, p, &f.mapping);
		if (r == 0)
			r = dict_frame(&wr->p->dict, &f, ret);
	}
	if (r == 0)
		wr->frames[place] = ret->v;
	return r;
}

static int write_node(struct writer *wr, uint32_t node, struct node_id *ret)
{
	uint32_t path[MAX_DEPTH], n = 0;
	for (; node && !wr->nodes[node]; node = wr->w->nodes.data[node].parent) {
		if (n == MAX_DEPTH)
			return -E2BIG;
		path[n++] = node;
	}
	struct node_id at = { node ? wr->nodes[node] : 0 };
	while (n > 0) {
		uint32_t i = path[--n];
		struct frame_id frame;
		int r = write_frame(wr, wr->w->nodes.data[i].place, &frame);
		if (r == 0)
			r = dict_node(&wr->p->dict, at, frame, &at);
		if (r < 0)
			return r;
		wr->nodes[i] = at.v;
	}
	*ret = at;
	return 0;
}

static int label_num(struct writer *wr, const char *key, int64_t num, struct label *ret)
{
	*ret = (struct label){ .is_num = 1, .num = num };
	return intern(wr, slice_str(key), &ret->key);
}

static int label_str(struct writer *wr, const char *key, struct slice value, struct label *ret)
{
	*ret = (struct label){ 0 };
	int r = intern(wr, slice_str(key), &ret->key);
	return r < 0 ? r : intern(wr, value, &ret->str);
}

/* True of an end worth a label: stacks that are whole are the rule. */
static bool is_worth_saying(enum stack_end end)
{
	return end != STACK_GOES_ON && end != STACK_END_ROOT && end != STACK_END_FRAME_POINTERS;
}

static int write_labels(struct writer *wr, const struct window_sample *s, struct labels_id *ret)
{
	const struct window_thread *t = &wr->w->threads.data[s->thread];
	const struct window_process *process = &wr->w->processes.data[t->process];
	enum stack_end end = (enum stack_end)s->end;
	struct label set[5];
	uint32_t n = 0;
	if (wr->labels[s->thread] && !is_worth_saying(end)) {
		ret->v = wr->labels[s->thread] - 1;
		return 0;
	}
	int r = label_num(wr, "pid", process->pid, &set[n++]);
	if (r == 0)
		r = label_num(wr, "thread_id", t->tid, &set[n++]);
	if (r == 0)
		r = label_str(wr, "thread_name", slice_str(t->comm), &set[n++]);
	if (r == 0 && wr->o->label_service)
		r = label_str(wr, "service", strtab_get(&wr->w->strings, wr->w->series.data[process->series].service),
			      &set[n++]);
	if (r == 0 && is_worth_saying(end))
		r = label_str(wr, "stack_end", slice_str(stack_end_name(end)), &set[n++]);
	if (r == 0)
		r = profile_labels(wr->p, set, n, ret);
	if (r == 0 && !is_worth_saying(end))
		wr->labels[s->thread] = ret->v + 1;
	return r;
}

static int64_t value_of(const struct writer *wr, uint64_t weight)
{
	return (int64_t)((double)weight * wr->o->scale + 0.5);
}

/* The moments of a sample, and what has none. */
static int write_sample(struct writer *wr, const struct window_sample *s, const struct window_moment *m, uint32_t n)
{
	struct node_id node;
	struct labels_id labels;
	uint64_t left = s->weight;
	int r = write_node(wr, s->node, &node);
	if (r == 0)
		r = write_labels(wr, s, &labels);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		int64_t value = value_of(wr, m[i].weight);
		left -= m[i].weight;
		r = profile_add_sample_at(wr->p, node, labels, &value,
					  wr->w->start_ns + m[i].offset_us * INT64_C(1000));
	}
	int64_t rest = value_of(wr, left);
	return r < 0 || (left == 0 && n > 0) ? r : profile_add_sample(wr->p, node, labels, &rest);
}

int window_profile(const struct window *w, uint32_t series, const struct window_profile_options *o, struct profile *p)
{
	int r = p->n_types ? 0 : profile_begin(p, w->info.rate_hz, w->start_ns, w->end_ns);
	if (r < 0)
		return r;
	_cleanup_(free_ptr)
	uint32_t *frames = calloc(w->places.n, sizeof(*frames));
	_cleanup_(free_ptr)
	uint32_t *nodes = calloc(w->nodes.n, sizeof(*nodes));
	_cleanup_(free_ptr)
	uint32_t *labels = calloc(w->threads.n + 1, sizeof(*labels));
	if (!frames || !nodes || !labels)
		return -ENOMEM;
	struct writer wr = { .w = w, .o = o, .p = p, .frames = frames, .nodes = nodes, .labels = labels };
	for (uint32_t i = 0, at = 0, n; i < w->samples.n && r == 0; i++, at += n) {
		const struct window_sample *s = &w->samples.data[i];
		for (n = 0; at + n < w->moments.n && w->moments.data[at + n].sample == i; n++)
			;
		if (w->processes.data[w->threads.data[s->thread].process].series == series)
			r = write_sample(&wr, s, w->moments.data + at, n);
	}
	return r;
}
