/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stopfile.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void stopfile_default_path(char *ret, size_t size)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	ret[0] = 0;
	if (geteuid() == 0)
		(void)snprintf(ret, size, "/var/lib/wick/stop");
	else if (state && state[0] == '/')
		(void)snprintf(ret, size, "%s/wick/stop", state);
	else if (home && home[0] == '/')
		(void)snprintf(ret, size, "%s/.local/state/wick/stop", home);
}

bool stopfile_check(struct stopfile *s)
{
	struct stat st;
	bool is_absent = !s->path[0] || (stat(s->path, &st) < 0 && (errno == ENOENT || errno == ENOTDIR));
	s->is_stopped = !is_absent || s->in_memory;
	return s->is_stopped;
}

/* The folder of the file, one level deep: its own parent has to be there. */
static void make_folder(const char *path)
{
	_cleanup_(free_ptr)
	char *folder = strdup(path);
	char *slash = folder ? strrchr(folder, '/') : NULL;
	if (slash && slash != folder) {
		*slash = 0;
		(void)mkdir(folder, 0755);
	}
}

void stopfile_init(struct stopfile *s, const char *path)
{
	*s = (struct stopfile){ .path = path };
	make_folder(path);
}

static int make_file(const char *path)
{
	make_folder(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

int stopfile_set(struct stopfile *s, bool stop, struct error *err)
{
	int r = 0;
	if (stop) {
		r = s->path[0] ? make_file(s->path) : -ENOENT;
		s->in_memory = r < 0;
		s->is_stopped = true;
		return r < 0 ? error_set(err, r, "%s cannot be made (%s): the stop ends with this agent",
					 s->path[0] ? s->path : "a stop file", strerror(-r))
			     : 0;
	}
	s->in_memory = false;
	if (s->path[0] && unlink(s->path) < 0 && errno != ENOENT)
		r = error_set(err, -errno, "%s cannot be removed: %s", s->path, strerror(errno));
	(void)stopfile_check(s);
	return r;
}
