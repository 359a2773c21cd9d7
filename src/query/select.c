/* SPDX-License-Identifier: Apache-2.0 */
#include "query/select.h"

#include "base/saturate.h"

#include <errno.h>
#include <inttypes.h>

int series_label_find(struct slice name)
{
	for (int i = 0; i < N_SERIES_LABELS; i++)
		if (slice_eq(name, slice_str(series_label_name((enum series_label)i))))
			return i;
	return -1;
}

const struct label *label_find(const struct part *p, uint32_t set, struct slice name)
{
	uint32_t n;
	const struct label *labels = profile_label_set(&p->names, (struct labels_id){ set }, &n);
	for (uint32_t i = 0; i < n; i++)
		if (slice_eq(part_string(p, labels[i].key), name))
			return &labels[i];
	return NULL;
}

struct slice label_text(const struct part *p, const struct label *l, char buf[static 24])
{
	if (!l->is_num)
		return part_string(p, l->str);
	int n = snprintf(buf, 24, "%" PRId64, l->num);
	return slice_of(buf, (size_t)n);
}

/* "cpu" of "cpu:nanoseconds" */
static struct slice type_part(struct slice full)
{
	const uint8_t *colon = full.size ? memrchr(full.data, ':', full.size) : NULL;
	return slice_of(full.data, colon ? (size_t)(colon - full.data) : full.size);
}

struct slice type_unit(struct slice full)
{
	struct slice type = type_part(full);
	return type.size == full.size ? slice_of("", 0)
				      : slice_of(full.data + type.size + 1, full.size - type.size - 1);
}

int type_match_add(struct type_match *m, struct slice full, struct error *err)
{
	struct slice found = slice_str(m->full);
	bool is_whole = slice_eq(full, m->asked);
	if (m->is_whole || full.size >= sizeof(m->full) || slice_eq(full, found) ||
	    (!is_whole && !slice_eq(type_part(full), m->asked)))
		return 0;
	if (found.size && !is_whole)
		return error_set(err, -EINVAL, "type \"%.*s\" is %.*s as well as %.*s: say which", SLICE_FMT(m->asked),
				 SLICE_FMT(found), SLICE_FMT(full));
	memcpy(m->full, full.data, full.size);
	m->full[full.size] = 0;
	m->is_whole = is_whole;
	return 0;
}

struct slice type_match_get(const struct type_match *m)
{
	return m->full[0] ? slice_str(m->full) : m->asked;
}

static bool series_matches(const struct selection *s, const struct series *series)
{
	const struct selector *q = s->selector;
	if (q->service.size && !slice_eq(part_string(s->part, series->label[SERIES_SERVICE]), q->service))
		return false;
	for (uint32_t i = 0; i < q->n_labels; i++) {
		int l = series_label_find(q->label[i].name);
		if (l >= 0 && !slice_eq(part_string(s->part, series->label[l]), q->label[i].value))
			return false;
	}
	return true;
}

static bool set_has(const struct part *p, uint32_t set, struct slice name, struct slice value)
{
	/* A set may have a label twice. */
	uint32_t n;
	const struct label *labels = profile_label_set(&p->names, (struct labels_id){ set }, &n);
	for (uint32_t i = 0; i < n; i++) {
		char number[24];
		if (slice_eq(part_string(p, labels[i].key), name) && slice_eq(label_text(p, &labels[i], number), value))
			return true;
	}
	return false;
}

static void match_sets(struct selection *s, uint32_t n_sets)
{
	memset(s->sets, 1, n_sets);
	const struct selector *q = s->selector;
	for (uint32_t i = 0; i < q->n_labels; i++) {
		if (series_label_find(q->label[i].name) >= 0)
			continue;
		for (uint32_t set = 0; set < n_sets; set++)
			if (s->sets[set] && !set_has(s->part, set, q->label[i].name, q->label[i].value))
				s->sets[set] = 0;
	}
}

/* ---- matchers ---- */

/* The value of a label of a set as matchers see it: absent is "". */
static struct slice set_value(const struct part *p, uint32_t set, struct slice name, char number[static 24])
{
	const struct label *label = label_find(p, set, name);
	return label ? label_text(p, label, number) : slice_of(NULL, 0);
}

static int test_sets(struct selection *s, const struct matcher *m, uint32_t n_sets, struct pattern_work *w,
		     struct error *err)
{
	for (uint32_t set = 0; set < n_sets; set++) {
		char number[24];
		if (!s->sets[set])
			continue;
		int r = matcher_test(m, set_value(s->part, set, m->name, number), w, err);
		if (r < 0)
			return r;
		s->sets[set] = (uint8_t)r;
	}
	return 0;
}

/* Series stand by their labels mostly: the value is often that of the one before. */
static int test_series(const struct selection *s, const struct matcher *m, int label, uint8_t *wanted,
		       struct pattern_work *w, struct error *err)
{
	uint32_t last = UINT32_MAX;
	int r = 0;
	for (uint32_t i = 0; i < s->part->series.n; i++) {
		struct str_id value = s->part->series.data[i].label[label];
		if (!wanted[i])
			continue;
		if (value.v != last)
			r = matcher_test(m, part_string(s->part, value), w, err);
		if (r < 0)
			return r;
		last = value.v;
		wanted[i] = (uint8_t)r;
	}
	return 0;
}

