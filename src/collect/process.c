/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/process.h"

#include "collect/service_name.h"
#include "object/perfmap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#define N_BUCKETS	1024u
#define MAX_ENVIRON	((size_t)256 << 10)
#define MAX_CGROUP	((size_t)64 << 10)
#define MAPS_BUDGET	((size_t)4 << 20)
#define SECOND		1000000000ll
#define UNSEEN_NS	(60 * SECOND)
#define MAPS_MAX_AGE_NS (120 * SECOND)
/* Pauses before maps are read again after a miss, doubled when it did not help. */
#define REREAD_LEAF_NS	     (SECOND / 50)
#define REREAD_LEAF_MAX_NS   (5 * SECOND)
#define REREAD_CALLER_NS     (1 * SECOND)
#define REREAD_CALLER_MAX_NS (60 * SECOND)
#define PERFMAP_RETRY_NS     (1 * SECOND)

struct process_table {
	uint32_t max;
	const char *own_service;
	struct binary_table *binaries;
	struct membudget budget; /* of the mappings */
	struct process_table_stats stats;
	struct process *buckets[N_BUCKETS];
};

struct process_table *process_table_new(uint32_t max, const char *own_service, struct binary_table *binaries)
{
	struct process_table *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->max = max;
	t->own_service = own_service;
	t->binaries = binaries;
	t->budget = membudget_of(MAPS_BUDGET);
	return t;
}

static void forget_maps(struct process_table *t, struct process *p)
{
	for (uint32_t i = 0; i < p->maps.n; i++)
		binary_unref(p->maps.data[i].binary);
	vec_done(&t->budget, &p->maps);
}

struct process *process_ref(struct process *p)
{
	p->refs++;
	return p;
}

void process_unref(struct process *p)
{
	if (!p)
		return;
	assert(p->refs > 0);
	if (--p->refs > 0)
		return;
	if (p->perfmap_fd >= 0)
		(void)close(p->perfmap_fd);
	free(p->service);
	free(p->container);
	free(p);
}

static void drop(struct process_table *t, struct process **link)
{
	struct process *p = *link;
	*link = p->next;
	p->next = NULL;
	t->stats.n--;
	/* Mappings are only looked up through the table. */
	forget_maps(t, p);
	process_unref(p);
}

void process_table_free(struct process_table **t)
{
	if (!*t)
		return;
	for (uint32_t i = 0; i < N_BUCKETS; i++)
		while ((*t)->buckets[i])
			drop(*t, &(*t)->buckets[i]);
	free(*t);
	*t = NULL;
}

static void drop_unseen(struct process_table *t, int64_t before_ns)
{
	for (uint32_t i = 0; i < N_BUCKETS; i++) {
		for (struct process **link = &t->buckets[i]; *link;) {
			if ((*link)->seen_ns < before_ns)
				drop(t, link);
			else
				link = &(*link)->next;
		}
	}
}

/* Makes room for one more: whoever was sampled least recently goes. */
static void evict_oldest(struct process_table *t)
{
	struct process **oldest = NULL;
	for (uint32_t i = 0; i < N_BUCKETS; i++)
		for (struct process **link = &t->buckets[i]; *link; link = &(*link)->next)
			if (!oldest || (*link)->seen_ns < (*oldest)->seen_ns)
				oldest = link;
	if (oldest) {
		drop(t, oldest);
		t->stats.n_evicted++;
	}
}

static enum map_kind map_kind_of(const struct proc_map *m)
{
	if (slice_eq(m->path, slice_str("[vdso]")))
		return MAP_VDSO;
	return m->inode ? MAP_FILE : MAP_CODE;
}

struct maps_reader {
	struct process_table *t;
	struct process *p;
};

static int put_map(void *arg, const struct proc_map *m)
{
	struct maps_reader *r = arg;
	if (!m->executable || slice_eq(m->path, slice_str("[vsyscall]")))
		return 0;
	if (r->p->maps.n >= PROCESS_MAX_MAPS)
		return -E2BIG;
	int e = vec_reserve(&r->t->budget, &r->p->maps, 1);
	if (e < 0)
		return e;
	r->p->maps.data[r->p->maps.n++] = (struct process_map){
		.start = m->start,
		.end = m->end,
		.offset = m->offset,
		.device = makedev(m->dev_major, m->dev_minor),
		.inode = m->inode,
		.kind = map_kind_of(m),
	};
	return 0;
}

