/* SPDX-License-Identifier: Apache-2.0 */
#include "model/pattern.h"

#include "base/utf8.h"

#include <errno.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Nested repeats and groups that one text may stand in. */
#define DEPTH_MAX 20000

struct pattern {
	pcre2_code *code;
	bool is_whole;
};

/* Names stand in messages without what could move a terminal's cursor. */
static void printable(struct slice text, char out[static 96])
{
	size_t n = text.size < 90 ? text.size : 90;
	for (size_t i = 0; i < n; i++)
		out[i] = (char)(text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : text.data[i]);
	(void)memcpy(out + n, text.size > n ? "..." : "", text.size > n ? 4 : 1);
}

static int compile(struct slice text, bool is_whole, struct pattern **ret, struct error *err)
{
	if (text.size > PATTERN_SIZE_MAX)
		return error_set(err, -E2BIG, "the pattern has %zu bytes: the limit is %d", text.size,
				 PATTERN_SIZE_MAX);
	/* \C would cut characters in two; matching broken UTF-8 forbids it anyway. */
	uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NO_AUTO_CAPTURE |
			   PCRE2_NEVER_BACKSLASH_C;
	if (is_whole)
		options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL;
	int code;
	size_t offset;
	_cleanup_(pattern_free)
	struct pattern *p = calloc(1, sizeof(*p));
	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	const uint8_t *data = text.size ? text.data : (const uint8_t *)"";
	p->is_whole = is_whole;
	p->code = pcre2_compile(data, text.size, options, &code, &offset, NULL);
	if (!p->code) {
		char why[160] = "not a regular expression";
		(void)pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
		if (code == PCRE2_ERROR_HEAP_FAILED)
			return error_set(err, -ENOMEM, "out of memory");
		/* PCRE2 counts bytes, from 0. */
		return error_set(err, -EINVAL, "at character %zu: %s", utf8_count(data, offset) + 1, why);
	}
	*ret = take_ptr(p);
	return 0;
}

int pattern_new(struct slice text, struct pattern **ret, struct error *err)
{
	return compile(text, false, ret, err);
}

int pattern_new_whole(struct slice text, struct pattern **ret, struct error *err)
{
	return compile(text, true, ret, err);
}

void pattern_free(struct pattern **p)
{
	if (!*p)
		return;
	pcre2_code_free((*p)->code);
	free(*p);
	*p = NULL;
}

int pattern_work_init(struct pattern_work *w)
{
	*w = (struct pattern_work){ .limits = pcre2_match_context_create(NULL) };
	/* Where it matches does not matter, so one pair of offsets does. */
	w->match = pcre2_match_data_create(1, NULL);
	if (!w->match || !w->limits) {
		pattern_work_done(w);
		return -ENOMEM;
	}
	(void)pcre2_set_heap_limit(w->limits, PATTERN_HEAP_KIB);
	(void)pcre2_set_depth_limit(w->limits, DEPTH_MAX);
	return 0;
}

void pattern_work_done(struct pattern_work *w)
{
	pcre2_match_data_free(w->match);
	pcre2_match_context_free(w->limits);
	w->match = NULL;
	w->limits = NULL;
}

static int too_much(struct slice text, struct error *err)
{
	char name[96];
	printable(text, name);
	return error_set(err, -E2BIG, "the pattern needs too much work on \"%s\"", name);
}

int pattern_match(const struct pattern *p, struct slice text, struct pattern_work *w, struct error *err)
{
	if (text.size == 0)
		text = slice_str("");
	/* PCRE2 does not tell how many steps it took, only that a limit was not
	 * enough: limits that grow tell it within a factor. */
	for (uint32_t limit = PATTERN_FIRST_STEPS;;) {
		(void)pcre2_set_match_limit(w->limits, limit);
		int r = pcre2_match(p->code, text.data, text.size, 0, 0, w->match, w->limits);
		if (r >= 0)
			/* PCRE2 takes each run of whole characters for a text with ends of its own. */
			return !p->is_whole || utf8_valid_size(text.data, text.size) == text.size;
		if (r == PCRE2_ERROR_NOMATCH)
			return 0;
		if (r == PCRE2_ERROR_NOMEMORY)
			return error_set(err, -ENOMEM, "out of memory");
		if (r != PCRE2_ERROR_MATCHLIMIT || limit == PATTERN_TEXT_STEPS)
			return too_much(text, err);
		limit = limit < PATTERN_TEXT_STEPS / 4 ? limit * 4 : PATTERN_TEXT_STEPS;
		w->n_steps += limit;
		if (w->n_steps > PATTERN_ALL_STEPS)
			return too_much(text, err);
	}
}
