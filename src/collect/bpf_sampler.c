/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/bpf_sampler.h"

#include "collect/cpu_list.h"
#include <sampler.skel.h>

#include <assert.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <malloc.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define RING_MIN       ((uint64_t)256 << 10)
#define RING_MAX       ((uint64_t)4 << 20) /* all of it becomes resident */
#define RING_SECONDS   2
#define SAMPLE_BYTES   400	   /* in the ring, with its share of stacks */
#define INITIAL_PID_NS 0xEFFFFFFCu /* PROC_PID_INIT_INO */

enum { FILTER_ALL, FILTER_PROCESS, FILTER_TREE }; /* as in sampler.bpf.c */

struct cpu_event {
	uint32_t cpu;
	int fd;
	struct bpf_link *link;
};

struct bpf_sampler {
	struct sample_sink sink;
	struct sampler_bpf *skeleton;
	struct ring_buffer *ring;
	struct bpf_link *fork_link, *exit_link;
	bool counts_cycles, stopped;
	uint32_t rate_hz;
	uint32_t n_events;
	struct cpu_event *events; /* CPUS_MAX */
	int n_possible;		  /* CPUs, for per-CPU maps */
	struct sampler_counters *counters;
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
	struct bpf_link *link = bpf_program__attach_perf_event(s->skeleton->progs.sample_cpu, fd);
	if (!link) {
		int r = -errno;
		(void)close(fd);
		return r;
	}
	/* The link owns the fd. */
	s->events[s->n_events++] = (struct cpu_event){ .cpu = cpu, .fd = fd, .link = link };
	return 0;
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
}

static int load_failed(int r, struct error *err)
{
	if (r == -EPERM || r == -EACCES)
		return error_set(err, -EPERM, "BPF needs root, or CAP_BPF and CAP_PERFMON");
	return error_set(err, r == -ENOMEM ? r : -EOPNOTSUPP, "BPF: the kernel does not take the sampler (%s)",
			 strerror(-r));
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
	s->skeleton = sampler_bpf__open();
	if (!s->skeleton || s->n_possible <= 0)
		return load_failed(s->skeleton ? s->n_possible : -errno, err);
	configure(s, o, &pid_ns);
	int r = sampler_bpf__load(s->skeleton);
	/* Loading reads the kernel's whole BTF: give that memory back. */
	(void)malloc_trim(0);
	return r < 0 ? load_failed(r, err) : 0;
}

static int put_record(void *arg, void *data, size_t size)
{
	const struct bpf_sampler *s = arg;
	const struct record_stack *stack = data;
	if (stack->type == RECORD_STACK && size >= offsetof(struct record_stack, frames) &&
	    stack->n_frames <= SAMPLER_DEPTH && size >= offsetof(struct record_stack, frames) + stack->n_frames * 8ull)
		s->sink.stack(s->sink.arg, stack);
	else if (stack->type == RECORD_SAMPLE && size >= sizeof(struct record_sample))
		s->sink.sample(s->sink.arg, data);
	return 0;
}

static int prepare(struct bpf_sampler *s, struct error *err)
{
	s->events = calloc(CPUS_MAX, sizeof(*s->events));
	s->counters = calloc((size_t)s->n_possible, sizeof(*s->counters));
	s->ring = ring_buffer__new(bpf_map__fd(s->skeleton->maps.ring), put_record, s, NULL);
	if (!s->events || !s->counters || !s->ring)
		return error_set(err, -ENOMEM, "BPF: no memory for the ring");
	return 0;
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
	int r = load(s, o, err);
	if (r == 0)
		r = prepare(s, err);
	if (r == 0 && o->target == SAMPLE_TREE)
		r = attach_tree(s, o->pid, err);
	if (r == 0)
		r = attach_cpus(s, err);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

void bpf_sampler_stop(struct bpf_sampler *s)
{
	for (uint32_t i = 0; i < s->n_events; i++)
		(void)bpf_link__destroy(s->events[i].link);
	s->n_events = 0;
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
	ring_buffer__free((*s)->ring);
	sampler_bpf__destroy((*s)->skeleton);
	free((*s)->events);
	free((*s)->counters);
	free(*s);
	*s = NULL;
}

int bpf_sampler_fd(const struct bpf_sampler *s)
{
	return ring_buffer__epoll_fd(s->ring);
}

int bpf_sampler_drain(struct bpf_sampler *s)
{
	int n = ring_buffer__consume(s->ring);
	return n < 0 ? n : 0;
}

void bpf_sampler_set_window(struct bpf_sampler *s, uint32_t window)
{
	__atomic_store_n(&s->skeleton->data->window, window, __ATOMIC_RELEASE);
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
		(void)bpf_link__destroy(s->events[i].link);
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
		stats->n_not_followed += c->n_targets_full;
	}
}
