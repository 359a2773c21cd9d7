/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/unwinder.h"

#include "base/clock.h"
#include "bpf/user_walk.h"
#include "unwind/table.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define N_BUCKETS     512u
#define SECOND	      1000000000ll
#define UNUSED_NS     (300 * SECOND) /* before a table goes */
#define IN_USE_NS     (20 * SECOND)  /* a table used this lately makes room for no other */
#define RETRY_NS      (60 * SECOND)  /* after a failure */
#define PATIENCE_NS   (SECOND / 100)
#define PATIENCE_MAX  (10 * SECOND)
#define BURST_MS      100.0
#define BUILD_MAX     ((size_t)8 << 20) /* bytes meanwhile */
#define REPLAY_TABLES 64

/* A binary, as far as unwinding goes. */
struct code {
	uint64_t device, inode;
	uint32_t slot;
	uint32_t n_mappings; /* in lists */
	int64_t used_ns, retry_ns;
	uint64_t serial; /* of the binary that the table is of */
	bool is_known;	 /* there is a table, or certainly none */
	struct unwind_table table;
	struct code *next;
};

struct unwinder {
	struct pool *pool;
	int spaces_fd;
	uint32_t generation;
	double speed_ms; /* a second */
	double left_ms;
	int64_t filled_ns;	 /* when left_ms was last raised */
	struct membudget budget; /* of a build */
	struct unwinder_stats stats;
	int replay_fd;		  /* a program, that works on: */
	struct replay_area *area; /* NULL: replays run here */
	struct code *by_slot[POOL_MAX_TABLES];
	struct code *buckets[N_BUCKETS];
};

int unwinder_new(const struct pool_maps *maps, int spaces_fd, size_t max_size, struct unwinder **ret)
{
	_cleanup_(unwinder_free)
	struct unwinder *u = calloc(1, sizeof(*u));
	if (!u)
		return -ENOMEM;
	size_t segment = (size_t)POOL_SEGMENT_WORDS * 4, n = max_size / segment;
	u->spaces_fd = spaces_fd;
	u->speed_ms = UNWINDER_SPEED_MS;
	u->left_ms = BURST_MS;
	u->filled_ns = clock_mono_ns();
	u->budget = membudget_of(BUILD_MAX);
	int r = pool_new(maps, n < POOL_MAX_SEGMENTS ? (uint32_t)n : POOL_MAX_SEGMENTS, &u->pool);
	if (r < 0)
		return r;
	*ret = take_ptr(u);
	return 0;
}

void unwinder_set_replay(struct unwinder *u, int program_fd, struct replay_area *area)
{
	u->replay_fd = program_fd;
	u->area = area;
}

void unwinder_set_speed(struct unwinder *u, double ms_per_s)
{
	if (!u)
		return;
	u->speed_ms = ms_per_s;
	if (u->left_ms < ms_per_s)
		u->left_ms = ms_per_s;
}

/* ---- binaries ------------------------------------------------------------ */

static struct code **bucket_of(struct unwinder *u, const struct process_map *m)
{
	uint64_t h = (m->inode ^ m->device << 40) * 0x9e3779b97f4a7c15ull;
	return &u->buckets[h >> 55];
}

static void unload(struct unwinder *u, struct code *c)
{
	struct pool_table none = { 0 };
	if (c->table.in_pool.pages) {
		u->stats.n_tables--;
		u->stats.n_rows -= c->table.n_rows;
		u->stats.n_unsupported -= c->table.n_unsupported;
	}
	pool_set_table(u->pool, c->slot, &none);
	unwind_table_unload(&c->table, u->pool);
	c->is_known = false;
}

static void drop(struct unwinder *u, struct code **link)
{
	struct code *c = *link;
	*link = c->next;
	unload(u, c);
	u->by_slot[c->slot] = NULL;
	pool_drop_slot(u->pool, c->slot);
	free(c);
}

static void drop_all(struct unwinder *u)
{
	for (uint32_t i = 0; i < N_BUCKETS; i++)
		while (u->buckets[i])
			drop(u, &u->buckets[i]);
}

void unwinder_free(struct unwinder **u)
{
	if (!*u)
		return;
	if ((*u)->pool)
		drop_all(*u);
	pool_free_all(&(*u)->pool);
	free(*u);
	*u = NULL;
}

/* Where the binary used least recently hangs, of those that no list names
 * (`idle`) or that have a table; NULL: all were used since `before_ns`. */
