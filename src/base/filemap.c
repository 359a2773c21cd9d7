/* SPDX-License-Identifier: Apache-2.0 */
#include "base/filemap.h"

#include "base/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Below this a read is as quick. */
#define MAP_MIN ((off_t)1 << 20)

static bool map_file(struct filemap *f, const char *path, size_t max)
{
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < MAP_MIN || (uint64_t)st.st_size > max)
		return false;
	void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return false;
	f->map = map;
	f->bytes = slice_of(map, (size_t)st.st_size);
	return true;
}

int filemap_init(struct filemap *f, const char *path, size_t max, struct error *err)
{
	*f = (struct filemap){ .copy = buf_of(max) };
	if (strcmp(path, "-") != 0 && map_file(f, path, max))
		return 0;
	/* This also finds the words for what is wrong. */
	int r = file_read(path, &f->copy, err);
	if (r < 0)
		filemap_done(f);
	else
		f->bytes = slice_of(f->copy.data, f->copy.n);
	return r;
}

void filemap_done(struct filemap *f)
{
	if (f->map)
		(void)munmap(f->map, f->bytes.size);
	buf_done(&f->copy);
	*f = (struct filemap){ 0 };
}
