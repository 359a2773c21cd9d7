/* SPDX-License-Identifier: Apache-2.0 */
#include "model/profile.h"

#include "base/saturate.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(struct label) == 24, "struct label has padding: hashed as bytes");

static void free_labels(struct profile *p)
{
	vec_done(p->budget, &p->label);
	vec_done(p->budget, &p->labels_off);
	u64map_done(&p->labels_ids);
}

/* The empty table of sets: only number 0, the empty one, is there. */
static int init_labels(struct profile *p)
{
	int r = vec_reserve(p->budget, &p->labels_off, 2);
	if (r < 0)
		return r;
	p->labels_off.data[p->labels_off.n++] = 0;
	p->labels_off.data[p->labels_off.n++] = 0;
	return 0;
}

int profile_init(struct profile *p, struct membudget *budget)
{
	*p = (struct profile){ .budget = budget };
	u64map_init(&p->labels_ids, budget);
	int r = dict_init(&p->dict, budget);
	if (r == 0)
		r = init_labels(p);
	if (r < 0)
		profile_done(p);
	return r;
}

void profile_done(struct profile *p)
{
	dict_done(&p->dict);
	vec_done(p->budget, &p->node);
	vec_done(p->budget, &p->labels);
	for (uint32_t t = 0; t < PROFILE_MAX_TYPES; t++)
		vec_done(p->budget, &p->value[t]);
	vec_done(p->budget, &p->sample_time_ns);
	free_labels(p);
	vec_done(p->budget, &p->comments);
	vec_done(p->budget, &p->warnings);
	p->n_types = 0;
}

int profile_add_type(struct profile *p, struct slice type, struct slice unit)
{
	assert(p->node.n == 0);
	if (p->n_types == PROFILE_MAX_TYPES)
		return -E2BIG;
	struct value_type *t = &p->types[p->n_types];
	int r = strtab_intern(&p->dict.strings, type, &t->type);
	if (r == 0)
		r = strtab_intern(&p->dict.strings, unit, &t->unit);
	if (r == 0)
		p->n_types++;
	return r;
}

int profile_add_comment(struct profile *p, struct slice text)
{
	struct str_id id;
	int r = strtab_intern(&p->dict.strings, text, &id);
	if (r == 0)
		r = vec_reserve(p->budget, &p->comments, 1);
	if (r == 0)
		p->comments.data[p->comments.n++] = id;
	return r;
}

int profile_add_warning(struct profile *p, struct slice text)
{
	int r = vec_reserve(p->budget, &p->warnings, 1);
	if (r == 0)
		r = profile_add_comment(p, text);
	if (r == 0)
		p->warnings.data[p->warnings.n++] = p->comments.n - 1;
	return r;
}

static int compare_label(const void *a, const void *b)
{
	const struct label *x = a, *y = b;
	if (x->key.v != y->key.v)
		return x->key.v < y->key.v ? -1 : 1;
	if (x->is_num != y->is_num)
		return x->is_num < y->is_num ? -1 : 1;
	if (x->str.v != y->str.v)
		return x->str.v < y->str.v ? -1 : 1;
	if (x->num != y->num)
		return x->num < y->num ? -1 : 1;
	if (x->unit.v != y->unit.v)
		return x->unit.v < y->unit.v ? -1 : 1;
	return 0;
}

const struct label *profile_label_set(const struct profile *p, struct labels_id id, uint32_t *ret_n)
{
	assert(id.v + 1 < p->labels_off.n);
	uint32_t from = p->labels_off.data[id.v];
	*ret_n = p->labels_off.data[id.v + 1] - from;
	return *ret_n ? p->label.data + from : NULL;
}

int profile_labels(struct profile *p, struct label *set, uint32_t n, struct labels_id *ret)
{
	if (n == 0) {
		ret->v = 0;
		return 0;
	}
	if (n > LABELS_MAX)
		return -E2BIG;
	if (n > 1)
		qsort(set, n, sizeof(*set), compare_label);
	int r = vec_reserve(p->budget, &p->label, n);
	if (r == 0)
		r = vec_reserve(p->budget, &p->labels_off, 1);
	if (r < 0)
		return r;
	size_t size = n * sizeof(*set);
	for (uint64_t key = XXH3_64bits(set, size);; key++) {
		uint32_t *id = u64map_put(&p->labels_ids, key);
		if (!id)
			return -ENOBUFS;
		if (*id == 0) {
			*id = p->labels_off.n - 1;
			memcpy(p->label.data + p->label.n, set, size);
			p->label.n += n;
			p->labels_off.data[p->labels_off.n++] = p->label.n;
			ret->v = *id;
			return 0;
		}
		uint32_t n_old;
		const struct label *old = profile_label_set(p, (struct labels_id){ *id }, &n_old);
		if (n_old == n && memcmp(old, set, size) == 0) {
			ret->v = *id;
			return 0;
		}
	}
}

