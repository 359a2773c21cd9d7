/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* sampler.bpf.c: one sample per timer or cycle-counter overflow.
 *
 *   perf event on a CPU -> sample_* -> wanted? -> stacks -> ring -> user space
 *   fork, exit of a process ---------> targets            (only for a process tree)
 *
 * Three ways to walk a user stack, of which the first that the kernel takes
 * is loaded:
 *
 *   sample_loop   unwind tables, frame after frame by bpf_loop      Linux 5.17
 *   sample_tail   the same, WALK_STRETCH frames per tail call       5.10
 *   sample_fp     the kernel's own walk by frame pointers           5.8
 *
 * Runs in interrupt or NMI context. Nothing blocks; what does not fit is
 * counted and dropped. */
#include "kernel.h"
#include "unwind.h"
#include "pool_maps.h"

char LICENSE[] SEC("license") = "GPL";

enum filter { FILTER_ALL, FILTER_PROCESS, FILTER_TREE };

/* Set before loading. */
const volatile __u32 filter = FILTER_ALL;
const volatile __u32 target_tgid = 0;
const volatile __u64 hash_seed = 0;
const volatile __u64 pidns_dev = 0, pidns_ino = 0; /* 0: the initial pid namespace */
const volatile __u64 ring_high = 0;		   /* bytes in the ring that force a wake-up */

__u32 window = 1; /* raised by user space */
__u32 walks = 1;  /* 0: user stacks are not walked, as the budget is spent */
__u32 epoch = 1;  /* raised before words of the pool are used again */

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

/* By tgid. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, POOL_MAX_SPACES);
	__type(key, __u32);
	__type(value, struct pool_space);
} spaces SEC(".maps");

/* Rules found lately. An own look-up touches five cache lines that nobody else
 * keeps warm, this one. */
struct known_rule {
	__u64 place;
	__u32 epoch, pad;
	struct unwind_rule rule;
	__u32 pad2;
};
#define N_KNOWN_RULES 512 /* of one value */

struct known_rules {
	struct known_rule rule[N_KNOWN_RULES];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, struct known_rules);
} known_rules SEC(".maps");

/* The BPF stack is 512 bytes: a sample in the making lies here. */
struct scratch {
	struct user_walk user;
	__u64 start_ns;
	__u64 walk_ns, walk_end_ns; /* when the walk by tables began (0: none) and ended */
	/* One record for the ring: */
	struct record_sample sample;
	struct record_memory memory;
	char beyond[4096]; /* a page copied to its end; for the verifier only */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} stretches SEC(".maps");

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

/* ---- what unwind.h reads, beside pool_maps.h ----------------------------- */

static __always_inline bool read_user(UNUSED struct user_walk *u, void *to, __u32 size, __u64 addr)
{
	return bpf_probe_read_user(to, size, (void *)addr) == 0;
}

static __always_inline struct known_rule *known_slot(__u64 place)
{
	__u64 hash = place * 0x9e3779b97f4a7c15ull;
	__u32 part = hash >> 62;
	struct known_rules *k = bpf_map_lookup_elem(&known_rules, &part);
	return k ? &k->rule[(hash >> 50) & (N_KNOWN_RULES - 1)] : 0;
}

static __always_inline const struct unwind_rule *known_rule(UNUSED struct user_walk *u, __u64 place)
{
	struct known_rule *k = known_slot(place);
	return k && k->place == place && k->epoch == *(volatile __u32 *)&epoch ? &k->rule : 0;
}

static __always_inline void know_rule(UNUSED struct user_walk *u, __u64 place, const struct unwind_rule *rule)
{
	struct known_rule *k = known_slot(place);
	if (!k)
		return;
	k->place = place;
	k->epoch = *(volatile __u32 *)&epoch;
	k->rule = *rule;
}

/* ---- samples ------------------------------------------------------------- */

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

/* Makes sure that the body of `s` is in the ring. `hash` is seeded, so that no
 * program can prepare stacks that collide; *ret_hash is never 0. False: the
 * ring was full. */
static __always_inline bool send_stack(struct record_stack *s, __u64 hash, __u32 now_window, __u64 *ret_hash)
{
	__u32 n = s->n_frames;
	if (n > SAMPLER_DEPTH)
		return false;
	hash = mix(hash ^ n ^ (__u64)s->end << 32);
	hash = hash ? hash : 1;
	*ret_hash = hash;

	__u32 slot = hash & (SAMPLER_SEEN_SLOTS - 1);
	__u64 mark = hash ^ mix(now_window);
	__u64 *last = bpf_map_lookup_elem(&seen, &slot);
	if (!last || *last == mark)
		return true;
	s->type = RECORD_STACK;
	s->window = now_window;
	s->hash = hash;
	if (bpf_ringbuf_output(&ring, s, __builtin_offsetof(struct record_stack, frames) + n * 8, BPF_RB_NO_WAKEUP))
		return false;
	*last = mark;
	return true;
}

