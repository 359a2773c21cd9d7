/* SPDX-License-Identifier: Apache-2.0 */
#include "store/intake_otlp.h"

#include "format/detect.h"
#include "format/otlp.h"
#include "model/profile_pick.h"

#include <errno.h>
#include <inttypes.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define UNKNOWN_SERVICE "unknown_service"
#define KEY_SIZE	(INTAKE_KEY_MAX + 1)

static const struct source {
	enum series_label series;
	const char *label, *prefix;
} sources[] = {
#define SERIES_SOURCE(series, label, prefix) { SERIES_##series, label, prefix },
#include "store/series_source.def"
#undef SERIES_SOURCE
};

/* --- labels --- */

/* Whether the series of `in` has what this label says. */
static bool is_said(const struct intake *in, const struct profile *p, const struct label *l)
{
	struct slice key = strtab_get(&p->dict.strings, l->key);
	if (slice_eq(key, slice_str(OTLP_RANGE_LABEL)))
		return true;
	if (l->is_num)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(sources); i++)
		if (!sources[i].prefix[0] && slice_eq(key, slice_str(sources[i].label)))
			return slice_eq(strtab_get(&p->dict.strings, l->str), in->label[sources[i].series]);
	return false;
}

int intake_drop_series_labels(const struct intake *in, struct profile *p)
{
	_cleanup_(free_ptr)
	bool *drop = calloc((size_t)p->label.n + 1, sizeof(*drop));
	if (!drop)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->label.n; i++)
		drop[i] = is_said(in, p, &p->label.data[i]);
	return profile_drop_labels(p, drop);
}

/* --- what belongs together --- */

/* Strings of the request's profile; no padding: hashed as bytes. */
struct group {
	struct str_id label[N_SERIES_LABELS];
	uint32_t range;
};

struct split {
	const struct intake *in;
	struct profile p;
	struct otlp_request request;
	struct u64map group_ids; /* by hash -> index + 1 */
	VEC(struct group) groups;
	uint32_t *group_of; /* by labels id: index + 1, 0 = not yet */
	uint32_t *rows;	    /* those of group 0, then those of group 1 ... */
	uint32_t *first;    /* by group, and the end of the last */
	struct error *err;
};

static void split_done(struct split *s)
{
	profile_done(&s->p);
	otlp_request_done(&s->request);
	u64map_done(&s->group_ids);
	vec_done(NULL, &s->groups);
	free(s->group_of);
	free(s->rows);
	free(s->first);
}

static const struct label *find_label(const struct profile *p, struct labels_id id, const char *key)
{
	uint32_t n;
	const struct label *set = profile_label_set(p, id, &n);
	for (uint32_t i = 0; i < n; i++)
		if (slice_eq(strtab_get(&p->dict.strings, set[i].key), slice_str(key)))
			return &set[i];
	return NULL;
}

/* The text may be longer than any that is taken: then what is here is too long, too. */
static int intern_with_prefix(struct profile *p, const char *prefix, struct str_id *text)
{
	char whole[INTAKE_LABEL_MAX + 2];
	struct slice rest = strtab_get(&p->dict.strings, *text);
	int n = snprintf(whole, sizeof(whole), "%s%.*s", prefix, SLICE_FMT(rest));
	size_t size = n < (int)sizeof(whole) ? (size_t)n : sizeof(whole) - 1;
	return strtab_intern(&p->dict.strings, slice_of(whole, size), text);
}

static int find_series(struct profile *p, struct labels_id id, struct group *g)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sources); i++) {
		struct str_id *text = &g->label[sources[i].series];
		const struct label *l = text->v ? NULL : find_label(p, id, sources[i].label);
		if (!l || l->is_num || !l->str.v)
			continue;
		*text = l->str;
		if (sources[i].prefix[0])
			r = intern_with_prefix(p, sources[i].prefix, text);
	}
	if (r == 0 && !g->label[SERIES_SERVICE].v)
		r = strtab_intern_str(&p->dict.strings, UNKNOWN_SERVICE, &g->label[SERIES_SERVICE]);
	return r;
}