/* The sets of `old`, without what is dropped, in an empty table. */
static int rewrite_labels(struct profile *p, const struct profile *old, const bool *drop, struct labels_id *map)
{
	int r = init_labels(p);
	map[0].v = 0;
	for (uint32_t i = 1; r == 0 && i + 1 < old->labels_off.n; i++) {
		struct label set[LABELS_MAX];
		uint32_t n = 0;
		for (uint32_t k = old->labels_off.data[i]; k < old->labels_off.data[i + 1]; k++)
			if (!drop[k])
				set[n++] = old->label.data[k];
		r = profile_labels(p, set, n, &map[i]);
	}
	return r;
}

int profile_drop_labels(struct profile *p, const bool *drop)
{
	struct profile old = *p;
	if (!memchr(drop, true, p->label.n))
		return 0;
	_cleanup_(free_ptr)
	struct labels_id *map = calloc(old.labels_off.n, sizeof(*map));
	if (!map)
		return -ENOMEM;
	memset(&p->label, 0, sizeof(p->label));
	memset(&p->labels_off, 0, sizeof(p->labels_off));
	u64map_init(&p->labels_ids, p->budget);
	int r = rewrite_labels(p, &old, drop, map);
	if (r < 0) {
		free_labels(p);
		*p = old;
		return r;
	}
	for (uint32_t i = 0; i < p->labels.n; i++)
		p->labels.data[i] = map[p->labels.data[i].v];
	free_labels(&old);
	return 0;
}

int profile_add_sample(struct profile *p, struct node_id node, struct labels_id labels, const int64_t *values)
{
	return profile_add_sample_at(p, node, labels, values, 0);
}

/* Room for the time of one more row; the first time makes the column. */
static int reserve_time(struct profile *p)
{
	uint32_t n = p->node.n;
	int r = vec_reserve(p->budget, &p->sample_time_ns, n - p->sample_time_ns.n + 1);
	if (r < 0 || p->sample_time_ns.n == n)
		return r;
	memset(p->sample_time_ns.data, 0, n * sizeof(int64_t));
	p->sample_time_ns.n = n;
	return 0;
}

int profile_add_sample_at(struct profile *p, struct node_id node, struct labels_id labels, const int64_t *values,
			  int64_t time_ns)
{
	assert(node.v < dict_n_nodes(&p->dict) && labels.v + 1 < p->labels_off.n);
	bool has_times = time_ns || p->sample_time_ns.n;
	int r = vec_reserve(p->budget, &p->node, 1);
	if (r == 0)
		r = vec_reserve(p->budget, &p->labels, 1);
	for (uint32_t t = 0; r == 0 && t < p->n_types; t++)
		r = vec_reserve(p->budget, &p->value[t], 1);
	if (r == 0 && has_times)
		r = reserve_time(p);
	if (r < 0)
		return r;
	if (has_times)
		p->sample_time_ns.data[p->sample_time_ns.n++] = time_ns;
	for (uint32_t t = 0; t < p->n_types; t++)
		p->value[t].data[p->value[t].n++] = values[t];
	p->labels.data[p->labels.n++] = labels;
	p->node.data[p->node.n++] = node;
	return 0;
}

struct row_order {
	uint64_t key; /* node << 32 | labels */
	uint32_t row;
};

static int compare_row(const void *a, const void *b)
{
	const struct row_order *x = a, *y = b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->row < y->row ? -1 : x->row > y->row;
}

/* The values of one type in the new order, equal keys summed; returns how
 * many distinct keys there are. */
static uint32_t gather(const struct row_order *order, uint32_t n, const int64_t *old, int64_t *sums)
{
	uint32_t n_out = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (i > 0 && order[i].key == order[i - 1].key)
			sums[n_out - 1] = i64_add_saturating(sums[n_out - 1], old[order[i].row]);
		else
			sums[n_out++] = old[order[i].row];
	}
	return n_out;
}

static bool row_is_zero(const struct profile *p, uint32_t row)
{
	for (uint32_t t = 0; t < p->n_types; t++)
		if (p->value[t].data[row])
			return false;
	return true;
}

