/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/process_table.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>

#define MAPS_MAX_AGE_NS (120 * SECOND)
/* Pauses before maps are read again after a miss, doubled when it did not help. */
#define REREAD_LEAF_NS	     (SECOND / 50)
#define REREAD_LEAF_MAX_NS   (5 * SECOND)
#define REREAD_CALLER_NS     (1 * SECOND)
#define REREAD_CALLER_MAX_NS (60 * SECOND)
#define EAGER_MAPS	     200
#define LIBRARIES_MAX	     1024

void process_maps_forget(struct process_table *t, struct process *p)
{
	for (uint32_t i = 0; i < p->maps.n; i++) {
		unwinder_forget(t->unwinder, &p->maps.data[i]);
		binary_unref(p->maps.data[i].binary);
	}
	vec_done(&t->budget, &p->maps);
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
	uint64_t device, inode; /* of the executable mapping before */
};

static int put_map(void *arg, const struct proc_map *m)
{
	struct maps_reader *r = arg;
	if (!m->executable || slice_eq(m->path, slice_str("[vsyscall]")))
		return 0;
	uint64_t device = makedev(m->dev_major, m->dev_minor);
	bool is_another = m->inode && (m->inode != r->inode || device != r->device);
	r->device = device;
	r->inode = m->inode;
	if (r->p->maps.n >= PROCESS_MAX_MAPS)
		return -E2BIG;
	/* Thousands of pieces of one file or of generated code leave room for libraries. */
	if (r->p->maps.n >= PROCESS_MAX_MAPS - LIBRARIES_MAX && !is_another)
		return 0;
	int e = vec_reserve(&r->t->budget, &r->p->maps, 1);
	if (e < 0)
		return e;
	r->p->maps.data[r->p->maps.n++] = (struct process_map){
		.start = m->start,
		.end = m->end,
		.offset = m->offset,
		.device = device,
		.inode = m->inode,
		.kind = map_kind_of(m),
	};
	return 0;
}

/* Whether a mapping of `now` lies where another of `before` was. */
static bool has_replaced(const struct process *before, const struct process *now)
{
	for (uint32_t i = 0, k = 0; i < before->maps.n && k < now->maps.n;) {
		const struct process_map *a = &before->maps.data[i], *b = &now->maps.data[k];
		bool overlap = a->start < b->end && b->start < a->end;
		if (overlap && (a->device != b->device || a->inode != b->inode ||
				(a->inode && a->start - a->offset != b->start - b->offset)))
			return true;
		if (a->end <= b->end)
			i++;
		else
			k++;
	}
	return false;
}

static bool is_same(const struct process_map *a, const struct process_map *b)
{
	return a->start == b->start && a->end == b->end && a->offset == b->offset && a->device == b->device &&
	       a->inode == b->inode;
}

/* Since when each is there, where it was not there before. */
static void date_maps(const struct process_table *t, struct process *p, const struct process *before)
{
	p->newest_ns = 0;
	for (uint32_t i = 0, k = 0; i < p->maps.n && t->is_watched; i++) {
		struct process_map *m = &p->maps.data[i];
		while (k < before->maps.n && before->maps.data[k].start < m->start)
			k++;
		if (k < before->maps.n && is_same(&before->maps.data[k], m))
			m->since_ns = before->maps.data[k].since_ns;
		else if (t->watch.catch_up)
			m->since_ns = map_history_since(&t->history, p->pid, m->start, m->end);
		else if (before->maps.n)
			m->since_ns = clock_mono_ns();
		if (m->since_ns > p->newest_ns)
			p->newest_ns = m->since_ns;
	}
}

int process_maps_read(struct process_table *t, struct process *p, int64_t now_ns)
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
	struct maps_reader reader = { .t = t, .p = p };
	int r = proc_maps_walk(fd, (struct proc_map_sink){ put_map, &reader });
	if (p->maps.n == 0 && old.maps.n) {
		/* Exiting: the memory is gone, the samples are not. */
		p->maps.data = old.maps.data;
		p->maps.n = old.maps.n;
		p->maps.cap = old.maps.cap;
		return -ESRCH;
	}
	/* Samples from between a replacement, heard of or not, and now may have been of
	 * either, and were walked by a list of before. */
	bool replaced = p->replaced_ns || has_replaced(&old, p);
	p->changed_ns = p->replaced_ns = 0;
	if (t->watch.catch_up)
		t->watch.catch_up(t->watch.arg);
	date_maps(t, p, &old);
	unwinder_publish(t->unwinder, p);
	if (replaced) {
		p->valid_from_ns = clock_mono_ns();
		p->n_replaced++;
	}
	process_maps_forget(t, &old);
	return r == -E2BIG || r == -ENOBUFS ? 0 : r;
}

void process_maps_init(struct process *p)
{
	p->leaf_wait_ns = REREAD_LEAF_NS;
	p->caller_wait_ns = REREAD_CALLER_NS;
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
	return process_start_time(p->pid, &start_time) && start_time == p->start_time;
}

static struct process_map *search_again(struct process_table *t, struct process *p, uint64_t addr, bool is_leaf,
					int64_t now_ns)
{
	int64_t *wait = is_leaf ? &p->leaf_wait_ns : &p->caller_wait_ns;
	int64_t shortest = is_leaf ? REREAD_LEAF_NS : REREAD_CALLER_NS;
	int64_t longest = is_leaf ? REREAD_LEAF_MAX_NS : REREAD_CALLER_MAX_NS;
	p->maps_read_ns = now_ns;
	if (!is_alive(p) || process_maps_read(t, p, now_ns) < 0)
		return search(p, addr);
	struct process_map *m = search(p, addr);
	/* Broken stacks hold numbers that are no code: ask less and less often. */
	*wait = m ? shortest : 2 * *wait;
	if (*wait > longest)
		*wait = longest;
	return m;
}

