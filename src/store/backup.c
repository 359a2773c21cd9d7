/* SPDX-License-Identifier: Apache-2.0 */
#include "store/backup.h"

#include "base/file.h"
#include "store/blockset.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PIECE_SIZE ((size_t)1 << 20)

/* Shares what the file system can share, else copies. */
static int copy_rest(int in, int out, uint64_t *ret_bytes)
{
	bool can_share = true;
	_cleanup_(free_ptr)
	uint8_t *piece = malloc(PIECE_SIZE);
	if (!piece)
		return -ENOMEM;
	for (;;) {
		ssize_t n =
			can_share ? copy_file_range(in, NULL, out, NULL, PIECE_SIZE, 0) : read(in, piece, PIECE_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && can_share &&
		    (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)) {
			can_share = false;
			continue;
		}
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		int r = can_share ? 0 : fd_write_all(out, piece, (size_t)n);
		if (r < 0)
			return r;
		*ret_bytes += (uint64_t)n;
	}
}

/* -ENOENT: it has gone. */
static int copy_file(int from, const char *name, int to, uint64_t *ret_bytes)
{
	_cleanup_(close_fd)
	int in = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (in < 0)
		return -errno;
	_cleanup_(close_fd)
	int out = openat(to, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int r = out < 0 ? -errno : copy_rest(in, out, ret_bytes);
	if (r == 0 && fsync(out) < 0)
		r = -errno;
	return r;
}

static int make_folder(int to, const char *name)
{
	if (mkdirat(to, name, 0700) < 0)
		return -errno;
	int fd = openat(to, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int copy_log(const struct folder *f, int to, struct backup_stats *stats, struct error *err)
{
	_cleanup_(free_ptr)
	struct segment_file *segments = NULL;
	uint32_t n;
	int r = folder_list_segments(f, &segments, &n, err);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		r = copy_file(f->wal_fd, segments[i].name, to, &stats->bytes);
		stats->n_segments += r == 0;
		r = r == -ENOENT ? 0 : r;
		if (r < 0)
			(void)error_set(err, r, "wal/%s: %s", segments[i].name, strerror(-r));
	}
	return r;
}

static int take_block(const struct folder *f, const char *name, int to, bool link, uint64_t *ret_bytes)
{
	struct stat st;
	if (fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return 0; /* of the manifest before */
	if (!link)
		return copy_file(f->blocks_fd, name, to, ret_bytes);
	if (linkat(f->blocks_fd, name, to, name, 0) < 0 || fstatat(to, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*ret_bytes += (uint64_t)st.st_size;
	return 0;
}

/* -ENOENT: one has gone. */
static int copy_listed(const struct folder *f, int to, bool link, struct backup_stats *stats, struct error *err)
{
	for (uint32_t i = 0; i < f->manifest.blocks.n; i++) {
		char name[BLOCK_ID_HEX + 4];
		block_file_name(&f->manifest.blocks.data[i], name);
		int r = take_block(f, name, to, link, &stats->bytes);
		if (r == -ENOENT)
			return r;
		if (r < 0)
			return error_set(err, r, "blocks/%s: %s%s", name, strerror(-r),
					 r == -EXDEV ? ": leave out --link" : "");
	}
	return 0;
}

/* Blocks that a manifest before named would be removed by the first server that starts there. */
static void drop_unlisted(const struct folder *f, const struct manifest *before, int to)
{
	for (uint32_t i = 0; i < before->blocks.n; i++) {
		char name[BLOCK_ID_HEX + 4];
		block_file_name(&before->blocks.data[i], name);
		if (!folder_lists(f, &before->blocks.data[i]))
			(void)unlinkat(to, name, 0);
	}
}

static int copy_blocks(struct folder *f, int to, bool link, struct backup_stats *stats, struct error *err)
{
	int r = -ENOENT;
	for (int i = 0; r == -ENOENT && i < FOLDER_MAX_ATTEMPTS; i++) {
		struct manifest before = f->manifest;
		f->manifest = (struct manifest){ 0 };
		r = folder_read_manifest(f, err);
		if (r == 0) {
			drop_unlisted(f, &before, to);
			r = copy_listed(f, to, link, stats, err);
		}
		manifest_done(&before);
	}
	if (r == -ENOENT)
		return error_set(
			err, -EBUSY,
			"blocks are merged faster than they are copied, or one is lost: wick store check says which");
	stats->n_blocks = f->manifest.blocks.n;
	bool unsure, is_empty = block_id_eq(&f->manifest.store, &(struct block_id){ 0 });
	return r == 0 && !is_empty ? manifest_write(to, &f->manifest, &unsure, err) : r;
}

int backup_copy(struct folder *f, int to, bool link, struct backup_stats *ret, struct error *err)
{
	*ret = (struct backup_stats){ 0 };
	_cleanup_(close_fd)
	int wal = make_folder(to, "wal");
	_cleanup_(close_fd)
	int blocks = wal < 0 ? wal : make_folder(to, "blocks");
	if (blocks < 0)
		return error_set(err, blocks, "cannot make a folder: %s", strerror(-blocks));
	int r = copy_log(f, wal, ret, err);
	if (r == 0)
		r = copy_blocks(f, blocks, link, ret, err);
	if (r == 0 && (fsync(wal) < 0 || fsync(blocks) < 0 || fsync(to) < 0))
		r = error_set(err, -errno, "cannot sync: %m");
	return r;
}
