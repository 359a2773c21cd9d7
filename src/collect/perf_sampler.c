/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/perf_sampler.h"

#include "collect/cpu_list.h"
#include "collect/followed.h"
#include "collect/perf_ring.h"
#include "collect/perf_sample.h"
#include "collect/proc_text.h"
#include "collect/unwinder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define RING_SIZE     ((size_t)512 << 10)
#define RING_SIZE_MIN ((size_t)16 << 10)
#define RING_MEMORY   ((size_t)128 << 10) /* the least that holds some samples with memory */
#define SPARE_FDS     128		  /* for everything that is not an event */
#define N_NAMES	      1024		  /* slots; a collision costs one read of a file */

struct thread_name {
	uint32_t tid;
	char comm[SAMPLER_COMM];
};

struct perf_sampler {
	struct sample_sink sink;
	struct sampler_options options;
	bool user_only, whole_machine, stopped;
	bool has_memory;	    /* samples come with registers and stack */
	bool leaves_only;	    /* which are left alone */
	struct unwinder *unwinder;  /* for those; NULL when frame pointers are followed */
	struct perf_sample *sample; /* the one at hand */
	uint32_t window;
	uint32_t n_cpus;
	size_t ring_size; /* of the smallest */
	struct perf_ring *rings;
	int epoll_fd;
	int *cpu_fds; /* of the whole machine: n_cpus */
	struct followed followed;
	uint64_t n_lost, n_throttled, n_not_followed, n_memory;
	struct thread_name *names; /* N_NAMES, by tid */
	uint32_t images[N_NAMES];  /* by tgid; raised by every exec */
};

