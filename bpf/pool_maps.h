/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* pool_maps.h: pool.h's layout as maps, and what unwind.h reads of them. */
#pragma once

#include "kernel.h"
#include "unwind.h"

#define UNUSED __attribute__((unused))

struct segment {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32[POOL_SEGMENT_WORDS]);
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, POOL_MAX_SEGMENTS);
	__type(key, __u32);
	__array(values, struct segment);
} segments SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* elements of 12 bytes would lie 16 apart */
	__type(key, __u32);
	__type(value, struct unwind_rule[POOL_MAX_RULES]);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, POOL_MAX_TABLES);
	__type(key, __u32);
	__type(value, struct pool_table);
} tables SEC(".maps");

static __always_inline const __u32 *segment_of(UNUSED struct user_walk *u, __u32 word)
{
	__u32 number = word >> POOL_SEGMENT_BITS, zero = 0;
	void *segment = bpf_map_lookup_elem(&segments, &number);
	return segment ? bpf_map_lookup_elem(segment, &zero) : 0;
}

static __always_inline const struct pool_table *table_of(UNUSED struct user_walk *u, __u32 slot)
{
	return bpf_map_lookup_elem(&tables, &slot);
}

static __always_inline const struct unwind_rule *rule_of(UNUSED struct user_walk *u, __u32 rule)
{
	__u32 zero = 0;
	const struct unwind_rule *all = bpf_map_lookup_elem(&rules, &zero);
	return all ? &all[rule & (POOL_MAX_RULES - 1)] : 0;
}
