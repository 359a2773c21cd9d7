/* SPDX-License-Identifier: Apache-2.0 */
#include "debuginfo/debugstore.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/membudget.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define SUFFIX	     ".debug"
#define TEMPORARY    ".tmp"
#define USE_STEP_NS  (60 * INT64_C(1000000000)) /* a use is noted once in that time */
#define DISK_STEP    ((uint64_t)16 << 20)	/* the disk is looked at again after so many bytes */
#define BUILD_ID_MIN 8				/* hex digits */
#define NAME_SIZE    (ELF_BUILD_ID_HEX + sizeof(SUFFIX))
#define MIB(n)	     ((n) >> 20)

struct debugstore {
	struct debugstore_options options;
	int dir_fd;

	/* Guards all below; nothing waits for the disk under it but unlink and rename. */
	pthread_mutex_t lock;
	VEC(struct debug_file) files; /* by build id */
	uint64_t size;		      /* of all files */
	uint64_t reserved;	      /* of uploads under way */
	uint64_t n_uploads, next_upload, generation;
	uint64_t n_stored, n_refused, n_evicted;
};

struct debug_upload {
	struct debugstore *store;
	char build_id[ELF_BUILD_ID_HEX], name[32];
	int fd;
	uint64_t written, reserved, disk_checked;
	int result; /* of writing */
	struct error err;
};

bool is_build_id(const char *text)
{
	size_t n = strlen(text);
	return n >= BUILD_ID_MIN && n < ELF_BUILD_ID_HEX && n % 2 == 0 && strspn(text, "0123456789abcdef") == n;
}

static void file_name(const char *build_id, char ret[static NAME_SIZE])
{
	(void)snprintf(ret, NAME_SIZE, "%s" SUFFIX, build_id);
}

/* ---- the index; under the lock ---- */