static struct perf_event_attr event_attr(const struct perf_sampler *s)
{
	struct perf_event_attr attr = {
		.size = sizeof(struct perf_event_attr),
		.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000000ull / s->options.rate_hz,
		.sample_type = PERF_SAMPLE_FIELDS,
		.disabled = s->options.target == SAMPLE_TREE,
		.enable_on_exec = s->options.target == SAMPLE_TREE,
		.inherit = !s->whole_machine,
		.exclude_kernel = s->user_only,
		.exclude_callchain_kernel = s->user_only,
		.exclude_hv = 1,
		.exclude_idle = 1,
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.task = 1,
		.sample_id_all = 1,
		.watermark = 1,
		.wakeup_watermark = (uint32_t)(s->ring_size / 4),
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
	if (s->has_memory)
		perf_sample_want_memory(&attr);
	return attr;
}

/* An event that writes to the ring of its CPU. */
static int open_event(const struct perf_sampler *s, pid_t tid, const struct perf_ring *ring)
{
	struct perf_event_attr attr = event_attr(s);
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, (int)ring->cpu, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, ring->fd) < 0) {
		int r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

/* One event per CPU for a thread (-1: all threads). */
static int open_events(struct perf_sampler *s, pid_t tid, int **ret_fds)
{
	int *fds = calloc(s->n_cpus, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_cpus; i++) {
		fds[i] = open_event(s, tid, &s->rings[i]);
		if (fds[i] >= 0)
			continue;
		int r = fds[i];
		while (i > 0)
			(void)close(fds[--i]);
		free(fds);
		return r;
	}
	*ret_fds = fds;
	return 0;
}

static int follow_thread(struct perf_sampler *s, pid_t tid)
{
	int *fds;
	if (s->n_cpus > s->followed.max_fds - s->followed.n_fds)
		return -EMFILE;
	int r = open_events(s, tid, &fds);
	if (r < 0)
		return r;
	r = followed_add(&s->followed, tid, fds, s->n_cpus);
	if (r < 0) {
		for (uint32_t i = 0; i < s->n_cpus; i++)
			(void)close(fds[i]);
		free(fds);
	}
	return r;
}

/* Takes one numeric name of a folder of /proc. */
struct id_sink {
	void (*put)(struct perf_sampler *s, pid_t id, void *arg);
	void *arg;
};

static int each_id(struct perf_sampler *s, const char *path, struct id_sink sink)
{
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;
	const struct dirent *e;
	while ((e = readdir(dir))) {
		char *end;
		long id = strtol(e->d_name, &end, 10);
		if (*end == 0 && id > 0 && id <= INT32_MAX)
			sink.put(s, (pid_t)id, sink.arg);
	}
	(void)closedir(dir);
	return 0;
}

struct thread_list {
	VEC(pid_t) tids;
	uint32_t n_left_out;
};

static void list_thread(struct perf_sampler *s, pid_t tid, void *arg)
{
	struct thread_list *list = arg;
	if (vec_reserve(NULL, &list->tids, 1) < 0) {
		list->n_left_out++;
		return;
	}
	list->tids.data[list->tids.n++] = tid;
}

static void list_process(struct perf_sampler *s, pid_t pid, void *arg)
{
	char path[64];
	struct stat st;
	(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if (stat(path, &st) < 0 || st.st_uid != geteuid())
		return;
	/* It may have ended since it was listed. */
	(void)each_id(s, path, (struct id_sink){ list_thread, arg });
}

/* Follows the listed threads that are not followed yet. The number of new
 * ones, or, when that is 0, why the last one was refused. */
static int follow_list(struct perf_sampler *s, const struct thread_list *list)
{
	int n = 0, refused = 0;
	for (uint32_t i = 0; i < list->tids.n; i++) {
		if (followed_has(&s->followed, list->tids.data[i]))
			continue;
		int r = follow_thread(s, list->tids.data[i]);
		if (r == 0)
			n++;
		else if (r == -EMFILE || r == -E2BIG)
			s->n_not_followed++;
		if (r < 0)
			refused = r;
	}
	return n ? n : refused;
}

static int follow_existing(struct perf_sampler *s)
{
	struct thread_list list = { 0 };
	if (s->options.target == SAMPLE_ALL) {
		int r = each_id(s, "/proc", (struct id_sink){ list_process, &list });
		if (r < 0)
			return r;
	} else if (s->options.target == SAMPLE_PROCESS) {
		char path[64];
		(void)snprintf(path, sizeof(path), "/proc/%d/task", (int)s->options.pid);
		if (each_id(s, path, (struct id_sink){ list_thread, &list }) < 0)
			return -ESRCH;
	} else {
		list_thread(s, s->options.pid, &list);
	}
	/* Those created by a followed thread have inherited its events; that is
	 * in the rings by now. */
	perf_sampler_drain(s);
	s->n_not_followed = list.n_left_out;
	int r = follow_list(s, &list);
	vec_done(NULL, &list.tids);
	return r;
}

/* The most that is allowed, from the whole machine down to own user code. */
static int start_events(struct perf_sampler *s)
{
	s->user_only = false;
	int r = -EACCES;
	if (s->options.target == SAMPLE_ALL) {
		s->whole_machine = true;
		r = open_events(s, -1, &s->cpu_fds);
		if (r == 0)
			return 0;
		s->whole_machine = false;
	}
	r = follow_existing(s);
	if (r == -EACCES || r == -EPERM) {
		s->user_only = true;
		r = follow_existing(s);
	}
	return r > 0 ? 0 : r == 0 ? -ESRCH : r;
}

/* With user stacks to be walked here, or, where those do not fit or are refused
 * (a machine without the registers), by frame pointers. */
static int start(struct perf_sampler *s)
{
	s->has_memory = s->options.unwind != UNWIND_FP && s->ring_size >= RING_MEMORY &&
			unwinder_new(NULL, -1, s->options.tables_max, &s->unwinder) == 0;
	int r = start_events(s);
	if (r == 0 || !s->has_memory || r == -ESRCH || r == -EACCES || r == -EPERM)
		return r;
	s->has_memory = false;
	unwinder_free(&s->unwinder);
	return start_events(s);
}

static int open_rings(struct perf_sampler *s, struct error *err)
{
	uint32_t cpus[CPUS_MAX];
	int r = cpu_list_online(cpus, &s->n_cpus, err);
	if (r < 0)
		return r;
	s->rings = calloc(s->n_cpus, sizeof(*s->rings));
	s->names = calloc(N_NAMES, sizeof(*s->names));
	s->sample = malloc(sizeof(*s->sample));
	s->ring_size = RING_SIZE;
	if (!s->rings || !s->names || !s->sample)
		return error_set(err, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < s->n_cpus; i++)
		s->rings[i].fd = -1;
	for (uint32_t i = 0; i < s->n_cpus; i++) {
		/* Others of this user may have used up the memory that may be locked. */
		for (size_t size = RING_SIZE; size >= RING_SIZE_MIN; size /= 2) {
			r = perf_ring_open(&s->rings[i], cpus[i], PERF_RING_NONE, size);
			if (r == 0 && size < s->ring_size)
				s->ring_size = size;
			if (r != -EPERM && r != -ENOMEM)
				break;
		}
		if (r < 0)
			return error_set(err, r, "perf_event_open on CPU %u: %s", cpus[i], strerror(-r));
		struct epoll_event e = { .events = EPOLLIN };
		if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->rings[i].fd, &e) < 0)
			return error_set(err, -errno, "epoll: %s", strerror(errno));
	}
	return 0;
}

/* As many descriptors as the hard limit gives, less what others need. */
static uint32_t max_event_fds(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 256;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0 && getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 256;
	rlim_t most = limit.rlim_cur > 65536 ? 65536 : limit.rlim_cur;
	return most > 2 * SPARE_FDS ? (uint32_t)(most - SPARE_FDS) : SPARE_FDS;
}

