/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/process.h"

#include "collect/process_table.h"
#include "collect/service_name.h"
#include "object/perfmap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#define MAX_ENVIRON	 ((size_t)256 << 10)
#define MAX_CGROUP	 ((size_t)64 << 10)
#define MAPS_BUDGET	 ((size_t)4 << 20)
#define UNSEEN_NS	 (60 * SECOND)
#define PERFMAP_RETRY_NS (1 * SECOND)

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

void process_table_set_watch(struct process_table *t, struct process_watch watch)
{
	t->watch = watch;
}

void process_table_set_unwinder(struct process_table *t, struct unwinder *u, bool eagerly)
{
	t->unwinder = u;
	t->is_eager = eagerly;
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

static void forget_maps(struct process_table *t, struct process *p)
{
	unwinder_withdraw(t->unwinder, p);
	process_maps_forget(t, p);
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
	for (uint32_t i = 0; i < PROCESS_BUCKETS; i++)
		while ((*t)->buckets[i])
			drop(*t, &(*t)->buckets[i]);
	free(*t);
	*t = NULL;
}

static void drop_unseen(struct process_table *t, int64_t before_ns)
{
	for (uint32_t i = 0; i < PROCESS_BUCKETS; i++) {
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
	for (uint32_t i = 0; i < PROCESS_BUCKETS; i++)
		for (struct process **link = &t->buckets[i]; *link; link = &(*link)->next)
			if (!oldest || (*link)->seen_ns < (*oldest)->seen_ns)
				oldest = link;
	if (oldest) {
		drop(t, oldest);
		t->stats.n_evicted++;
	}
}

static bool read_stat(pid_t pid, unsigned field, uint64_t *ret)
{
	_cleanup_(buf_done)
	struct buf stat = buf_of(8192);
	return proc_file_read(pid, "stat", 4096, &stat) == 0 &&
	       proc_stat_field(slice_of(stat.data, stat.n), field, ret);
}

bool process_start_time(pid_t pid, uint64_t *ret)
{
	return read_stat(pid, PROC_STAT_START_TIME, ret);
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
	process_maps_init(p);
	t->stats.n_read++;
	p->is_gone = !process_start_time(p->pid, &p->start_time);
	(void)read_stat(p->pid, PROC_STAT_START_STACK, &p->stack_start);
	if (!p->is_gone && !p->is_kthread)
		p->is_gone = process_maps_read(t, p, now_ns) < 0 || p->maps.n == 0;
	/* The sample is older than the program that was just looked at. */
	int64_t exec_ns = map_history_last_exec(&t->history, p->pid);
	if (exec_ns > (int64_t)s->time_ns) {
		p->gone_until_ns = exec_ns;
		p->is_gone = true;
		forget_maps(t, p);
	}
	t->stats.n_gone += p->is_gone;
	if (t->is_eager && !p->is_gone)
		process_maps_load(t, p, now_ns);
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
	if (p->gone_until_ns && (int64_t)s->time_ns >= p->gone_until_ns)
		return false;
	return p->image == s->image || s->image == 0;
}

struct process *process_get(struct process_table *t, const struct record_sample *s, int64_t now_ns)
{
	struct process **bucket = &t->buckets[s->tgid % PROCESS_BUCKETS], **link = bucket;
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

void process_table_limit(struct process_table *t, uint32_t max)
{
	t->max = max;
	while (t->stats.n > t->max)
		evict_oldest(t);
}

void process_table_end_window(struct process_table *t, int64_t now_ns)
{
	drop_unseen(t, now_ns - UNSEEN_NS);
}

struct process_table_stats process_table_stats(const struct process_table *t)
{
	return t->stats;
}
