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
	const struct framelines *lines; /* NULL: none */
	struct pattern_work work;
	uint8_t *verdict;   /* per string, for one term: enum verdict; those of `lines` behind the dict's */
	uint16_t *function; /* per function: terms its name or file matches */
	uint16_t *mapping;  /* per mapping: terms its path matches */
	uint16_t *line_name, *line_file; /* per function of `lines` */
	uint32_t *state;		 /* per node */
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
	free(m->line_name);
	free(m->line_file);
	free(m->state);
	membudget_release(m->budget, m->charged);
}

static size_t n_verdicts(const struct match *m)
{
	return (size_t)strtab_count(&m->d->strings) + (m->lines ? strtab_count(&m->lines->strings) : 0);
}

static int match_init(struct match *m, const struct filter *f, const struct dict *d, const struct framelines *lines,
		      struct membudget *budget)
{
	*m = (struct match){ .f = f, .d = d, .lines = lines, .budget = budget };
	size_t n_line_functions = lines ? lines->functions.n : 0;
	size_t n_rows = (size_t)d->functions.n + d->mappings.n + 2 * n_line_functions;
	size_t size = ((size_t)PATTERN_HEAP_KIB << 10) + n_verdicts(m) + n_rows * sizeof(uint16_t) +
		      (size_t)dict_n_nodes(d) * sizeof(uint32_t);
	if (!membudget_charge(budget, size))
		return -ENOBUFS;
	m->charged = size;
	m->verdict = malloc(n_verdicts(m));
	m->function = calloc(d->functions.n, sizeof(uint16_t));
	m->mapping = calloc(d->mappings.n, sizeof(uint16_t));
	m->line_name = calloc(n_line_functions + 1, sizeof(uint16_t));
	m->line_file = calloc(n_line_functions + 1, sizeof(uint16_t));
	m->state = malloc((size_t)dict_n_nodes(d) * sizeof(uint32_t));
	if (!m->verdict || !m->function || !m->mapping || !m->line_name || !m->line_file || !m->state)
		return -ENOMEM;
	return pattern_work_init(&m->work);
}

/* 1 or 0, remembered per string. */
static int string_matches(struct match *m, const struct term *term, const struct strtab *strings, struct str_id id,
			  struct error *err)
{
	uint8_t *verdict = m->verdict + id.v + (strings == &m->d->strings ? 0 : strtab_count(&m->d->strings));
	if (*verdict == VERDICT_OPEN) {
		int r = pattern_match(term->pattern, strtab_get(strings, id), &m->work, err);
		if (r < 0)
			return r;
		*verdict = r ? VERDICT_YES : VERDICT_NO;
	}
	return *verdict == VERDICT_YES;
}

static int match_lines(struct match *m, uint32_t i, struct error *err)
{
	const struct term *term = &m->f->terms[i];
	for (uint32_t k = 1; m->lines && k < m->lines->functions.n; k++) {
		const struct line_function *fn = &m->lines->functions.data[k];
		int name = fn->name.v ? string_matches(m, term, &m->lines->strings, fn->name, err) : 0;
		int file = name < 0 ? name : string_matches(m, term, &m->lines->strings, fn->file, err);
		if (file < 0)
			return file;
		m->line_name[k] = (uint16_t)(m->line_name[k] | name << i);
		m->line_file[k] = (uint16_t)(m->line_file[k] | file << i);
	}
	return 0;
}

static int match_term(struct match *m, uint32_t i, struct error *err)
{
	const struct dict *d = m->d;
	const struct term *term = &m->f->terms[i];
	memset(m->verdict, VERDICT_OPEN, n_verdicts(m));
	/* Row 0 is "none": a frame without a function or mapping matches nothing by it. */
	for (uint32_t k = 1; k < d->functions.n; k++) {
		const struct function *fn = &d->functions.data[k];
		int r = string_matches(m, term, &d->strings, fn->name.v ? fn->name : fn->system_name, err);
		if (r == 0)
			r = string_matches(m, term, &d->strings, fn->file, err);
		if (r < 0)
			return r;
		m->function[k] = (uint16_t)(m->function[k] | r << i);
	}
	for (uint32_t k = 1; k < d->mappings.n; k++) {
		int r = string_matches(m, term, &d->strings, d->mappings.data[k].path, err);
		if (r < 0)
			return r;
		m->mapping[k] = (uint16_t)(m->mapping[k] | r << i);
	}
	return match_lines(m, i, err);
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

/* Terms that line i of the frame matches; the first line's function is the frame's own where that has a name. */
static uint32_t terms_of_line(const struct match *m, const struct frame *frame, const struct frame_line *line,
			      uint32_t i)
{
	const struct function *own = &m->d->functions.data[frame->function.v];
	bool keeps_name = i == 0 && (own->name.v || own->system_name.v);
	uint32_t name = keeps_name ? m->function[frame->function.v] : m->line_name[line->function];
	return name | m->line_file[line->function] | m->mapping[frame->mapping.v];
}

/* The state behind node i, and what of it shows. */
static uint32_t pass_node(const struct match *m, uint32_t i, uint32_t state, bool *ret_hidden,
			  uint64_t *ret_hidden_lines)
{
	const struct frame *frame = &m->d->frames.data[m->d->node_frame.data[i].v];
	uint32_t n;
	const struct frame_line *lines = framelines_get(m->lines, m->d->node_frame.data[i].v, &n);
	*ret_hidden_lines = 0;
	if (n == 0)
		return next_state(m->f, state, (uint32_t)m->function[frame->function.v] | m->mapping[frame->mapping.v],
				  ret_hidden);
	for (uint32_t k = 0; k < n; k++) {
		bool hidden;
		state = next_state(m->f, state, terms_of_line(m, frame, &lines[k], k), &hidden);
		*ret_hidden_lines |= (uint64_t)hidden << k;
	}
	*ret_hidden = false;
	return state;
}

int filter_nodes(const struct filter *f, const struct dict *d, const struct framelines *lines, struct membudget *budget,
		 uint8_t *node, uint64_t *hidden, struct filter_failure *failure)
{
	_cleanup_(match_done)
	struct match m;
	int r = match_init(&m, f, d, lines, budget);
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
		bool is_hidden;
		uint64_t hidden_lines;
		m.state[i] = pass_node(&m, i, m.state[d->node_parent.data[i].v], &is_hidden, &hidden_lines);
		if (lines)
			hidden[i] = hidden_lines;
		node[i] = (uint8_t)((is_hidden ? CALLTREE_HIDDEN : 0) |
				    (is_dropped(f, m.state[i]) ? CALLTREE_DROPPED : 0));
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
