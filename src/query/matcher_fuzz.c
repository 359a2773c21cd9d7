/* SPDX-License-Identifier: Apache-2.0 */
/* A selector is refused with a reason, or its canonical text means the same:
 * it parses, is its own canonical text and chooses the same values. */
#include "query/matcher.h"

#include <assert.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a pattern may cost is pattern.h's to bound: here it is less. */
static int choose(const struct matcher *m, const char *value, struct pattern_work *w, struct error *err)
{
	w->n_steps = PATTERN_ALL_STEPS - 100000;
	return matcher_test(m, slice_str(value), w, err);
}

static void choose_the_same(const struct matchers *a, const struct matchers *b, struct pattern_work *w)
{
	static const char *const values[] = { "", "api", "web-1", "a\nb", "\xff", "\xc3\xa4", "aaaaaaaaaaaaaaaaaaaa!" };
	assert(a->n == b->n && a->n <= MATCHERS_MAX && slice_eq(a->type, b->type));
	for (uint32_t i = 0; i < a->n; i++) {
		assert(a->matcher[i].op == b->matcher[i].op);
		assert(slice_eq(a->matcher[i].name, b->matcher[i].name));
		assert(slice_eq(a->matcher[i].value, b->matcher[i].value));
		for (size_t v = 0; v < ARRAY_SIZE(values); v++) {
			struct error err = { "" };
			int r = choose(&a->matcher[i], values[v], w, &err);
			assert(r == 0 || r == 1 || (r == -E2BIG && err.text[0]));
			assert(choose(&b->matcher[i], values[v], w, &err) == r);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(matchers_free)
	struct matchers *m = NULL, *again = NULL;
	_cleanup_(buf_done)
	struct buf text = buf_of(1 << 20), second = buf_of(1 << 20);
	struct error err = { "" };
	int r = matchers_parse(slice_of(data, size), &m, &err);
	if (r < 0) {
		assert(!m && err.text[0]);
		return 0;
	}
	matchers_format(m, &text);
	assert(!text.failed && text.n);
	/* Escapes are longer than what they mean. */
	if (text.n > MATCHERS_SIZE_MAX)
		return 0;
	r = matchers_parse(slice_of(text.data, text.n), &again, NULL);
	assert(r == 0);
	matchers_format(again, &second);
	assert(slice_eq(slice_of(text.data, text.n), slice_of(second.data, second.n)));
	struct pattern_work work;
	if (pattern_work_init(&work) == 0) {
		choose_the_same(m, again, &work);
		pattern_work_done(&work);
	}
	return 0;
}
