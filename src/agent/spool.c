/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool.h"

#include "base/file.h"
#include "base/membudget.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define NEW_NAME   ".new"
#define LOCK_NAME  "lock"
#define SUFFIX	   ".parcel"
#define NAME_SIZE  40
#define BLOCK_SIZE 4096

/* All little-endian. Its own hash first: what a torn file lost can be counted. */
struct file_head {
	uint8_t magic[8];
	uint64_t n_samples, start_ms, data_size;
	uint32_t key_size, target_size;
	uint64_t body_hash; /* of key, target and data */
	uint64_t head_hash; /* of all before */
};
_Static_assert(sizeof(struct file_head) == 56, "no padding: written as it is");

static const uint8_t magic[8] = "wickspl1";

struct entry {
	uint64_t start_ms;
	uint32_t counter;
	uint32_t n_blocks;
};

struct spool {
	char *folder;
	int dir, lock;
	uint64_t limit;
	VEC(struct entry) entries; /* from `first` on, the oldest first */
	uint32_t first;
	struct entry taken;
	bool is_taken;
	uint32_t counter; /* of the next file */
	struct spool_stats stats;
};

static uint32_t blocks_of(uint64_t size)
{
	return (uint32_t)((size + BLOCK_SIZE - 1) / BLOCK_SIZE);
}

static void name_of(const struct entry *e, char name[static NAME_SIZE])
{
	(void)snprintf(name, NAME_SIZE, "%016" PRIu64 "-%08" PRIx32 SUFFIX, e->start_ms, e->counter);
}

static bool parse_name(const char *name, struct entry *ret)
{
	char again[NAME_SIZE];
	if (sscanf(name, "%16" SCNu64 "-%8" SCNx32, &ret->start_ms, &ret->counter) != 2)
		return false;
	name_of(ret, again);
	return strcmp(name, again) == 0;
}

/* --- files --- */

static void write_head(const struct parcel *p, struct file_head *h)
{
	size_t key_size = strlen(p->key), target_size = strlen(p->target);
	XXH3_state_t state;
	XXH3_INITSTATE(&state);
	(void)XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, p->key, key_size);
	(void)XXH3_64bits_update(&state, p->target, target_size);
	(void)XXH3_64bits_update(&state, p->data, p->size);
	*h = (struct file_head){ .n_samples = htole64(p->n_samples),
				 .start_ms = htole64((uint64_t)p->start_ms),
				 .data_size = htole64(p->size),
				 .key_size = htole32((uint32_t)key_size),
				 .target_size = htole32((uint32_t)target_size),
				 .body_hash = htole64(XXH3_64bits_digest(&state)) };
	memcpy(h->magic, magic, sizeof(magic));
	h->head_hash = htole64(XXH3_64bits(h, offsetof(struct file_head, head_hash)));
}

static bool head_is_whole(const struct file_head *h)
{
	return memcmp(h->magic, magic, sizeof(magic)) == 0 &&
	       le64toh(h->head_hash) == XXH3_64bits(h, offsetof(struct file_head, head_hash)) &&
	       le64toh(h->data_size) <= PARCEL_DATA_MAX && le32toh(h->key_size) < PARCEL_KEY_SIZE &&
	       le32toh(h->target_size) <= PARCEL_TARGET_MAX;
}

static size_t body_size(const struct file_head *h)
{
	return le32toh(h->key_size) + le32toh(h->target_size) + (size_t)le64toh(h->data_size);
}

static bool read_all(int fd, void *data, size_t size)
{
	for (size_t n = 0; n < size;) {
		ssize_t got = read(fd, (uint8_t *)data + n, size - n);
		if (got <= 0 && !(got < 0 && errno == EINTR))
			return false;
		n += got > 0 ? (size_t)got : 0;
	}
	return true;
}