static int find_group(struct split *s, struct labels_id id, uint32_t *ret)
{
	struct group g = { 0 };
	int r = find_series(&s->p, id, &g);
	const struct label *range = find_label(&s->p, id, OTLP_RANGE_LABEL);
	/* An attribute of a sample may have that name. */
	if (range && range->is_num && range->num > 0 && range->num < s->request.ranges.n)
		g.range = (uint32_t)range->num;
	for (uint64_t hash = XXH3_64bits(&g, sizeof(g)); r == 0; hash++) {
		uint32_t *slot = u64map_put(&s->group_ids, hash);
		if (!slot)
			return -ENOMEM;
		*ret = *slot ? *slot - 1 : s->groups.n;
		if (*slot && memcmp(&s->groups.data[*ret], &g, sizeof(g)) != 0)
			continue;
		if (*slot)
			return 0;
		*slot = *ret + 1;
		if (*ret == INTAKE_PARTS_MAX)
			return error_set(s->err, -E2BIG, "more than %d series in one request: send smaller ones",
					 INTAKE_PARTS_MAX);
		r = vec_reserve(NULL, &s->groups, 1);
		if (r == 0)
			s->groups.data[s->groups.n++] = g;
		return r;
	}
	return r;
}

/* Without a sample it is still a profile: nothing was going on. */
static int find_groups(struct split *s)
{
	uint32_t n = profile_n_samples(&s->p), group;
	s->group_of = calloc(s->p.labels_off.n, sizeof(*s->group_of));
	if (!s->group_of)
		return -ENOMEM;
	int r = n || s->p.n_types == 0 ? 0 : find_group(s, s->request.labels, &group);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		uint32_t *known = &s->group_of[s->p.labels.data[i].v];
		if (*known)
			continue;
		r = find_group(s, s->p.labels.data[i], &group);
		*known = group + 1;
	}
	return r;
}

static int sort_rows(struct split *s)
{
	uint32_t n = profile_n_samples(&s->p);
	s->rows = malloc(((size_t)n + 1) * sizeof(*s->rows));
	s->first = calloc((size_t)s->groups.n + 2, sizeof(*s->first));
	if (!s->rows || !s->first)
		return -ENOMEM;
	uint32_t *end = s->first + 1;
	for (uint32_t i = 0; i < n; i++)
		end[s->group_of[s->p.labels.data[i].v]]++;
	for (uint32_t g = 0; g < s->groups.n; g++)
		end[g + 1] += end[g];
	for (uint32_t i = 0; i < n; i++)
		s->rows[end[s->group_of[s->p.labels.data[i].v] - 1]++] = i;
	return 0;
}

/* --- parts --- */

void intake_parts_done(struct intake_parts *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		intake_profile_done(&p->data[i].profile);
		buf_done(&p->data[i].body);
		free(p->data[i].texts);
	}
	free(p->data);
	*p = (struct intake_parts){ 0 };
}

/* A repeat of the request has the same parts in the same order. */
static size_t make_key(const struct split *s, uint32_t group, char key[static KEY_SIZE])
{
	if (s->in->key.size == 0)
		return 0;
	XXH128_hash_t h = XXH3_128bits(s->in->key.data, s->in->key.size);
	int n = s->groups.n == 1
			? snprintf(key, KEY_SIZE, "%.*s", SLICE_FMT(s->in->key))
			: snprintf(key, KEY_SIZE, "%016" PRIx64 "%016" PRIx64 ".%" PRIu32, h.high64, h.low64, group);
	return n < KEY_SIZE ? (size_t)n : KEY_SIZE - 1;
}

static int set_intake(const struct split *s, uint32_t group, struct intake_part *part)
{
	const struct group *g = &s->groups.data[group];
	char key[KEY_SIZE];
	size_t key_size = make_key(s, group, key), size = key_size + 1;
	for (int i = 0; i < N_SERIES_LABELS; i++)
		size += strtab_get(&s->p.dict.strings, g->label[i]).size + 1;
	char *at = part->texts = calloc(size, 1);
	if (!at)
		return -ENOMEM;
	part->intake = *s->in;
	memcpy(at, key, key_size);
	part->intake.key = slice_of(at, key_size);
	at += key_size + 1;
	for (int i = 0; i < N_SERIES_LABELS; i++) {
		struct slice text = strtab_get(&s->p.dict.strings, g->label[i]);
		memcpy(at, text.data, text.size);
		part->intake.label[i] = slice_of(at, text.size);
		at += text.size + 1;
	}
	return 0;
}

