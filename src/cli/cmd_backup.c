/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_backup.c: a data folder copied while its server runs, and back. */
#include "cli/store_command.h"
#include "meta/schema.h"
#include "store/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

struct copying {
	const char *from, *to;
	const struct keyring *keys;
	bool link;
	char temporary[PATH_MAX];
	struct backup_stats stats;
};

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)at;
	return kind == FTW_DP ? rmdir(path) : unlink(path);
}

/* Beside the target, so that it can be renamed there. An empty folder of that name is taken over. */
static int make_temporary(struct copying *c, struct error *err)
{
	size_t n = strlen(c->to);
	while (n > 1 && c->to[n - 1] == '/')
		n--;
	if (n == 0 || n + 24 > sizeof(c->temporary))
		return error_set(err, -ENAMETOOLONG, "%s: the path is too long or empty", c->to);
	(void)snprintf(c->temporary, sizeof(c->temporary), "%.*s.tmp-XXXXXX", (int)n, c->to);
	if (!mkdtemp(c->temporary)) {
		int r = error_set(err, -errno, "%s: %m", c->temporary);
		c->temporary[0] = 0;
		return r;
	}
	return 0;
}

static int check_target(const char *to, struct error *err)
{
	struct stat st;
	if (lstat(to, &st) < 0)
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %m", to);
	if (!S_ISDIR(st.st_mode))
		return error_set(err, -EEXIST, "%s is there and is no folder", to);
	/* The only portable way to ask; it is made again at once. */
	if (rmdir(to) < 0)
		return error_set(err, -EEXIST, "%s is not empty: give a folder that is, or a name that is not there",
				 to);
	return mkdir(to, st.st_mode & 07777) < 0 ? error_set(err, -errno, "%s: %m", to) : 0;
}

/* First of all: a request to delete that is noted as done must not come with data from before. */
static int copy_meta(const struct copying *c, struct error *err)
{
	char path[PATH_MAX + 16];
	_cleanup_(db_free)
	struct db *db = NULL;
	(void)snprintf(path, sizeof(path), "%s/meta.db", c->from);
	if (access(path, F_OK) < 0)
		return errno == ENOENT ? 0 : error_set(err, -errno, "%s: %m", path);
	int r = meta_open(c->from, &db, err);
	(void)snprintf(path, sizeof(path), "%s/meta.db", c->temporary);
	return r == 0 ? db_backup(db, path, err) : r;
}

static int copy_all(struct copying *c, struct error *err)
{
	struct folder f;
	int r = folder_open(&f, c->from, c->keys, err);
	if (r == 0)
		r = make_temporary(c, err);
	if (r == 0)
		r = copy_meta(c, err);
	_cleanup_(close_fd)
	int to = r < 0 ? -1 : open(c->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r == 0 && to < 0)
		r = error_set(err, -errno, "%s: %m", c->temporary);
	if (r == 0)
		r = backup_copy(&f, to, c->link, &c->stats, err);
	folder_close(&f);
	return r;
}

static int sync_parent(const char *path, struct error *err)
{
	char parent[PATH_MAX];
	(void)snprintf(parent, sizeof(parent), "%s/..", path);
	_cleanup_(close_fd)
	int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? error_set(err, -errno, "%s: cannot sync: %m", parent) : 0;
}

/* All of it under its name, or nothing. */
static int copy_folder(struct copying *c, struct error *err)
{
	int r = check_target(c->to, err);
	if (r == 0)
		r = copy_all(c, err);
	if (r == 0 && rename(c->temporary, c->to) < 0)
		r = error_set(err, -errno, "%s cannot be renamed to %s: %m", c->temporary, c->to);
	if (r == 0)
		return sync_parent(c->to, err);
	if (c->temporary[0])
		(void)nftw(c->temporary, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return r;
}

static void tell(const struct copying *c)
{
	(void)printf("%s: blocks %" PRIu64 " segments %" PRIu64 " bytes %" PRIu64 "\n", c->to, c->stats.n_blocks,
		     c->stats.n_segments, c->stats.bytes);
}

/* *ret_operand: the folder that is not --data's. */
static int parse(const struct command *cmd, int argc, char **argv, struct store_place *place, bool *ret_link,
		 const char **ret_operand)
{
	static const struct option options[] = {
		STORE_PLACE_OPTIONS,
		{ "link", no_argument, NULL, 'l' },
		{ NULL, 0, NULL, 0 },
	};
	int o;
	opterr = 0;
	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'l' && ret_link)
			*ret_link = true;
		else if (!store_place_take(place, o, optarg))
			return command_usage_error(cmd, "unknown option or missing value: %s", argv[optind - 1]);
	}
	if (optind + 1 != argc)
		return command_usage_error(cmd, "wants one folder");
	*ret_operand = argv[optind];
	return 0;
}

static int run_backup(int argc, char **argv)
{
	_cleanup_(store_place_done)
	struct store_place place = { 0 };
	struct copying c = { 0 };
	struct error err = { "" };
	int status = parse(&cmd_backup, argc, argv, &place, &c.link, &c.to);
	if (status)
		return status;
	int r = store_place_find(&place, &err);
	c.from = place.data;
	c.keys = place.keys;
	if (r == 0)
		r = copy_folder(&c, &err);
	if (r < 0)
		return command_failed(&cmd_backup, r, &err);
	tell(&c);
	return 0;
}

const struct command cmd_backup = {
	.name = "backup",
	.summary = "copy a data folder while its server runs",
	.usage = "wick backup [--data DIR] [--link] TO\n"
		 "Copies the log, the blocks and meta.db into the new folder TO, which gets its name when all is on "
		 "disk. "
		 "What\n"
		 "was acknowledged before the start is in it. Debug files are not copied, nor keys.\n"
		 "  --data DIR  the data folder ($WICK_DATA, else the server's default)\n"
		 "  --link      hard links to the blocks, which never change: TO is on the same file system\n",
	.run = run_backup,
};

static int run_restore(int argc, char **argv)
{
	_cleanup_(store_place_done)
	struct store_place place = { 0 };
	struct copying c = { 0 };
	struct error err = { "" };
	int status = parse(&cmd_restore, argc, argv, &place, NULL, &c.from);
	if (status)
		return status;
	if (!place.data)
		return command_usage_error(&cmd_restore, "wants --data DIR: the folder to make");
	int r = store_place_find(&place, &err);
	c.to = place.data;
	c.keys = place.keys;
	if (r == 0)
		r = copy_folder(&c, &err);
	if (r < 0)
		return command_failed(&cmd_restore, r, &err);
	tell(&c);
	return 0;
}

const struct command cmd_restore = {
	.name = "restore",
	.summary = "make a data folder from a backup",
	.usage = "wick restore FROM --data DIR\n"
		 "Copies a backup to DIR, which is empty or not there. Start a server on it then, with the keys of the "
		 "one it\n"
		 "came from where it is sealed.\n",
	.run = run_restore,
};
