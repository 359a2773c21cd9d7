/* SPDX-License-Identifier: Apache-2.0 */
#include "object/debugfile.h"

#include <errno.h>
#include <fcntl.h>

#define PATH_SIZE 4096

int debugfile_open(const struct elf *stripped, const char *folder, int *ret_fd, struct elf *ret)
{
	char id[ELF_BUILD_ID_HEX], path[PATH_SIZE];
	if (stripped->symtab.size || elf_build_id_hex(stripped, id) <= 2)
		return -ENOENT;
	int n = snprintf(path, sizeof(path), "%s/%.2s/%s.debug", folder, id, id + 2);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENOENT;
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct elf e;
	if (fd < 0 || elf_init(&e, fd, NULL) < 0)
		return -ENOENT;
	/* The name is only a promise; the file says what it belongs to. */
	bool same = e.build_id_size == stripped->build_id_size &&
		    memcmp(e.build_id, stripped->build_id, e.build_id_size) == 0 && e.machine == stripped->machine;
	if (!same || e.symtab.size == 0)
		return -ENOENT;
	*ret = e;
	*ret_fd = take_fd(fd);
	return 0;
}
