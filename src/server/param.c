/* SPDX-License-Identifier: Apache-2.0 */
#include "server/param.h"

#include "base/clock.h"
#include "base/utf8.h"

#include <errno.h>
#include <inttypes.h>

int param_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = text[0] == '-';
	const char *p = text + negative;
	int64_t v = 0;
	if (!*p)
		return -EINVAL;
	/* Summed below zero, where there is one number more. */
	for (; *p; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_sub_overflow(v, *p - '0', &v))
			return -EINVAL;
	if (!negative && __builtin_sub_overflow((int64_t)0, v, &v))
		return -EINVAL;
	if (v < min || v > max)
		return -EINVAL;
	*ret = v;
	return 0;
}

int param_parse_time(const char *text, int64_t now_ms, int64_t *ret)
{
	if (strncmp(text, "now", 3) != 0)
		return param_parse_int(text, 0, INTAKE_TIME_MAX_MS, ret);
	if (!text[3]) {
		*ret = now_ms;
		return 0;
	}
	static const char units[] = "smhd";
	static const int64_t unit_ms[] = { 1000, 60000, 3600000, 86400000 };
	char digits[16];
	size_t n = strlen(text + 3);
	const char *unit = n > 2 ? strchr(units, text[3 + n - 1]) : NULL;
	if (text[3] != '-' || !unit || n - 2 >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text + 4, n - 2);
	digits[n - 2] = 0;
	int64_t count;
	if (digits[0] == '-' || param_parse_int(digits, 0, 100000000, &count) < 0)
		return -EINVAL;
	int64_t back = count * unit_ms[unit - units];
	*ret = back > now_ms ? 0 : now_ms - back;
	return 0;
}

