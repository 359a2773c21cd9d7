/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/sibling.h"

#include "base/sibling.h"

#include <errno.h>
#include <string.h>

int sibling_exec(const char *program, char **argv, struct error *err)
{
	char path[PATH_MAX];
	int r = sibling_path(program, path, err);
	if (r < 0)
		return r;
	argv[0] = path;
	(void)execv(path, argv);
	return error_set(err, -errno, "%s: %s", path, strerror(errno));
}