/* Where the file is, or would go. */
static uint32_t place_of(const struct debugstore *s, const char *build_id, bool *ret_found)
{
	uint32_t low = 0, high = s->files.n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (strcmp(s->files.data[middle].build_id, build_id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = low < s->files.n && strcmp(s->files.data[low].build_id, build_id) == 0;
	return low;
}

static void remove_row(struct debugstore *s, uint32_t at)
{
	s->size -= s->files.data[at].size;
	memmove(s->files.data + at, s->files.data + at + 1, (s->files.n - at - 1) * sizeof(s->files.data[0]));
	s->files.n--;
}

/* Adds the row, for which there is room, or takes the place of its older one. */
static void put_row(struct debugstore *s, const struct debug_file *row)
{
	bool found;
	uint32_t at = place_of(s, row->build_id, &found);
	if (found) {
		s->size -= s->files.data[at].size;
	} else {
		memmove(s->files.data + at + 1, s->files.data + at, (s->files.n - at) * sizeof(s->files.data[0]));
		s->files.n++;
	}
	s->files.data[at] = *row;
	s->size += row->size;
}

static void evict(struct debugstore *s, uint32_t at)
{
	char name[NAME_SIZE];
	file_name(s->files.data[at].build_id, name);
	/* Who has it open reads on. */
	(void)unlinkat(s->dir_fd, name, 0);
	remove_row(s, at);
	s->n_evicted++;
}

/* Until `size` more bytes, in one more file, are within the limits. */
static void make_room(struct debugstore *s, uint64_t size)
{
	while (s->files.n && (s->size + size > s->options.limit || s->files.n >= DEBUGSTORE_MAX_FILES)) {
		uint32_t oldest = 0;
		for (uint32_t i = 1; i < s->files.n; i++)
			if (s->files.data[i].used_ns < s->files.data[oldest].used_ns)
				oldest = i;
		evict(s, oldest);
	}
}

/* ---- opening ---- */

/* What a file is good for. -EINVAL: for nothing, or it is of another build. */
static int check_file(int fd, const char *build_id, struct debug_file *ret, struct error *err)
{
	struct elf elf;
	char found[ELF_BUILD_ID_HEX];
	int r = elf_init(&elf, fd, err);
	if (r < 0)
		return r;
	if (elf_build_id_hex(&elf, found) == 0)
		return error_set(err, -EINVAL, "the file has no build id");
	if (strcmp(found, build_id) != 0)
		return error_set(err, -EINVAL, "the file's build id is %s", found);
	if (!elf.has_dwarf && elf.symtab.size == 0)
		return error_set(err, -EINVAL,
				 "the file has neither debug information (.debug_info) nor a symbol table (.symtab)");
	*ret = (struct debug_file){ .size = elf.file_size, .has_dwarf = elf.has_dwarf };
	(void)snprintf(ret->build_id, sizeof(ret->build_id), "%s", build_id);
	return 0;
}

/* One name of the folder; false: it is not what it seems. */
static bool take_name(struct debugstore *s, const char *name)
{
	struct debug_file row;
	struct stat st;
	char build_id[NAME_SIZE];
	size_t n = strlen(name), suffix = strlen(SUFFIX);
	if (n <= suffix || n >= sizeof(build_id) || strcmp(name + n - suffix, SUFFIX) != 0)
		return false;
	memcpy(build_id, name, n - suffix);
	build_id[n - suffix] = 0;
	_cleanup_(close_fd)
	int fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0 || !is_build_id(build_id) || check_file(fd, build_id, &row, NULL) < 0 ||
	    vec_reserve(NULL, &s->files, 1) < 0)
		return false;
	row.used_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	put_row(s, &row);
	return true;
}

static int read_folder(struct debugstore *s, struct error *err)
{
	int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		close_fd(&fd);
		return error_set(err, -errno, "%s: %s", s->options.dir, strerror(errno));
	}
	for (struct dirent *e; (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		bool is_ours = n > 4 && (strcmp(e->d_name + n - 4, TEMPORARY) == 0 ||
					 (n > 6 && strcmp(e->d_name + n - 6, SUFFIX) == 0));
		if (!is_ours || take_name(s, e->d_name))
			continue;
		s->n_refused += strcmp(e->d_name + n - 4, TEMPORARY) != 0;
		(void)unlinkat(s->dir_fd, e->d_name, 0);
	}
	(void)closedir(d);
	make_room(s, 0);
	return 0;
}

int debugstore_open(const struct debugstore_options *o, struct debugstore **ret, struct error *err)
{
	_cleanup_(debugstore_close)
	struct debugstore *s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "no memory");
	s->options = *o;
	s->dir_fd = -1;
	(void)pthread_mutex_init(&s->lock, NULL);
	if (mkdir(o->dir, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", o->dir, strerror(errno));
	s->dir_fd = open(o->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0)
		return error_set(err, -errno, "%s: %s", o->dir, strerror(errno));
	int r = read_folder(s, err);
	if (r < 0)
		return r;
	s->generation = s->files.n;
	*ret = take_ptr(s);
	return 0;
}

void debugstore_close(struct debugstore **store)
{
	struct debugstore *s = *store;
	if (!s)
		return;
	close_fd(&s->dir_fd);
	vec_done(NULL, &s->files);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
	*store = NULL;
}

/* ---- looking ---- */

bool debugstore_find(struct debugstore *s, const char *build_id, struct debug_file *ret)
{
	bool found;
	(void)pthread_mutex_lock(&s->lock);
	uint32_t at = place_of(s, build_id, &found);
	if (found && ret)
		*ret = s->files.data[at];
	(void)pthread_mutex_unlock(&s->lock);
	return found;
}

int debugstore_fd(struct debugstore *s, const char *build_id)
{
	char name[NAME_SIZE];
	bool found;
	int64_t now = clock_wall_ns();
	if (!is_build_id(build_id))
		return -ENOENT;
	file_name(build_id, name);
	_cleanup_(close_fd)
	int fd = openat(s->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	(void)pthread_mutex_lock(&s->lock);
	uint32_t at = place_of(s, build_id, &found);
	bool is_news = found && now - s->files.data[at].used_ns >= USE_STEP_NS;
	if (is_news)
		s->files.data[at].used_ns = now;
	(void)pthread_mutex_unlock(&s->lock);
	if (!found || fd < 0)
		return -ENOENT;
	/* For after a restart; nothing depends on it. */
	if (is_news)
		(void)futimens(fd, NULL);
	return take_fd(fd);
}

int debugstore_list(struct debugstore *s, struct debug_file **ret, uint32_t *ret_n)
{
	(void)pthread_mutex_lock(&s->lock);
	*ret_n = s->files.n;
	*ret = malloc(((size_t)s->files.n + 1) * sizeof(**ret));
	if (*ret && s->files.n)
		memcpy(*ret, s->files.data, s->files.n * sizeof(**ret));
	(void)pthread_mutex_unlock(&s->lock);
	return *ret ? 0 : -ENOMEM;
}

void debugstore_get_stats(struct debugstore *s, struct debugstore_stats *ret)
{
	(void)pthread_mutex_lock(&s->lock);
	*ret = (struct debugstore_stats){
		.n_files = s->files.n,
		.size = s->size,
		.limit = s->options.limit,
		.file_max = s->options.file_max,
		.n_uploads = s->n_uploads,
		.n_stored = s->n_stored,
		.n_refused = s->n_refused,
		.n_evicted = s->n_evicted,
	};
	(void)pthread_mutex_unlock(&s->lock);
}

uint64_t debugstore_generation(struct debugstore *s)
{
	(void)pthread_mutex_lock(&s->lock);
	uint64_t generation = s->generation;
	(void)pthread_mutex_unlock(&s->lock);
	return generation;
}

/* What cannot be asked is not a limit. */
static uint64_t disk_free(const struct debugstore *s)
{
	struct statvfs v;
	return fstatvfs(s->dir_fd, &v) < 0 ? UINT64_MAX : (uint64_t)v.f_bavail * v.f_frsize;
}

uint64_t debugstore_room(const struct debugstore *s)
{
	uint64_t free_bytes = disk_free(s);
	return free_bytes > s->options.disk_reserve ? free_bytes - s->options.disk_reserve : 0;
}

/* ---- uploads ---- */

static int check_disk(const struct debugstore *s, uint64_t size, struct error *err)
{
	uint64_t free_bytes = disk_free(s);
	if (free_bytes >= s->options.disk_reserve && free_bytes - s->options.disk_reserve >= size)
		return 0;
	return error_set(err, -ENOSPC,
			 "disk nearly full: %" PRIu64 " MiB are free and --disk-reserve keeps %" PRIu64
			 " MiB for others",
			 MIB(free_bytes), MIB(s->options.disk_reserve));
}

/* A place among the uploads under way. */
static int reserve(struct debugstore *s, struct debug_upload *u, struct error *err)
{
	int r = 0;
	(void)pthread_mutex_lock(&s->lock);
	if (s->n_uploads >= DEBUGSTORE_MAX_UPLOADS || s->reserved + u->reserved > s->options.limit)
		r = error_set(err, -EBUSY, "%" PRIu64 " uploads of %" PRIu64 " MiB are under way; try again",
			      s->n_uploads, MIB(s->reserved));
	if (r == 0) {
		s->n_uploads++;
		s->reserved += u->reserved;
		(void)snprintf(u->name, sizeof(u->name), "upload-%" PRIu64 TEMPORARY, s->next_upload++);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return r;
}

static void release(struct debug_upload *u)
{
	struct debugstore *s = u->store;
	(void)pthread_mutex_lock(&s->lock);
	s->n_uploads--;
	s->reserved -= u->reserved;
	(void)pthread_mutex_unlock(&s->lock);
}

int debug_upload_begin(struct debugstore *s, const char *build_id, uint64_t size, struct debug_upload **ret,
		       struct error *err)
{
	const struct debugstore_options *o = &s->options;
	uint64_t max = o->file_max < o->limit ? o->file_max : o->limit;
	if (!is_build_id(build_id))
		return error_set(err, -EINVAL, "\"%.140s\" is no build id: 8 to 128 lower-case hex digits", build_id);
	if (o->limit == 0)
		return error_set(err, -ENOSPC, "this server keeps no debug files (--debuginfo-limit 0)");
	if (size > max)
		return error_set(err, -EFBIG, "%" PRIu64 " bytes are more than the limit of %" PRIu64, size, max);
	int r = check_disk(s, size, err);
	_cleanup_(free_ptr)
	struct debug_upload *u = r < 0 ? NULL : calloc(1, sizeof(*u));
	if (!u)
		return r < 0 ? r : error_set(err, -ENOMEM, "no memory");
	u->store = s;
	u->reserved = size ? size : max;
	(void)snprintf(u->build_id, sizeof(u->build_id), "%s", build_id);
	r = reserve(s, u, err);
	if (r < 0)
		return r;
	u->fd = openat(s->dir_fd, u->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (u->fd < 0) {
		r = error_set(err, -errno, "%s/%s: %s", o->dir, u->name, strerror(errno));
		release(u);
		return r;
	}
	*ret = take_ptr(u);
	return 0;
}

bool debug_upload_write(struct debug_upload *u, const void *data, size_t size)
{
	if (u->result == 0 && u->written + size > u->reserved)
		u->result = error_set(&u->err, -EFBIG, "the file is larger than the %" PRIu64 " bytes it may have",
				      u->reserved);
	if (u->result == 0 && u->written >= u->disk_checked + DISK_STEP) {
		u->disk_checked = u->written;
		u->result = check_disk(u->store, size, &u->err);
	}
	if (u->result == 0) {
		int r = fd_write_all(u->fd, data, size);
		if (r < 0)
			u->result = error_set(&u->err, r, "writing: %s", strerror(-r));
	}
	u->written += size;
	return u->result == 0;
}

static void end_upload(struct debug_upload *u, bool is_renamed)
{
	if (!is_renamed)
		(void)unlinkat(u->store->dir_fd, u->name, 0);
	release(u);
	close_fd(&u->fd);
	free(u);
}

void debug_upload_abort(struct debug_upload *u)
{
	end_upload(u, false);
}

/* The file takes its name, unless one as good has it. */
static int publish(struct debug_upload *u, struct debug_file *row, bool *ret_stored, struct error *err)
{
	struct debugstore *s = u->store;
	char name[NAME_SIZE];
	bool found;
	file_name(row->build_id, name);
	row->used_ns = clock_wall_ns();
	(void)pthread_mutex_lock(&s->lock);
	uint32_t at = place_of(s, row->build_id, &found);
	bool is_wanted = !found || (row->has_dwarf && !s->files.data[at].has_dwarf);
	int r = is_wanted ? vec_reserve(NULL, &s->files, 1) : 0;
	if (r == 0 && is_wanted) {
		make_room(s, row->size);
		if (renameat(s->dir_fd, u->name, s->dir_fd, name) < 0)
			r = error_set(err, -errno, "%s/%s: %s", s->options.dir, name, strerror(errno));
	}
	*ret_stored = r == 0 && is_wanted;
	if (*ret_stored) {
		put_row(s, row);
		s->n_stored++;
		s->generation++;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (*ret_stored && fsync(s->dir_fd) < 0)
		r = error_set(err, -errno, "%s: %s", s->options.dir, strerror(errno));
	return r;
}

int debug_upload_commit(struct debug_upload *u, bool *ret_stored, struct error *err)
{
	struct debugstore *s = u->store;
	struct debug_file row;
	int r = u->result;
	*ret_stored = false;
	if (r < 0)
		(void)error_set(err, r, "%s", u->err.text);
	if (r == 0)
		r = check_file(u->fd, u->build_id, &row, err);
	if (r == 0 && fsync(u->fd) < 0)
		r = error_set(err, -errno, "fsync: %s", strerror(errno));
	if (r == 0)
		r = publish(u, &row, ret_stored, err);
	if (r < 0) {
		(void)pthread_mutex_lock(&s->lock);
		s->n_refused++;
		(void)pthread_mutex_unlock(&s->lock);
	}
	end_upload(u, *ret_stored);
	return r;
}
