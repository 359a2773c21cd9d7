/* SPDX-License-Identifier: Apache-2.0 */
/* api_status.c: GET status, health, ready: how the server itself is. */
#include "base/jsonw.h"
#include "server/param.h"
#include "server/server.h"
#include "store/view.h"

#define RECENT_MS (48 * INT64_C(3600000))

/* The last window of each host, wherever it is. */
struct last_window {
	struct str_id name;
	struct window window;
	struct source source;
};

struct host_list {
	struct strtab names;
	VEC(struct last_window) rows; /* by name - 1 */
};

static int add_host(struct host_list *l, const struct part *p, const struct host *host)
{
	struct str_id id;
	int r = strtab_intern(&l->names, part_string(p, host->name), &id);
	if (r == 0 && id.v >= l->rows.n)
		r = vec_reserve(NULL, &l->rows, id.v + 1 - l->rows.n);
	if (r < 0)
		return r;
	while (l->rows.n <= id.v)
		l->rows.data[l->rows.n++] = (struct last_window){ .window.from_ms = INT64_MIN };
	struct last_window *row = &l->rows.data[id.v];
	row->name = id;
	const struct window *last = host->windows.n ? &host->windows.data[host->windows.n - 1] : NULL;
	if (last && last->from_ms > row->window.from_ms) {
		row->window = *last;
		row->source = p->sources.data[last->source];
	}
	return 0;
}

/* Hosts of what is in memory and of the newest blocks: a page of status must not read them all. */
static int list_hosts(struct server *s, struct host_list *l)
{
	struct view *v = NULL;
	struct store_status status;
	store_get_status(s->store, &status);
	int r = view_take(s->store, &v);
	for (uint32_t i = 0; r == 0 && i < view_n_parts(v); i++) {
		const struct part *p;
		if (!view_may_have(v, i, status.newest_ms - RECENT_MS, INT64_MAX) || view_open(v, i, &p, NULL) < 0)
			continue;
		for (uint32_t k = 0; r == 0 && k < p->hosts.n; k++)
			r = add_host(l, p, &p->hosts.data[k]);
		view_close(v, i);
	}
	view_free(&v);
	return r;
}

static void write_hosts(struct jsonw *w, const struct host_list *l)
{
	for (uint32_t i = 0; i < l->rows.n; i++) {
		const struct last_window *row = &l->rows.data[i];
		if (row->window.from_ms == INT64_MIN)
			continue;
		jsonw_object(w, NULL);
		jsonw_str(w, "name", strtab_get(&l->names, row->name));
		jsonw_u64(w, "cpus", row->window.n_cpus);
		jsonw_i64(w, "last_ms", row->window.from_ms + row->window.duration_ms);
		jsonw_cstr(w, "source", row->source.name);
		jsonw_cstr(w, "unwind", row->source.unwind);
		jsonw_end(w, '}');
	}
}

static void write_pair(struct jsonw *w, const char *key, uint64_t used, uint64_t limit)
{
	jsonw_object(w, key);
	jsonw_u64(w, "used", used);
	jsonw_u64(w, "limit", limit);
	jsonw_end(w, '}');
}

static void write_names(struct jsonw *w, struct server *s)
{
	struct namer_stats names;
	struct debugstore_stats files;
	namer_get_stats(s->namer, &names);
	debugstore_get_stats(s->debugstore, &files);
	write_pair(w, "debuginfo", files.size, files.limit);
	jsonw_object(w, "names");
	jsonw_u64(w, "frames", names.n_frames);
	jsonw_u64(w, "named", names.n_named);
	jsonw_u64(w, "pending", names.n_pending);
	jsonw_bool(w, "full", names.is_full);
	jsonw_end(w, '}');
}

void api_status(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { NULL };
	struct server *s = ctx;
	if (!param_check(rq, known))
		return;
	struct store_status status;
	store_get_status(s->store, &status);
	struct buf out = buf_of(4 << 20);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "version", WICK_VERSION);
	jsonw_bool(&w, "accepting", status.accepting);
	if (status.accepting)
		jsonw_null(&w, "reason");
	else
		jsonw_cstr(&w, "reason", status.reason);
	write_pair(&w, "memory", status.memory_used, status.memory_limit);
	write_pair(&w, "disk", status.disk_used, status.disk_limit);
	jsonw_u64(&w, "disk_free", status.disk_free);
	jsonw_bool(&w, "disk_low", status.is_low);
	jsonw_u64(&w, "blocks", status.blocks.n_blocks);
	jsonw_u64(&w, "damaged_blocks", status.blocks.n_damaged);
	write_names(&w, s);
	jsonw_u64(&w, "profiles", status.n_profiles);
	jsonw_i64(&w, "oldest_ms", status.oldest_ms);
	jsonw_i64(&w, "newest_ms", status.newest_ms);
	jsonw_array(&w, "hosts");
	struct host_list hosts = { 0 };
	if (strtab_init(&hosts.names, NULL) == 0 && list_hosts(s, &hosts) == 0)
		write_hosts(&w, &hosts);
	else
		out.failed = true;
	strtab_done(&hosts.names);
	vec_done(NULL, &hosts.rows);
	jsonw_end(&w, ']');
	jsonw_end(&w, '}');
	http_answer_json(rq, 200, &out);
}

void api_health(struct http_request *rq, void *ctx)
{
	(void)ctx;
	struct buf out = buf_of(64);
	buf_add_str(&out, "{\"status\":\"ok\"}");
	http_answer_json(rq, 200, &out);
}
