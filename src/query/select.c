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

struct slice label_text(const struct head *h, const struct label *l, char buf[static 24])
{
	if (!l->is_num)
		return head_string(h, l->str);
	int n = snprintf(buf, 24, "%" PRId64, l->num);
	return slice_of(buf, (size_t)n);
}

/* "cpu" of "cpu:nanoseconds" */
static struct slice type_part(struct slice full)
{
	const uint8_t *colon = full.size ? memrchr(full.data, ':', full.size) : NULL;
	return slice_of(full.data, colon ? (size_t)(colon - full.data) : full.size);
}

static struct slice unit_part(struct slice full)
{
	struct slice type = type_part(full);
	return type.size == full.size ? slice_of("", 0)
				      : slice_of(full.data + type.size + 1, full.size - type.size - 1);
}

static int resolve_type(struct selection *s, struct error *err)
{
	const struct head *h = s->head;
	struct slice asked = s->selector->type;
	s->type = asked;
	s->unit = unit_part(asked);
	struct str_id short_match = { 0 };
	for (uint32_t i = 0; i < h->series.n; i++) {
		struct str_id id = h->series.data[i].type;
		struct slice full = head_string(h, id);
		if (slice_eq(full, asked)) {
			short_match = id;
			break;
		}
		if (!slice_eq(type_part(full), asked) || short_match.v == id.v)
			continue;
		if (short_match.v)
			return error_set(err, -EINVAL, "type \"%.*s\" is %.*s as well as %.*s: say which",
					 SLICE_FMT(asked), SLICE_FMT(head_string(h, short_match)), SLICE_FMT(full));
		short_match = id;
	}
	if (short_match.v) {
		s->type = head_string(h, short_match);
		s->unit = unit_part(s->type);
	}
	return 0;
}

static bool series_matches(const struct selection *s, const struct series *series)
{
	const struct selector *q = s->selector;
	if (q->service.size && !slice_eq(head_string(s->head, series->label[SERIES_SERVICE]), q->service))
		return false;
	for (uint32_t i = 0; i < q->n_labels; i++) {
		int l = series_label_find(q->label[i].name);
		if (l >= 0 && !slice_eq(head_string(s->head, series->label[l]), q->label[i].value))
			return false;
	}
	return true;
}

static bool set_has(const struct head *h, uint32_t set, struct str_id key, struct slice value)
{
	uint32_t n;
	const struct label *labels = profile_label_set(&h->names, (struct labels_id){ set }, &n);
	for (uint32_t i = 0; i < n; i++) {
		char number[24];
		if (labels[i].key.v == key.v && slice_eq(label_text(h, &labels[i], number), value))
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
		bool known;
		struct str_id key = strtab_find(&s->head->names.dict.strings, q->label[i].name, &known);
		for (uint32_t set = 0; set < n_sets; set++)
			if (s->sets[set] && !(known && set_has(s->head, set, key, q->label[i].value)))
				s->sets[set] = 0;
	}
}

static bool has_sample_labels(const struct selector *q)
{
	for (uint32_t i = 0; i < q->n_labels; i++)
		if (series_label_find(q->label[i].name) < 0)
			return true;
	return false;
}

static int selection_alloc(struct selection *s, uint32_t n_sets)
{
	const struct head *h = s->head;
	size_t sets_size = has_sample_labels(s->selector) ? n_sets : 0;
	size_t size = (size_t)h->series.n + h->hosts.n + sets_size + 3;
	if (!membudget_charge(s->budget, size))
		return -ENOBUFS;
	s->charged = size;
	s->series = calloc((size_t)h->series.n + 1, 1);
	s->hosts = calloc((size_t)h->hosts.n + 1, 1);
	s->sets = sets_size ? calloc(sets_size, 1) : NULL;
	return s->series && s->hosts && (s->sets || !sets_size) ? 0 : -ENOMEM;
}

int selection_init(struct selection *ret, const struct head *head, const struct selector *selector,
		   struct membudget *budget, struct error *err)
{
	_cleanup_(selection_done)
	struct selection s = { .head = head, .selector = selector, .budget = budget };
	uint32_t n_sets = head->names.labels_off.n - 1;
	int r = selection_alloc(&s, n_sets);
	if (r < 0)
		return error_set(err, r, "no memory for the query");
	r = resolve_type(&s, err);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < head->series.n; i++) {
		const struct series *series = &head->series.data[i];
		if (!series_matches(&s, series))
			continue;
		s.hosts[series->host] = 1;
		s.series[i] = selector->type.size == 0 || slice_eq(head_string(head, series->type), s.type);
	}
	if (s.sets)
		match_sets(&s, n_sets);
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
	const struct profile *names = &s->head->names;
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

int64_t selection_chunk_total(const struct selection *s, const struct chunk *c)
{
	if (!s->sets && !s->nodes)
		return c->total;
	int64_t total = 0;
	struct chunk_reader r = chunk_read(c);
	while (chunk_next(&r))
		if (selection_has_row(s, &r.row))
			total = i64_add_saturating(total, r.row.value);
	return total;
}
