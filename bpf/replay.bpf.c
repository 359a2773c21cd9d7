/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* replay.bpf.c: goes on with a walk that ended for want of tables, over the
 * stack that was recorded then. In the kernel, as that is where the tables
 * are: to read them in user space they would have to be mapped.
 *
 * Run by BPF_PROG_RUN, one at a time. All maps but the area are the sampler's. */
#include "kernel.h"
#include "unwind.h"
#include "pool_maps.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct replay_area);
} area SEC(".maps");

static __always_inline struct replay_area *the_area(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&area, &zero);
}

static __always_inline bool read_user(UNUSED struct user_walk *u, void *to, __u32 size, __u64 addr)
{
	struct replay_area *a = the_area();
	if (!a)
		return false;
	__u64 off = addr - (a->memory.walk.sp & ~7ull);
	__u32 filled = a->memory.size;
	if (filled > SAMPLER_MEMORY_MAX || off >= filled || size > filled - off)
		return false;
	return bpf_probe_read_kernel(to, size, (char *)a->memory.words + (off & (SAMPLER_MEMORY_MAX - 1))) == 0;
}

static __always_inline const struct unwind_rule *known_rule(UNUSED struct user_walk *u, UNUSED __u64 place)
{
	return 0;
}

static __always_inline void know_rule(UNUSED struct user_walk *u, UNUSED __u64 place,
				      UNUSED const struct unwind_rule *rule)
{
}

static long walk_on(UNUSED __u32 i, UNUSED void *arg)
{
	struct replay_area *a = the_area();
	if (!a)
		return 1;
	a->user.stack.end = next_frame(&a->user);
	return a->user.stack.end != STACK_GOES_ON;
}

SEC("syscall")
int replay(UNUSED void *ctx)
{
	struct replay_area *a = the_area();
	if (!a)
		return 1;
	begin_user_walk(&a->user, 0);
	a->user.walk = a->memory.walk;
	bpf_loop(SAMPLER_DEPTH, walk_on, 0, 0);
	a->user.stack.end = judge_end(&a->user, a->memory.stack_start);
	return 0;
}
