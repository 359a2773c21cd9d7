/* SPDX-License-Identifier: Apache-2.0 */
/* matcher.h: selectors as PromQL writes them; docs/query.md is the grammar.
 *
 *   cpu:nanoseconds{service="api", host=~"web-.*", thread!~"GC.*"}
 *   `---- type ---' `----------- matchers, all must hold --------'
 *
 *   text -> matchers_parse() -> { type, matcher[n] } -> matchers_format() -> canonical text
 *
 * A label that is absent counts as "". Once parsed, matchers are read-only:
 * threads may share them, each with a `struct pattern_work` of its own. */
#pragma once

#include "base/buf.h"
#include "model/pattern.h"

#define MATCHERS_MAX	  16
#define MATCHERS_SIZE_MAX 16384 /* bytes of the text */

enum matcher_op {
	MATCHER_EQUAL,	   /* =  */
	MATCHER_NOT_EQUAL, /* != */
	MATCHER_LIKE,	   /* =~ all of the value matches */
	MATCHER_NOT_LIKE,  /* !~ */
};

struct matcher {
	struct slice name, value; /* the value as meant: without quotes and escapes */
	enum matcher_op op;
	struct pattern *pattern; /* of =~ and !~, else NULL */
};

struct matchers {
	struct slice type; /* "cpu:nanoseconds", "cpu"; empty: none was written */
	uint32_t n;
	struct matcher matcher[MATCHERS_MAX];
	size_t n_bytes;
	uint8_t bytes[]; /* what the slices are of */
};

/* -EINVAL: "at character 9: expected = != =~ or !~ after "host""; -E2BIG: too
 * long, too many, or a pattern is; -ENOMEM. `text` may go away afterwards. An
 * empty text is refused: "{}" is everything. */
int matchers_parse(struct slice text, struct matchers **ret, struct error *err) must_check;
void matchers_free(struct matchers **m); /* for _cleanup_ */

/* 1: a label of this value is chosen, 0: it is not; pattern_match()'s errors. */
int matcher_test(const struct matcher *m, struct slice value, struct pattern_work *w, struct error *err) must_check;

/* Appends the text in its canonical form, which parses to the same matchers. */
void matchers_format(const struct matchers *m, struct buf *out);
