/* SPDX-License-Identifier: Apache-2.0 */
#include "model/filter.h"

#include "model/filter_tag.h"
#include "model/pattern.h"

#include <errno.h>

/* State of a stack: terms matched so far in the low bits, then these. */
#define STATE_FROM    (1U << FILTER_MAX_TERMS)	     /* show_from has begun */
#define STATE_VISIBLE (1U << (FILTER_MAX_TERMS + 1)) /* a frame is left */

_Static_assert(FILTER_MAX_TERMS <= 16, "terms matched are 16 bits");

struct term {
	enum filter_kind kind;
	struct pattern *pattern; /* of terms that look at frames */
	struct filter_tag *tag;	 /* of the others */
};

struct filter {
	struct term terms[FILTER_MAX_TERMS];
	uint32_t n;
	uint32_t of_kind[N_FILTER_KINDS]; /* bit i: terms[i] is of this kind */
};

static const struct {
	const char *name, *option;
} kinds[] = {
#define FILTER(id, name, option, value, meaning) { name, option },
#include "model/filter.def"
#undef FILTER
};

const char *filter_kind_name(enum filter_kind kind)
{
	return kinds[kind].name;
}

const char *filter_kind_option(enum filter_kind kind)
{
	return kinds[kind].option;
}

struct filter *filter_new(void)
{
	return calloc(1, sizeof(struct filter));
}

void filter_free(struct filter **f)
{
	if (!*f)
		return;
	for (uint32_t i = 0; i < (*f)->n; i++) {
		pattern_free(&(*f)->terms[i].pattern);
		filter_tag_free(&(*f)->terms[i].tag);
	}
	free(*f);
	*f = NULL;
}

static bool is_label_kind(enum filter_kind kind)
{
	return kind == FILTER_TAG || kind == FILTER_TAG_IGNORE;
}

int filter_add(struct filter *f, enum filter_kind kind, struct slice text, struct error *err)
{
	if (text.size == 0)
		return error_set(err, -EINVAL, "the pattern is empty");
	if (f->n == FILTER_MAX_TERMS)
		return error_set(err, -E2BIG, "more than %d filter terms", FILTER_MAX_TERMS);
	struct term term = { .kind = kind };
	int r = is_label_kind(kind) ? filter_tag_new(text, &term.tag, err) : pattern_new(text, &term.pattern, err);
	if (r < 0)
		return r;
	f->of_kind[kind] |= 1U << f->n;
	f->terms[f->n++] = term;
	return 0;
}

bool filter_has_label_terms(const struct filter *f)
{
	return f && (f->of_kind[FILTER_TAG] | f->of_kind[FILTER_TAG_IGNORE]);
}

bool filter_has_frame_terms(const struct filter *f)
{
	return f && (f->of_kind[FILTER_FOCUS] | f->of_kind[FILTER_IGNORE] | f->of_kind[FILTER_HIDE] |
		     f->of_kind[FILTER_SHOW] | f->of_kind[FILTER_SHOW_FROM]);
}

/* One evaluation's columns, charged to the budget together. */
struct match {
	const struct filter *f;
	const struct dict *d;
	struct pattern_work work;
	uint8_t *verdict;   /* per string, for one term: enum verdict */
	uint16_t *function; /* per function: terms its name or file matches */
	uint16_t *mapping;  /* per mapping: terms its path matches */
	uint32_t *state;    /* per node */
	size_t charged;
	struct membudget *budget;
};

enum verdict { VERDICT_OPEN, VERDICT_NO, VERDICT_YES };

static void match_done(struct match *m)
{
	pattern_work_done(&m->work);
	free(m->verdict);
	free(m->function);
	free(m->mapping);
	free(m->state);
	membudget_release(m->budget, m->charged);
}

static int match_init(struct match *m, const struct filter *f, const struct dict *d, struct membudget *budget)
{
	*m = (struct match){ .f = f, .d = d, .budget = budget };
	size_t n_strings = strtab_count(&d->strings), n_rows = (size_t)d->functions.n + d->mappings.n;
	size_t size = ((size_t)PATTERN_HEAP_KIB << 10) + n_strings + n_rows * sizeof(uint16_t) +
		      (size_t)dict_n_nodes(d) * sizeof(uint32_t);
	if (!membudget_charge(budget, size))
		return -ENOBUFS;
	m->charged = size;
	m->verdict = malloc(n_strings);
	m->function = calloc(d->functions.n, sizeof(uint16_t));
	m->mapping = calloc(d->mappings.n, sizeof(uint16_t));
	m->state = malloc((size_t)dict_n_nodes(d) * sizeof(uint32_t));
	if (!m->verdict || !m->function || !m->mapping || !m->state)
		return -ENOMEM;
	return pattern_work_init(&m->work);
}

