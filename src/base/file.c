/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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

/* What is known to be too much is not read first. */
static int make_room(int fd, const struct stat *st, const char *path, struct buf *out, struct error *err)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	size_t size = at >= 0 && at < st->st_size ? (size_t)(st->st_size - at) : 0;
	if (size > out->max - out->n)
		return error_set(err, -E2BIG, "%s: %zu bytes, more than the limit of %zu", path, size, out->max);
	/* One more shows that the end is the end. */
	if (size)
		(void)buf_room(out, size < out->max - out->n ? size + 1 : size);
	return 0;
}

int file_temp(const char *dir)
{
	int fd = dir ? open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
	if (fd < 0)
		fd = memfd_create("temp", MFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* O_PATH touches nothing: reading from a device, even opening it, may do things. */
static int open_path_in_root(int root, const char *path)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	return fd < 0 ? -errno : fd;
}

int file_open_in_root(int root, const char *path)
{
	struct stat st;
	char link[32];
	_cleanup_(close_fd)
	int found = open_path_in_root(root, path);
	if (found < 0)
		return found;
	if (fstat(found, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
	int fd = open(link, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int file_read(const char *path, struct buf *out, struct error *err)
{
	bool is_stdin = strcmp(path, "-") == 0;
	_cleanup_(close_fd)
	int fd = is_stdin ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	struct stat st;
	if (fstat(fd, &st) < 0)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(err, -EISDIR, "%s: is a directory", path);
	int r = S_ISREG(st.st_mode) ? make_room(fd, &st, path, out, err) : 0;
	if (r < 0)
		return r;
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
