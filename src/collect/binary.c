/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/binary.h"

#include "base/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define N_BUCKETS     1024u
#define MAP_LINK_SIZE 96
#define UNUSED_NS     (600ll * 1000000000)

struct binary_table {
	uint32_t n, max;
	uint32_t n_open, max_open;
	uint32_t window; /* counts up from 1 */
	struct binary *vdso;
	bool vdso_tried;
	struct binary *buckets[N_BUCKETS];
};

uint64_t serial_next(void)
{
	static uint64_t last;
	return ++last;
}

struct binary_table *binary_table_new(uint32_t max, uint32_t max_open)
{
	struct binary_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->max = max;
	t->max_open = max_open;
	t->window = 1;
	return t;
}

struct binary *binary_ref(struct binary *b)
{
	b->refs++;
	return b;
}

void binary_unref(struct binary *b)
{
	if (!b)
		return;
	assert(b->refs > 0);
	if (--b->refs > 0)
		return;
	if (b->fd >= 0)
		(void)close(b->fd);
	free(b->path);
	free(b->build_id);
	free(b->loads);
	free(b);
}

void binary_table_free(struct binary_table **t)
{
	if (!*t)
		return;
	for (uint32_t i = 0; i < N_BUCKETS; i++) {
		struct binary *next;
		for (struct binary *b = (*t)->buckets[i]; b; b = next) {
			next = b->next;
			binary_unref(b);
		}
	}
	binary_unref((*t)->vdso);
	free(*t);
	*t = NULL;
}

static struct binary **bucket_of(struct binary_table *t, const struct mapped_file *m)
{
	uint64_t h = (m->inode ^ m->device << 40) * 0x9e3779b97f4a7c15ull;
	return &t->buckets[h >> 54];
}

static int open_root(pid_t pid)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/root", (int)pid);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* A path inside the process's root, from which no link leads out. */
static int open_in_root(pid_t pid, const char *path)
{
	_cleanup_(close_fd)
	int root = open_root(pid);
	return root < 0 ? -1 : file_open_in_root(root, path);
}

static void map_link(pid_t pid, const struct mapped_file *m, char ret[static MAP_LINK_SIZE])
{
	(void)snprintf(ret, MAP_LINK_SIZE, "/proc/%d/map_files/%lx-%lx", (int)pid, (unsigned long)m->start,
		       (unsigned long)m->end);
}

/* What maps says of a file, or of a mapping. */
struct map_search {
	const struct mapped_file *m;
	char *path; /* PATH_MAX; NULL: the mapping is looked for, and not only its file */
};

static int search_map(void *arg, const struct proc_map *map)
{
	struct map_search *s = arg;
	if (map->inode != s->m->inode || makedev(map->dev_major, map->dev_minor) != s->m->device)
		return 0;
	if (!s->path)
		return map->start == s->m->start && map->end == s->m->end ? -EEXIST : 0;
	if (map->path.size >= PATH_MAX)
		return 0;
	memcpy(s->path, map->path.data, map->path.size);
	s->path[map->path.size] = 0;
	return -EEXIST; /* found: no need to read on */
}

static bool search_maps(pid_t pid, struct map_search search)
{
	char name[64];
	(void)snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
	_cleanup_(close_fd)
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && proc_maps_walk(fd, (struct proc_map_sink){ search_map, &search }) == -EEXIST;
}

static bool strip_deleted(char *path)
{
	static const char mark[] = " (deleted)";
	size_t n = strlen(path), mark_size = sizeof(mark) - 1;
	if (n <= mark_size || strcmp(path + n - mark_size, mark) != 0)
		return false;
	path[n - mark_size] = 0;
	return true;
}

/* fd, if it is the mapping's file; else -1. What is mapped and what a path means
 * may have changed since the maps were read. On an overlay a file may have
 * another number than its mapping, which then still has to be there. */
static int checked(int fd, pid_t pid, const struct mapped_file *m, struct stat *ret)
{
	if (fd < 0)
		return -1;
	if (fstat(fd, ret) == 0 && S_ISREG(ret->st_mode) &&
	    (ret->st_ino == m->inode || search_maps(pid, (struct map_search){ .m = m })))
		return fd;
	(void)close(fd);
	return -1;
}

