/* SPDX-License-Identifier: Apache-2.0 */
/* api_status.c: GET status, health, ready: how the server itself is. */
#include "base/jsonw.h"
#include "server/param.h"
#include "server/server.h"

static void write_host(struct jsonw *w, const struct head *h, const struct host *host)
{
	const struct window *last = host->windows.n ? &host->windows.data[host->windows.n - 1] : NULL;
	jsonw_object(w, NULL);
	jsonw_str(w, "name", head_string(h, host->name));
	jsonw_u64(w, "cpus", last ? last->n_cpus : 0);
	jsonw_i64(w, "last_ms", last ? last->from_ms + last->duration_ms : 0);
	jsonw_cstr(w, "source", last ? h->sources.data[last->source].name : "");
	jsonw_cstr(w, "unwind", last ? h->sources.data[last->source].unwind : "");
	jsonw_end(w, '}');
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
	write_names(&w, s);
	jsonw_u64(&w, "profiles", status.n_profiles);
	jsonw_i64(&w, "oldest_ms", status.oldest_ms);
	jsonw_i64(&w, "newest_ms", status.newest_ms);
	jsonw_array(&w, "hosts");
	const struct head *h = store_read_begin(s->store);
	for (uint32_t i = 0; i < h->hosts.n; i++)
		write_host(&w, h, &h->hosts.data[i]);
	store_read_end(s->store);
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