/* 1 or 0, remembered per string. */
static int string_matches(struct match *m, const struct term *term, struct str_id id, struct error *err)
{
	uint8_t *verdict = &m->verdict[id.v];
	if (*verdict == VERDICT_OPEN) {
		int r = pattern_match(term->pattern, strtab_get(&m->d->strings, id), &m->work, err);
		if (r < 0)
			return r;
		*verdict = r ? VERDICT_YES : VERDICT_NO;
	}
	return *verdict == VERDICT_YES;
}

static int match_term(struct match *m, uint32_t i, struct error *err)
{
	const struct dict *d = m->d;
	const struct term *term = &m->f->terms[i];
	memset(m->verdict, VERDICT_OPEN, strtab_count(&d->strings));
	/* Row 0 is "none": a frame without a function or mapping matches nothing by it. */
	for (uint32_t k = 1; k < d->functions.n; k++) {
		const struct function *fn = &d->functions.data[k];
		int r = string_matches(m, term, fn->name.v ? fn->name : fn->system_name, err);
		if (r == 0)
			r = string_matches(m, term, fn->file, err);
		if (r < 0)
			return r;
		m->function[k] = (uint16_t)(m->function[k] | r << i);
	}
	for (uint32_t k = 1; k < d->mappings.n; k++) {
		int r = string_matches(m, term, d->mappings.data[k].path, err);
		if (r < 0)
			return r;
		m->mapping[k] = (uint16_t)(m->mapping[k] | r << i);
	}
	return 0;
}

/* The state of the stack that ends at a node whose frame matches `terms`. */
static uint32_t next_state(const struct filter *f, uint32_t above, uint32_t terms, bool *ret_hidden)
{
	uint32_t state = above | terms, from = f->of_kind[FILTER_SHOW_FROM], show = f->of_kind[FILTER_SHOW];
	bool hidden = (terms & f->of_kind[FILTER_HIDE]) || (show && !(terms & show));
	if (!hidden && (terms & from))
		state |= STATE_FROM;
	hidden = hidden || (from && !(state & STATE_FROM));
	*ret_hidden = hidden;
	return hidden ? state : state | STATE_VISIBLE;
}

static bool is_dropped(const struct filter *f, uint32_t state)
{
	uint32_t focus = f->of_kind[FILTER_FOCUS];
	return (state & focus) != focus || (state & f->of_kind[FILTER_IGNORE]) || !(state & STATE_VISIBLE);
}

int filter_nodes(const struct filter *f, const struct dict *d, struct membudget *budget, uint8_t *node,
		 struct filter_failure *failure)
{
	_cleanup_(match_done)
	struct match m;
	int r = match_init(&m, f, d, budget);
	for (uint32_t i = 0; r == 0 && i < f->n; i++) {
		failure->kind = f->terms[i].kind;
		if (f->terms[i].pattern)
			r = match_term(&m, i, &failure->why);
	}
	if (r < 0)
		return r;
	m.state[0] = 0;
	node[0] = CALLTREE_DROPPED;
	for (uint32_t i = 1; i < dict_n_nodes(d); i++) {
		const struct frame *frame = &d->frames.data[d->node_frame.data[i].v];
		bool hidden;
		m.state[i] = next_state(f, m.state[d->node_parent.data[i].v],
					(uint32_t)m.function[frame->function.v] | m.mapping[frame->mapping.v], &hidden);
		node[i] =
			(uint8_t)((hidden ? CALLTREE_HIDDEN : 0) | (is_dropped(f, m.state[i]) ? CALLTREE_DROPPED : 0));
	}
	return 0;
}

static int match_labels(const struct filter_tag *tag, bool keeps, const struct profile *p, struct pattern_work *w,
			struct buf *scratch, uint8_t *keep, struct error *err)
{
	for (uint32_t i = 0; i + 1 < p->labels_off.n; i++) {
		uint32_t n;
		const struct label *set = profile_label_set(p, (struct labels_id){ i }, &n);
		int r = keep[i] ? filter_tag_match(tag, &p->dict.strings, set, n, w, scratch, err) : 0;
		if (r < 0)
			return r;
		if ((r == 1) != keeps)
			keep[i] = 0;
	}
	return 0;
}

int filter_label_sets(const struct filter *f, const struct profile *p, struct membudget *budget, uint8_t *keep,
		      struct filter_failure *failure)
{
	size_t size = (size_t)PATTERN_HEAP_KIB << 10;
	if (!membudget_charge(budget, size))
		return -ENOBUFS;
	_cleanup_(buf_done)
	struct buf scratch = buf_of(SIZE_MAX / 2);
	_cleanup_(pattern_work_done)
	struct pattern_work work;
	int r = pattern_work_init(&work);
	for (uint32_t i = 0; r == 0 && i < f->n; i++) {
		const struct term *term = &f->terms[i];
		failure->kind = term->kind;
		if (term->tag)
			r = match_labels(term->tag, term->kind == FILTER_TAG, p, &work, &scratch, keep, &failure->why);
	}
	membudget_release(budget, size);
	return r;
}