/* The file of a mapping, or -1. */
static int open_mapped(pid_t pid, const struct mapped_file *m, const char *path, bool is_deleted, struct stat *ret)
{
	char link[MAP_LINK_SIZE];
	map_link(pid, m, link);
	int fd = checked(open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), pid, m, ret);
	if (fd >= 0 || is_deleted || path[0] != '/')
		return fd;
	fd = checked(open_in_root(pid, path), pid, m, ret);
	if (fd >= 0)
		return fd;
	/* The process is gone: the file may be ours to see, too. */
	fd = checked(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), pid, m, ret);
	if (fd >= 0 && (ret->st_ino != m->inode || ret->st_dev != m->device)) {
		(void)close(fd);
		fd = -1;
	}
	return fd;
}

static int64_t changed_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static bool is_unchanged(const struct binary *b, const struct stat *st)
{
	return st->st_size == b->size && changed_ns(st) == b->changed_ns;
}

static int read_elf(struct binary *b)
{
	struct elf e;
	char hex[ELF_BUILD_ID_HEX];
	if (elf_init(&e, b->fd, NULL) < 0)
		return 0;
	(void)elf_build_id_hex(&e, hex);
	b->build_id = strdup(hex);
	b->loads = calloc(e.n_loads ? e.n_loads : 1, sizeof(*b->loads));
	if (!b->build_id || !b->loads)
		return -ENOMEM;
	for (uint32_t i = 0; i < e.n_loads; i++) {
		const struct elf_load *load = &e.loads[i];
		uint64_t end;
		if (!load->executable || __builtin_add_overflow(load->vaddr, load->mem_size, &end))
			continue;
		b->loads[b->n_loads++] = *load;
		if (end > b->limit)
			b->limit = end;
	}
	b->is_elf = true;
	return 0;
}

static struct binary *binary_new(const struct mapped_file *m, const char *path, int fd, const struct stat *st)
{
	struct binary *b = calloc(1, sizeof(*b));
	if (!b) {
		if (fd >= 0)
			(void)close(fd);
		return NULL;
	}
	b->refs = 1;
	b->serial = serial_next();
	b->device = m->device;
	b->inode = m->inode;
	b->fd = fd;
	b->path = strdup(path);
	if (fd >= 0) {
		b->size = st->st_size;
		b->changed_ns = changed_ns(st);
	}
	if (!b->path || (fd >= 0 && read_elf(b) < 0) || (!b->build_id && !(b->build_id = strdup("")))) {
		binary_unref(b);
		return NULL;
	}
	return b;
}

static void close_binary(struct binary_table *t, struct binary *b)
{
	if (b->fd < 0)
		return;
	(void)close(b->fd);
	b->fd = -1;
	/* binary_fd() opens without the table's knowledge. */
	t->n_open -= t->n_open > 0;
}

static void drop(struct binary_table *t, struct binary **link)
{
	struct binary *b = *link;
	*link = b->next;
	b->next = NULL;
	t->n--;
	close_binary(t, b);
	binary_unref(b);
}

/* A file system gives the number of a file that is gone to the next one. */
static bool is_same_file(const struct binary *b, pid_t pid, const struct mapped_file *m)
{
	char link[MAP_LINK_SIZE];
	struct stat st;
	map_link(pid, m, link);
	return !b->changed_ns || stat(link, &st) < 0 || st.st_ino != m->inode || is_unchanged(b, &st);
}

/* Opens `b` again in a new window. False: the file has changed. */
static bool reopen(struct binary_table *t, struct binary *b, pid_t pid, const struct mapped_file *m)
{
	if (b->tried_window == t->window)
		return is_same_file(b, pid, m);
	b->tried_window = t->window;
	if (t->n_open >= t->max_open)
		return true;
	struct stat st;
	int fd = open_mapped(pid, m, b->path, false, &st);
	if (fd < 0)
		return true;
	/* size 0: it could not be opened before. */
	if (!is_unchanged(b, &st)) {
		(void)close(fd);
		return false;
	}
	b->fd = fd;
	t->n_open++;
	return true;
}

