/* SPDX-License-Identifier: Apache-2.0 */
#include "base/outfile.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

bool outfile_is_stdout(const char *path)
{
	static const char *const names[] = { "-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(path, names[i]) == 0)
			return true;
	return false;
}

static int fail(const struct outfile *o, int code, struct error *err)
{
	return error_set(err, code, "%s: %s", outfile_is_stdout(o->path) ? "standard output" : o->path,
			 strerror(-code));
}

int outfile_check(const char *path, bool force, struct error *err)
{
	struct stat st;
	if (force || outfile_is_stdout(path) || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return error_set(err, -EEXIST, "%s: exists; --force replaces it", path);
}

/* Where an open file can be linked from. */
static void proc_path(int fd, char ret[static 32])
{
	(void)snprintf(ret, 32, "/proc/self/fd/%d", fd);
}

/* A file without a name in the folder of `path`; false: not here. */
static bool open_unnamed(struct outfile *o)
{
	char folder[PATH_MAX], link[32];
	const char *slash = strrchr(o->path, '/');
	size_t size = slash ? (size_t)(slash - o->path) + 1 : 0;
	if (size >= sizeof(folder))
		return false;
	memcpy(folder, o->path, size);
	folder[size] = 0;
	o->fd = open(size ? folder : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	if (o->fd < 0)
		return false;
	/* Without /proc it could never get one. */
	proc_path(o->fd, link);
	if (access(link, F_OK) == 0)
		return true;
	close_fd(&o->fd);
	return false;
}

static int open_named(struct outfile *o, struct error *err)
{
	o->fd = open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (o->fd < 0)
		return fail(o, -errno, err);
	o->has_temporary = true;
	return 0;
}

int outfile_open(struct outfile *o, const char *path, bool force, struct error *err)
{
	struct stat st;
	*o = (struct outfile){ .path = path, .force = force, .fd = -1 };
	int r = outfile_check(path, force, err);
	if (r < 0)
		return r;
	bool is_stdout = outfile_is_stdout(path);
	if (is_stdout || (stat(path, &st) == 0 && !S_ISREG(st.st_mode))) {
		o->is_in_place = true;
		o->fd = is_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CLOEXEC);
		return o->fd < 0 ? fail(o, -errno, err) : 0;
	}
	int n = snprintf(o->temporary, sizeof(o->temporary), "%s.tmp-%d", path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(o->temporary))
		return error_set(err, -ENAMETOOLONG, "%s: name too long", path);
	return open_unnamed(o) ? 0 : open_named(o, err);
}

int outfile_put(struct outfile *o, struct slice piece, struct error *err)
{
	int r = fd_write_all(o->fd, piece.data, piece.size);
	return r < 0 ? fail(o, r, err) : 0;
}

/* Gives an unnamed file the name `to`, which must not be there. */
static int link_unnamed(const struct outfile *o, const char *to)
{
	char from[32];
	proc_path(o->fd, from);
	return linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

/* No call replaces a name by a file that has none: one for a moment. */
static int replace(struct outfile *o)
{
	int r = o->has_temporary ? 0 : link_unnamed(o, o->temporary);
	if (r < 0)
		return r;
	o->has_temporary = true;
	if (rename(o->temporary, o->path) < 0)
		return -errno;
	o->has_temporary = false;
	return 0;
}

/* link() refuses an existing name, which rename() would replace. */
static int create(const struct outfile *o)
{
	if (!o->has_temporary)
		return link_unnamed(o, o->path);
	return link(o->temporary, o->path) < 0 ? -errno : 0;
}

int outfile_commit(struct outfile *o, struct error *err)
{
	if (o->is_in_place)
		return 0;
	if (fsync(o->fd) < 0)
		return fail(o, -errno, err);
	int r = o->has_temporary && o->force ? replace(o) : create(o);
	if (r == -EEXIST && o->force)
		r = replace(o);
	if (r == -EEXIST)
		return error_set(err, r, "%s: exists; --force replaces it", o->path);
	return r < 0 ? fail(o, r, err) : 0;
}

void outfile_done(struct outfile *o)
{
	if (o->has_temporary)
		(void)unlink(o->temporary);
	if (o->fd != STDOUT_FILENO)
		close_fd(&o->fd);
	o->fd = -1;
	o->has_temporary = false;
}

int outfile_write(const char *path, struct slice data, bool force, struct error *err)
{
	_cleanup_(outfile_done)
	struct outfile o;
	int r = outfile_open(&o, path, force, err);
	if (r == 0)
		r = outfile_put(&o, data, err);
	return r < 0 ? r : outfile_commit(&o, err);
}
