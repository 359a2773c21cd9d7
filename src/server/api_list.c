/* SPDX-License-Identifier: Apache-2.0 */
/* api_list.c: GET services, types, labels: what there is to choose from. */
#include "base/jsonw.h"
#include "query/listing.h"
#include "server/param.h"
#include "server/query_run.h"

#include <errno.h>

#define MAX_VALUES 200
#define MAX_LABELS 200
#define MAX_TYPES  1000

/* ---- services ---- */

static void write_service(struct jsonw *w, const struct service_list *l, const struct service_row *rows, uint32_t n)
{
	jsonw_object(w, NULL);
	jsonw_str(w, "name", strtab_get(&l->strings, rows[0].service));
	jsonw_array(w, "types");
	for (uint32_t i = 0; i < n; i++)
		jsonw_str(w, NULL, strtab_get(&l->strings, rows[i].type));
	jsonw_end(w, ']');
	jsonw_object(w, "total");
	for (uint32_t i = 0; i < n; i++) {
		/* NUL-terminated and, as a type, without NULs worth keeping. */
		jsonw_i64(w, strtab_cstr(&l->strings, rows[i].type), rows[i].total);
	}
	jsonw_end(w, '}');
	jsonw_i64(w, "last_ms", rows[0].last_ms);
	jsonw_end(w, '}');
}

static void write_services(struct jsonw *w, const struct service_list *l)
{
	const struct service_row *rows = l->rows.data;
	jsonw_object(w, NULL);
	jsonw_array(w, "services");
	for (uint32_t i = 0; i < l->rows.n;) {
		uint32_t end = i + 1;
		while (end < l->rows.n && rows[end].service.v == rows[i].service.v)
			end++;
		write_service(w, l, rows + i, end - i);
		i = end;
	}
	jsonw_end(w, ']');
	jsonw_end(w, '}');
}

static int read_services(struct query *q, struct service_list *l, struct error *err)
{
	int r = query_begin(q, q->job, NULL, err);
	if (r < 0)
		return r;
	struct selection *s;
	while ((r = query_next(q, &s, err)) == 1) {
		r = service_list_add(l, s);
		if (r < 0)
			break;
	}
	query_end(q);
	return r;
}

static int services_work(struct query *q, struct error *err)
{
	struct service_list l;
	int r = service_list_init(&l, &q->budget);
	if (r == 0)
		r = read_services(q, &l, err);
	if (r == 0) {
		struct jsonw w = { .out = &q->out };
		service_list_finish(&l);
		write_services(&w, &l);
	}
	service_list_done(&l);
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

struct type_list {
	struct strtab names;
	struct slice sorted[MAX_TYPES];
	uint32_t n;
};

static int add_type(void *arg, struct slice type)
{
	struct type_list *l = arg;
	struct str_id id;
	return strtab_count(&l->names) > MAX_TYPES ? 0 : strtab_intern(&l->names, type, &id);
}

static int compare_type(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	size_t n = x->size < y->size ? x->size : y->size;
	int c = memcmp(x->data, y->data, n);
	return c ? c : x->size < y->size ? -1 : x->size > y->size;
}

static void write_types(struct jsonw *w, struct type_list *l)
{
	for (uint32_t i = 1; i < strtab_count(&l->names); i++)
		l->sorted[l->n++] = strtab_get(&l->names, (struct str_id){ i });
	qsort(l->sorted, l->n, sizeof(l->sorted[0]), compare_type);
	jsonw_object(w, NULL);
	jsonw_array(w, "types");
	for (uint32_t i = 0; i < l->n; i++) {
		jsonw_object(w, NULL);
		jsonw_str(w, "name", l->sorted[i]);
		jsonw_str(w, "unit", type_unit(l->sorted[i]));
		jsonw_end(w, '}');
	}
	jsonw_end(w, ']');
	jsonw_end(w, '}');
}

static int types_work(struct query *q, struct error *err)
{
	struct view *v = NULL;
	struct type_list l = { .n = 0 };
	int r = strtab_init(&l.names, &q->budget);
	if (r == 0)
		r = view_take(q->server->store, &v);
	if (r == 0)
		r = view_types(v, INT64_MIN, INT64_MAX, add_type, &l);
	view_free(&v);
	if (r == 0) {
		struct jsonw w = { .out = &q->out };
		write_types(&w, &l);
	}
	strtab_done(&l.names);
	return r < 0 ? error_set(err, r, "out of memory") : 0;
}

void api_types(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { NULL };
	if (param_check(rq, known))
		query_run(ctx, rq, types_work, NULL, "application/json");
}

/* ---- labels ---- */

static void write_label(struct jsonw *w, const struct label_list *l, const struct label_row *rows, uint32_t n)
{
	jsonw_object(w, NULL);
	jsonw_str(w, "name", strtab_get(&l->strings, rows->name));
	jsonw_cstr(w, "kind", rows->series_label >= 0 ? "series" : "sample");
	jsonw_array(w, "values");
	for (uint32_t i = 0; i < n && i < MAX_VALUES; i++)
		jsonw_str(w, NULL, strtab_get(&l->strings, rows[i].value));
	jsonw_end(w, ']');
	jsonw_bool(w, "truncated", n > MAX_VALUES);
	jsonw_end(w, '}');
}

static void write_labels(struct jsonw *w, const struct label_list *l)
{
	const struct label_row *rows = l->rows.data;
	unsigned n_labels = 0;
	jsonw_object(w, NULL);
	jsonw_array(w, "labels");
	for (uint32_t i = 0; i < l->rows.n && n_labels < MAX_LABELS; n_labels++) {
		uint32_t end = i + 1;
		while (end < l->rows.n && rows[end].series_label == rows[i].series_label &&
		       rows[end].name.v == rows[i].name.v)
			end++;
		write_label(w, l, rows + i, end - i);
		i = end;
	}
	jsonw_end(w, ']');
	jsonw_end(w, '}');
}

static int read_labels(struct query *q, struct label_list *l, struct error *err)
{
	int r = query_begin(q, q->job, NULL, err);
	if (r < 0)
		return r;
	struct selection *s;
	while ((r = query_next(q, &s, err)) == 1) {
		r = label_list_add(l, s);
		if (r < 0)
			break;
	}
	query_end(q);
	return r;
}

static int labels_work(struct query *q, struct error *err)
{
	struct label_list l;
	int r = label_list_init(&l, &q->budget);
	if (r == 0)
		r = read_labels(q, &l, err);
	if (r == 0) {
		struct jsonw w = { .out = &q->out };
		label_list_finish(&l);
		write_labels(&w, &l);
	}
	label_list_done(&l);
	return r;
}

void api_labels(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { PARAM_SELECTION, NULL };
	_cleanup_(selector_done)
	struct selector selector = { 0 };
	if (param_check(rq, known) && param_selector(rq, &selector))
		query_run(ctx, rq, labels_work, &selector, "application/json");
}
