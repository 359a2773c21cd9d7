/* SPDX-License-Identifier: Apache-2.0 */
#include "dwarf/find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

bool build_id_is(const struct elf *elf, struct slice hex)
{
	char found[ELF_BUILD_ID_HEX];
	size_t n = elf_build_id_hex(elf, found);
	if (n == 0 || hex.size < n || memcmp(hex.data, found, n) != 0)
		return false;
	for (size_t i = n; i < hex.size; i++)
		if (hex.data[i] != '0')
			return false;
	return true;
}

static int open_if_it_is(const char *path, struct slice build_id)
{
	struct elf elf;
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || elf_init(&elf, fd, NULL) < 0 || !elf.has_dwarf || !build_id_is(&elf, build_id))
		return -ENOENT;
	return take_fd(fd);
}

/* FOLDER/between/ab/cdef.debug */
static int open_below(const char *folder, const char *between, struct slice id)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s%s/%.2s/%.*s.debug", folder, between, (const char *)id.data,
			 (int)id.size - 2, (const char *)id.data + 2);
	return n < 0 || (size_t)n >= sizeof(path) ? -ENOENT : open_if_it_is(path, id);
}

static bool is_hex(struct slice text)
{
	for (size_t i = 0; i < text.size; i++)
		if (!((text.data[i] >= '0' && text.data[i] <= '9') || (text.data[i] >= 'a' && text.data[i] <= 'f')))
			return false;
	return true;
}

int dwarf_find(const char *path, struct slice build_id, const char *const *folders, unsigned n_folders)
{
	if (build_id.size <= 2 || build_id.size >= ELF_BUILD_ID_HEX || !is_hex(build_id))
		return -ENOENT;
	int fd = path ? open_if_it_is(path, build_id) : -ENOENT;
	for (unsigned i = 0; fd < 0 && i < n_folders; i++) {
		fd = open_below(folders[i], "/.build-id", build_id);
		if (fd < 0)
			fd = open_below(folders[i], "", build_id);
	}
	return fd;
}