/* Reads the executable mappings; what is over a limit is left out, so its
 * frames stay without a name. -errno: it cannot be read. */
static int read_maps(struct process_table *t, struct process *p, int64_t now_ns)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)p->pid);
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	p->maps_read_ns = now_ns;
	if (fd < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	struct process old = { .maps.data = p->maps.data, .maps.n = p->maps.n, .maps.cap = p->maps.cap };
	p->maps.data = NULL;
	p->maps.n = p->maps.cap = 0;
	struct maps_reader reader = { t, p };
	int r = proc_maps_walk(fd, (struct proc_map_sink){ put_map, &reader });
	if (p->maps.n == 0 && old.maps.n) {
		/* Exiting: the memory is gone, the samples are not. */
		p->maps.data = old.maps.data;
		p->maps.n = old.maps.n;
		p->maps.cap = old.maps.cap;
		return -ESRCH;
	}
	forget_maps(t, &old);
	return r == -E2BIG || r == -ENOBUFS ? 0 : r;
}

static bool read_start_time(pid_t pid, uint64_t *ret)
{
	_cleanup_(buf_done)
	struct buf stat = buf_of(8192);
	return proc_file_read(pid, "stat", 4096, &stat) == 0 && proc_stat_start_time(slice_of(stat.data, stat.n), ret);
}

static void read_comm(struct process *p, const struct record_sample *s)
{
	_cleanup_(buf_done)
	struct buf comm = buf_of(8192);
	const char *from = s->comm;
	size_t n = strnlen(s->comm, sizeof(s->comm));
	/* The sample has the thread's name, which is the process's only in its first thread. */
	if (proc_file_read(p->pid, "comm", 64, &comm) == 0 && comm.n > 1) {
		from = (const char *)comm.data;
		n = comm.n - 1;
	}
	if (n >= sizeof(p->comm))
		n = sizeof(p->comm) - 1;
	memcpy(p->comm, from, n);
	p->comm[n] = 0;
}

static int read_service(struct process_table *t, struct process *p)
{
	_cleanup_(buf_done)
	struct buf environment = buf_of(MAX_ENVIRON + 8192);
	_cleanup_(buf_done)
	struct buf cgroup = buf_of(MAX_CGROUP + 8192);
	struct cgroup_name name = { 0 };
	char service[SERVICE_NAME_MAX + 1];
	/* Either may be refused: what is left still gives a name. */
	if (!p->is_kthread) {
		(void)proc_file_read(p->pid, "environ", MAX_ENVIRON, &environment);
		(void)proc_file_read(p->pid, "cgroup", MAX_CGROUP, &cgroup);
		cgroup_name_parse(slice_of(cgroup.data, cgroup.n), &name);
	}
	service_name(slice_of(environment.data, environment.n), &name, slice_str(p->comm), service);
	const char *chosen = p->is_kthread ? "kernel" : p->pid == getpid() ? t->own_service : service;
	p->service = strdup(chosen);
	p->container = strdup(name.container);
	return p->service && p->container ? 0 : -ENOMEM;
}

static struct process *look_at(struct process_table *t, const struct record_sample *s, int64_t now_ns)
{
	struct process *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->refs = 1;
	p->pid = (pid_t)s->tgid;
	p->image = s->image;
	p->serial = serial_next();
	p->is_kthread = s->flags & SAMPLE_KTHREAD;
	p->perfmap_fd = -1;
	p->leaf_wait_ns = REREAD_LEAF_NS;
	p->caller_wait_ns = REREAD_CALLER_NS;
	t->stats.n_read++;
	p->is_gone = !read_start_time(p->pid, &p->start_time);
	if (!p->is_gone && !p->is_kthread)
		p->is_gone = read_maps(t, p, now_ns) < 0 || p->maps.n == 0;
	t->stats.n_gone += p->is_gone;
	read_comm(p, s);
	if (read_service(t, p) < 0) {
		forget_maps(t, p);
		process_unref(p);
		return NULL;
	}
	return p;
}

/* Whether a sample still belongs to what was read. A sample taken while a
 * process exits has no image any more. */
