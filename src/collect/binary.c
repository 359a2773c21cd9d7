/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/binary.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define N_BUCKETS 1024u
#define UNUSED_NS (600ll * 1000000000)

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

/* A path inside the process's root, from which no link leads out. */
static int open_in_root(pid_t pid, const char *path)
{
	char root_path[64];
	(void)snprintf(root_path, sizeof(root_path), "/proc/%d/root", (int)pid);
	_cleanup_(close_fd)
	int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -1;
	struct open_how how = { .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT };
	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* What maps says of the mapping's path, for those who may not follow map_files. */
struct path_search {
	const struct mapped_file *m;
	char *path; /* PATH_MAX */
};

static int put_path(void *arg, const struct proc_map *map)
{
	struct path_search *s = arg;
	if (map->inode != s->m->inode || makedev(map->dev_major, map->dev_minor) != s->m->device ||
	    map->path.size >= PATH_MAX)
		return 0;
	memcpy(s->path, map->path.data, map->path.size);
	s->path[map->path.size] = 0;
	return -EEXIST; /* found: no need to read on */
}

static bool find_path(pid_t pid, const struct mapped_file *m, char path[static PATH_MAX])
{
	char link[96];
	(void)snprintf(link, sizeof(link), "/proc/%d/map_files/%lx-%lx", (int)pid, (unsigned long)m->start,
		       (unsigned long)m->end);
	ssize_t n = readlink(link, path, PATH_MAX - 1);
	if (n > 0) {
		path[n] = 0;
		return true;
	}
	(void)snprintf(link, sizeof(link), "/proc/%d/maps", (int)pid);
	_cleanup_(close_fd)
	int fd = open(link, O_RDONLY | O_CLOEXEC);
	struct path_search search = { .m = m, .path = path };
	return fd >= 0 && proc_maps_walk(fd, (struct proc_map_sink){ put_path, &search }) == -EEXIST;
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

static int open_regular(int fd, struct stat *ret)
{
	if (fd < 0)
		return -1;
	if (fstat(fd, ret) == 0 && S_ISREG(ret->st_mode))
		return fd;
	(void)close(fd);
	return -1;
}

/* The file of a mapping, or -1. */
static int open_mapped(pid_t pid, const struct mapped_file *m, const char *path, bool is_deleted, struct stat *ret)
{
	char link[96];
	(void)snprintf(link, sizeof(link), "/proc/%d/map_files/%lx-%lx", (int)pid, (unsigned long)m->start,
		       (unsigned long)m->end);
	int fd = open_regular(open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), ret);
	if (fd >= 0 || is_deleted || path[0] != '/')
		return fd;
	fd = open_regular(open_in_root(pid, path), ret);
	if (fd >= 0)
		return fd;
	/* The process is gone: the file may be ours to see, too. */
	fd = open_regular(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), ret);
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

/* Opens `b` again in a new window. False: the file has changed. */
static bool reopen(struct binary_table *t, struct binary *b, pid_t pid, const struct mapped_file *m)
{
	if (b->tried_window == t->window)
		return true;
	b->tried_window = t->window;
	if (t->n_open >= t->max_open)
		return true;
	struct stat st;
	int fd = open_mapped(pid, m, b->path, false, &st);
	if (fd < 0)
		return true;
	/* size 0: it could not be opened before. */
	if (st.st_size != b->size || changed_ns(&st) != b->changed_ns) {
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
		return binary_ref(*link);
	}
	if (*link)
		drop(t, link);
	if (t->n >= t->max)
		return NULL;

	char path[PATH_MAX];
	if (!find_path(pid, m, path))
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
	int fd = open_regular(open(b->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), &st);
	if (fd >= 0 && st.st_ino == b->inode && st.st_dev == b->device && st.st_size == b->size &&
	    changed_ns(&st) == b->changed_ns)
		b->fd = fd;
	else if (fd >= 0)
		(void)close(fd);
	return b->fd;
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
