/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

int fd_write_all(int fd, const void *data, size_t size)
{
	const uint8_t *p = data;
	while (size) {
		ssize_t n = write(fd, p, size);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

int file_read(const char *path, struct buf *out, struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	_cleanup_(close_fd)
	int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	struct stat st;
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: is a directory", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && (uint64_t)st.st_size < out->max - out->n)
		(void)buf_room(out, (size_t)st.st_size + 1);
	for (;;) {
		size_t want = out->cap - out->n > 1 ? out->cap - out->n : 65536;
		uint8_t *p = buf_room(out, want < out->max - out->n ? want : out->max - out->n);
		if (!p)
			return error_set(err, -ENOMEM, "%s: out of memory after %zu bytes", path, out->n);
		if (out->cap == out->n) {
			uint8_t more;
			ssize_t n = read(fd, &more, 1);
			if (n == 0)
				return 0;
			return error_set(err, -E2BIG, "%s: larger than the limit of %zu bytes", path, out->max);
		}
		ssize_t n = read(fd, p, out->cap - out->n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set(err, -errno, "%s: %s", path, strerror(errno));
		if (n == 0)
			return 0;
		out->n += (size_t)n;
	}
}

static int write_temporary(const char *temporary, const char *path, int fd, struct slice data, bool force,
			   struct error *err)
{
	int r = fd_write_all(fd, data.data, data.size);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		return error_set(err, r, "%s: %s", path, strerror(-r));
	/* link() refuses an existing name, which rename() would replace. */
	if (!force && link(temporary, path) < 0)
		return error_set(err, -errno, errno == EEXIST ? "%s: exists; --force replaces it" : "%s: cannot create",
				 path);
	if (force && rename(temporary, path) < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

int file_write(const char *path, struct slice data, bool force, struct error *err)
{
	if (strcmp(path, "-") == 0) {
		int r = fd_write_all(STDOUT_FILENO, data.data, data.size);
		return r < 0 ? error_set(err, r, "standard output: %s", strerror(-r)) : 0;
	}
	struct stat st;
	bool exists = stat(path, &st) == 0;
	if (exists && !force)
		return error_set(err, -EEXIST, "%s: exists; --force replaces it", path);
	if (exists && !S_ISREG(st.st_mode)) {
		/* A device or pipe is written, never replaced. */
		_cleanup_(close_fd)
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		int r = fd < 0 ? -errno : fd_write_all(fd, data.data, data.size);
		return r < 0 ? error_set(err, r, "%s: %s", path, strerror(-r)) : 0;
	}
	char temporary[PATH_MAX];
	int n = snprintf(temporary, sizeof(temporary), "%s.tmp-%d", path, (int)getpid());
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return error_set(err, -ENAMETOOLONG, "%s: name too long", path);
	_cleanup_(close_fd)
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	int r = write_temporary(temporary, path, fd, data, force, err);
	if (r < 0 || !force)
		(void)unlink(temporary);
	return r;
}