/* One side's stack as the kernel walks it. */
static __always_inline bool send_kernel_walk(void *ctx, struct scratch *t, __u64 flags, __u64 *ret_hash,
					     __s64 *ret_size)
{
	struct record_stack *s = &t->user.stack;
	__s64 size = bpf_get_stack(ctx, s->frames, SAMPLER_DEPTH_FP * 8, flags);
	*ret_size = size;
	if (size < 8)
		return true;
	__u32 n = ((__u64)size >> 3) & 127;
	__u64 h = hash_seed;
	for (__u32 i = 0; i < SAMPLER_DEPTH_FP; i++) {
		if (i >= n)
			break;
		h = (h ^ s->frames[i]) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 32;
	}
	s->n_frames = n;
	s->end = !(flags & BPF_F_USER_STACK) ? STACK_GOES_ON
		 : n >= SAMPLER_DEPTH_FP     ? STACK_END_DEPTH
					     : STACK_END_FRAME_POINTERS;
	return send_stack(s, h, t->sample.window, ret_hash);
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

/* Which program it is: pids come again, and an exec leaves the pid and the time. */
static __always_inline __u32 image_of(struct task_struct *task)
{
	__u64 start = BPF_CORE_READ(task, group_leader, start_boottime);
	__u64 n_execs = BPF_CORE_READ(task, self_exec_id);
	return (__u32)mix(mix(start ^ hash_seed) + n_execs) | 1;
}

static __always_inline void fill_sample(struct record_sample *r, __u64 now, __u64 period)
{
	r->type = RECORD_SAMPLE;
	r->time_ns = now;
	r->weight = period;
	r->cpu = bpf_get_smp_processor_id();
	r->flags = r->image = r->generation = 0;
	r->user = r->kernel = 0;
	bpf_get_current_comm(r->comm, sizeof(r->comm));

	struct task_struct *task = (void *)bpf_get_current_task();
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD) {
		r->flags |= SAMPLE_KTHREAD;
		return;
	}
	if (BPF_CORE_READ(task, mm))
		r->image = image_of(task);
}

static __always_inline bool send_kernel_stack(void *ctx, struct scratch *t)
{
	struct record_sample *r = &t->sample;
	__s64 size = 0;
	if (!send_kernel_walk(ctx, t, 0, &r->kernel, &size))
		return false;
	if (size < 0)
		r->flags |= SAMPLE_KERNEL_ERROR;
	if (size >= SAMPLER_DEPTH_FP * 8)
		r->flags |= SAMPLE_KERNEL_CUT;
	return true;
}

static __always_inline bool send_user_fp(void *ctx, struct scratch *t)
{
	struct record_sample *r = &t->sample;
	__s64 size = 0;
	if (!send_kernel_walk(ctx, t, BPF_F_USER_STACK, &r->user, &size))
		return false;
	if (size < 0)
		r->flags |= SAMPLE_USER_ERROR;
	return true;
}

/* What every way of walking does first. NULL: this sample is not wanted. */
static __always_inline struct scratch *begin_sample(struct bpf_perf_event_data *ctx)
{
	__u64 start = bpf_ktime_get_ns();
	__u32 zero = 0;
	struct sampler_counters *c = own_counters();
	struct scratch *t = bpf_map_lookup_elem(&scratches, &zero);
	if (!c || !t)
		return 0;
	c->n_runs++;
	t->start_ns = start;
	t->walk_ns = 0;
	struct record_sample *r = &t->sample;
	bool idle = (__u32)bpf_get_current_pid_tgid() == 0;
	__u64 period = ctx->sample_period;
	if (!idle)
		c->busy_period += period;
	if (idle || !current_ids(&r->tgid, &r->tid) || !is_wanted(r->tgid)) {
		c->run_ns += bpf_ktime_get_ns() - start;
		return 0;
	}
	/* One window for the sample and its stacks, even if it is raised meanwhile. */
	r->window = *(volatile __u32 *)&window;
	fill_sample(r, start, period);
	return t;
}

/* Copies the stack from the frame at which the walk ended, page by page; how
 * many bytes could be read. */