static int open_file(const struct spool *s, const char *name)
{
	return openat(s->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

/* Counts what goes with a file, and removes it. */
static void lose(struct spool *s, const char *name)
{
	struct file_head h;
	_cleanup_(close_fd)
	int fd = open_file(s, name);
	if (fd >= 0 && read_all(fd, &h, sizeof(h)) && head_is_whole(&h))
		s->stats.n_samples_lost += le64toh(h.n_samples);
	(void)unlinkat(s->dir, name, 0);
}

static struct parcel *parse_body(const struct file_head *h, const char *body)
{
	uint32_t key_size = le32toh(h->key_size), target_size = le32toh(h->target_size);
	size_t size = (size_t)le64toh(h->data_size);
	uint8_t *data = malloc(size ? size : 1);
	if (!data)
		return NULL;
	memcpy(data, body + key_size + target_size, size);
	struct parcel *p = parcel_new(slice_of(body, key_size), slice_of(body + key_size, target_size), data, size);
	if (!p) {
		free(data);
		return NULL;
	}
	p->n_samples = le64toh(h->n_samples);
	p->start_ms = (int64_t)le64toh(h->start_ms);
	return p;
}

/* -EBADMSG: it is not whole. */
static int load(const struct spool *s, const char *name, struct parcel **ret)
{
	struct file_head h;
	_cleanup_(close_fd)
	int fd = open_file(s, name);
	if (fd < 0)
		return errno == ENOMEM || errno == EMFILE ? -errno : -EBADMSG;
	if (!read_all(fd, &h, sizeof(h)) || !head_is_whole(&h))
		return -EBADMSG;
	size_t size = body_size(&h);
	_cleanup_(free_ptr)
	char *body = malloc(size + 1);
	if (!body)
		return -ENOMEM;
	if (!read_all(fd, body, size) || XXH3_64bits(body, size) != le64toh(h.body_hash))
		return -EBADMSG;
	*ret = parse_body(&h, body);
	return *ret ? 0 : -ENOMEM;
}

static int write_new(const struct spool *s, const struct parcel *p)
{
	struct file_head h;
	_cleanup_(close_fd)
	int fd = openat(s->dir, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	write_head(p, &h);
	int r = fd_write_all(fd, &h, sizeof(h));
	if (r == 0)
		r = fd_write_all(fd, p->key, strlen(p->key));
	if (r == 0)
		r = fd_write_all(fd, p->target, strlen(p->target));
	return r < 0 ? r : fd_write_all(fd, p->data, p->size);
}

/* --- the index --- */

static uint32_t n_entries(const struct spool *s)
{
	return s->entries.n - s->first;
}

static void count(struct spool *s, const struct entry *e, bool is_more)
{
	uint64_t bytes = (uint64_t)e->n_blocks * BLOCK_SIZE;
	s->stats.n_files += is_more ? 1 : -1u;
	s->stats.bytes += is_more ? bytes : -bytes;
}

static struct entry pop_oldest(struct spool *s)
{
	struct entry e = s->entries.data[s->first++];
	if (s->first > s->entries.n / 2) {
		s->entries.n -= s->first;
		memmove(s->entries.data, s->entries.data + s->first, s->entries.n * sizeof(e));
		s->first = 0;
	}
	return e;
}

static void drop_oldest(struct spool *s)
{
	char name[NAME_SIZE];
	struct entry e = pop_oldest(s);
	name_of(&e, name);
	lose(s, name);
	count(s, &e, false);
	s->stats.n_dropped++;
}

static bool fits(const struct spool *s, uint64_t bytes)
{
	return s->stats.bytes + bytes <= s->limit && s->stats.n_files < SPOOL_FILES_MAX;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	if (x->start_ms != y->start_ms)
		return x->start_ms < y->start_ms ? -1 : 1;
	return x->counter < y->counter ? -1 : x->counter > y->counter;
}

/* Names of an earlier run; all else is not ours. */
static int scan(struct spool *s)
{
	int fd = openat(s->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		int r = -errno;
		close_fd(&fd);
		return r;
	}
	int r = 0;
	struct entry e;
	for (struct dirent *de; r == 0 && (de = readdir(d));) {
		struct stat st;
		if (!parse_name(de->d_name, &e) || fstatat(s->dir, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode))
			continue;
		e.n_blocks = blocks_of((uint64_t)st.st_size);
		if (e.counter >= s->counter)
			s->counter = e.counter + 1;
		r = vec_reserve(NULL, &s->entries, 1);
		if (r == 0) {
			s->entries.data[s->entries.n++] = e;
			count(s, &e, true);
		}
	}
	(void)closedir(d);
	if (r == 0 && s->entries.n)
		qsort(s->entries.data, s->entries.n, sizeof(e), compare_entries);
	return r;
}

/* --- interface --- */

/* What cannot be made shows in the last mkdir(). */
static void make_parents(char *path)
{
	for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
		*slash = 0;
		(void)mkdir(path, 0755);
		*slash = '/';
	}
}

static int open_folder(struct spool *s, struct error *err)
{
	make_parents(s->folder);
	if (mkdir(s->folder, 0700) < 0 && errno != EEXIST)
		return error_set(err, -errno, "%s cannot be made: %s", s->folder, strerror(errno));
	s->dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir < 0)
		return error_set(err, -errno, "%s: %s", s->folder, strerror(errno));
	s->lock = openat(s->dir, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		return error_set(err, -errno, "%s is not writable: %s", s->folder, strerror(errno));
	if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
		return error_set(err, -EBUSY, "%s is in use by another agent: give each its own --spool", s->folder);
	return 0;
}

int spool_open(const char *folder, uint64_t limit, struct spool **ret, struct error *err)
{
	_cleanup_(spool_free)
	struct spool *s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "no memory");
	s->dir = s->lock = -1;
	s->limit = limit;
	s->folder = strdup(folder);
	if (!s->folder)
		return error_set(err, -ENOMEM, "no memory");
	int r = open_folder(s, err);
	if (r < 0)
		return r;
	r = scan(s);
	if (r < 0)
		return error_set(err, r, "%s: %s", folder, strerror(-r));
	if (faccessat(s->dir, NEW_NAME, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		s->stats.n_torn++;
		lose(s, NEW_NAME);
	}
	while (n_entries(s) && (s->stats.bytes > s->limit || s->stats.n_files > SPOOL_FILES_MAX))
		drop_oldest(s);
	*ret = take_ptr(s);
	return 0;
}

void spool_free(struct spool **s)
{
	if (!*s)
		return;
	close_fd(&(*s)->lock);
	close_fd(&(*s)->dir);
	vec_done(NULL, &(*s)->entries);
	free((*s)->folder);
	free(*s);
	*s = NULL;
}

static int put(struct spool *s, const struct parcel *p, const struct entry *e)
{
	char name[NAME_SIZE];
	name_of(e, name);
	int r = vec_reserve(NULL, &s->entries, 1);
	if (r == 0)
		r = write_new(s, p);
	if (r == 0 && renameat(s->dir, NEW_NAME, s->dir, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(s->dir, NEW_NAME, 0);
	return r;
}

int spool_put(struct spool *s, const struct parcel *p, struct error *err)
{
	uint64_t size = sizeof(struct file_head) + strlen(p->key) + strlen(p->target) + p->size;
	struct entry e = { .start_ms = p->start_ms > 0 ? (uint64_t)p->start_ms : 0,
			   .counter = s->counter,
			   .n_blocks = blocks_of(size) };
	uint64_t bytes = (uint64_t)e.n_blocks * BLOCK_SIZE;
	uint64_t stays = s->is_taken ? (uint64_t)s->taken.n_blocks * BLOCK_SIZE : 0;
	if (stays + bytes > s->limit)
		return error_set(err, -E2BIG, "%s: %" PRIu64 " bytes are more than the limit of %" PRIu64, s->folder,
				 bytes, s->limit);
	while (!fits(s, bytes))
		drop_oldest(s);
	int r = put(s, p, &e);
	if (r < 0) {
		s->stats.n_failed++;
		return error_set(err, r, "%s: %s", s->folder, strerror(-r));
	}
	s->counter++;
	s->entries.data[s->entries.n++] = e;
	count(s, &e, true);
	s->stats.n_written++;
	return 0;
}

struct parcel *spool_take(struct spool *s)
{
	while (!s->is_taken && n_entries(s)) {
		char name[NAME_SIZE];
		struct parcel *p = NULL;
		name_of(&s->entries.data[s->first], name);
		int r = load(s, name, &p);
		if (r < 0 && r != -EBADMSG)
			return NULL;
		s->taken = pop_oldest(s);
		s->is_taken = r == 0;
		if (r == 0)
			return p;
		lose(s, name);
		count(s, &s->taken, false);
		s->stats.n_torn++;
	}
	return NULL;
}

void spool_end(struct spool *s, bool is_done)
{
	char name[NAME_SIZE];
	if (!s->is_taken)
		return;
	s->is_taken = false;
	if (is_done) {
		name_of(&s->taken, name);
		(void)unlinkat(s->dir, name, 0);
		count(s, &s->taken, false);
		return;
	}
	/* Room is there: it came from here. */
	if (s->first > 0) {
		s->entries.data[--s->first] = s->taken;
		return;
	}
	int r = vec_reserve(NULL, &s->entries, 1);
	if (r < 0)
		return; /* it is found again when the agent starts */
	memmove(s->entries.data + 1, s->entries.data, s->entries.n++ * sizeof(s->taken));
	s->entries.data[0] = s->taken;
}

struct spool_stats spool_stats(const struct spool *s)
{
	return s->stats;
}

const char *spool_folder(const struct spool *s)
{
	return s->folder;
}

uint64_t spool_limit(const struct spool *s)
{
	return s->limit;
}