struct binary *binary_get(struct binary_table *t, pid_t pid, const struct mapped_file *m, int64_t now_ns)
{
	struct binary **bucket = bucket_of(t, m), **link = bucket;
	for (; *link; link = &(*link)->next)
		if ((*link)->inode == m->inode && (*link)->device == m->device)
			break;
	if (*link && reopen(t, *link, pid, m)) {
		(*link)->used_ns = now_ns;
		(*link)->pid = pid;
		return binary_ref(*link);
	}
	if (*link)
		drop(t, link);
	if (t->n >= t->max)
		return NULL;

	char path[PATH_MAX];
	if (!search_maps(pid, (struct map_search){ m, path }))
		return NULL;
	bool is_deleted = strip_deleted(path);
	struct stat st;
	int fd = t->n_open < t->max_open ? open_mapped(pid, m, path, is_deleted, &st) : -1;
	struct binary *b = binary_new(m, path, fd, &st);
	if (!b)
		return NULL;
	t->n++;
	t->n_open += b->fd >= 0;
	b->tried_window = t->window;
	b->used_ns = now_ns;
	b->pid = pid;
	b->next = *bucket;
	*bucket = b;
	return binary_ref(b);
}

void binary_renew(struct binary_table *t, struct binary **b, pid_t pid, const struct mapped_file *m, int64_t now_ns)
{
	(*b)->used_ns = now_ns;
	if ((*b)->tried_window == t->window)
		return;
	struct binary *now = binary_get(t, pid, m, now_ns);
	if (!now)
		return;
	binary_unref(*b);
	*b = now;
}

struct binary *binary_get_vdso(struct binary_table *t)
{
	if (!t->vdso && !t->vdso_tried) {
		t->vdso_tried = true;
		int fd = elf_vdso_open();
		struct stat st;
		if (fd >= 0 && fstat(fd, &st) == 0)
			t->vdso = binary_new(&(struct mapped_file){ 0 }, "[vdso]", fd, &st);
		else if (fd >= 0)
			(void)close(fd);
	}
	return t->vdso ? binary_ref(t->vdso) : NULL;
}

bool binary_vaddr(const struct binary *b, uint64_t file_off, uint64_t *ret)
{
	for (uint32_t i = 0; i < b->n_loads; i++) {
		const struct elf_load *load = &b->loads[i];
		if (file_off >= load->file_off && file_off - load->file_off < load->file_size) {
			*ret = load->vaddr + (file_off - load->file_off);
			return true;
		}
	}
	return false;
}

int binary_fd(struct binary *b)
{
	struct stat st;
	if (b->fd >= 0 || b->path[0] != '/')
		return b->fd;
	int fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == b->inode && st.st_dev == b->device &&
	    is_unchanged(b, &st))
		b->fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return b->fd;
}

/* By size and time: file systems that lie over others have numbers of their
 * own. The pid may have passed to another process, but what counts is that the
 * binary is there. */
static bool is_in_root(const struct binary *b, int root)
{
	struct stat st;
	_cleanup_(close_fd)
	int fd = root < 0 ? -1 : file_open_in_root(root, b->path);
	return fd >= 0 && fstat(fd, &st) == 0 && st.st_size == b->size && changed_ns(&st) == b->changed_ns;
}

int binary_open_root(const struct binary *b)
{
	_cleanup_(close_fd)
	int own = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (b->path[0] != '/')
		return -1;
	if (is_in_root(b, own))
		return take_fd(own);
	_cleanup_(close_fd)
	int other = b->pid ? open_root(b->pid) : -1;
	return is_in_root(b, other) ? take_fd(other) : -1;
}

void binary_table_end_window(struct binary_table *t, int64_t now_ns)
{
	t->window++;
	for (uint32_t i = 0; i < N_BUCKETS; i++) {
		for (struct binary **link = &t->buckets[i]; *link;) {
			struct binary *b = *link;
			close_binary(t, b);
			if (now_ns - b->used_ns > UNUSED_NS)
				drop(t, link);
			else
				link = &b->next;
		}
	}
	t->n_open = 0;
}
