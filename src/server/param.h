/* SPDX-License-Identifier: Apache-2.0 */
/* param.h: parameters read strictly: a bad one is answered with 400 and its
 * name, and so is one that nobody knows, since a misspelt parameter would
 * otherwise be a silently wider question. */
#pragma once

#include "http/http.h"
#include "query/select.h"

/* Texts to values: -EINVAL. `text` is anything. */
int param_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret) must_check;
/* "now", "now-15m" (s, m, h, d) or milliseconds. */
int param_parse_time(const char *text, int64_t now_ms, int64_t *ret) must_check;
bool param_is_text(const char *text); /* UTF-8 without control characters */

/* The following answer 400 themselves and return false when a parameter is
 * bad. What they return points into the request. */

/* Only names of `known` (NULL at the end). */
bool param_check(struct http_request *rq, const char *const *known);
bool param_text(struct http_request *rq, const char *name, size_t max, struct slice *ret); /* absent = empty */
bool param_int(struct http_request *rq, const char *name, int64_t min, int64_t max, int64_t otherwise, int64_t *ret);
/* One of `words` (NULL at the end), the first when absent. */
bool param_word(struct http_request *rq, const char *name, const char *const *words, int *ret);
/* service, type, label, query, from, to: the selection parameters. `ret` needs
 * selector_done() in any case. */
bool param_selector(struct http_request *rq, struct selector *ret);
/* focus, ignore ... (model/filter.def), each repeatable. *ret is NULL when
 * there is none, else the caller's to free; also when false is returned. */
bool param_filter(struct http_request *rq, struct filter **ret);
/* from and to alone. */
bool param_range(struct http_request *rq, struct selector *ret);

/* Names for param_check(). */
#define PARAM_SELECTION "service", "type", "label", "query", "from", "to"
#define PARAM_FILTER	"focus", "ignore", "hide", "show", "show_from", "tag", "tag_ignore"
