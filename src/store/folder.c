/* SPDX-License-Identifier: Apache-2.0 */
#include "store/folder.h"

#include "store/rebuild.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#define MAX_SEGMENTS 65536

int folder_default(char out[static FOLDER_PATH_SIZE], struct error *err)
{
	const char *state = getenv("STATE_DIRECTORY"), *home = getenv("HOME"), *xdg = getenv("XDG_DATA_HOME");
	int n;
	if (state && *state)
		n = snprintf(out, FOLDER_PATH_SIZE, "%.*s", (int)strcspn(state, ":"), state);
	else if (geteuid() == 0)
		n = snprintf(out, FOLDER_PATH_SIZE, "/var/lib/wick");
	else if (xdg && *xdg)
		n = snprintf(out, FOLDER_PATH_SIZE, "%s/wick", xdg);
	else if (home && *home)
		n = snprintf(out, FOLDER_PATH_SIZE, "%s/.local/share/wick", home);
	else
		return error_set(err, -EINVAL, "no data folder: HOME is not set; give one with --data");
	return n < 0 || n >= FOLDER_PATH_SIZE ? error_set(err, -EINVAL, "the data folder's path is too long") : 0;
}

/* -1: it is not there. */
static int open_part(int dir, const char *name, int *ret)
{
	*ret = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 && errno != ENOENT ? -errno : 0;
}

static int open_it(struct folder *ret, const char *dir, const struct keyring *keys, bool makes_anew, struct error *err)
{
	*ret = (struct folder){ .dir = dir, .keys = keys, .blocks_fd = -1, .wal_fd = -1, .makes_anew = makes_anew };
	_cleanup_(close_fd)
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(err, -errno, "%s: %m; give the data folder with --data", dir);
	int r = open_part(fd, "blocks", &ret->blocks_fd);
	if (r == 0)
		r = open_part(fd, "wal", &ret->wal_fd);
	if (r < 0)
		return error_set(err, r, "%s: %s", dir, strerror(-r));
	if (ret->blocks_fd < 0 && ret->wal_fd < 0)
		return error_set(err, -ENOENT, "%s holds no profiles: give the data folder with --data", dir);
	return folder_read_manifest(ret, err);
}

int folder_open(struct folder *ret, const char *dir, const struct keyring *keys, struct error *err)
{
	return open_it(ret, dir, keys, false, err);
}

int folder_open_damaged(struct folder *ret, const char *dir, const struct keyring *keys, struct error *err)
{
	return open_it(ret, dir, keys, true, err);
}

void folder_close(struct folder *f)
{
	close_fd(&f->blocks_fd);
	close_fd(&f->wal_fd);
	manifest_done(&f->manifest);
}

static int make_anew(struct folder *f, struct manifest *ret, struct error *err)
{
	struct rebuild made;
	int r = rebuild_manifest(f->blocks_fd, f->keys, &made, err);
	*ret = made.manifest;
	f->is_seed_lost = made.manifest.blocks.n && !made.has_key_seed;
	return r;
}

int folder_read_manifest(struct folder *f, struct error *err)
{
	struct manifest next = { 0 };
	int r = f->blocks_fd < 0 ? -ENOENT : manifest_read(f->blocks_fd, &next, err);
	bool is_lost = r == -EBADMSG || (r == -ENOENT && f->blocks_fd >= 0 && rebuild_has_blocks(f->blocks_fd));
	f->is_anew = f->makes_anew && is_lost;
	if (f->is_anew)
		r = make_anew(f, &next, err);
	if (r < 0 && r != -ENOENT) {
		manifest_done(&next);
		error_prefix(err, "%s/blocks", f->dir);
		return r;
	}
	manifest_done(&f->manifest);
	f->manifest = next;
	return 0;
}

bool folder_lists(const struct folder *f, const struct block_id *id)
{
	for (uint32_t i = 0; i < f->manifest.blocks.n; i++)
		if (block_id_eq(&f->manifest.blocks.data[i], id))
			return true;
	return false;
}

static bool parse_name(const char *name, struct segment_file *ret)
{
	if (strlen(name) >= sizeof(ret->name) ||
	    sscanf(name, "%8" SCNx32 "-%16" SCNx64 ".wal", &ret->number, &ret->salt) != 2)
		return false;
	(void)snprintf(ret->name, sizeof(ret->name), "%08" PRIx32 "-%016" PRIx64 ".wal", ret->number, ret->salt);
	return strcmp(ret->name, name) == 0;
}

static int compare_segment(const void *a, const void *b)
{
	const struct segment_file *x = a, *y = b;
	return x->number < y->number ? -1 : x->number > y->number;
}

int folder_list_segments(const struct folder *f, struct segment_file **ret, uint32_t *ret_n, struct error *err)
{
	VEC(struct segment_file) list = { 0 };
	int r = vec_reserve(NULL, &list, 1);
	_cleanup_(close_fd)
	int fd = f->wal_fd < 0 ? -1 : openat(f->wal_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (d)
		(void)take_fd(fd);
	for (const struct dirent *e; r == 0 && d && (e = readdir(d));) {
		struct segment_file s;
		if (!parse_name(e->d_name, &s))
			continue;
		r = list.n < MAX_SEGMENTS ? vec_reserve(NULL, &list, 1) : -E2BIG;
		if (r == 0)
			list.data[list.n++] = s;
	}
	if (d)
		(void)closedir(d);
	if (r < 0) {
		vec_done(NULL, &list);
		return error_set(err, r, "%s/wal: %s", f->dir, r == -E2BIG ? "more than 65536 segments" : strerror(-r));
	}
	qsort(list.data, list.n, sizeof(*list.data), compare_segment);
	*ret = list.data;
	*ret_n = list.n;
	return 0;
}
