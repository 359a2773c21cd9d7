/* SPDX-License-Identifier: Apache-2.0 */
#include "server/fetcher.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/sibling.h"
#include "debuginfo/debuginfod.h"
#include "server/server.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define SECOND_NS      INT64_C(1000000000)
#define PAUSE_NS       SECOND_NS	  /* between two requests */
#define IDLE_NS	       (5 * SECOND_NS)	  /* when there is nothing to ask for */
#define FAILURE_NS     (60 * SECOND_NS)	  /* after a failure, for all */
#define FINAL_NS       (3600 * SECOND_NS) /* until the same is asked for again */
#define FAILED_NS      (300 * SECOND_NS)
#define MAX_REMEMBERED 4096 /* builds; beyond it the oldest answer is forgotten */
#define MAX_ASKED      1000 /* builds looked through for one to ask for */
#define COPY_SIZE      65536

/* What came of asking for a build. */
struct answer {
	uint64_t build; /* hash of its id; 0 = empty */
	int64_t until_ns;
};

struct fetcher {
	struct server *server;
	struct debuginfod debuginfod;
	char folder[PATH_MAX], program[PATH_MAX];
	pthread_t thread;
	pthread_mutex_t lock; /* for the condition */
	pthread_cond_t wake;
	_Atomic bool stop;
	_Atomic uint64_t n_fetched, n_missing, n_failed;
	struct log_gate gate;
	/* The thread's own. */
	struct answer answers[MAX_REMEMBERED];
	uint32_t next_answer;
};

static uint64_t hash_of(const char *build_id)
{
	uint64_t hash = XXH3_64bits(build_id, strlen(build_id));
	return hash ? hash : 1;
}

static struct answer *find_answer(struct fetcher *f, const char *build_id)
{
	uint64_t build = hash_of(build_id);
	for (uint32_t i = 0; i < MAX_REMEMBERED; i++)
		if (f->answers[i].build == build)
			return &f->answers[i];
	return NULL;
}

static void remember(struct fetcher *f, const char *build_id, int64_t ns)
{
	struct answer *a = find_answer(f, build_id);
	if (!a)
		a = &f->answers[f->next_answer++ % MAX_REMEMBERED];
	*a = (struct answer){ hash_of(build_id), clock_mono_ns() + ns };
}

/* The build with most frames that may be asked for; false: there is none. */
static bool next_build(struct fetcher *f, char ret[static ELF_BUILD_ID_HEX])
{
	_cleanup_(free_ptr)
	struct namer_build *builds = NULL;
	uint32_t n = 0;
	int64_t now = clock_mono_ns();
	if (namer_list(f->server->namer, MAX_ASKED, &builds, &n) < 0)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		const struct answer *a = find_answer(f, builds[i].build_id);
		if (a && a->until_ns > now)
			continue;
		memcpy(ret, builds[i].build_id, ELF_BUILD_ID_HEX);
		return true;
	}
	return false;
}

