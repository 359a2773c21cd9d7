/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sibling.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

int sibling_exec(const char *program, char **argv, struct error *err)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 0)
		return error_set(err, -errno, "cannot find where wick is installed: /proc/self/exe: %s",
				 strerror(errno));
	path[n] = 0;
	char *slash = strrchr(path, '/');
	size_t room = sizeof(path) - (size_t)(slash + 1 - path);
	if (strlen(program) >= room)
		return error_set(err, -ENAMETOOLONG, "%s: path too long", path);
	memcpy(slash + 1, program, strlen(program) + 1);
	argv[0] = path;
	(void)execv(path, argv);
	return error_set(err, -errno, "%s: %s", path, strerror(errno));
}