static bool is_same(const struct process *p, const struct record_sample *s)
{
	return p->image == s->image || s->image == 0;
}

struct process *process_get(struct process_table *t, const struct record_sample *s, int64_t now_ns)
{
	struct process **bucket = &t->buckets[s->tgid % N_BUCKETS], **link = bucket;
	while (*link && (*link)->pid != (pid_t)s->tgid)
		link = &(*link)->next;
	if (*link && is_same(*link, s)) {
		(*link)->seen_ns = now_ns;
		return *link;
	}
	struct process *p = look_at(t, s, now_ns);
	if (!p)
		return NULL;
	if (*link)
		drop(t, link);
	else if (t->stats.n >= t->max)
		evict_oldest(t);
	p->seen_ns = now_ns;
	p->next = *bucket;
	*bucket = p;
	t->stats.n++;
	return p;
}

static struct process_map *search(const struct process *p, uint64_t addr)
{
	uint32_t low = 0, high = p->maps.n;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		struct process_map *m = &p->maps.data[middle];
		if (addr < m->start)
			high = middle;
		else if (addr >= m->end)
			low = middle + 1;
		else
			return m;
	}
	return NULL;
}

static bool reread_due(const struct process *p, bool is_leaf, int64_t now_ns)
{
	int64_t wait = is_leaf ? p->leaf_wait_ns : p->caller_wait_ns;
	return !p->is_gone && now_ns - p->maps_read_ns >= wait;
}

/* The pid may belong to somebody else by now. */
static bool is_alive(const struct process *p)
{
	uint64_t start_time;
	return read_start_time(p->pid, &start_time) && start_time == p->start_time;
}

static struct process_map *search_again(struct process_table *t, struct process *p, uint64_t addr, bool is_leaf,
					int64_t now_ns)
{
	int64_t *wait = is_leaf ? &p->leaf_wait_ns : &p->caller_wait_ns;
	int64_t shortest = is_leaf ? REREAD_LEAF_NS : REREAD_CALLER_NS;
	int64_t longest = is_leaf ? REREAD_LEAF_MAX_NS : REREAD_CALLER_MAX_NS;
	p->maps_read_ns = now_ns;
	if (!is_alive(p) || read_maps(t, p, now_ns) < 0)
		return search(p, addr);
	struct process_map *m = search(p, addr);
	/* Broken stacks hold numbers that are no code: ask less and less often. */
	*wait = m ? shortest : 2 * *wait;
	if (*wait > longest)
		*wait = longest;
	return m;
}

const struct process_map *process_find_map(struct process_table *t, struct process *p, uint64_t addr, bool is_leaf,
					   int64_t now_ns)
{
	struct process_map *m = search(p, addr);
	bool is_old = !p->is_gone && now_ns - p->maps_read_ns > MAPS_MAX_AGE_NS;
	if (is_old || (!m && reread_due(p, is_leaf, now_ns)))
		m = search_again(t, p, addr, is_leaf, now_ns);
	if (!m)
		return NULL;
	struct mapped_file file = { m->start, m->end, m->device, m->inode };
	if (m->kind == MAP_FILE && !m->binary)
		m->binary = binary_get(t->binaries, p->pid, &file, now_ns);
	else if (m->kind == MAP_FILE)
		binary_renew(t->binaries, &m->binary, p->pid, &file, now_ns);
	else if (m->kind == MAP_VDSO && !m->binary)
		m->binary = binary_get_vdso(t->binaries);
	return m;
}

int process_perfmap(struct process *p, int64_t now_ns)
{
	uint64_t size;
	/* A runtime may begin to write its map late. */
	if (p->perfmap_fd >= 0 || p->is_gone ||
	    (p->perfmap_tried_ns && now_ns - p->perfmap_tried_ns < PERFMAP_RETRY_NS))
		return p->perfmap_fd;
	p->perfmap_tried_ns = now_ns;
	if (perfmap_open(p->pid, &p->perfmap_fd, &size, NULL) < 0)
		p->perfmap_fd = -1;
	return p->perfmap_fd;
}

void process_table_end_window(struct process_table *t, int64_t now_ns)
{
	drop_unseen(t, now_ns - UNSEEN_NS);
}

struct process_table_stats process_table_stats(const struct process_table *t)
{
	return t->stats;
}