static struct code **oldest(struct unwinder *u, bool idle, int64_t before_ns)
{
	struct code **found = NULL;
	for (uint32_t i = 0; i < N_BUCKETS; i++) {
		for (struct code **link = &u->buckets[i]; *link; link = &(*link)->next) {
			const struct code *c = *link;
			if ((idle ? c->n_mappings > 0 : !c->table.in_pool.pages) || c->used_ns >= before_ns)
				continue;
			if (!found || c->used_ns < (*found)->used_ns)
				found = link;
		}
	}
	return found;
}

static struct code *code_new(struct unwinder *u, const struct process_map *m)
{
	uint32_t slot = pool_new_slot(u->pool);
	if (!slot) {
		struct code **idle = oldest(u, true, INT64_MAX);
		if (!idle)
			return NULL;
		drop(u, idle);
		pool_reclaim(u->pool);
		slot = pool_new_slot(u->pool);
	}
	struct code *c = slot ? calloc(1, sizeof(*c)) : NULL;
	if (!c) {
		if (slot)
			pool_drop_slot(u->pool, slot);
		return NULL;
	}
	struct code **bucket = bucket_of(u, m);
	*c = (struct code){ .device = m->device, .inode = m->inode, .slot = slot, .next = *bucket };
	*bucket = u->by_slot[slot] = c;
	return c;
}

/* The vDSO is everybody's, at device and inode 0. */
static uint32_t take_slot(struct unwinder *u, const struct process_map *m)
{
	struct code *c = *bucket_of(u, m);
	while (c && (c->inode != m->inode || c->device != m->device))
		c = c->next;
	if (!c)
		c = code_new(u, m);
	if (!c)
		return TABLE_PENDING;
	c->n_mappings++;
	return c->slot;
}

void unwinder_forget(struct unwinder *u, const struct process_map *m)
{
	if (!u || m->slot < TABLE_FIRST)
		return;
	assert(u->by_slot[m->slot]->n_mappings > 0);
	u->by_slot[m->slot]->n_mappings--;
}

/* ---- lists --------------------------------------------------------------- */

/* False: the kernel has no list for the process now, and its stacks end with
 * new_process. */
static bool set_space(struct unwinder *u, const struct process *p)
{
	uint32_t pid = (uint32_t)p->pid;
	if (u->spaces_fd < 0 || bpf_map_update_elem(u->spaces_fd, &pid, &p->space, BPF_ANY) == 0)
		return true;
	(void)bpf_map_delete_elem(u->spaces_fd, &pid);
	u->stats.n_no_room++;
	return false;
}

static int write_list(struct unwinder *u, struct process *p, uint32_t *ret_list)
{
	uint32_t n_words = p->maps.n * (uint32_t)(sizeof(struct pool_mapping) / 4), list;
	int r = pool_alloc(u->pool, n_words, &list);
	if (r == -ENOBUFS && pool_has_withdrawn(u->pool)) {
		pool_reclaim(u->pool);
		r = pool_alloc(u->pool, n_words, &list);
	}
	if (r < 0)
		return r;
	struct pool_mapping *to = (struct pool_mapping *)pool_words(u->pool, list, n_words);
	if (!to) {
		pool_free(u->pool, list, n_words);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < p->maps.n; i++) {
		const struct process_map *m = &p->maps.data[i];
		to[i] = (struct pool_mapping){ m->start, m->end, m->start - m->offset, m->slot, 0 };
	}
	*ret_list = list;
	return 0;
}

static void free_list(struct unwinder *u, const struct pool_space *space)
{
	pool_free(u->pool, space->list, space->n * (uint32_t)(sizeof(struct pool_mapping) / 4));
}

void unwinder_publish(struct unwinder *u, struct process *p)
{
	if (!u || p->maps.n == 0)
		return;
	for (uint32_t i = 0; i < p->maps.n; i++) {
		struct process_map *m = &p->maps.data[i];
		m->slot = m->kind == MAP_CODE ? TABLE_JIT : take_slot(u, m);
	}
	struct pool_space old = p->space;
	uint32_t list;
	if (write_list(u, p, &list) < 0) {
		u->stats.n_no_room++;
		unwinder_withdraw(u, p);
		return;
	}
	p->space = (struct pool_space){
		.image = p->image,
		.list = list,
		.n = p->maps.n,
		.generation = ++u->generation,
		.asked_ns = old.list ? (uint64_t)p->maps_read_ns : 0,
		.patience_ns = old.patience_ns ? old.patience_ns : PATIENCE_NS,
	};
	u->stats.n_lists += old.list == 0;
	(void)set_space(u, p);
	free_list(u, &old);
}

