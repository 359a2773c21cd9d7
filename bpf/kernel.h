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
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_RINGBUF = 27,
};
enum {
	BPF_ANY = 0,
	BPF_F_USER_STACK = 1 << 8,
	BPF_RB_NO_WAKEUP = 1 << 0,
	BPF_RB_FORCE_WAKEUP = 1 << 1,
	BPF_RB_AVAIL_DATA = 0,
};

struct bpf_pidns_info {
	__u32 pid, tgid;
};

/* Context of a perf_event program. The registers are not looked at, only
 * their size counts. */
struct bpf_perf_event_data {
#if defined(__TARGET_ARCH_x86)
	__u64 regs[21];
#elif defined(__TARGET_ARCH_arm64)
	__u64 regs[34];
#else
#error "unknown machine"
#endif
	__u64 sample_period;
	__u64 addr;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct mm_struct;

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live; /* threads that have not exited */
};

struct task_struct {
	unsigned int flags;
	int pid, tgid;
	struct mm_struct *mm;
	struct signal_struct *signal;
};

#pragma clang attribute pop
