/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/bpf_sampler.h"

#include "base/file.h"
#include "collect/cpu_list.h"
#include "collect/perf_ring.h"
#include "collect/unwinder.h"
#include "bpf/user_walk.h"
#include <replay.skel.h>
#include <sampler.skel.h>

#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define RING_MIN       ((uint64_t)256 << 10)
#define RING_MAX       ((uint64_t)4 << 20) /* all of it becomes resident */
#define RING_SECONDS   2
#define CHANGES_SIZE   ((size_t)32 << 10) /* of a CPU's ring of map events */
#define SAMPLE_BYTES   400		  /* in the ring, with its share of stacks */
#define INITIAL_PID_NS 0xEFFFFFFCu	  /* PROC_PID_INIT_INO */

enum { FILTER_ALL, FILTER_PROCESS, FILTER_TREE }; /* as in sampler.bpf.c */

struct cpu_event {
	uint32_t cpu;
	int fd;
	struct bpf_link *link;
	struct perf_ring changes;
};

struct bpf_sampler {
	struct sample_sink sink;
	struct sampler_bpf *skeleton;
	struct replay_bpf *replay; /* may be NULL */
	struct replay_area *area;
	struct ring_buffer *ring;
	int epoll_fd; /* of the ring, and the CPUs' rings of map events */
	struct bpf_link *fork_link, *exit_link;
	enum sampler_unwind unwind;
	struct bpf_program *program;
	struct unwinder *unwinder; /* NULL when frame pointers are followed */
	bool counts_cycles, stopped;
	uint32_t rate_hz;
	uint32_t n_events;
	struct cpu_event *events; /* CPUS_MAX */
	int n_possible;		  /* CPUs, for per-CPU maps */
	struct sampler_counters *counters;
	uint64_t fixed_memory; /* of the kernel's: all but segments */
};

static int keep_quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

static int open_event(uint32_t cpu, bool cycles, uint32_t rate_hz)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.type = cycles ? PERF_TYPE_HARDWARE : PERF_TYPE_SOFTWARE,
		.config = cycles ? PERF_COUNT_HW_CPU_CYCLES : PERF_COUNT_SW_CPU_CLOCK,
		.freq = 1,
		.sample_freq = rate_hz,
		.exclude_idle = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int attach_cpu(struct bpf_sampler *s, uint32_t cpu)
{
	int fd = open_event(cpu, s->counts_cycles, s->rate_hz);
	if (fd < 0)
		return fd;
	struct bpf_link *link = bpf_program__attach_perf_event(s->program, fd);
	if (!link) {
		int r = -errno;
		(void)close(fd);
		return r;
	}
	/* The link owns the fd. */
	struct cpu_event *e = &s->events[s->n_events++];
	*e = (struct cpu_event){ .cpu = cpu, .fd = fd, .link = link, .changes.fd = -1 };
	/* Without them maps are read again from time to time. */
	if (perf_ring_open(&e->changes, cpu, PERF_RING_MAPS, CHANGES_SIZE) == 0) {
		struct epoll_event wait = { .events = EPOLLIN };
		(void)epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, e->changes.fd, &wait);
	}
	return 0;
}

static void detach_cpu(struct cpu_event *e)
{
	(void)bpf_link__destroy(e->link);
	perf_ring_close(&e->changes);
}

static int attach_cpus(struct bpf_sampler *s, struct error *err)
{
	uint32_t cpus[CPUS_MAX], n;
	int r = cpu_list_online(cpus, &n, err);
	if (r < 0)
		return r;
	int probe = open_event(cpus[0], true, s->rate_hz);
	s->counts_cycles = probe >= 0;
	if (probe >= 0)
		(void)close(probe);
	for (uint32_t i = 0; i < n; i++) {
		r = attach_cpu(s, cpus[i]);
		if (r < 0)
			return error_set(err, r, "BPF: sampling CPU %u: %s", cpus[i], strerror(-r));
	}
	return 0;
}

static int attach_tree(struct bpf_sampler *s, pid_t pid, struct error *err)
{
	uint32_t tgid = (uint32_t)pid;
	uint8_t one = 1;
	int r = bpf_map__update_elem(s->skeleton->maps.targets, &tgid, sizeof(tgid), &one, sizeof(one), BPF_ANY);
	if (r < 0)
		return error_set(err, r, "BPF: following process %d: %s", (int)pid, strerror(-r));
	s->fork_link = bpf_program__attach(s->skeleton->progs.follow_fork);
	r = s->fork_link ? 0 : -errno;
	s->exit_link = r < 0 ? NULL : bpf_program__attach(s->skeleton->progs.forget_exit);
	if (!s->exit_link) {
		r = r < 0 ? r : -errno;
		return error_set(err, r, "BPF: following forks: %s", strerror(-r));
	}
	return 0;
}

