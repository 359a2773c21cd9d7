/* SPDX-License-Identifier: Apache-2.0 */
/* api_list.c: GET services, types, labels: what there is to choose from. */
#include "base/jsonw.h"
#include "query/listing.h"
#include "server/param.h"
#include "server/query_run.h"

#include <errno.h>

#define MAX_VALUES 200
#define MAX_LABELS 200

/* ---- services ---- */

static void write_service(struct jsonw *w, const struct head *h, const struct service_row *rows, uint32_t n)
{
	jsonw_object(w, NULL);
	jsonw_str(w, "name", head_string(h, rows[0].service));
	jsonw_array(w, "types");
	for (uint32_t i = 0; i < n; i++)
		jsonw_str(w, NULL, head_string(h, rows[i].type));
	jsonw_end(w, ']');
	jsonw_object(w, "total");
	for (uint32_t i = 0; i < n; i++) {
		/* NUL-terminated and, as a type, without NULs worth keeping. */
		jsonw_i64(w, strtab_cstr(&h->names.dict.strings, rows[i].type), rows[i].total);
	}
	jsonw_end(w, '}');
	jsonw_i64(w, "last_ms", rows[0].last_ms);
	jsonw_end(w, '}');
}

static void write_services(struct jsonw *w, const struct head *h, const struct service_row *rows, uint32_t n)
{
	jsonw_object(w, NULL);
	jsonw_array(w, "services");
	for (uint32_t i = 0; i < n;) {
		uint32_t end = i + 1;
		while (end < n && rows[end].service.v == rows[i].service.v)
			end++;
		write_service(w, h, rows + i, end - i);
		i = end;
	}
	jsonw_end(w, ']');
	jsonw_end(w, '}');
}

static int services_work(struct query *q, struct error *err)
{
	struct selection s;
	const struct head *h = store_read_begin(q->server->store);
	int r = selection_init(&s, h, q->job, &q->budget, err);
	if (r == 0) {
		_cleanup_(free_ptr)
		struct service_row *rows = NULL;
		uint32_t n = 0;
		struct jsonw w = { .out = &q->out };
		r = list_services(&s, &q->budget, &rows, &n);
		if (r == 0)
			write_services(&w, h, rows, n);
		selection_done(&s);
	}
	store_read_end(q->server->store);
	return r;
}

void api_services(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { "from", "to", NULL };
	struct selector selector = { 0 };
	if (param_check(rq, known) && param_range(rq, &selector))
		query_run(ctx, rq, services_work, &selector, "application/json");
}

/* ---- types ---- */

static int types_work(struct query *q, struct error *err)
{
	_cleanup_(free_ptr)
	struct str_id *types = NULL;
	uint32_t n = 0;
	struct jsonw w = { .out = &q->out };
	const struct head *h = store_read_begin(q->server->store);
	int r = list_types(h, &types, &n);
	jsonw_object(&w, NULL);
	jsonw_array(&w, "types");
	for (uint32_t i = 0; i < n; i++) {
		struct slice name = head_string(h, types[i]);
		const uint8_t *colon = memrchr(name.data, ':', name.size);
		jsonw_object(&w, NULL);
		jsonw_str(&w, "name", name);
		jsonw_str(&w, "unit", slice_of(colon + 1, (size_t)(name.data + name.size - colon - 1)));
		jsonw_end(&w, '}');
	}
	store_read_end(q->server->store);
	jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

void api_types(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { NULL };
	if (param_check(rq, known))
		query_run(ctx, rq, types_work, NULL, "application/json");
}

/* ---- labels ---- */

static void write_label(struct jsonw *w, const struct head *h, const struct label_row *rows, uint32_t n)
{
	jsonw_object(w, NULL);
	jsonw_str(w, "name", label_row_name(h, rows));
	jsonw_cstr(w, "kind", rows->series_label >= 0 ? "series" : "sample");
	jsonw_array(w, "values");
	for (uint32_t i = 0; i < n && i < MAX_VALUES; i++) {
		char number[24];
		jsonw_str(w, NULL, label_text(h, &rows[i].label, number));
	}
	jsonw_end(w, ']');
	jsonw_bool(w, "truncated", n > MAX_VALUES);
	jsonw_end(w, '}');
}

static void write_labels(struct jsonw *w, const struct head *h, const struct label_row *rows, uint32_t n)
{
	unsigned n_labels = 0;
	jsonw_object(w, NULL);
	jsonw_array(w, "labels");
	for (uint32_t i = 0; i < n && n_labels < MAX_LABELS; n_labels++) {
		uint32_t end = i + 1;
		while (end < n && rows[end].series_label == rows[i].series_label &&
		       rows[end].label.key.v == rows[i].label.key.v)
			end++;
		write_label(w, h, rows + i, end - i);
		i = end;
	}
	jsonw_end(w, ']');
	jsonw_end(w, '}');
}

static int labels_work(struct query *q, struct error *err)
{
	struct selection s;
	const struct head *h = store_read_begin(q->server->store);
	int r = selection_init(&s, h, q->job, &q->budget, err);
	if (r == 0) {
		_cleanup_(free_ptr)
		struct label_row *rows = NULL;
		uint32_t n = 0;
		struct jsonw w = { .out = &q->out };
		r = list_labels(&s, &q->budget, &rows, &n);
		if (r == 0)
			write_labels(&w, h, rows, n);
		selection_done(&s);
	}
	store_read_end(q->server->store);
	return r;
}

void api_labels(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { PARAM_SELECTION, NULL };
	struct selector selector;
	if (param_check(rq, known) && param_selector(rq, &selector))
		query_run(ctx, rq, labels_work, &selector, "application/json");
}