/* Narrows `series` and s->sets. */
static int match(struct selection *s, uint8_t *series, uint32_t n_sets, struct error *err)
{
	const struct matchers *m = s->selector->matchers;
	struct pattern_work work;
	int r = m ? pattern_work_init(&work) : 0;
	if (!m || r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < m->n; i++) {
		int label = series_label_find(m->matcher[i].name);
		r = label >= 0 ? test_series(s, &m->matcher[i], label, series, &work, err)
			       : test_sets(s, &m->matcher[i], n_sets, &work, err);
	}
	pattern_work_done(&work);
	return r;
}

static bool has_sample_labels(const struct selector *q)
{
	for (uint32_t i = 0; i < q->n_labels; i++)
		if (series_label_find(q->label[i].name) < 0)
			return true;
	for (uint32_t i = 0; q->matchers && i < q->matchers->n; i++)
		if (series_label_find(q->matchers->matcher[i].name) < 0)
			return true;
	return false;
}

void selector_done(struct selector *s)
{
	matchers_free(&s->matchers);
}

/* ---- selections ---- */

static int selection_alloc(struct selection *s, uint32_t n_sets)
{
	const struct part *p = s->part;
	size_t sets_size = has_sample_labels(s->selector) ? n_sets : 0;
	size_t size = (size_t)p->series.n + p->hosts.n + sets_size + 3;
	if (!membudget_charge(s->budget, size))
		return -ENOBUFS;
	s->charged = size;
	s->series = calloc((size_t)p->series.n + 1, 1);
	s->hosts = calloc((size_t)p->hosts.n + 1, 1);
	s->sets = sets_size ? calloc(sets_size, 1) : NULL;
	return s->series && s->hosts && (s->sets || !sets_size) ? 0 : -ENOMEM;
}

/* Series that are chosen by labels; of those, the ones of the type are wanted. */
static void choose_series(struct selection *s)
{
	const struct part *p = s->part;
	struct slice type = s->selector->type;
	for (uint32_t i = 0; i < p->series.n; i++) {
		if (!s->series[i])
			continue;
		s->hosts[p->series.data[i].host] = 1;
		s->series[i] = type.size == 0 || slice_eq(part_string(p, p->series.data[i].type), type);
		s->any_series = s->any_series || s->series[i];
	}
}

int selection_init(struct selection *ret, const struct part *part, const struct selector *selector,
		   struct membudget *budget, struct error *err)
{
	_cleanup_(selection_done)
	struct selection s = { .part = part, .selector = selector, .budget = budget };
	uint32_t n_sets = part_n_label_sets(part);
	int r = selection_alloc(&s, n_sets);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < part->series.n; i++)
		s.series[i] = series_matches(&s, &part->series.data[i]);
	if (s.sets)
		match_sets(&s, n_sets);
	r = match(&s, s.series, n_sets, err);
	if (r < 0)
		return r;
	choose_series(&s);
	*ret = s;
	s = (struct selection){ 0 };
	return 0;
}

/* A charged column of the selection: n elements of `value`. NULL: *ret_result says why. */
static void *add_column(struct selection *s, size_t n, size_t elem_size, uint8_t value, int *ret_result)
{
	size_t size = n * elem_size;
	*ret_result = membudget_charge(s->budget, size) ? 0 : -ENOBUFS;
	if (*ret_result < 0)
		return NULL;
	s->charged += size;
	void *column = malloc(size);
	if (column)
		memset(column, value, size);
	else
		*ret_result = -ENOMEM;
	return column;
}

int selection_filter(struct selection *s, const struct filter *f, struct filter_failure *failure)
{
	const struct profile *names = &s->part->names;
	int r = 0;
	uint32_t n_nodes = dict_n_nodes(&names->dict);
	if (filter_has_label_terms(f)) {
		if (!s->sets)
			s->sets = add_column(s, names->labels_off.n - 1, 1, 1, &r);
		if (r == 0)
			r = filter_label_sets(f, names, s->budget, s->sets, failure);
	}
	if (r < 0 || !filter_has_frame_terms(f))
		return r;
	s->nodes = add_column(s, n_nodes, 1, 0, &r);
	if (r == 0 && s->framelines)
		s->hidden = add_column(s, n_nodes, sizeof(*s->hidden), 0, &r);
	if (r == 0)
		r = filter_nodes(f, &names->dict, s->framelines, s->budget, s->nodes, s->hidden, failure);
	return r;
}

void selection_done(struct selection *s)
{
	free(s->series);
	free(s->hosts);
	free(s->sets);
	free(s->nodes);
	free(s->hidden);
	membudget_release(s->budget, s->charged);
	*s = (struct selection){ 0 };
}

int selection_scan(const struct selection *s, int64_t grid_ms, struct scan *ret)
{
	struct scan_options options = {
		.from_ms = s->selector->from_ms,
		.to_ms = s->selector->to_ms,
		.grid_ms = grid_ms,
		.finest = RES_RAW,
		.coarsest = s->is_raw ? RES_RAW : RES_DAY,
		.cancel = s->cancel,
	};
	return scan_init(ret, s->part, &options, s->budget);
}

void selection_scan_done(const struct selection *s, struct scan *scan)
{
	if (s->stats)
		scan_stats_add(s->stats, &scan->stats);
	scan_done(scan);
}

int selection_chunk_total(const struct selection *s, struct scan *scan, int64_t *ret)
{
	*ret = scan->chunk.total;
	if (!selection_looks_at_rows(s))
		return 1;
	struct rows rows;
	int r = scan_rows(scan, &rows);
	if (r <= 0)
		return r;
	*ret = 0;
	for (uint32_t i = 0; i < rows.n; i++)
		if (selection_has_row(s, &rows, i))
			*ret = i64_add_saturating(*ret, rows.value[i]);
	return 1;
}
