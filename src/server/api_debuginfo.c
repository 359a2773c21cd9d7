/* SPDX-License-Identifier: Apache-2.0 */
/* api_debuginfo.c: GET and PUT debuginfo: debug files in, and which there are.
 *
 *   HTTP thread:  headers -> upload; pieces -> disk; end -> suspend, queue
 *   own thread:   check, fsync, rename; answer, resume; poke the namer */
#include "base/jsonw.h"
#include "server/param.h"
#include "server/server.h"

#include <errno.h>

#define MAX_MISSING 200 /* builds without a file that are listed */
#define BODY_S	    600

/* One PUT. */
struct put {
	struct server *server;
	struct http_request *rq;
	struct debug_upload *upload; /* NULL: as good a file is there, the body is not wanted */
	struct debug_file there;
	struct put *next;
};

struct uploads {
	struct server *server;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t wake;
	struct put *first, **last;
	bool stop;
};

/* ---- answers ---- */

static void write_file(struct jsonw *w, const struct debug_file *f)
{
	jsonw_cstr(w, "build_id", f->build_id);
	jsonw_u64(w, "size", f->size);
	jsonw_bool(w, "dwarf", f->has_dwarf);
	jsonw_i64(w, "used_ms", f->used_ns / 1000000);
}

static void answer_put(struct http_request *rq, const char *status, const struct debug_file *f)
{
	struct buf out = buf_of(1024);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	jsonw_cstr(&w, "status", status);
	write_file(&w, f);
	jsonw_end(&w, '}');
	http_answer_json(rq, 200, &out);
}

static void answer_failure(struct server *s, struct http_request *rq, int r, const struct error *err)
{
	struct debugstore_stats stats;
	debugstore_get_stats(s->debugstore, &stats);
	switch (r) {
	case -EFBIG:
		http_answer_error(rq, 413, "too_large", "body", (int64_t)stats.file_max,
				  "%s; --debuginfo-file-limit and --debuginfo-limit set it", err->text);
		return;
	case -EBUSY:
		http_answer_error(rq, 503, "too_many_requests", NULL, DEBUGSTORE_MAX_UPLOADS, "%s", err->text);
		return;
	case -ENOSPC:
	case -EDQUOT:
	case -EIO:
		http_answer_error(rq, 507, "out_of_space", NULL, -1, "%s", err->text);
		return;
	case -EINVAL:
	case -EBADMSG:
	case -ENODATA:
	case -E2BIG:
	case -EPROTONOSUPPORT:
		http_answer_error(rq, 422, "unsupported", "body", -1, "%s", err->text);
		return;
	default:
		http_answer_error(rq, 500, "internal", NULL, -1, "%s", err->text[0] ? err->text : "out of memory");
	}
}

/* Answers 400 and returns NULL when the path's last part is no build id. */
static const char *read_build_id(struct http_request *rq)
{
	static const char *const known[] = { NULL };
	const char *id = http_path_tail(rq);
	if (!param_check(rq, known))
		return NULL;
	if (is_build_id(id))
		return id;
	http_answer_error(rq, 400, "bad_request", "build_id", -1,
			  "a build id of 8 to 128 lower-case hex digits is expected");
	return NULL;
}

/* ---- PUT, on HTTP threads ---- */

static void put_free(struct put **p)
{
	if (!*p)
		return;
	if ((*p)->upload)
		debug_upload_abort((*p)->upload);
	free(*p);
	*p = NULL;
}

static void *open_put(struct http_request *rq, void *ctx)
{
	struct server *s = ctx;
	struct error err = { "" };
	const char *id = read_build_id(rq), *length = http_header(rq, "Content-Length");
	if (!id)
		return NULL;
	_cleanup_(put_free)
	struct put *p = calloc(1, sizeof(*p));
	if (!p) {
		http_answer_error(rq, 500, "internal", NULL, -1, "out of memory");
		return NULL;
	}
	p->server = s;
	p->rq = rq;
	if (debugstore_find(s->debugstore, id, &p->there) && p->there.has_dwarf)
		return take_ptr(p);
	/* Checked to be a number by the HTTP layer. */
	int r = debug_upload_begin(s->debugstore, id, length ? strtoull(length, NULL, 10) : 0, &p->upload, &err);
	if (r < 0) {
		answer_failure(s, rq, r, &err);
		return NULL;
	}
	return take_ptr(p);
}

static bool take_piece(void *stream, const void *data, size_t size)
{
	struct put *p = stream;
	return p->upload && debug_upload_write(p->upload, data, size);
}

static void drop_put(void *stream)
{
	struct put *p = stream;
	put_free(&p);
}

const struct http_stream api_debuginfo_stream = { open_put, take_piece, drop_put, BODY_S };

static void submit(struct uploads *u, struct put *p)
{
	(void)pthread_mutex_lock(&u->lock);
	p->next = NULL;
	*u->last = p;
	u->last = &p->next;
	(void)pthread_cond_signal(&u->wake);
	(void)pthread_mutex_unlock(&u->lock);
}

void api_debuginfo_put(struct http_request *rq, void *ctx)
{
	struct server *s = ctx;
	_cleanup_(put_free)
	struct put *p = http_take_stream(rq);
	if (!p->upload) {
		answer_put(rq, "present", &p->there);
		return;
	}
	if (!waiting_begin(s, rq))
		return;
	submit(s->uploads, take_ptr(p));
}