static int copy_into(struct debug_upload *u, int fd)
{
	_cleanup_(free_ptr)
	uint8_t *bytes = malloc(COPY_SIZE);
	if (!bytes)
		return -ENOMEM;
	for (off_t at = 0;;) {
		ssize_t n = pread(fd, bytes, COPY_SIZE, at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		/* A failure is told by the commit. */
		if (!debug_upload_write(u, bytes, (size_t)n))
			return 0;
		at += n;
	}
}

/* The same checks as for what users upload. */
static int store(struct fetcher *f, const char *build_id, int fd, struct error *err)
{
	struct debug_upload *u;
	struct stat st;
	bool stored;
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	int r = debug_upload_begin(f->server->debugstore, build_id, (uint64_t)st.st_size, &u, err);
	if (r < 0)
		return r;
	r = copy_into(u, fd);
	if (r < 0) {
		debug_upload_abort(u);
		return error_set(err, r, "%s", strerror(-r));
	}
	return debug_upload_commit(u, &stored, err);
}

/* Asking again soon would not help: nobody has it, or it is not what it should be. */
static bool is_final(int result)
{
	return result == -ENOENT || result == -EFBIG || result == -EINVAL || result == -EBADMSG || result == -ENODATA ||
	       result == -EPROTONOSUPPORT;
}

/* The disk has it twice while it is copied, and others have their reserve. */
static int ask(const struct fetcher *f, const char *build_id, struct error *err)
{
	struct debuginfod d = f->debuginfod;
	uint64_t room = debugstore_room(f->server->debugstore) / 2;
	bool is_short = room < d.file_max;
	d.file_max = is_short ? room : d.file_max;
	int fd = room ? debuginfod_fetch(&d, build_id, err) : -EFBIG;
	if (fd == -EFBIG && is_short)
		return error_set(err, -ENOSPC, "not asked for, or too large: the disk is nearly full");
	return fd;
}

/* How long to wait before the next request. */
static int64_t fetch(struct fetcher *f, const char *build_id)
{
	struct error err = { "" };
	_cleanup_(close_fd)
	int fd = ask(f, build_id, &err);
	int r = fd < 0 ? fd : store(f, build_id, fd, &err);
	f->n_fetched += r == 0;
	f->n_missing += r == -ENOENT;
	f->n_failed += r < 0 && r != -ENOENT && r != -ECANCELED;
	remember(f, build_id, r == 0 || is_final(r) ? FINAL_NS : FAILED_NS);
	if (r == 0)
		namer_poke(f->server->namer);
	else if (r != -ENOENT && r != -ECANCELED)
		log_warn_every(&f->gate, 60, "debuginfod: build_id=%s: %s", build_id, err.text);
	return r == 0 || is_final(r) ? PAUSE_NS : FAILURE_NS;
}

/* False when it is time to end. */
static bool wait_for(struct fetcher *f, int64_t ns)
{
	int64_t until = clock_mono_ns() + ns;
	struct timespec ts = { .tv_sec = until / SECOND_NS, .tv_nsec = until % SECOND_NS };
	(void)pthread_mutex_lock(&f->lock);
	for (int e = 0; !f->stop && e == 0;)
		e = pthread_cond_timedwait(&f->wake, &f->lock, &ts);
	(void)pthread_mutex_unlock(&f->lock);
	return !f->stop;
}

static void *fetcher_thread(void *arg)
{
	struct fetcher *f = arg;
	char build_id[ELF_BUILD_ID_HEX];
	int64_t pause = PAUSE_NS;
	while (wait_for(f, pause))
		pause = next_build(f, build_id) ? fetch(f, build_id) : IDLE_NS;
	return NULL;
}

int fetcher_start(struct server *s, struct fetcher **ret, struct error *err)
{
	const struct options *o = s->options;
	if (!o->debuginfod[0])
		return 0;
	if (o->debuginfo_limit == 0)
		return error_set(err, -EINVAL, "--debuginfod: --debuginfo-limit 0 leaves no room for what it fetches");
	_cleanup_(fetcher_free)
	struct fetcher *f = calloc(1, sizeof(*f));
	if (!f)
		return error_set(err, -ENOMEM, "out of memory");
	f->server = s;
	pthread_condattr_t attr;
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&f->wake, &attr);
	(void)pthread_condattr_destroy(&attr);
	(void)pthread_mutex_init(&f->lock, NULL);
	if (snprintf(f->folder, sizeof(f->folder), "%s/debuginfo/fetch", o->data) >= (int)sizeof(f->folder))
		return error_set(err, -ENAMETOOLONG, "data folder %s: the path is too long", o->data);
	f->debuginfod = (struct debuginfod){
		.program = f->program,
		.urls = o->debuginfod,
		.folder = f->folder,
		.file_max = o->debuginfo_file_limit < o->debuginfo_limit ? o->debuginfo_file_limit : o->debuginfo_limit,
		.stop = &f->stop,
	};
	int r = sibling_path("wick-debuginfod", f->program, err);
	if (r == 0)
		r = debuginfod_check(&f->debuginfod, err);
	if (r == 0)
		r = debuginfod_clear(&f->debuginfod, err);
	if (r < 0)
		return r;
	int e = pthread_create(&f->thread, NULL, fetcher_thread, f);
	if (e)
		return error_set(err, -e, "cannot start the thread for debuginfod: %s", strerror(e));
	*ret = take_ptr(f);
	return 0;
}

void fetcher_stop(struct fetcher *f)
{
	if (!f)
		return;
	f->stop = true;
	(void)pthread_mutex_lock(&f->lock);
	(void)pthread_cond_signal(&f->wake);
	(void)pthread_mutex_unlock(&f->lock);
	(void)pthread_join(f->thread, NULL);
}

void fetcher_free(struct fetcher **f)
{
	if (!*f)
		return;
	(void)pthread_cond_destroy(&(*f)->wake);
	(void)pthread_mutex_destroy(&(*f)->lock);
	free(*f);
	*f = NULL;
}

void fetcher_get_stats(const struct fetcher *f, struct fetcher_stats *ret)
{
	*ret = (struct fetcher_stats){ 0 };
	if (f)
		*ret = (struct fetcher_stats){ f->n_fetched, f->n_missing, f->n_failed };
}
