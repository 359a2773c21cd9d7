/* SPDX-License-Identifier: Apache-2.0 */
#include "object/debugfile.h"

#include "base/file.h"
#include "object/filewin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lzma.h>

#define FOLDER	   "/usr/lib/debug"
#define CRC_WINDOW (64u << 10)

/* What .gnu_debuglink holds. */
struct link {
	char name[NAME_MAX + 1];
	uint32_t crc;
};

/* One search. */
struct search {
	const struct elf *stripped;
	const struct link *link; /* NULL: by build id only */
	int *ret_fd;
	struct elf *ret;
};

/* The checksum that links state: that of IEEE 802.3, as in gzip and xz. */
static bool has_crc(const struct elf *e, uint32_t want)
{
	struct filewin w;
	uint64_t off = 0;
	uint32_t crc = 0, n;
	if (e->file_size > DEBUGFILE_CRC_MAX || filewin_init(&w, e->fd, e->file_size, CRC_WINDOW) < 0)
		return false;
	for (const void *p; off < e->file_size && (p = filewin_ahead(&w, off, &n)); off += n)
		crc = lzma_crc32(p, n, crc);
	filewin_done(&w);
	return off == e->file_size && crc == want;
}

static bool belongs(const struct search *s, const struct elf *e)
{
	const struct elf *stripped = s->stripped;
	if (e->machine != stripped->machine || e->symtab.size == 0)
		return false;
	if (e->build_id_size && stripped->build_id_size)
		return e->build_id_size == stripped->build_id_size &&
		       memcmp(e->build_id, stripped->build_id, e->build_id_size) == 0;
	return s->link && has_crc(e, s->link->crc);
}

static bool try_file(const struct search *s, int root, const char *path)
{
	struct elf e;
	_cleanup_(close_fd)
	int fd = file_open_in_root(root, path);
	if (fd < 0 || elf_init(&e, fd, NULL) < 0 || !belongs(s, &e))
		return false;
	*s->ret = e;
	*s->ret_fd = take_fd(fd);
	return true;
}

static bool find_by_build_id(const struct search *s, int root)
{
	char id[ELF_BUILD_ID_HEX], path[sizeof(FOLDER) + sizeof(id) + 32];
	if (elf_build_id_hex(s->stripped, id) <= 2)
		return false;
	(void)snprintf(path, sizeof(path), FOLDER "/.build-id/%.2s/%s.debug", id, id + 2);
	return try_file(s, root, path);
}

/* The name, zeros up to a multiple of 4, the CRC. */
static bool read_link(const struct elf *e, struct link *ret)
{
	struct filewin w;
	uint64_t size = e->debuglink.size;
	if (size < 8 || size > sizeof(ret->name) + 8 || filewin_init(&w, e->fd, e->file_size, (uint32_t)size) < 0)
		return false;
	const char *p = filewin_at(&w, e->debuglink.off, (uint32_t)size);
	size_t n = p ? strnlen(p, size) : 0, crc = (n + 4) & ~(size_t)3;
	bool is_name = n > 0 && n <= NAME_MAX && crc + sizeof(ret->crc) <= size && !memchr(p, '/', n) && p[0] != '.';
	if (is_name) {
		memcpy(ret->name, p, n + 1);
		memcpy(&ret->crc, p + crc, sizeof(ret->crc));
	}
	filewin_done(&w);
	return is_name;
}

static bool try_beside(const struct search *s, struct debugfile_place place, const char *prefix, const char *folder)
{
	char path[PATH_MAX];
	const char *slash = strrchr(place.path, '/');
	int n = snprintf(path, sizeof(path), "%s%.*s/%s%s", prefix, (int)(slash - place.path), place.path, folder,
			 s->link->name);
	return n > 0 && (size_t)n < sizeof(path) && try_file(s, place.root, path);
}

static bool find_by_link(const struct search *s, struct debugfile_place place)
{
	return try_beside(s, place, "", "") || try_beside(s, place, "", ".debug/") || try_beside(s, place, FOLDER, "");
}

int debugfile_open(const struct elf *stripped, struct debugfile_place place, int *ret_fd, struct elf *ret)
{
	struct search s = { .stripped = stripped, .ret_fd = ret_fd, .ret = ret };
	struct link link;
	_cleanup_(close_fd)
	int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (stripped->symtab.size)
		return -ENOENT;
	if ((place.root >= 0 && find_by_build_id(&s, place.root)) || (host >= 0 && find_by_build_id(&s, host)))
		return 0;
	if (place.root < 0 || place.path[0] != '/' || !read_link(stripped, &link))
		return -ENOENT;
	s.link = &link;
	return find_by_link(&s, place) ? 0 : -ENOENT;
}