/* ---- the thread ---- */

static void finish(struct put *p)
{
	struct server *s = p->server;
	struct http_request *rq = p->rq;
	struct error err = { "" };
	bool stored = false;
	char id[ELF_BUILD_ID_HEX];
	(void)snprintf(id, sizeof(id), "%s", http_path_tail(rq));
	int r = debug_upload_commit(take_ptr(p->upload), &stored, &err);
	/* It may be gone again already: others make room. */
	if (r == 0 && !debugstore_find(s->debugstore, id, &p->there))
		r = error_set(&err, -ENOSPC, "it had to make room for others at once; raise --debuginfo-limit");
	if (r < 0)
		answer_failure(s, rq, r, &err);
	else
		answer_put(rq, stored ? "stored" : "present", &p->there);
	put_free(&p);
	if (stored)
		namer_poke(s->namer);
	waiting_end(s, rq);
}

static void *uploads_thread(void *arg)
{
	struct uploads *u = arg;
	(void)pthread_mutex_lock(&u->lock);
	while (!u->stop || u->first) {
		struct put *p = u->first;
		if (!p) {
			(void)pthread_cond_wait(&u->wake, &u->lock);
			continue;
		}
		u->first = p->next;
		if (!u->first)
			u->last = &u->first;
		(void)pthread_mutex_unlock(&u->lock);
		finish(p);
		(void)pthread_mutex_lock(&u->lock);
	}
	(void)pthread_mutex_unlock(&u->lock);
	return NULL;
}

int uploads_start(struct server *s, struct uploads **ret, struct error *err)
{
	struct uploads *u = calloc(1, sizeof(*u));
	if (!u)
		return error_set(err, -ENOMEM, "out of memory");
	u->server = s;
	u->last = &u->first;
	(void)pthread_mutex_init(&u->lock, NULL);
	(void)pthread_cond_init(&u->wake, NULL);
	int e = pthread_create(&u->thread, NULL, uploads_thread, u);
	if (e) {
		free(u);
		return error_set(err, -e, "cannot start the upload thread: %s", strerror(e));
	}
	*ret = u;
	return 0;
}

void uploads_stop(struct uploads *u)
{
	if (!u)
		return;
	(void)pthread_mutex_lock(&u->lock);
	u->stop = true;
	(void)pthread_cond_signal(&u->wake);
	(void)pthread_mutex_unlock(&u->lock);
	(void)pthread_join(u->thread, NULL);
	(void)pthread_cond_destroy(&u->wake);
	(void)pthread_mutex_destroy(&u->lock);
	free(u);
}

/* ---- GET ---- */

void api_debuginfo_get(struct http_request *rq, void *ctx)
{
	struct server *s = ctx;
	const char *id = read_build_id(rq);
	struct debug_file f;
	if (!id)
		return;
	if (!debugstore_find(s->debugstore, id, &f)) {
		http_answer_error(rq, 404, "not_found", "build_id", -1, "no debug file of build id %s is here", id);
		return;
	}
	struct buf out = buf_of(1024);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	write_file(&w, &f);
	jsonw_end(&w, '}');
	http_answer_json(rq, 200, &out);
}

static void write_missing(struct jsonw *w, const struct namer_build *builds, uint32_t n)
{
	jsonw_array(w, "missing");
	for (uint32_t i = 0; i < n; i++) {
		jsonw_object(w, NULL);
		jsonw_cstr(w, "build_id", builds[i].build_id);
		jsonw_cstr(w, "path", builds[i].path);
		jsonw_u64(w, "frames", builds[i].n_frames);
		jsonw_end(w, '}');
	}
	jsonw_end(w, ']');
}

void api_debuginfo(struct http_request *rq, void *ctx)
{
	static const char *const known[] = { NULL };
	struct server *s = ctx;
	if (!param_check(rq, known))
		return;
	_cleanup_(free_ptr)
	struct debug_file *files = NULL;
	_cleanup_(free_ptr)
	struct namer_build *builds = NULL;
	struct debugstore_stats stats;
	uint32_t n_files = 0, n_builds = 0;
	if (debugstore_list(s->debugstore, &files, &n_files) < 0 ||
	    namer_list(s->namer, MAX_MISSING, &builds, &n_builds) < 0) {
		http_answer_error(rq, 500, "internal", NULL, -1, "out of memory");
		return;
	}
	debugstore_get_stats(s->debugstore, &stats);
	struct buf out = buf_of(16 << 20);
	struct jsonw w = { .out = &out };
	jsonw_object(&w, NULL);
	jsonw_u64(&w, "size", stats.size);
	jsonw_u64(&w, "limit", stats.limit);
	jsonw_u64(&w, "file_limit", stats.file_max);
	jsonw_array(&w, "files");
	for (uint32_t i = 0; i < n_files; i++) {
		jsonw_object(&w, NULL);
		write_file(&w, &files[i]);
		jsonw_end(&w, '}');
	}
	jsonw_end(&w, ']');
	write_missing(&w, builds, n_builds);
	jsonw_end(&w, '}');
	http_answer_json(rq, 200, &out);
}