static uint32_t ring_size(uint32_t rate_hz, uint32_t n_cpus)
{
	uint64_t want = (uint64_t)rate_hz * n_cpus * RING_SECONDS * SAMPLE_BYTES, size = RING_MIN;
	while (size < want && size < RING_MAX)
		size *= 2;
	return (uint32_t)size;
}

static void configure(struct bpf_sampler *s, const struct sampler_options *o, const struct stat *pid_ns)
{
	struct sampler_bpf *b = s->skeleton;
	uint32_t size = ring_size(o->rate_hz, (uint32_t)s->n_possible);
	(void)bpf_map__set_max_entries(b->maps.ring, size);
	b->rodata->ring_high = size / 4;
	b->rodata->filter = o->target == SAMPLE_TREE	  ? FILTER_TREE
			    : o->target == SAMPLE_PROCESS ? FILTER_PROCESS
							  : FILTER_ALL;
	b->rodata->target_tgid = (uint32_t)o->pid;
	/* Without randomness hashes could be prepared; nothing worse. */
	uint64_t seed = 0;
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed))
		b->rodata->hash_seed = seed;
	if (pid_ns->st_ino != INITIAL_PID_NS) {
		b->rodata->pidns_dev = pid_ns->st_dev;
		b->rodata->pidns_ino = pid_ns->st_ino;
	}
	(void)bpf_program__set_autoload(b->progs.follow_fork, o->target == SAMPLE_TREE);
	(void)bpf_program__set_autoload(b->progs.forget_exit, o->target == SAMPLE_TREE);
	(void)bpf_program__set_autoload(b->progs.sample_loop, s->unwind == UNWIND_LOOP);
	(void)bpf_program__set_autoload(b->progs.sample_tail, s->unwind == UNWIND_TAIL);
	(void)bpf_program__set_autoload(b->progs.walk_stretch, s->unwind == UNWIND_TAIL);
	(void)bpf_program__set_autoload(b->progs.sample_fp, s->unwind == UNWIND_FP);
	(void)bpf_map__set_autocreate(b->maps.stretches, s->unwind == UNWIND_TAIL);
	struct bpf_map *tables[] = { b->maps.segments, b->maps.rules, b->maps.tables, b->maps.spaces };
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		(void)bpf_map__set_autocreate(tables[i], s->unwind != UNWIND_FP);
}

static int load_failed(int r, struct error *err)
{
	if (r == -EPERM || r == -EACCES)
		return error_set(err, -EPERM, "BPF needs root, or CAP_BPF and CAP_PERFMON");
	return error_set(err, r == -ENOMEM ? r : -EOPNOTSUPP, "BPF: the kernel does not take the sampler (%s)",
			 strerror(-r));
}

static int load_variant(struct bpf_sampler *s, const struct sampler_options *o, const struct stat *pid_ns)
{
	s->skeleton = sampler_bpf__open();
	if (!s->skeleton)
		return -errno;
	configure(s, o, pid_ns);
	int r = sampler_bpf__load(s->skeleton);
	if (r == 0 && s->unwind == UNWIND_TAIL) {
		uint32_t zero = 0, fd = (uint32_t)bpf_program__fd(s->skeleton->progs.walk_stretch);
		r = bpf_map__update_elem(s->skeleton->maps.stretches, &zero, sizeof(zero), &fd, sizeof(fd), BPF_ANY);
	}
	/* Loading reads the kernel's whole BTF: give that memory back. */
	(void)malloc_trim(0);
	if (r < 0) {
		sampler_bpf__destroy(s->skeleton);
		s->skeleton = NULL;
	}
	return r;
}

static struct bpf_program *program_of(const struct bpf_sampler *s)
{
	switch (s->unwind) {
	case UNWIND_LOOP:
		return s->skeleton->progs.sample_loop;
	case UNWIND_TAIL:
		return s->skeleton->progs.sample_tail;
	case UNWIND_FP:
	case UNWIND_RECORDED:
	case N_SAMPLER_UNWINDS:
		break;
	}
	return s->skeleton->progs.sample_fp;
}

