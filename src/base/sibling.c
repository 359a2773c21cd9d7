/* SPDX-License-Identifier: Apache-2.0 */
#include "base/sibling.h"

#include <errno.h>
#include <string.h>

int sibling_path(const char *program, char ret[static PATH_MAX], struct error *err)
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
	memcpy(ret, path, strlen(path) + 1);
	return 0;
}