/* Cheap to compare, and enough: what is mapped and where. */
static uint64_t hash_maps(const struct process *p)
{
	uint64_t h = p->maps.n;
	for (uint32_t i = 0; i < p->maps.n; i++) {
		const struct process_map *m = &p->maps.data[i];
		const uint64_t row[] = { m->start, m->end, m->offset, m->device, m->inode };
		for (size_t k = 0; k < ARRAY_SIZE(row); k++)
			h = (h ^ row[k]) * 0x9e3779b97f4a7c15ull;
	}
	return h;
}

bool process_reread(struct process_table *t, struct process *p, int64_t now_ns)
{
	uint64_t before = hash_maps(p);
	return !p->is_gone && is_alive(p) && process_maps_read(t, p, now_ns) == 0 && hash_maps(p) != before;
}

/* ---- changes ------------------------------------------------------------- */

static struct process *find(struct process_table *t, pid_t pid)
{
	struct process *p = t->buckets[(uint32_t)pid % PROCESS_BUCKETS];
	while (p && p->pid != pid)
		p = p->next;
	return p;
}

static bool is_same_place(const struct process_map *m, const struct map_event *e)
{
	return m->device == e->device && m->inode == e->inode &&
	       (e->inode == 0 || m->start - m->offset == e->start - e->offset);
}

/* What a new mapping means for the list of those that were read. */
static void note_mapping(struct process_table *t, struct process *p, const struct map_event *e)
{
	uint64_t known = 0; /* bytes of it that were known before, as they are */
	bool replaces = false;
	for (uint32_t i = 0; i < p->maps.n; i++) {
		struct process_map *m = &p->maps.data[i];
		uint64_t start = m->start > e->start ? m->start : e->start, end = m->end < e->end ? m->end : e->end;
		if (start >= end)
			continue;
		if (!is_same_place(m, e)) {
			replaces = true;
			continue;
		}
		known += end - start;
		if (e->time_ns < m->since_ns)
			m->since_ns = e->time_ns;
	}
	if (replaces || known < e->end - e->start)
		p->changed_ns = e->time_ns;
	if (replaces && !p->replaced_ns)
		p->replaced_ns = e->time_ns;
	t->stats.n_replaced += replaces;
}

/* What was not heard may have been anything. */
static void note_lost(struct process_table *t, int64_t now_ns)
{
	for (uint32_t i = 0; i < PROCESS_BUCKETS; i++)
		for (struct process *p = t->buckets[i]; p; p = p->next)
			p->changed_ns = now_ns;
}

void process_table_changed(struct process_table *t, const struct map_event *e, int64_t now_ns)
{
	struct process *p = e->kind == MAP_EVENT_LOST ? NULL : find(t, e->pid);
	t->is_watched = true;
	map_history_add(&t->history, e, now_ns);
	switch (e->kind) {
	case MAP_EVENT_LOST:
		note_lost(t, now_ns);
		break;
	case MAP_EVENT_EXEC:
		/* Only samples from after it show that `p` is the new program. */
		if (p)
			p->changed_ns = e->time_ns;
		break;
	case MAP_EVENT_MAPPED:
		if (p && !p->is_gone)
			note_mapping(t, p, e);
		break;
	}
}

bool process_check_maps(struct process_table *t, struct process *p, const struct record_sample *s, int64_t now_ns)
{
	int64_t time_ns = (int64_t)s->time_ns;
	if (p->is_gone)
		return true;
	/* A process that is exiting keeps what it had. */
	if (p->changed_ns && time_ns >= p->changed_ns && is_alive(p))
		(void)process_maps_read(t, p, now_ns);
	return time_ns >= p->valid_from_ns && (!p->replaced_ns || time_ns < p->replaced_ns);
}

/* ---- what is where ------------------------------------------------------- */

const struct process_map *process_find_map(struct process_table *t, struct process *p, uint64_t addr, bool is_leaf,
					   int64_t now_ns)
{
	struct process_map *m = search(p, addr);
	bool is_old = !p->is_gone && now_ns - p->maps_read_ns > MAPS_MAX_AGE_NS;
	if (!t->is_watched && (is_old || (!m && reread_due(p, is_leaf, now_ns))))
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
	(void)unwinder_use(t->unwinder, m, false, now_ns);
	return m;
}

void process_maps_load(struct process_table *t, struct process *p, int64_t now_ns)
{
	for (uint32_t i = 0; i < p->maps.n && i < EAGER_MAPS; i++) {
		const struct process_map *m = process_find_map(t, p, p->maps.data[i].start, true, now_ns);
		if (m)
			(void)unwinder_use(t->unwinder, m, true, now_ns);
	}
}

void process_want_table(struct process_table *t, const struct process_map *m, int64_t now_ns)
{
	(void)unwinder_use(t->unwinder, m, true, now_ns);
}

void process_replay(struct process_table *t, struct process *p, const struct record_memory *memory, int64_t now_ns,
		    struct record_stack *ret)
{
	unwinder_replay(t->unwinder, t, p, memory, now_ns, ret);
}
