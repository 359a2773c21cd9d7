/* SPDX-License-Identifier: Apache-2.0 */
#include "debuginfo/debuginfod.h"

#include "base/child.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define CONNECT_S "20" /* until the first bytes come */
#define TOTAL_S	  600  /* of one download */
#define MAX_VARS  16
#define VAR_SIZE  (PATH_MAX + 64)

/* What libcurl may need to get out. */
static const char *const passed_on[] = { "http_proxy", "https_proxy",	"HTTPS_PROXY", "no_proxy",
					 "NO_PROXY",   "SSL_CERT_FILE", "SSL_CERT_DIR" };

/* A URL that the library would take is not always one that is meant: file:///etc. */
static bool are_urls(const char *urls)
{
	unsigned n = 0;
	for (const char *at = urls; *(at += strspn(at, " ")); at += strcspn(at, " "), n++)
		if (strncmp(at, "http://", 7) != 0 && strncmp(at, "https://", 8) != 0)
			return false;
	return n > 0;
}

int debuginfod_check(const struct debuginfod *d, struct error *err)
{
	if (!are_urls(d->urls))
		return error_set(err, -EINVAL,
				 "--debuginfod \"%.200s\": http:// or https:// URLs, parted by spaces, are expected",
				 d->urls);
	if (access(d->program, X_OK) < 0)
		return error_set(err, -ENOENT, "--debuginfod: %s is not there: wick was built without libdebuginfod",
				 d->program);
	return 0;
}

static void empty_folder(const char *folder)
{
	char *paths[] = { (char *)(uintptr_t)folder, NULL };
	FTS *fts = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	for (FTSENT *e; fts && (e = fts_read(fts));)
		if (e->fts_info != FTS_D && e->fts_level > FTS_ROOTLEVEL)
			(void)remove(e->fts_accpath);
	if (fts)
		(void)fts_close(fts);
}

int debuginfod_clear(const struct debuginfod *d, struct error *err)
{
	if (mkdir(d->folder, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", d->folder, strerror(errno));
	empty_folder(d->folder);
	return 0;
}

/* ---- one look-up ---- */

struct environment {
	char *vars[MAX_VARS + 1]; /* NULL at the end */
	char text[MAX_VARS][VAR_SIZE];
	unsigned n;
};

static void add_var(struct environment *e, const char *name, const char *value)
{
	if (value && e->n < MAX_VARS && snprintf(e->text[e->n], VAR_SIZE, "%s=%s", name, value) < VAR_SIZE) {
		e->vars[e->n] = e->text[e->n];
		e->n++;
	}
}

static void make_environment(const struct debuginfod *d, const char *size, struct environment *e)
{
	e->n = 0;
	add_var(e, "DEBUGINFOD_URLS", d->urls);
	add_var(e, "DEBUGINFOD_CACHE_PATH", d->folder);
	add_var(e, "DEBUGINFOD_MAXSIZE", size);
	add_var(e, "DEBUGINFOD_TIMEOUT", CONNECT_S);
	add_var(e, "DEBUGINFOD_RETRY_LIMIT", "1");
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		add_var(e, passed_on[i], getenv(passed_on[i]));
	e->vars[e->n] = NULL;
}

/* Starts the program; the caller's pipe with what it says. */
static int start(const struct debuginfod *d, const char *build_id, pid_t *ret_pid, int *ret_pipe)
{
	char id[256], size[24];
	int ends[2];
	(void)snprintf(id, sizeof(id), "%s", build_id);
	(void)snprintf(size, sizeof(size), "%" PRIu64, d->file_max);
	char *argv[] = { "wick-debuginfod", id, size, NULL };
	struct environment *e = malloc(sizeof(*e));
	if (!e || pipe2(ends, O_CLOEXEC) < 0) {
		int r = e ? -errno : -ENOMEM;
		free(e);
		return r;
	}
	make_environment(d, size, e);
	const int fds[] = { -1, ends[1] };
	int r = child_start(d->program, argv, e->vars, fds, ARRAY_SIZE(fds), ret_pid);
	free(e);
	(void)close(ends[1]);
	*ret_pipe = ends[0];
	return r;
}

/* Waits for its end; `text` gets the start of what it says. Its exit status, or -ETIME. */
static int wait_for_end(const struct debuginfod *d, pid_t pid, int pipe, char *text, size_t size)
{
	int64_t deadline = clock_mono_ns() + TOTAL_S * INT64_C(1000000000), cpu_ns;
	size_t n = 0;
	ssize_t got;
	char rest[256];
	while ((got = child_read(pipe, n < size - 1 ? text + n : rest, n < size - 1 ? size - 1 - n : sizeof(rest),
				 deadline, d->stop)) > 0)
		n += n < size - 1 ? (size_t)got : 0;
	text[n] = 0;
	int status;
	child_end(pid, &status, &cpu_ns);
	if (got < 0)
		return -ETIME;
	return WIFEXITED(status) ? WEXITSTATUS(status) : DEBUGINFOD_EXIT_FAILED;
}

static int take_file(const struct debuginfod *d, const char *build_id, struct error *err)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s/debuginfo", d->folder, build_id);
	int fd = n < (int)sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	return fd < 0 ? error_set(err, -EIO, "%s: %s", path, strerror(errno)) : fd;
}

int debuginfod_fetch(const struct debuginfod *d, const char *build_id, struct error *err)
{
	char text[256] = "";
	pid_t pid;
	_cleanup_(close_fd)
	int pipe = -1;
	int r = start(d, build_id, &pid, &pipe);
	if (r < 0)
		return error_set(err, -EIO, "%s: %s", d->program, strerror(-r));
	int status = wait_for_end(d, pid, pipe, text, sizeof(text));
	int fd = status == 0 ? take_file(d, build_id, err) : -EIO;
	/* The library remembers what it got and what it did not get; both are our own concern. */
	empty_folder(d->folder);
	if (status == 0)
		return fd;
	if (*d->stop)
		return error_set(err, -ECANCELED, "stopped");
	if (status == -ETIME)
		return error_set(err, -EIO, "no answer within %d s", TOTAL_S);
	if (status == DEBUGINFOD_EXIT_NONE)
		return error_set(err, -ENOENT, "no server has it");
	if (status == DEBUGINFOD_EXIT_LARGE)
		return error_set(err, -EFBIG, "it is larger than %" PRIu64 " bytes", d->file_max);
	text[strcspn(text, "\n")] = 0;
	return error_set(err, -EIO, "%s", text[0] ? text : "the look-up failed");
}
