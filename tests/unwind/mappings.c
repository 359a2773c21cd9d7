/* SPDX-License-Identifier: Apache-2.0 */
/* mappings N SECONDS: works, with N executable mappings that have a file. */
#define _GNU_SOURCE
#include "busy.h"

#include <sys/mman.h>
#include <unistd.h>

static FUNCTION void inner(void)
{
	busy(0.01);
	__asm__ volatile("");
}

static FUNCTION void middle(void)
{
	inner();
	__asm__ volatile("");
}

int main(int argc, char **argv)
{
	begin(argc, argv, 2);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), n = strtoul(argv[1], NULL, 10);
	int fd = memfd_create("code", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)page) < 0)
		return 1;
	char *room = mmap(NULL, 2 * n * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < n; i++)
		if (room == MAP_FAILED || mmap(room + 2 * i * page, page, PROT_READ | PROT_EXEC,
					       MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED) {
			perror("mmap");
			return 1;
		}
	while (!time_is_up())
		middle();
}