bool param_is_text(const char *text)
{
	size_t size = strlen(text);
	for (size_t i = 0; i < size;) {
		size_t n = utf8_sequence((const uint8_t *)text + i, size - i);
		if (n == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			return false;
		i += n;
	}
	return true;
}

static bool refuse(struct http_request *rq, const char *name, const char *value, const char *expected)
{
	http_answer_error(rq, 400, "bad_request", name, -1, "%s is \"%.64s\": %s is expected", name, value, expected);
	return false;
}

bool param_check(struct http_request *rq, const char *const *known)
{
	const char *unknown = http_unknown_param(rq, known);
	if (unknown) {
		http_answer_error(rq, 400, "bad_request", param_is_text(unknown) ? unknown : NULL, -1,
				  "there is no parameter \"%.64s\" here", unknown);
		return false;
	}
	return true;
}

/* The one value of a parameter; NULL in *ret when absent. */
static bool get(struct http_request *rq, const char *name, const char **ret)
{
	const char *values[1] = { NULL };
	if (http_params(rq, name, values, 1) > 1) {
		http_answer_error(rq, 400, "bad_request", name, -1, "%s is given twice", name);
		return false;
	}
	*ret = values[0];
	return true;
}

bool param_text(struct http_request *rq, const char *name, size_t max, struct slice *ret)
{
	const char *value;
	if (!get(rq, name, &value))
		return false;
	if (!value)
		value = "";
	if (!param_is_text(value)) {
		http_answer_error(rq, 400, "bad_request", name, -1, "%s must be UTF-8 without control characters",
				  name);
		return false;
	}
	if (strlen(value) > max) {
		http_answer_error(rq, 400, "bad_request", name, (int64_t)max, "%s has %zu bytes: the limit is %zu",
				  name, strlen(value), max);
		return false;
	}
	*ret = slice_str(value);
	return true;
}

bool param_int(struct http_request *rq, const char *name, int64_t min, int64_t max, int64_t otherwise, int64_t *ret)
{
	const char *value;
	if (!get(rq, name, &value))
		return false;
	if (!value) {
		*ret = otherwise;
		return true;
	}
	if (param_parse_int(value, min, max, ret) == 0)
		return true;
	char expected[96];
	(void)snprintf(expected, sizeof(expected), "a whole number from %" PRId64 " to %" PRId64, min, max);
	return refuse(rq, name, value, expected);
}

bool param_word(struct http_request *rq, const char *name, const char *const *words, int *ret)
{
	const char *value;
	if (!get(rq, name, &value))
		return false;
	*ret = 0;
	if (!value)
		return true;
	char expected[96] = "one of";
	for (int i = 0; words[i]; i++) {
		if (strcmp(words[i], value) == 0) {
			*ret = i;
			return true;
		}
		size_t n = strlen(expected);
		(void)snprintf(expected + n, sizeof(expected) - n, "%s %s", i ? "," : "", words[i]);
	}
	return refuse(rq, name, value, expected);
}

static bool get_time(struct http_request *rq, const char *name, const char *otherwise, int64_t now_ms, int64_t *ret)
{
	const char *value;
	if (!get(rq, name, &value))
		return false;
	if (param_parse_time(value ? value : otherwise, now_ms, ret) == 0)
		return true;
	return refuse(rq, name, value, "a time in ms, now, or now-15m (s, m, h, d)");
}

bool param_range(struct http_request *rq, struct selector *ret)
{
	int64_t now_ms = clock_wall_ns() / 1000000;
	if (!get_time(rq, "from", "now-15m", now_ms, &ret->from_ms) || !get_time(rq, "to", "now", now_ms, &ret->to_ms))
		return false;
	if (ret->from_ms < ret->to_ms)
		return true;
	http_answer_error(rq, 400, "bad_request", "from", -1, "from must be before to");
	return false;
}

static bool get_labels(struct http_request *rq, struct selector *ret)
{
	const char *values[SELECTOR_MAX_LABELS];
	unsigned n = http_params(rq, "label", values, SELECTOR_MAX_LABELS);
	if (n > SELECTOR_MAX_LABELS) {
		http_answer_error(rq, 400, "bad_request", "label", SELECTOR_MAX_LABELS,
				  "%u labels are given: the limit is %d", n, SELECTOR_MAX_LABELS);
		return false;
	}
	for (unsigned i = 0; i < n; i++) {
		const char *colon = strchr(values[i], ':');
		if (!colon || colon == values[i] || !param_is_text(values[i]))
			return refuse(rq, "label", values[i], "NAME:VALUE");
		ret->label[i].name = slice_of(values[i], (size_t)(colon - values[i]));
		ret->label[i].value = slice_str(colon + 1);
	}
	ret->n_labels = n;
	return true;
}

static bool add_term(struct http_request *rq, enum filter_kind kind, const char *text, struct filter **f)
{
	const char *name = filter_kind_name(kind);
	struct error err;
	if (!param_is_text(text)) {
		http_answer_error(rq, 400, "bad_request", name, -1, "%s must be UTF-8 without control characters",
				  name);
		return false;
	}
	if (!*f)
		*f = filter_new();
	int r = *f ? filter_add(*f, kind, slice_str(text), &err) : -ENOMEM;
	if (r == -ENOMEM)
		http_answer_error(rq, 500, "internal", NULL, -1, "out of memory");
	else if (r < 0)
		http_answer_error(rq, 400, "bad_request", name, -1, "%s: %s", name, err.text);
	return r == 0;
}

bool param_filter(struct http_request *rq, struct filter **ret)
{
	*ret = NULL;
	for (int kind = 0; kind < N_FILTER_KINDS; kind++) {
		const char *name = filter_kind_name((enum filter_kind)kind), *values[FILTER_MAX_TERMS];
		unsigned n = http_params(rq, name, values, FILTER_MAX_TERMS);
		if (n > FILTER_MAX_TERMS) {
			http_answer_error(rq, 400, "bad_request", name, FILTER_MAX_TERMS,
					  "%s is given %u times: the limit is %d", name, n, FILTER_MAX_TERMS);
			return false;
		}
		for (unsigned i = 0; i < n; i++)
			if (!add_term(rq, (enum filter_kind)kind, values[i], ret))
				return false;
	}
	return true;
}

/* The matchers of `query`, and its type. */
static bool get_matchers(struct http_request *rq, struct selector *ret)
{
	struct slice text;
	struct error err;
	if (!param_text(rq, "query", MATCHERS_SIZE_MAX, &text))
		return false;
	if (text.size == 0)
		return true;
	if (matchers_parse(text, &ret->matchers, &err) < 0) {
		http_answer_error(rq, 400, "bad_request", "query", -1, "query: %s", err.text);
		return false;
	}
	struct slice type = ret->matchers->type;
	if (type.size && ret->type.size && !slice_eq(type, ret->type)) {
		http_answer_error(rq, 400, "bad_request", "query", -1, "query asks for type %.*s, and type for %.*s",
				  SLICE_FMT(type), SLICE_FMT(ret->type));
		return false;
	}
	if (type.size)
		ret->type = type;
	return true;
}

bool param_selector(struct http_request *rq, struct selector *ret)
{
	*ret = (struct selector){ 0 };
	if (!param_text(rq, "service", INTAKE_LABEL_MAX, &ret->service) ||
	    !param_text(rq, "type", INTAKE_TYPE_MAX, &ret->type) || !get_labels(rq, ret) || !get_matchers(rq, ret) ||
	    !param_range(rq, ret))
		return false;
	if (ret->type.size == 0)
		ret->type = slice_str("cpu:nanoseconds");
	return true;
}
