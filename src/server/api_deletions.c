/* SPDX-License-Identifier: Apache-2.0 */
/* api_deletions.c: POST and GET deletions: profiles that are to go for good. */
#include "base/clock.h"
#include "base/jsonw.h"
#include "meta/deletions.h"
#include "server/eraser.h"
#include "server/param.h"
#include "server/server.h"

#include <errno.h>

static void write_deletion(struct jsonw *w, const struct deletion *d)
{
	jsonw_object(w, NULL);
	jsonw_i64(w, "id", d->id);
	jsonw_str(w, "query", d->selector);
	jsonw_i64(w, "from_ms", d->from_ms);
	jsonw_i64(w, "to_ms", d->to_ms);
	jsonw_i64(w, "requested_ms", d->requested_ms);
	jsonw_cstr(w, "state", d->state == DELETION_APPLIED ? "applied" : "pending");
	if (d->state == DELETION_APPLIED) {
		jsonw_i64(w, "applied_ms", d->applied_ms);
		jsonw_i64(w, "profiles", d->n_profiles);
	}
	jsonw_end(w, '}');
}

/* What may be deleted: series, by at least one of their labels. Answers what is wrong. */
static bool check_matchers(struct http_request *rq, struct slice text, struct matchers **ret)
{
	struct error err;
	if (text.size == 0) {
		http_answer_error(rq, 400, "bad_request", "query", -1, "query is missing: say which series are to go");
		return false;
	}
	if (matchers_parse(text, ret, &err) < 0) {
		http_answer_error(rq, 400, "bad_request", "query", -1, "query: %s", err.text);
		return false;
	}
	const struct matchers *m = *ret;
	if (m->n == 0 || m->type.size) {
		http_answer_error(rq, 400, "bad_request", "query", -1,
				  m->n ? "query: all types of a series are deleted: leave the type out"
				       : "query: {} is everything; name a label");
		return false;
	}
	for (uint32_t i = 0; i < m->n; i++) {
		if (series_label_find(m->matcher[i].name) >= 0)
			continue;
		http_answer_error(rq, 400, "bad_request", "query", -1,
				  "query: %.*s is a label of samples; whole profiles are deleted, by service, host, "
				  "container, region or zone",
				  SLICE_FMT(m->matcher[i].name));
		return false;
	}
	return true;
}

void api_deletions_post(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { "query", "from", "to", NULL };
	struct server *s = ctx;
	_cleanup_(matchers_free)
	struct matchers *matchers = NULL;
	struct deletion d = { .tenant = slice_str("default"),
			      .requested_by = slice_str("api"),
			      .requested_ms = clock_wall_ns() / 1000000 };
	if (!param_check(rq, known) || !param_text(rq, "query", MATCHERS_SIZE_MAX, &d.selector) ||
	    !check_matchers(rq, d.selector, &matchers) ||
	    !param_int(rq, "from", 0, INTAKE_TIME_MAX_MS, -1, &d.from_ms) ||
	    !param_int(rq, "to", 0, INTAKE_TIME_MAX_MS, -1, &d.to_ms))
		return;
	if (d.from_ms < 0 || d.to_ms <= d.from_ms) {
		http_answer_error(rq, 400, "bad_request", d.from_ms < 0 ? "from" : "to", -1,
				  "from and to are needed, in ms, and from comes first");
		return;
	}
	struct error err;
	int r = deletions_add(s->meta, &d, &d.id, &err);
	if (r < 0) {
		http_answer_error(rq, (unsigned)error_http_status(r), r == -E2BIG ? "too_large" : "internal", NULL, -1,
				  "%s", err.text);
		return;
	}
	eraser_poke(s->eraser);
	struct buf out = buf_of(64 << 10);
	struct jsonw w = { .out = &out };
	write_deletion(&w, &d);
	http_answer_json(rq, 202, &out);
}

void api_deletions(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { "after", NULL };
	struct server *s = ctx;
	int64_t after;
	struct deletions_page page;
	struct error err;
	if (!param_check(rq, known) || !param_int(rq, "after", 0, INT64_MAX, 0, &after))
		return;
	int r = deletions_list(s->meta, NULL, false, after, &page, &err);
	if (r < 0) {
		http_answer_error(rq, 500, "internal", NULL, -1, "%s", err.text);
		return;
	}
	struct buf out = buf_of(4 << 20);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	jsonw_array(&w, "deletions");
	for (uint32_t i = 0; i < page.n; i++)
		write_deletion(&w, &page.row[i]);
	jsonw_end(&w, ']');
	jsonw_bool(&w, "more", page.has_more);
	jsonw_end(&w, '}');
	deletions_page_done(&page);
	http_answer_json(rq, 200, &out);
}