/* Types that the group has a value of; all when it has none. */
static uint32_t types_of(const struct split *s, const uint32_t *rows, uint32_t n)
{
	uint32_t types = 0;
	for (uint32_t t = 0; t < s->p.n_types; t++)
		for (uint32_t i = 0; i < n && !(types >> t & 1); i++)
			types |= (uint32_t)(s->p.value[t].data[rows[i]] != 0) << t;
	return types ? types : UINT32_MAX;
}

/* What the whole request says in comments its first part says. */
static int pick_group(const struct split *s, uint32_t group, struct profile *p)
{
	const uint32_t *rows = s->rows + s->first[group];
	uint32_t n = s->first[group + 1] - s->first[group];
	const struct otlp_range *range = &s->request.ranges.data[s->groups.data[group].range];
	int r = profile_pick(p, &s->p, rows, n, types_of(s, rows, n));
	for (uint32_t i = 0; r == 0 && group == 0 && i < s->p.comments.n; i++)
		r = profile_add_comment(p, strtab_get(&s->p.dict.strings, s->p.comments.data[i]));
	p->time_ns = range->time_ns;
	p->duration_ns = range->duration_ns;
	return r;
}

/* `p` is taken over, whatever happens. */
static int finish_part(struct split *s, struct profile *p, struct intake_part *part)
{
	int r = intake_drop_series_labels(&part->intake, p);
	if (r == 0 && s->groups.n > 1)
		r = otlp_encode(p, &part->body);
	if (r == 0)
		part->result = intake_take(&part->intake, p, &part->profile, &part->error);
	if (r < 0 || part->result < 0)
		profile_done(p);
	return r;
}

static int make_part(struct split *s, uint32_t group, struct intake_part *part)
{
	struct profile p;
	int r = set_intake(s, group, part);
	if (r < 0)
		return r;
	part->body = buf_of(SIZE_MAX / 2);
	part->result = intake_check(&part->intake, &part->error);
	if (part->result < 0)
		return 0;
	if (s->groups.n == 1) {
		p = s->p;
		s->p = (struct profile){ 0 };
		return finish_part(s, &p, part);
	}
	r = profile_init(&p, s->p.budget);
	if (r < 0)
		return r;
	r = pick_group(s, group, &p);
	if (r == 0)
		return finish_part(s, &p, part);
	profile_done(&p);
	return r;
}

static int make_parts(struct split *s, struct intake_parts *parts)
{
	parts->data = calloc((size_t)s->groups.n + 1, sizeof(*parts->data));
	int r = parts->data ? 0 : -ENOMEM;
	for (uint32_t g = 0; r == 0 && g < s->groups.n; g++)
		r = make_part(s, g, &parts->data[parts->n++]);
	return r;
}

static int split_request(struct split *s, struct slice body, const struct format_limits *limits)
{
	_cleanup_(buf_done)
	struct buf inflated = buf_of(0);
	struct slice plain;
	int r = inflate_bytes(body, limits, &inflated, &plain, s->err);
	if (r == 0 && format_detect(plain) == FORMAT_PPROF)
		return error_set(s->err, -EPROTONOSUPPORT, "this is a pprof profile, not an OTLP request");
	if (r == 0 && plain.size)
		r = otlp_decode_request(plain, limits, &s->p, &s->request, s->err);
	if (r < 0 && codec_of(body) != CODEC_RAW)
		error_prefix(s->err, "decompressed");
	return r;
}

int intake_split(const struct intake *in, struct slice body, const struct format_limits *limits,
		 struct membudget *budget, struct intake_parts *ret, struct error *err)
{
	_cleanup_(split_done)
	struct split s = { .in = in, .err = err };
	_cleanup_(intake_parts_done)
	struct intake_parts parts = { 0 };
	err->text[0] = 0;
	u64map_init(&s.group_ids, NULL);
	int r = profile_init(&s.p, budget);
	s.p.wants_times = true;
	if (r == 0)
		r = split_request(&s, body, limits);
	if (r == 0)
		r = find_groups(&s);
	if (r == 0)
		r = sort_rows(&s);
	if (r == 0)
		r = make_parts(&s, &parts);
	if (r < 0)
		return err->text[0] ? r : error_set(err, r, "no memory to take the profiles apart");
	*ret = parts;
	parts = (struct intake_parts){ 0 };
	return 0;
}
