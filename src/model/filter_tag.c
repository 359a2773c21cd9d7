/* SPDX-License-Identifier: Apache-2.0 */
#include "model/filter_tag.h"

#include <errno.h>

enum unit_class { UNIT_NONE, UNIT_SIZE, UNIT_TIME };

struct unit {
	enum unit_class class;
	int64_t factor; /* to bytes or nanoseconds */
};

/* One end of a range; 128 bits hold any 64-bit number of petabytes. */
struct bound {
	bool given;
	struct unit unit;
	__int128 value;
};

struct filter_tag {
	char *key; /* of this size; NULL = any */
	size_t key_size;
	bool is_range;
	struct bound low, high;
	struct pattern *pattern[FILTER_TAG_MAX_PATTERNS];
	uint32_t n_patterns;
};

/* False: no unit wick knows. The last s of a longer name is its plural. */
static bool unit_of(struct slice name, struct unit *ret)
{
	static const struct {
		const char *name;
		struct unit unit;
	} units[] = {
		{ "b", { UNIT_SIZE, 1 } },
		{ "byte", { UNIT_SIZE, 1 } },
		{ "kb", { UNIT_SIZE, 1LL << 10 } },
		{ "kbyte", { UNIT_SIZE, 1LL << 10 } },
		{ "kilobyte", { UNIT_SIZE, 1LL << 10 } },
		{ "mb", { UNIT_SIZE, 1LL << 20 } },
		{ "mbyte", { UNIT_SIZE, 1LL << 20 } },
		{ "megabyte", { UNIT_SIZE, 1LL << 20 } },
		{ "gb", { UNIT_SIZE, 1LL << 30 } },
		{ "gbyte", { UNIT_SIZE, 1LL << 30 } },
		{ "gigabyte", { UNIT_SIZE, 1LL << 30 } },
		{ "tb", { UNIT_SIZE, 1LL << 40 } },
		{ "tbyte", { UNIT_SIZE, 1LL << 40 } },
		{ "terabyte", { UNIT_SIZE, 1LL << 40 } },
		{ "pb", { UNIT_SIZE, 1LL << 50 } },
		{ "pbyte", { UNIT_SIZE, 1LL << 50 } },
		{ "petabyte", { UNIT_SIZE, 1LL << 50 } },
		{ "ns", { UNIT_TIME, 1 } },
		{ "nanosecond", { UNIT_TIME, 1 } },
		{ "us", { UNIT_TIME, 1000 } },
		{ "microsecond", { UNIT_TIME, 1000 } },
		{ "ms", { UNIT_TIME, 1000000 } },
		{ "millisecond", { UNIT_TIME, 1000000 } },
		{ "s", { UNIT_TIME, 1000000000 } },
		{ "sec", { UNIT_TIME, 1000000000 } },
		{ "second", { UNIT_TIME, 1000000000 } },
		{ "min", { UNIT_TIME, 60000000000 } },
		{ "minute", { UNIT_TIME, 60000000000 } },
		{ "h", { UNIT_TIME, 3600000000000 } },
		{ "hr", { UNIT_TIME, 3600000000000 } },
		{ "hour", { UNIT_TIME, 3600000000000 } },
	};
	char text[16];
	if (name.size == 0 || name.size >= sizeof(text))
		return false;
	for (size_t i = 0; i < name.size; i++)
		text[i] = (char)(name.data[i] >= 'A' && name.data[i] <= 'Z' ? name.data[i] | 0x20 : name.data[i]);
	size_t n = name.size > 2 && text[name.size - 1] == 's' ? name.size - 1 : name.size;
	text[n] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(text, units[i].name) == 0) {
			*ret = units[i].unit;
			return true;
		}
	}
	return false;
}

/* Takes one number with its unit from the front of *rest. False: there is
 * none, or its unit is unknown: then the text is a pattern. */
static bool take_bound(struct slice *rest, struct bound *ret, bool *ret_overflow)
{
	const uint8_t *p = rest->data, *end = rest->data + rest->size;
	bool negative = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	const uint8_t *digits = p;
	int64_t v = 0;
	bool overflow = false;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		overflow = overflow || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v);
	if (p == digits)
		return false;
	const uint8_t *unit = p;
	while (p < end && ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'))
		p++;
	struct bound b = { .given = true, .unit = { UNIT_NONE, 1 } };
	if (p > unit && !unit_of(slice_of(unit, (size_t)(p - unit)), &b.unit))
		return false;
	b.value = negative ? -(__int128)v : v;
	*rest = slice_of(p, (size_t)(end - p));
	*ret_overflow = *ret_overflow || overflow;
	*ret = b;
	return true;
}

/* 1: a range, 0: something else, -EINVAL: a range that cannot be meant. */
static int parse_range(struct slice text, struct filter_tag *t, struct error *err)
{
	struct slice rest = text;
	bool overflow = false;
	bool has_low = take_bound(&rest, &t->low, &overflow);
	if (rest.size && rest.data[0] == ':') {
		rest = slice_of(rest.data + 1, rest.size - 1);
		bool has_high = take_bound(&rest, &t->high, &overflow);
		if (rest.size || (!has_low && !has_high))
			return 0;
	} else {
		if (rest.size || !has_low)
			return 0;
		t->high = t->low;
	}
	if (overflow)
		return error_set(err, -EINVAL, "the range has a number beyond 64 bits");
	if (t->low.given && t->high.given) {
		if (t->high.unit.class == UNIT_NONE)
			t->high.unit = t->low.unit;
		if (t->high.unit.class != t->low.unit.class)
			return error_set(err, -EINVAL, "the ends of the range have different kinds of unit");
	}
	t->low.value *= t->low.unit.factor;
	t->high.value *= t->high.unit.factor;
	if (t->low.given && t->high.given && t->low.value > t->high.value)
		return error_set(err, -EINVAL, "the range ends before it begins");
	t->is_range = true;
	return 1;
}