int perf_sampler_open(const struct sampler_options *o, struct sample_sink sink, struct perf_sampler **ret,
		      struct error *err)
{
	_cleanup_(perf_sampler_free)
	struct perf_sampler *s = calloc(1, sizeof(*s));
	if (!s)
		return error_set(err, -ENOMEM, "no memory");
	s->sink = sink;
	s->options = *o;
	s->window = 1;
	s->followed.max_fds = max_event_fds();
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0)
		return error_set(err, -errno, "epoll: %s", strerror(errno));
	int r = open_rings(s, err);
	if (r < 0)
		return r;
	r = start(s);
	if (r == -ESRCH)
		return error_set(err, r, "there is no process %d", (int)o->pid);
	if (r < 0)
		return error_set(err, r, "perf_event_open: %s", strerror(-r));
	*ret = take_ptr(s);
	return 0;
}

void perf_sampler_stop(struct perf_sampler *s)
{
	for (uint32_t i = 0; s->cpu_fds && i < s->n_cpus; i++)
		(void)close(s->cpu_fds[i]);
	free(take_ptr(s->cpu_fds));
	followed_done(&s->followed);
	s->stopped = true;
}

void perf_sampler_free(struct perf_sampler **s)
{
	if (!*s)
		return;
	perf_sampler_stop(*s);
	for (uint32_t i = 0; (*s)->rings && i < (*s)->n_cpus; i++)
		perf_ring_close(&(*s)->rings[i]);
	if ((*s)->epoll_fd >= 0)
		(void)close((*s)->epoll_fd);
	unwinder_free(&(*s)->unwinder);
	free((*s)->rings);
	free((*s)->sample);
	free((*s)->names);
	free(*s);
	*s = NULL;
}

static const char *thread_comm(struct perf_sampler *s, uint32_t tid)
{
	struct thread_name *name = &s->names[tid % N_NAMES];
	if (name->tid == tid)
		return name->comm;
	_cleanup_(buf_done)
	struct buf text = buf_of(8192);
	*name = (struct thread_name){ .tid = tid };
	/* Any thread has a folder of its own under /proc, too. */
	if (proc_file_read((pid_t)tid, "comm", SAMPLER_COMM, &text) == 0 && text.n > 1)
		memcpy(name->comm, text.data, text.n - 1 < SAMPLER_COMM ? text.n - 1 : SAMPLER_COMM - 1);
	return name->comm;
}