int profile_compact(struct profile *p)
{
	uint32_t n = p->node.n;
	if (n == 0)
		return 0;
	_cleanup_(free_ptr)
	struct row_order *order = malloc((size_t)n * sizeof(*order));
	_cleanup_(free_ptr)
	int64_t *sums = malloc((size_t)n * sizeof(*sums));
	if (!order || !sums)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		order[i] = (struct row_order){ (uint64_t)p->node.data[i].v << 32 | p->labels.data[i].v, i };
	qsort(order, n, sizeof(*order), compare_row);
	for (uint32_t t = 0; t < p->n_types; t++) {
		uint32_t n_sums = gather(order, n, p->value[t].data, sums);
		memcpy(p->value[t].data, sums, (size_t)n_sums * sizeof(*sums));
	}
	uint32_t n_keys = 0, n_kept = 0;
	for (uint32_t i = 0; i < n; i++)
		if (i == 0 || order[i].key != order[i - 1].key)
			order[n_keys++].key = order[i].key;
	for (uint32_t i = 0; i < n_keys; i++) {
		if (row_is_zero(p, i))
			continue;
		p->node.data[n_kept].v = (uint32_t)(order[i].key >> 32);
		p->labels.data[n_kept].v = (uint32_t)order[i].key;
		for (uint32_t t = 0; t < p->n_types; t++)
			p->value[t].data[n_kept] = p->value[t].data[i];
		n_kept++;
	}
	p->node.n = p->labels.n = n_kept;
	for (uint32_t t = 0; t < p->n_types; t++)
		p->value[t].n = n_kept;
	vec_done(p->budget, &p->sample_time_ns);
	return 0;
}

/* "cpu:nanoseconds, samples:count" into a fixed buffer, for messages. */
static void list_types(const struct profile *p, char *out, size_t size)
{
	size_t n = 0;
	out[0] = 0;
	for (uint32_t t = 0; t < p->n_types && n < size; t++) {
		int k = snprintf(out + n, size - n, "%s%s:%s", t ? ", " : "",
				 strtab_cstr(&p->dict.strings, p->types[t].type),
				 strtab_cstr(&p->dict.strings, p->types[t].unit));
		n += k > 0 ? (size_t)k : 0;
	}
}

/* ret_from[t]: the type of `src` that is called as type t of `dst`. False
 * unless each has exactly one partner. */
static bool match_types(const struct profile *dst, const struct profile *src, uint32_t *ret_from)
{
	if (dst->n_types != src->n_types)
		return false;
	uint32_t taken = 0;
	for (uint32_t t = 0; t < dst->n_types; t++) {
		struct slice type = strtab_get(&dst->dict.strings, dst->types[t].type);
		struct slice unit = strtab_get(&dst->dict.strings, dst->types[t].unit);
		uint32_t s = 0;
		while (s < src->n_types &&
		       (taken >> s & 1 || !slice_eq(type, strtab_get(&src->dict.strings, src->types[s].type)) ||
			!slice_eq(unit, strtab_get(&src->dict.strings, src->types[s].unit))))
			s++;
		if (s == src->n_types)
			return false;
		taken |= 1u << s;
		ret_from[t] = s;
	}
	return true;
}

static int copy_str(struct profile *dst, const struct profile *src, struct str_id id, struct str_id *ret)
{
	return strtab_intern_from(&dst->dict.strings, &src->dict.strings, id, ret);
}

int profile_copy_header(struct profile *dst, const struct profile *src, uint32_t types)
{
	int r = 0;
	for (uint32_t t = 0; r == 0 && t < src->n_types; t++)
		if (types >> t & 1)
			r = profile_add_type(dst, strtab_get(&src->dict.strings, src->types[t].type),
					     strtab_get(&src->dict.strings, src->types[t].unit));
	dst->period = src->period;
	if (r == 0)
		r = copy_str(dst, src, src->period_type.type, &dst->period_type.type);
	if (r == 0)
		r = copy_str(dst, src, src->period_type.unit, &dst->period_type.unit);
	if (r == 0)
		r = copy_str(dst, src, src->default_type, &dst->default_type);
	if (r == 0)
		r = copy_str(dst, src, src->drop_frames, &dst->drop_frames);
	if (r == 0)
		r = copy_str(dst, src, src->keep_frames, &dst->keep_frames);
	if (r == 0)
		r = copy_str(dst, src, src->doc_url, &dst->doc_url);
	return r;
}