static __always_inline __u32 copy_memory(struct scratch *t)
{
	__u64 addr = t->user.walk.sp & ~7ull;
	__u32 n = 0;
	for (__u32 i = 0; i < SAMPLER_MEMORY_MAX / 4096 + 1; i++) {
		__u32 size = 4096 - ((__u32)addr & 4095);
		if (size > SAMPLER_MEMORY_MAX - n)
			size = SAMPLER_MEMORY_MAX - n;
		if (size == 0 || size > 4096)
			break;
		if (bpf_probe_read_user((char *)t->memory.words + (n & (SAMPLER_MEMORY_MAX - 1)), size, (void *)addr))
			break;
		n += size;
		addr += size;
	}
	return n;
}

/* Memory goes along where user space can make something of it, unless the ring
 * would fill with it. */
static __always_inline bool wants_memory(struct scratch *t)
{
	__u32 end = t->user.stack.end;
	if (!t->sample.user || bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > ring_high)
		return false;
	if (end == STACK_END_NO_MAPPING || end == STACK_END_ASTRAY) {
		struct pool_space *space = bpf_map_lookup_elem(&spaces, &t->sample.tgid);
		if (!space || t->start_ns - space->asked_ns < space->patience_ns)
			return false;
		space->asked_ns = t->start_ns;
	} else if (end != STACK_END_NEW_PROCESS && end != STACK_END_TABLE_PENDING) {
		return false;
	}
	return true;
}

static __always_inline __u64 stack_start(void)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	return BPF_CORE_READ(task, mm, start_stack);
}

static __always_inline bool send_sample(struct scratch *t, struct sampler_counters *c)
{
	struct record_sample *r = &t->sample;
	__u64 flags = wake_flags(r->tgid, r->image);
	if (wants_memory(t)) {
		__u32 n = copy_memory(t);
		t->memory.walk = t->user.walk;
		t->memory.stack_start = stack_start();
		t->memory.size = n;
		r->flags |= SAMPLE_HAS_MEMORY;
		if (n > 0 && n <= SAMPLER_MEMORY_MAX &&
		    bpf_ringbuf_output(&ring, r, sizeof(*r) + __builtin_offsetof(struct record_memory, words) + n,
				       BPF_RB_FORCE_WAKEUP) == 0) {
			c->n_memory++;
			return true;
		}
		r->flags &= ~SAMPLE_HAS_MEMORY;
	}
	return bpf_ringbuf_output(&ring, r, sizeof(*r), flags) == 0;
}

static __always_inline void count_time(__u64 *times, __u64 ns)
{
	__u64 i = ns >> 8;
	if (i >= SAMPLER_FINE_TIMES)
		i = SAMPLER_FINE_TIMES + ((ns - SAMPLER_FINE_TIMES * 256) >> 11);
	if (i >= SAMPLER_TIMES)
		i = SAMPLER_TIMES - 1;
	times[i & (SAMPLER_TIMES - 1)]++;
}

/* `sent`: its stacks are in the ring. */
static __always_inline int end_sample(struct scratch *t, bool sent)
{
	struct sampler_counters *c = own_counters();
	if (!c)
		return 0;
	if (sent && send_sample(t, c))
		c->n_samples++;
	else
		c->n_ring_full++;
	__u64 now = bpf_ktime_get_ns(), spent = now - t->start_ns;
	c->run_ns += spent;
	count_time(c->sample_time, spent);
	if (t->walk_ns)
		count_time(c->walk_time, t->walk_end_ns - t->walk_ns);
	return 0;
}

/* ---- by frame pointers --------------------------------------------------- */

SEC("perf_event")
int sample_fp(struct bpf_perf_event_data *ctx)
{
	struct scratch *t = begin_sample(ctx);
	if (!t)
		return 0;
	/* Kernel threads, and processes past giving up their memory, have no other side. */
	return end_sample(t, send_kernel_stack(ctx, t) && (!t->sample.image || send_user_fp(ctx, t)));
}

/* ---- by unwind tables ---------------------------------------------------- */

/* The registers with which the thread left its own code; false: it is not
 * one of ours. */