/* The kernel's programs do the same; perf events give no hash. Never 0. */
static uint64_t hash_frames(const uint64_t *frames, uint32_t n)
{
	uint64_t h = 0xcbf29ce484222325ull ^ n;
	for (uint32_t i = 0; i < n; i++) {
		h = (h ^ frames[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	return h ? h : 1;
}

static uint64_t put_stack(struct perf_sampler *s, struct record_stack *stack)
{
	if (stack->n_frames == 0)
		return 0;
	stack->type = RECORD_STACK;
	stack->window = s->window;
	stack->hash = hash_frames(stack->frames, stack->n_frames);
	s->sink.stack(s->sink.arg, stack);
	return stack->hash;
}

static void put_sample(struct perf_sampler *s, const struct perf_event_header *header)
{
	struct perf_sample *e = s->sample;
	if (!perf_sample_parse(header, s->has_memory, e))
		return;
	if (e->has_memory && s->leaves_only) {
		e->has_memory = false;
		e->user.end = STACK_END_BUDGET;
	}
	if (e->pid == 0 || (s->options.target == SAMPLE_PROCESS && e->pid != (uint32_t)s->options.pid))
		return;
	struct record_sample r = {
		.type = RECORD_SAMPLE,
		.window = s->window,
		.time_ns = e->time_ns,
		.kernel = put_stack(s, &e->kernel),
		.user = put_stack(s, &e->user),
		.weight = e->period,
		.tgid = e->pid,
		.tid = e->tid,
		.image = s->images[e->pid % N_NAMES] + 1,
		.cpu = e->cpu,
	};
	if (e->kernel.n_frames == SAMPLER_DEPTH_FP)
		r.flags |= SAMPLE_KERNEL_CUT;
	if (e->has_memory)
		r.flags |= SAMPLE_HAS_MEMORY;
	memcpy(r.comm, thread_comm(s, e->tid), sizeof(r.comm));
	s->n_memory += e->has_memory;
	s->sink.sample(s->sink.arg, &r, e->has_memory ? &e->memory : NULL);
}

static void put_comm(struct perf_sampler *s, const struct perf_event_header *header)
{
	const struct {
		struct perf_event_header header;
		uint32_t pid, tid;
		char comm[];
	} *e = (const void *)header;
	if (header->size <= sizeof(*e))
		return;
	struct thread_name *name = &s->names[e->tid % N_NAMES];
	size_t n = strnlen(e->comm, header->size - sizeof(*e));
	*name = (struct thread_name){ .tid = e->tid };
	memcpy(name->comm, e->comm, n < SAMPLER_COMM ? n : SAMPLER_COMM - 1);
	if (header->misc & PERF_RECORD_MISC_COMM_EXEC)
		s->images[e->pid % N_NAMES]++;
}

static void put_change(struct perf_sampler *s, const struct perf_event_header *header)
{
	struct map_event e;
	if (map_event_parse(header, PERF_SAMPLE_TRAILER, &e))
		s->sink.changed(s->sink.arg, &e);
}

static void put_task(struct perf_sampler *s, const struct perf_event_header *header)
{
	const struct {
		struct perf_event_header header;
		uint32_t pid, ppid, tid, ptid;
	} *e = (const void *)header;
	if (header->size < sizeof(*e) || s->whole_machine)
		return;
	/* No memory for the note: the thread is found by a later rescan, and
	 * counted twice from then on; its parent's events are still the same. */
	if (header->type == PERF_RECORD_EXIT)
		followed_remove(&s->followed, (pid_t)e->tid);
	else if (followed_inherit(&s->followed, (pid_t)e->ptid, (pid_t)e->tid) < 0)
		s->n_not_followed++;
}

static void put_record(void *arg, const struct perf_event_header *header)
{
	struct perf_sampler *s = arg;
	const uint64_t *body = (const uint64_t *)(header + 1);
	switch (header->type) {
	case PERF_RECORD_SAMPLE:
		put_sample(s, header);
		break;
	case PERF_RECORD_COMM:
		put_comm(s, header);
		put_change(s, header);
		break;
	case PERF_RECORD_MMAP2:
		put_change(s, header);
		break;
	case PERF_RECORD_FORK:
	case PERF_RECORD_EXIT:
		put_task(s, header);
		break;
	case PERF_RECORD_LOST: /* { id, lost } */
		if (header->size >= sizeof(*header) + 16)
			s->n_lost += body[1];
		break;
	case PERF_RECORD_THROTTLE:
		s->n_throttled++;
		break;
	default:
		break;
	}
}

int perf_sampler_fd(const struct perf_sampler *s)
{
	return s->epoll_fd;
}

void perf_sampler_drain(struct perf_sampler *s)
{
	for (uint32_t i = 0; i < s->n_cpus; i++)
		perf_ring_drain(&s->rings[i], (struct perf_record_sink){ put_record, s });
}

/* Rings hold what was sampled in order, so what is in them belongs to the window before. */
void perf_sampler_set_window(struct perf_sampler *s, uint32_t window)
{
	perf_sampler_drain(s);
	s->window = window;
}

/* Those of threads created from now on inherit it; others keep theirs. */
void perf_sampler_set_rate(struct perf_sampler *s, uint32_t rate_hz)
{
	uint64_t period = 1000000000ull / rate_hz;
	for (uint32_t i = 0; s->cpu_fds && i < s->n_cpus; i++)
		(void)ioctl(s->cpu_fds[i], PERF_EVENT_IOC_PERIOD, &period);
	for (uint32_t i = 0; i < s->followed.groups.n; i++)
		for (uint32_t k = 0; k < s->followed.groups.data[i].n_fds; k++)
			(void)ioctl(s->followed.groups.data[i].fds[k], PERF_EVENT_IOC_PERIOD, &period);
	s->options.rate_hz = rate_hz;
}

void perf_sampler_set_walk(struct perf_sampler *s, bool walk)
{
	s->leaves_only = !walk;
}

uint64_t perf_sampler_kernel_memory(const struct perf_sampler *s)
{
	return (uint64_t)s->n_cpus * s->ring_size;
}

void perf_sampler_rescan(struct perf_sampler *s)
{
	/* What cannot be followed is counted; there is nobody to tell. */
	if (!s->stopped && !s->whole_machine && s->options.target == SAMPLE_ALL)
		(void)follow_existing(s);
}

enum sampler_unwind perf_sampler_unwind(const struct perf_sampler *s)
{
	return s->unwinder ? UNWIND_RECORDED : UNWIND_FP;
}

struct unwinder *perf_sampler_unwinder(const struct perf_sampler *s)
{
	return s->unwinder;
}

uint32_t perf_sampler_n_cpus(const struct perf_sampler *s)
{
	return s->n_cpus;
}

bool perf_sampler_user_only(const struct perf_sampler *s)
{
	return s->user_only;
}

bool perf_sampler_only_own(const struct perf_sampler *s)
{
	return !s->whole_machine;
}

void perf_sampler_add_stats(const struct perf_sampler *s, struct sampler_stats *stats)
{
	stats->n_ring_full += s->n_lost;
	stats->n_memory += s->n_memory;
	stats->n_throttled += s->n_throttled;
	stats->n_not_followed += s->n_not_followed;
}
