/* SPDX-License-Identifier: Apache-2.0 */
/* report_view.h: what the views of `wick report` share: the profile and its
 * call tree, what 100 % is, and how values, shares and names are printed.
 *
 * Text goes to stdout line by line. JSON is written into a buf that is
 * flushed between elements, so that its size does not matter. */
#pragma once

#include "base/jsonw.h"
#include "cli/terminal.h"
#include "model/calltree.h"
#include "model/profile.h"
#include "model/toptable.h"

struct report {
	const struct profile *profile;
	const struct calltree *tree;
	const uint8_t *inlining; /* enum inlining by function; NULL = never */
	const uint8_t *namesake; /* enum namesake by function; NULL = none */
	uint32_t type;
	int64_t whole;	    /* 100 %: sum of |value| of all samples, filtered or not */
	const char *label;  /* the tree's first level are values of this label; or NULL */
	uint32_t limit;	    /* rows; 0 = all */
	double min_percent; /* rows below this share of the whole are left out */
	enum top_order sort;
	uint32_t shorten; /* bytes of a name at most; 0 = any number */
	char *short_name; /* room for one of these; NULL when shorten is 0 */
	bool lines;	  /* the tree is by lines */
	bool json;
	struct terminal terminal;
};

/* Sum of |value| over all samples, saturating. */
int64_t report_whole(const struct profile *p, uint32_t type);

double report_percent(const struct report *r, int64_t value);

/* Right-aligned in 10 and 7 columns, no space around. */
void report_put_value(const struct report *r, int64_t value);
void report_put_share(const struct report *r, int64_t value);

/* As wide as it is. */
void report_put_quantity(const struct report *r, int64_t value);

/* Function `func` of r->tree behind `used` columns; ends the line. */
void report_put_function(const struct report *r, uint32_t func, uint32_t used);

/* "cpu: 1.23 s of 4.56 s (26.97%)", without end of line; false, and a line
 * that says why, when there is nothing to show. */
bool report_heading(const struct report *r);

/* {"view", "type", "unit", "total", "whole" ...; the caller adds the rest and
 * ends the object. */
void report_json_begin(struct jsonw *w, const struct report *r, const char *view);
/* "name", "file", "module" ... of a function. */
void report_json_function(struct jsonw *w, const struct report *r, uint32_t func);
/* Hands what is buffered to stdout when it is much, or `all`. */
void report_json_flush(struct jsonw *w, bool all);