static int parse_patterns(struct slice text, struct filter_tag *t, struct error *err)
{
	for (;;) {
		const uint8_t *comma = text.size ? memchr(text.data, ',', text.size) : NULL;
		size_t n = comma ? (size_t)(comma - text.data) : text.size;
		if (t->n_patterns == FILTER_TAG_MAX_PATTERNS)
			return error_set(err, -E2BIG, "the limit is %d patterns", FILTER_TAG_MAX_PATTERNS);
		struct slice one = slice_of(text.data, n);
		int r = pattern_new(one, &t->pattern[t->n_patterns], err);
		if (r < 0) {
			if (comma || t->n_patterns)
				error_prefix(err, "pattern %u", t->n_patterns + 1);
			return r;
		}
		t->n_patterns++;
		if (!comma)
			return 0;
		text = slice_of(comma + 1, text.size - n - 1);
	}
}

int filter_tag_new(struct slice text, struct filter_tag **ret, struct error *err)
{
	if (text.size > PATTERN_SIZE_MAX)
		return error_set(err, -E2BIG, "the expression has %zu bytes: the limit is %d", text.size,
				 PATTERN_SIZE_MAX);
	_cleanup_(filter_tag_free)
	struct filter_tag *t = calloc(1, sizeof(*t));
	if (!t)
		return error_set(err, -ENOMEM, "out of memory");
	struct slice value = text;
	const uint8_t *equals = text.size ? memchr(text.data, '=', text.size) : NULL;
	if (equals) {
		t->key_size = (size_t)(equals - text.data);
		value = slice_of(equals + 1, text.size - t->key_size - 1);
	}
	if (t->key_size) {
		t->key = malloc(t->key_size);
		if (!t->key)
			return error_set(err, -ENOMEM, "out of memory");
		memcpy(t->key, text.data, t->key_size);
	}
	int r = parse_range(value, t, err);
	if (r == 0)
		r = parse_patterns(value, t, err);
	if (r < 0) {
		if (equals)
			error_prefix(err, "behind \"=\"");
		return r;
	}
	*ret = take_ptr(t);
	return 0;
}

void filter_tag_free(struct filter_tag **t)
{
	if (!*t)
		return;
	for (uint32_t i = 0; i < (*t)->n_patterns; i++)
		pattern_free(&(*t)->pattern[i]);
	free((*t)->key);
	free(*t);
	*t = NULL;
}

static bool in_range(const struct filter_tag *t, const struct strtab *strings, const struct label *l)
{
	enum unit_class wanted = t->low.given ? t->low.unit.class : t->high.unit.class;
	__int128 value = l->num;
	if (wanted != UNIT_NONE) {
		struct slice key = strtab_get(strings, l->key);
		struct slice name = l->unit.v ? strtab_get(strings, l->unit) : key;
		if (!l->unit.v && (slice_eq(key, slice_str("alignment")) || slice_eq(key, slice_str("request"))))
			name = slice_str("bytes");
		struct unit unit;
		if (!unit_of(name, &unit) || unit.class != wanted)
			return false;
		value *= unit.factor;
	}
	return (!t->low.given || value >= t->low.value) && (!t->high.given || value <= t->high.value);
}

/* Whether any text label of the set matches pattern i. */
static int pattern_matches_set(const struct filter_tag *t, uint32_t i, const struct strtab *strings,
			       const struct label *set, uint32_t n, struct pattern_work *w, struct buf *scratch,
			       struct error *err)
{
	for (uint32_t k = 0; k < n; k++) {
		struct slice key = strtab_get(strings, set[k].key), text = strtab_get(strings, set[k].str);
		if (set[k].is_num || (t->key && !slice_eq(key, slice_of(t->key, t->key_size))))
			continue;
		if (!t->key) {
			scratch->n = 0;
			buf_add(scratch, key.data, key.size);
			buf_add_byte(scratch, ':');
			buf_add(scratch, text.data, text.size);
			if (scratch->failed)
				return error_set(err, -ENOMEM, "out of memory");
			text = slice_of(scratch->data, scratch->n);
		}
		int r = pattern_match(t->pattern[i], text, w, err);
		if (r != 0)
			return r;
	}
	return 0;
}

int filter_tag_match(const struct filter_tag *t, const struct strtab *strings, const struct label *set, uint32_t n,
		     struct pattern_work *w, struct buf *scratch, struct error *err)
{
	for (uint32_t k = 0; t->is_range && k < n; k++)
		if (set[k].is_num &&
		    (!t->key || slice_eq(strtab_get(strings, set[k].key), slice_of(t->key, t->key_size))) &&
		    in_range(t, strings, &set[k]))
			return 1;
	/* One pattern is enough for a key; without a key all are needed. */
	bool one_is_enough = t->key != NULL;
	for (uint32_t i = 0; i < t->n_patterns; i++) {
		int r = pattern_matches_set(t, i, strings, set, n, w, scratch, err);
		if (r < 0 || (r == 1) == one_is_enough)
			return r;
	}
	return t->n_patterns && !one_is_enough;
}
