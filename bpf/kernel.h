/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* kernel.h: the few kernel types the programs use. Struct members are found
 * at load time through BTF (CO-RE), so only those that are read stand here
 * and their offsets do not matter. No kernel header is needed. */
#pragma once

#include <stdint.h>

typedef uint8_t __u8;
typedef uint16_t __u16;
typedef uint32_t __u32;
typedef uint64_t __u64;
typedef int16_t __s16;
typedef int32_t __s32;
typedef int64_t __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#define PF_KTHREAD 0x00200000

/* Numbers of the kernel's UAPI (linux/bpf.h). */
enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum {
	BPF_ANY = 0,
	BPF_F_NO_PREALLOC = 1 << 0,
	BPF_F_MMAPABLE = 1 << 10,
	BPF_F_USER_STACK = 1 << 8,
	BPF_RB_NO_WAKEUP = 1 << 0,
	BPF_RB_FORCE_WAKEUP = 1 << 1,
	BPF_RB_AVAIL_DATA = 0,
};

struct bpf_pidns_info {
	__u32 pid, tgid;
};

/* Context of a perf_event program: the registers as the kernel's UAPI has
 * them, of which these are looked at. */
#if defined(__TARGET_ARCH_x86)
enum { REG_FP = 4, REG_PC = 16, REG_MODE = 17, REG_SP = 19, N_REGS = 21 };
#define CS_USER	  0x33
#define CS_COMPAT 0x23
#elif defined(__TARGET_ARCH_arm64)
enum { REG_FP = 29, REG_LINK = 30, REG_SP = 31, REG_PC = 32, REG_MODE = 33, N_REGS = 34 };
#else
#error "unknown machine"
#endif

struct bpf_perf_event_data {
	__u64 regs[N_REGS];
	__u64 sample_period;
	__u64 addr;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct mm_struct {
	unsigned long start_stack;
};

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long bp, ip, cs, sp;
};
#else
struct user_pt_regs {
	__u64 regs[31], sp, pc, pstate;
};

struct pt_regs {
	struct user_pt_regs user_regs;
};
#endif

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live; /* threads that have not exited */
};

struct task_struct {
	unsigned int flags;
	int pid, tgid;
	unsigned long long start_boottime, self_exec_id;
	struct task_struct *group_leader;
	struct mm_struct *mm;
	struct signal_struct *signal;
};

#pragma clang attribute pop
