/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* sampler.bpf.c: one sample per timer or cycle-counter overflow.
 *
 *   perf event on a CPU -> sample_cpu -> wanted? -> stacks -> ring -> user space
 *   fork, exit of a process ------------> targets            (only for a process tree)
 *
 * Runs in interrupt or NMI context. Nothing blocks; what does not fit is
 * counted and dropped. */
#include "kernel.h"
#include "abi.h"

char LICENSE[] SEC("license") = "GPL";

enum filter { FILTER_ALL, FILTER_PROCESS, FILTER_TREE };

/* Set before loading. */
const volatile __u32 filter = FILTER_ALL;
const volatile __u32 target_tgid = 0;
const volatile __u64 hash_seed = 0;
const volatile __u64 pidns_dev = 0, pidns_ino = 0; /* 0: the initial pid namespace */
const volatile __u64 ring_high = 0;		   /* bytes in the ring that force a wake-up */

__u32 window = 1; /* raised by user space */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144); /* user space chooses the size */
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sampler_counters);
} counters SEC(".maps");

/* The BPF stack is 512 bytes: stacks are collected here. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct record_stack);
} scratch SEC(".maps");

/* slot = hash -> hash mixed with the window in which the stack was sent. Two
 * stacks in one slot are sent again in turns: more bytes, nothing lost. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SAMPLER_SEEN_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

/* slot = tgid -> process last met there, to wake user space for new ones. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SAMPLER_KNOWN_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} known SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SAMPLER_MAX_TARGETS);
	__type(key, __u32);
	__type(value, __u8);
} targets SEC(".maps");

static struct sampler_counters *own_counters(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&counters, &zero);
}

/* splitmix64's finaliser. */
static __always_inline __u64 mix(__u64 x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* Seeded, so that no program can prepare stacks that collide. Never 0. */
static __always_inline __u64 hash_frames(const __u64 *frames, __u32 n)
{
	__u64 h = hash_seed ^ n;
	for (__u32 i = 0; i < SAMPLER_DEPTH; i++) {
		if (i >= n)
			break;
		h = (h ^ frames[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	h = mix(h);
	return h ? h : 1;
}

/* Reads one side's stack and makes sure its body is in the ring. *ret_hash
 * stays 0 when there is none. False: the ring was full. */
static __always_inline int send_stack(void *ctx, __u64 flags, __u32 now_window, __u64 *ret_hash, __s64 *ret_size)
{
	__u32 zero = 0;
	struct record_stack *s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s)
		return 0;
	__s64 size = bpf_get_stack(ctx, s->frames, sizeof(s->frames), flags);
	*ret_size = size;
	if (size < 8)
		return 1;
	__u32 n = ((__u64)size >> 3) & 127; /* <= SAMPLER_DEPTH: tells the verifier */
	__u64 hash = hash_frames(s->frames, n);
	*ret_hash = hash;

	__u32 slot = hash & (SAMPLER_SEEN_SLOTS - 1);
	__u64 mark = hash ^ mix(now_window);
	__u64 *last = bpf_map_lookup_elem(&seen, &slot);
	if (!last || *last == mark)
		return 1;
	s->type = RECORD_STACK;
	s->window = now_window;
	s->hash = hash;
	s->n_frames = n;
	s->pad = 0;
	if (bpf_ringbuf_output(&ring, s, __builtin_offsetof(struct record_stack, frames) + n * 8, BPF_RB_NO_WAKEUP))
		return 0;
	*last = mark;
	return 1;
}

static __always_inline int is_wanted(__u32 tgid)
{
	if (filter == FILTER_PROCESS)
		return tgid == target_tgid;
	if (filter == FILTER_TREE)
		return bpf_map_lookup_elem(&targets, &tgid) != 0;
	return 1;
}

/* Pids as user space counts them; false for processes it cannot see. */
static __always_inline int current_ids(__u32 *ret_tgid, __u32 *ret_tid)
{
	if (pidns_ino) {
		struct bpf_pidns_info ids = {};
		if (bpf_get_ns_current_pid_tgid(pidns_dev, pidns_ino, &ids, sizeof(ids)))
			return 0;
		*ret_tgid = ids.tgid;
		*ret_tid = ids.pid;
		return 1;
	}
	__u64 ids = bpf_get_current_pid_tgid();
	*ret_tgid = ids >> 32;
	*ret_tid = (__u32)ids;
	return 1;
}

/* The first sample of a process wakes user space, which has to look at it
 * while it is alive; so does a ring that fills. All else waits for the timer. */
static __always_inline __u64 wake_flags(__u32 tgid, __u32 image)
{
	__u32 slot = tgid & (SAMPLER_KNOWN_SLOTS - 1);
	__u64 id = (__u64)tgid << 32 | image;
	__u64 *last = bpf_map_lookup_elem(&known, &slot);
	if (last && *last != id) {
		*last = id;
		return BPF_RB_FORCE_WAKEUP;
	}
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_high ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

static __always_inline void fill_sample(struct record_sample *r, __u64 now, __u64 period)
{
	r->type = RECORD_SAMPLE;
	r->time_ns = now;
	r->weight = period;
	r->cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(r->comm, sizeof(r->comm));

	struct task_struct *task = (void *)bpf_get_current_task();
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD) {
		r->flags |= SAMPLE_KTHREAD;
		return;
	}
	__u64 mm = (__u64)BPF_CORE_READ(task, mm);
	if (mm)
		r->image = (__u32)mix(mm ^ hash_seed) | 1;
}

static __always_inline int take_stacks(void *ctx, struct record_sample *r)
{
	__s64 size = 0;
	if (!send_stack(ctx, 0, r->window, &r->kernel, &size))
		return 0;
	if (size < 0)
		r->flags |= SAMPLE_KERNEL_ERROR;
	if (size >= SAMPLER_DEPTH * 8)
		r->flags |= SAMPLE_KERNEL_CUT;
	if (!r->image) /* kernel threads, and processes past giving up their memory */
		return 1;
	size = 0;
	if (!send_stack(ctx, BPF_F_USER_STACK, r->window, &r->user, &size))
		return 0;
	if (size < 0)
		r->flags |= SAMPLE_USER_ERROR;
	if (size >= SAMPLER_DEPTH * 8)
		r->flags |= SAMPLE_USER_CUT;
	return 1;
}

static __always_inline void take_sample(struct bpf_perf_event_data *ctx, struct sampler_counters *c, __u64 now)
{
	if ((__u32)bpf_get_current_pid_tgid() == 0) /* idle */
		return;
	__u64 period = ctx->sample_period;
	c->busy_period += period;

	struct record_sample r = {};
	if (!current_ids(&r.tgid, &r.tid) || !is_wanted(r.tgid))
		return;
	/* One window for the sample and its stacks, even if it is raised meanwhile. */
	r.window = *(volatile __u32 *)&window;
	fill_sample(&r, now, period);
	if (take_stacks(ctx, &r) && bpf_ringbuf_output(&ring, &r, sizeof(r), wake_flags(r.tgid, r.image)) == 0)
		c->n_samples++;
	else
		c->n_ring_full++;
}

SEC("perf_event")
int sample_cpu(struct bpf_perf_event_data *ctx)
{
	__u64 start = bpf_ktime_get_ns();
	struct sampler_counters *c = own_counters();
	if (!c)
		return 0;
	take_sample(ctx, c, start);
	c->run_ns += bpf_ktime_get_ns() - start;
	c->n_runs++;
	return 0;
}

SEC("tp_btf/sched_process_fork")
int follow_fork(__u64 *ctx)
{
	struct task_struct *parent = (void *)ctx[0], *child = (void *)ctx[1];
	__u32 parent_tgid = BPF_CORE_READ(parent, tgid), child_tgid = BPF_CORE_READ(child, tgid);
	__u8 one = 1;
	if (child_tgid == parent_tgid || !bpf_map_lookup_elem(&targets, &parent_tgid))
		return 0;
	if (bpf_map_update_elem(&targets, &child_tgid, &one, BPF_ANY)) {
		struct sampler_counters *c = own_counters();
		if (c)
			c->n_targets_full++;
	}
	return 0;
}

SEC("tp_btf/sched_process_exit")
int forget_exit(__u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	__u32 tgid = BPF_CORE_READ(task, tgid);
	if (BPF_CORE_READ(task, signal, live.counter) == 0)
		bpf_map_delete_elem(&targets, &tgid);
	return 0;
}