static int load(struct bpf_sampler *s, const struct sampler_options *o, struct error *err)
{
	struct stat pid_ns;
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return error_set(err, -ENOENT,
				 "BPF needs /sys/kernel/btf/vmlinux (a kernel built with CONFIG_DEBUG_INFO_BTF)");
	if (stat("/proc/self/ns/pid", &pid_ns) < 0)
		return error_set(err, -errno, "/proc/self/ns/pid: %s", strerror(errno));
	if (o->target == SAMPLE_TREE && pid_ns.st_ino != INITIAL_PID_NS)
		return error_set(err, -EOPNOTSUPP, "BPF does not follow a command inside a pid namespace");

	(void)libbpf_set_print(keep_quiet);
	s->n_possible = libbpf_num_possible_cpus();
	if (s->n_possible <= 0)
		return load_failed(s->n_possible, err);
	int r = -EINVAL;
	for (s->unwind = o->unwind; s->unwind <= UNWIND_FP; s->unwind++) {
		r = load_variant(s, o, &pid_ns);
		if (r == 0 || r == -EPERM || r == -ENOMEM)
			break;
	}
	if (r < 0)
		return load_failed(r, err);
	s->program = program_of(s);
	return 0;
}

/* ---- unwind tables ------------------------------------------------------- */

static int new_segment(void *arg, uint32_t number)
{
	const struct bpf_sampler *s = arg;
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "segment", sizeof(number), POOL_SEGMENT_WORDS * 4, 1, &opts);
	if (fd < 0)
		return fd;
	int r = bpf_map_update_elem(bpf_map__fd(s->skeleton->maps.segments), &number, &fd, BPF_ANY);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	return fd;
}

static void drop_segment(void *arg, uint32_t number, int fd)
{
	const struct bpf_sampler *s = arg;
	(void)bpf_map_delete_elem(bpf_map__fd(s->skeleton->maps.segments), &number);
	(void)close(fd);
}

static void forget(void *arg)
{
	const struct bpf_sampler *s = arg;
	__atomic_add_fetch(&s->skeleton->data->epoch, 1, __ATOMIC_RELEASE);
}

#define AREA_SIZE ((sizeof(struct replay_area) + 4095) / 4096 * 4096)

/* Replays in the kernel spare mapping its tables. Where that is refused they
 * run in this process. */
static void open_replay(struct bpf_sampler *s)
{
	struct replay_bpf *b = replay_bpf__open();
	if (!b)
		return;
	int r = bpf_map__reuse_fd(b->maps.segments, bpf_map__fd(s->skeleton->maps.segments));
	if (r == 0)
		r = bpf_map__reuse_fd(b->maps.rules, bpf_map__fd(s->skeleton->maps.rules));
	if (r == 0)
		r = bpf_map__reuse_fd(b->maps.tables, bpf_map__fd(s->skeleton->maps.tables));
	if (r == 0)
		r = replay_bpf__load(b);
	void *area = MAP_FAILED;
	if (r == 0)
		area = mmap(NULL, AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(b->maps.area), 0);
	if (area == MAP_FAILED) {
		replay_bpf__destroy(b);
		return;
	}
	s->replay = b;
	s->area = area;
	unwinder_set_replay(s->unwinder, bpf_program__fd(b->progs.replay), area);
}

static int open_unwinder(struct bpf_sampler *s, const struct sampler_options *o, struct error *err)
{
	if (s->unwind == UNWIND_FP)
		return 0;
	const struct pool_maps maps = {
		.rules_fd = bpf_map__fd(s->skeleton->maps.rules),
		.tables_fd = bpf_map__fd(s->skeleton->maps.tables),
		.new_segment = new_segment,
		.drop_segment = drop_segment,
		.forget = forget,
		.arg = s,
	};
	int r = unwinder_new(&maps, bpf_map__fd(s->skeleton->maps.spaces), o->tables_max, &s->unwinder);
	if (r < 0)
		return error_set(err, r, "BPF: unwind tables: %s", strerror(-r));
	if (s->unwind == UNWIND_LOOP)
		open_replay(s);
	return 0;
}

static void put_change(void *arg, const struct perf_event_header *record)
{
	const struct bpf_sampler *s = arg;
	struct map_event e;
	if (map_event_parse(record, PERF_RING_TRAILER, &e))
		s->sink.changed(s->sink.arg, &e);
}

/* A change that came before a sample was written before it: whoever has seen
 * the sample sees the change. */
void bpf_sampler_catch_up(struct bpf_sampler *s)
{
	for (uint32_t i = 0; i < s->n_events; i++)
		if (perf_ring_has_records(&s->events[i].changes))
			perf_ring_drain(&s->events[i].changes, (struct perf_record_sink){ put_change, s });
}