static __always_inline bool user_registers(struct bpf_perf_event_data *ctx, struct user_walk *u)
{
	struct walk *w = &u->walk;
	w->link = 0;
#if defined(__TARGET_ARCH_x86)
	__u64 mode = ctx->regs[REG_MODE];
	if (mode & 3) {
		w->pc = ctx->regs[REG_PC];
		w->sp = ctx->regs[REG_SP];
		w->fp = ctx->regs[REG_FP];
	} else {
		struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
		w->pc = BPF_CORE_READ(regs, ip);
		w->sp = BPF_CORE_READ(regs, sp);
		w->fp = BPF_CORE_READ(regs, bp);
		mode = BPF_CORE_READ(regs, cs);
	}
	u->stack.end = (mode & 0xffff) == CS_COMPAT ? STACK_END_COMPAT : STACK_GOES_ON;
#else
	if ((ctx->regs[REG_MODE] & 15) == 0) {
		w->pc = ctx->regs[REG_PC];
		w->sp = ctx->regs[REG_SP];
		w->fp = ctx->regs[REG_FP];
		w->link = ctx->regs[REG_LINK];
	} else {
		struct pt_regs *regs = (void *)bpf_task_pt_regs(bpf_get_current_task_btf());
		w->pc = BPF_CORE_READ(regs, user_regs.pc);
		w->sp = BPF_CORE_READ(regs, user_regs.sp);
		w->fp = BPF_CORE_READ(regs, user_regs.regs[29]);
		w->link = BPF_CORE_READ(regs, user_regs.regs[30]);
	}
	u->stack.end = STACK_GOES_ON;
#endif
	return w->pc != 0;
}

/* Everything but the frames. False: there is no user stack. */
static __always_inline bool begin_walk(struct bpf_perf_event_data *ctx, struct scratch *t)
{
	struct record_sample *r = &t->sample;
	struct user_walk *u = &t->user;
	if (!r->image)
		return false;
	t->walk_ns = bpf_ktime_get_ns();
	if (!user_registers(ctx, u)) {
		t->walk_ns = 0;
		return false;
	}
	begin_user_walk(u, hash_seed);
	u->n_mappings = 0;
	struct pool_space *space = bpf_map_lookup_elem(&spaces, &r->tgid);
	if (!*(volatile __u32 *)&walks && !u->stack.end) {
		put_frame(u);
		u->stack.end = STACK_END_BUDGET;
	} else if (space && space->image == r->image) {
		u->list = space->list;
		u->n_mappings = space->n;
		r->generation = space->generation;
	} else if (!u->stack.end) {
		put_frame(u);
		u->stack.end = STACK_END_NEW_PROCESS;
	}
	return true;
}

static __always_inline void end_walk(struct scratch *t)
{
	if (t->user.stack.end == STACK_END_NO_UNWIND_INFO || t->user.stack.end == STACK_END_ASTRAY)
		t->user.stack.end = judge_end(&t->user, stack_start());
	t->walk_end_ns = bpf_ktime_get_ns();
}

/* One frame. Global, so that the verifier goes through it once. */
__noinline int walk_frame(void)
{
	__u32 zero = 0;
	struct scratch *t = bpf_map_lookup_elem(&scratches, &zero);
	if (!t)
		return 1;
	enum stack_end end = next_frame(&t->user);
	t->user.stack.end = end;
	return end != STACK_GOES_ON;
}

static long walk_on(UNUSED __u32 i, UNUSED void *arg)
{
	return walk_frame() != 0;
}

SEC("perf_event")
int sample_loop(struct bpf_perf_event_data *ctx)
{
	struct scratch *t = begin_sample(ctx);
	if (!t)
		return 0;
	bool sent = send_kernel_stack(ctx, t);
	if (sent && begin_walk(ctx, t)) {
		if (!t->user.stack.end)
			bpf_loop(SAMPLER_DEPTH, walk_on, 0, 0);
		end_walk(t);
		sent = send_stack(&t->user.stack, t->user.hash, t->sample.window, &t->sample.user);
	}
	return end_sample(t, sent);
}

#define WALK_STRETCH 40 /* frames; 33 tail calls make more than SAMPLER_DEPTH */

SEC("perf_event")
int walk_stretch(struct bpf_perf_event_data *ctx)
{
	__u32 zero = 0;
	struct scratch *t = bpf_map_lookup_elem(&scratches, &zero);
	if (!t)
		return 0;
	for (__u32 i = 0; i < WALK_STRETCH; i++)
		if (walk_frame())
			break;
	if (!t->user.stack.end)
		bpf_tail_call(ctx, &stretches, 0);
	end_walk(t);
	return end_sample(t, send_stack(&t->user.stack, t->user.hash, t->sample.window, &t->sample.user));
}

SEC("perf_event")
int sample_tail(struct bpf_perf_event_data *ctx)
{
	struct scratch *t = begin_sample(ctx);
	if (!t)
		return 0;
	bool sent = send_kernel_stack(ctx, t);
	if (sent && begin_walk(ctx, t)) {
		bpf_tail_call(ctx, &stretches, 0);
		sent = false;
	}
	return end_sample(t, sent);
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