/* An exec leaves the pid to the process that follows. */
static bool is_published(const struct unwinder *u, const struct process *p)
{
	uint32_t pid = (uint32_t)p->pid;
	struct pool_space space;
	return u->spaces_fd >= 0 && bpf_map_lookup_elem(u->spaces_fd, &pid, &space) == 0 &&
	       space.generation == p->space.generation;
}

void unwinder_withdraw(struct unwinder *u, struct process *p)
{
	uint32_t pid = (uint32_t)p->pid;
	if (!u || p->space.list == 0)
		return;
	if (is_published(u, p))
		(void)bpf_map_delete_elem(u->spaces_fd, &pid);
	free_list(u, &p->space);
	p->space = (struct pool_space){ 0 };
	u->stats.n_lists--;
}

/* ---- tables -------------------------------------------------------------- */

static int64_t cpu_ns(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static bool may_build(struct unwinder *u, int64_t now_ns)
{
	u->left_ms += u->speed_ms * (double)(now_ns - u->filled_ns) / SECOND;
	u->filled_ns = now_ns;
	double most = u->speed_ms > BURST_MS ? u->speed_ms : BURST_MS;
	if (u->left_ms > most)
		u->left_ms = most;
	bool may = u->speed_ms > 0 && u->left_ms > 0;
	u->stats.n_postponed += !may;
	return may;
}

static int load(struct unwinder *u, struct code *c, struct binary *b)
{
	struct elf elf;
	int fd = binary_fd(b);
	int r = fd < 0 ? -EIO : elf_init(&elf, fd, NULL);
	return r < 0 ? r : unwind_table_load(&elf, u->pool, &u->budget, &c->table);
}

/* A table that was not used lately, or words that are only withdrawn. */
static bool make_room(struct unwinder *u, int64_t now_ns)
{
	struct code **link = oldest(u, false, now_ns - IN_USE_NS);
	if (link) {
		unload(u, *link);
		u->stats.n_evicted++;
	} else if (!pool_has_withdrawn(u->pool)) {
		return false;
	}
	pool_reclaim(u->pool);
	return true;
}

static void build(struct unwinder *u, struct code *c, struct binary *b, int64_t now_ns)
{
	int64_t start = cpu_ns();
	int r = load(u, c, b);
	while (r == -ENOBUFS && make_room(u, now_ns))
		r = load(u, c, b);
	int64_t spent = cpu_ns() - start;
	u->stats.build_ns += (uint64_t)spent;
	u->left_ms -= (double)spent / 1e6;
	u->stats.n_built += r == 0;
	u->stats.n_no_room += r == -ENOBUFS;
	u->stats.n_failed += r < 0 && r != -ENOBUFS && r != -ENOENT;
	if (r == 0) {
		u->stats.n_tables++;
		u->stats.n_rows += c->table.n_rows;
		u->stats.n_unsupported += c->table.n_unsupported;
	}
	/* Without unwind information it is known, too: a table without rows. */
	c->is_known = r == 0 || r == -ENOENT || r == -EBADMSG || r == -EPROTONOSUPPORT;
	c->serial = b->serial;
	c->retry_ns = now_ns + RETRY_NS;
	struct pool_table table = r == 0 ? c->table.in_pool : (struct pool_table){ .pages = 1 };
	if (c->is_known)
		pool_set_table(u->pool, c->slot, &table);
	pool_settle(u->pool);
}

bool unwinder_use(struct unwinder *u, const struct process_map *m, bool wanted, int64_t now_ns)
{
	if (!u || m->slot < TABLE_FIRST)
		return false;
	struct code *c = u->by_slot[m->slot];
	c->used_ns = now_ns;
	if (!m->binary)
		return c->is_known;
	/* Another file under the same inode. */
	if (c->serial && c->serial != m->binary->serial) {
		unload(u, c);
		c->serial = 0;
		c->retry_ns = 0;
	}
	if (wanted && !c->is_known && now_ns >= c->retry_ns && may_build(u, now_ns))
		build(u, c, m->binary, now_ns);
	return c->is_known;
}

/* Reading the maps again did not help: ask less often. */
static void be_patient(struct unwinder *u, struct process *p)
{
	p->space.asked_ns = (uint64_t)p->maps_read_ns;
	p->space.patience_ns *= 2;
	if (p->space.patience_ns > PATIENCE_MAX)
		p->space.patience_ns = PATIENCE_MAX;
	(void)set_space(u, p);
}

static void replay_here(struct unwinder *u, const struct process *p, const struct record_memory *memory,
			struct record_stack *ret)
{
	const struct replay replay = {
		.pool = u->pool,
		.list = p->space.list,
		.n_mappings = p->space.n,
		.memory_start = memory->walk.sp & ~UINT64_C(7),
		.memory = slice_of(memory->words, memory->size),
		.stack_start = memory->stack_start ? memory->stack_start : p->stack_start,
		.pid = p->pid,
	};
	replay_stack(&replay, &memory->walk, ret);
}

static bool replay_in_kernel(struct unwinder *u, const struct process *p, const struct record_memory *memory,
			     struct record_stack *ret)
{
	struct replay_area *a = u->area;
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	if (!a)
		return false;
	memcpy(&a->memory, memory, offsetof(struct record_memory, words) + memory->size);
	a->user.list = p->space.list;
	a->user.n_mappings = p->space.n;
	if (bpf_prog_test_run_opts(u->replay_fd, &opts) < 0 || opts.retval != 0)
		return false;
	const struct record_stack *s = &a->user.stack;
	ret->n_frames = s->n_frames < SAMPLER_DEPTH ? s->n_frames : SAMPLER_DEPTH;
	ret->end = s->end;
	memcpy(ret->frames, s->frames, ret->n_frames * sizeof(ret->frames[0]));
	/* The guess at a leaf's caller looks at code, which it cannot read there. */
	bool is_guess = ret->end == STACK_END_NO_UNWIND_INFO || ret->end == STACK_END_ASTRAY;
	return !is_guess || ret->n_frames > 1 || memory->walk.is_call;
}

void unwinder_replay(struct unwinder *u, struct process_table *t, struct process *p, const struct record_memory *memory,
		     int64_t now_ns, struct record_stack *ret)
{
	bool has_reread = false;
	for (uint32_t i = 0; i < REPLAY_TABLES; i++) {
		if (!replay_in_kernel(u, p, memory, ret))
			replay_here(u, p, memory, ret);
		bool may_reread = now_ns - p->maps_read_ns >= (int64_t)p->space.patience_ns;
		bool is_unmapped = ret->end == STACK_END_NO_MAPPING || ret->end == STACK_END_ASTRAY;
		if (is_unmapped && !has_reread && may_reread) {
			has_reread = true;
			if (process_reread(t, p, now_ns))
				continue;
		}
		if (is_unmapped && has_reread)
			be_patient(u, p);
		if (ret->end != STACK_END_TABLE_PENDING || ret->n_frames == 0)
			break;
		/* A caller's pc may lie behind its mapping's last byte. */
		bool is_call = ret->n_frames > 1 || memory->walk.is_call;
		uint64_t addr = (ret->frames[ret->n_frames - 1] & FRAME_ADDRESS) - is_call;
		const struct process_map *m = process_find_map(t, p, addr, ret->n_frames == 1, now_ns);
		if (!m || !unwinder_use(u, m, true, now_ns))
			break;
	}
	/* All that was recorded was not enough; with its table the kernel would have read on. */
	if (ret->end == STACK_END_UNREADABLE && u->spaces_fd >= 0)
		ret->end = STACK_END_TABLE_PENDING;
}

void unwinder_settle(struct unwinder *u)
{
	if (u)
		pool_settle(u->pool);
}

void unwinder_end_window(struct unwinder *u, int64_t now_ns)
{
	if (!u)
		return;
	for (uint32_t i = 0; i < N_BUCKETS; i++) {
		for (struct code **link = &u->buckets[i]; *link;) {
			struct code *c = *link;
			bool is_unused = c->used_ns < now_ns - UNUSED_NS;
			if (is_unused && c->n_mappings == 0) {
				drop(u, link);
				continue;
			}
			if (is_unused && c->is_known)
				unload(u, c);
			link = &c->next;
		}
	}
	pool_reclaim(u->pool);
	pool_settle(u->pool);
}

struct unwinder_stats unwinder_stats(const struct unwinder *u)
{
	struct unwinder_stats stats = { 0 };
	if (u) {
		stats = u->stats;
		stats.pool = pool_stats(u->pool);
	}
	return stats;
}