static const struct record_memory *memory_of(const struct record_sample *s, size_t size)
{
	const struct record_memory *m = (const void *)(s + 1);
	size_t head = sizeof(*s) + offsetof(struct record_memory, words);
	bool is_whole =
		s->flags & SAMPLE_HAS_MEMORY && size >= head && m->size <= size - head && m->size <= SAMPLER_MEMORY_MAX;
	return is_whole ? m : NULL;
}

static int put_record(void *arg, void *data, size_t size)
{
	struct bpf_sampler *s = arg;
	const struct record_stack *stack = data;
	bpf_sampler_catch_up(s);
	if (stack->type == RECORD_STACK && size >= offsetof(struct record_stack, frames) &&
	    stack->n_frames <= SAMPLER_DEPTH && size >= offsetof(struct record_stack, frames) + stack->n_frames * 8ull)
		s->sink.stack(s->sink.arg, stack);
	else if (stack->type == RECORD_SAMPLE && size >= sizeof(struct record_sample))
		s->sink.sample(s->sink.arg, data, memory_of(data, size));
	return 0;
}

static int prepare(struct bpf_sampler *s, struct error *err)
{
	s->events = calloc(CPUS_MAX, sizeof(*s->events));
	s->counters = calloc((size_t)s->n_possible, sizeof(*s->counters));
	s->ring = ring_buffer__new(bpf_map__fd(s->skeleton->maps.ring), put_record, s, NULL);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!s->events || !s->counters || !s->ring || s->epoll_fd < 0)
		return error_set(err, -ENOMEM, "BPF: no memory for the ring");
	struct epoll_event wait = { .events = EPOLLIN };
	if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, ring_buffer__epoll_fd(s->ring), &wait) < 0)
		return error_set(err, -errno, "BPF: epoll: %s", strerror(errno));
	return 0;
}

/* "memlock:\t4096" of a map's or program's descriptor. */
static uint64_t memlock_of(int fd)
{
	char path[64];
	_cleanup_(buf_done)
	struct buf text = buf_of(16 << 10);
	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (fd < 0 || file_read(path, &text, NULL) < 0)
		return 0;
	buf_add_byte(&text, 0);
	const char *line = text.failed ? NULL : strstr((const char *)text.data, "memlock:");
	return line ? strtoull(line + strlen("memlock:"), NULL, 10) : 0;
}

/* What does not change while it runs. */
static uint64_t fixed_memory(const struct bpf_sampler *s)
{
	uint64_t sum = 0;
	struct bpf_map *map;
	bpf_object__for_each_map(map, s->skeleton->obj) sum += memlock_of(bpf_map__fd(map));
	struct bpf_program *program;
	bpf_object__for_each_program(program, s->skeleton->obj) sum += memlock_of(bpf_program__fd(program));
	return sum;
}

int bpf_sampler_open(const struct sampler_options *o, struct sample_sink sink, struct bpf_sampler **ret,
		     struct error *err)
{
	_cleanup_(bpf_sampler_free)
	struct bpf_sampler *s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "no memory");
	s->sink = sink;
	s->rate_hz = o->rate_hz;
	s->epoll_fd = -1;
	int r = load(s, o, err);
	if (r == 0)
		r = prepare(s, err);
	if (r == 0)
		r = open_unwinder(s, o, err);
	if (r == 0 && o->target == SAMPLE_TREE)
		r = attach_tree(s, o->pid, err);
	if (r == 0)
		r = attach_cpus(s, err);
	if (r < 0)
		return r;
	s->fixed_memory = fixed_memory(s);
	*ret = take_ptr(s);
	return 0;
}

void bpf_sampler_stop(struct bpf_sampler *s)
{
	/* Changes are still to be heard of while the last samples are drained. */
	for (uint32_t i = 0; i < s->n_events; i++) {
		(void)bpf_link__destroy(s->events[i].link);
		s->events[i].link = NULL;
	}
	(void)bpf_link__destroy(s->fork_link);
	(void)bpf_link__destroy(s->exit_link);
	s->fork_link = s->exit_link = NULL;
	s->stopped = true;
}