static int import_labels(struct profile *dst, const struct profile *src, struct labels_id *map)
{
	map[0].v = 0;
	for (uint32_t i = 1; i + 1 < src->labels_off.n; i++) {
		struct label set[LABELS_MAX];
		uint32_t n;
		const struct label *old = profile_label_set(src, (struct labels_id){ i }, &n);
		int r = 0;
		for (uint32_t k = 0; r == 0 && k < n; k++) {
			set[k] = old[k];
			r = copy_str(dst, src, old[k].key, &set[k].key);
			if (r == 0)
				r = copy_str(dst, src, old[k].str, &set[k].str);
			if (r == 0)
				r = copy_str(dst, src, old[k].unit, &set[k].unit);
		}
		if (r == 0)
			r = profile_labels(dst, set, n, &map[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void merge_times(struct profile *dst, const struct profile *src)
{
	if (src->time_ns == 0) {
		if (dst->time_ns == 0)
			dst->duration_ns = i64_add_saturating(dst->duration_ns, src->duration_ns);
		return;
	}
	if (dst->time_ns == 0) {
		dst->time_ns = src->time_ns;
		dst->duration_ns = src->duration_ns;
		return;
	}
	int64_t dst_end = i64_add_saturating(dst->time_ns, dst->duration_ns);
	int64_t src_end = i64_add_saturating(src->time_ns, src->duration_ns);
	int64_t end = dst_end > src_end ? dst_end : src_end;
	if (src->time_ns < dst->time_ns)
		dst->time_ns = src->time_ns;
	if (__builtin_sub_overflow(end, dst->time_ns, &dst->duration_ns))
		dst->duration_ns = INT64_MAX;
}

static int import_comments(struct profile *dst, const struct profile *src)
{
	for (uint32_t i = 0; i < src->comments.n; i++) {
		struct slice text = strtab_get(&src->dict.strings, src->comments.data[i]);
		bool known, have = false;
		struct str_id id = strtab_find(&dst->dict.strings, text, &known);
		for (uint32_t k = 0; known && !have && k < dst->comments.n; k++)
			have = dst->comments.data[k].v == id.v;
		int r = have ? 0 : profile_add_comment(dst, text);
		if (r < 0)
			return r;
	}
	return 0;
}

int profile_merge(struct profile *dst, const struct profile *src, struct error *err)
{
	int r = 0;
	uint32_t from[PROFILE_MAX_TYPES];
	if (dst->n_types == 0)
		r = profile_copy_header(dst, src, UINT32_MAX);
	if (r == 0 && !match_types(dst, src, from)) {
		char have[160], want[160];
		list_types(dst, have, sizeof(have));
		list_types(src, want, sizeof(want));
		return error_set(err, -EINVAL, "cannot merge profiles of different types: (%s) and (%s)", have, want);
	}
	_cleanup_(free_ptr)
	struct node_id *nodes = calloc(dict_n_nodes(&src->dict), sizeof(*nodes));
	_cleanup_(free_ptr)
	struct labels_id *labels = calloc(src->labels_off.n, sizeof(*labels));
	if (!nodes || !labels)
		r = -ENOMEM;
	/* First, while a string that is known to `dst` is not one of `src`. */
	if (r == 0)
		r = import_comments(dst, src);
	if (r == 0)
		r = dict_import(&dst->dict, &src->dict, nodes);
	if (r == 0)
		r = import_labels(dst, src, labels);
	for (uint32_t i = 0; r == 0 && i < src->node.n; i++) {
		int64_t values[PROFILE_MAX_TYPES];
		for (uint32_t t = 0; t < dst->n_types; t++)
			values[t] = src->value[from[t]].data[i];
		r = profile_add_sample_at(dst, nodes[src->node.data[i].v], labels[src->labels.data[i].v], values,
					  profile_sample_time(src, i));
	}
	if (r < 0)
		return error_set(err, r, "out of memory while merging profiles");
	merge_times(dst, src);
	return 0;
}

uint32_t profile_default_type(const struct profile *p)
{
	uint32_t cpu = UINT32_MAX;
	for (uint32_t t = 0; t < p->n_types; t++) {
		if (p->default_type.v && p->types[t].type.v == p->default_type.v)
			return t;
		if (strcmp(strtab_cstr(&p->dict.strings, p->types[t].type), "cpu") == 0)
			cpu = t;
	}
	if (cpu != UINT32_MAX)
		return cpu;
	return p->n_types ? p->n_types - 1 : 0;
}

int profile_find_type(const struct profile *p, const char *name, uint32_t *ret, struct error *err)
{
	for (uint32_t t = 0; t < p->n_types; t++) {
		char full[512];
		const char *type = strtab_cstr(&p->dict.strings, p->types[t].type);
		(void)snprintf(full, sizeof(full), "%s:%s", type, strtab_cstr(&p->dict.strings, p->types[t].unit));
		if (strcmp(name, type) == 0 || strcmp(name, full) == 0) {
			*ret = t;
			return 0;
		}
	}
	char have[300];
	list_types(p, have, sizeof(have));
	return error_set(err, -ENOENT, "no sample type \"%.64s\"; the profile has %s", name, have[0] ? have : "none");
}

void profile_node_values(const struct profile *p, uint32_t type, int64_t *self)
{
	assert(type < p->n_types);
	const int64_t *value = p->value[type].data;
	for (uint32_t i = 0; i < p->node.n; i++)
		self[p->node.data[i].v] = i64_add_saturating(self[p->node.data[i].v], value[i]);
}