void bpf_sampler_free(struct bpf_sampler **s)
{
	if (!*s)
		return;
	bpf_sampler_stop(*s);
	for (uint32_t i = 0; i < (*s)->n_events; i++)
		detach_cpu(&(*s)->events[i]);
	unwinder_free(&(*s)->unwinder);
	if ((*s)->area)
		(void)munmap((*s)->area, AREA_SIZE);
	replay_bpf__destroy((*s)->replay);
	ring_buffer__free((*s)->ring);
	sampler_bpf__destroy((*s)->skeleton);
	free((*s)->events);
	free((*s)->counters);
	close_fd(&(*s)->epoll_fd);
	free(*s);
	*s = NULL;
}

int bpf_sampler_fd(const struct bpf_sampler *s)
{
	return s->epoll_fd;
}

int bpf_sampler_drain(struct bpf_sampler *s)
{
	bpf_sampler_catch_up(s);
	int n = ring_buffer__consume(s->ring);
	unwinder_settle(s->unwinder);
	return n < 0 ? n : 0;
}

void bpf_sampler_set_window(struct bpf_sampler *s, uint32_t window)
{
	__atomic_store_n(&s->skeleton->data->window, window, __ATOMIC_RELEASE);
}

/* A clock has a period, whose unit is ns; a cycle counter a frequency. */
void bpf_sampler_set_rate(struct bpf_sampler *s, uint32_t rate_hz)
{
	uint64_t value = s->counts_cycles ? rate_hz : 1000000000ull / rate_hz;
	for (uint32_t i = 0; i < s->n_events; i++)
		(void)ioctl(s->events[i].fd, PERF_EVENT_IOC_PERIOD, &value);
	s->rate_hz = rate_hz;
}

void bpf_sampler_set_walk(struct bpf_sampler *s, bool walk)
{
	__atomic_store_n(&s->skeleton->data->walks, walk, __ATOMIC_RELEASE);
}

uint64_t bpf_sampler_kernel_memory(const struct bpf_sampler *s)
{
	struct unwinder_stats u = unwinder_stats(s->unwinder);
	uint64_t rings = (uint64_t)s->n_events * CHANGES_SIZE;
	return s->fixed_memory + rings + (uint64_t)u.pool.n_segments * POOL_SEGMENT_WORDS * 4;
}

static bool is_online(const uint32_t *cpus, uint32_t n, uint32_t cpu)
{
	for (uint32_t i = 0; i < n; i++)
		if (cpus[i] == cpu)
			return true;
	return false;
}

/* An event ends with its CPU; one that comes back needs a new event. */
void bpf_sampler_rescan(struct bpf_sampler *s)
{
	uint32_t cpus[CPUS_MAX], n;
	if (s->stopped || cpu_list_online(cpus, &n, NULL) < 0)
		return;
	for (uint32_t i = 0; i < s->n_events;) {
		if (is_online(cpus, n, s->events[i].cpu)) {
			i++;
			continue;
		}
		detach_cpu(&s->events[i]);
		s->events[i] = s->events[--s->n_events];
	}
	for (uint32_t i = 0; i < n; i++) {
		bool followed = false;
		for (uint32_t k = 0; k < s->n_events && !followed; k++)
			followed = s->events[k].cpu == cpus[i];
		/* Tried again at the next rescan when the CPU is still on its way. */
		if (!followed)
			(void)attach_cpu(s, cpus[i]);
	}
}

enum sampler_unwind bpf_sampler_unwind(const struct bpf_sampler *s)
{
	return s->unwind;
}

struct unwinder *bpf_sampler_unwinder(const struct bpf_sampler *s)
{
	return s->unwinder;
}

bool bpf_sampler_counts_cycles(const struct bpf_sampler *s)
{
	return s->counts_cycles;
}

uint32_t bpf_sampler_n_cpus(const struct bpf_sampler *s)
{
	return s->n_events;
}

void bpf_sampler_add_stats(const struct bpf_sampler *s, struct sampler_stats *stats)
{
	uint32_t zero = 0;
	size_t size = (size_t)s->n_possible * sizeof(*s->counters);
	if (bpf_map__lookup_elem(s->skeleton->maps.counters, &zero, sizeof(zero), s->counters, size, 0) < 0)
		return;
	for (int i = 0; i < s->n_possible; i++) {
		const struct sampler_counters *c = &s->counters[i];
		stats->run_ns += c->run_ns;
		stats->n_runs += c->n_runs;
		stats->busy_period += c->busy_period;
		stats->n_ring_full += c->n_ring_full;
		stats->n_memory += c->n_memory;
		stats->n_not_followed += c->n_targets_full;
		for (int k = 0; k < SAMPLER_TIMES; k++) {
			stats->walk_time[k] += c->walk_time[k];
			stats->sample_time[k] += c->sample_time[k];
		}
	}
}
