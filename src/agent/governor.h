/* SPDX-License-Identifier: Apache-2.0 */
/* governor.h: keeps what the agent costs inside its budget.
 *
 *   once a second   CPU time and memory used   ->   rate, features, relief
 *
 *   credit of CPU time: grows by the budget, shrinks by what was used, holds
 *   CREDIT_S seconds' worth
 *     left            the rate is what was asked for, or goes there as soon as
 *                     what is measured says that it will fit
 *     used up         the rate is what the last ten seconds can afford
 *     used up at the  features go, the dearest first
 *     lowest rate
 *   more than EMERGENCY of a core over two seconds: half the rate at once
 *
 * So a burst (a large unwind table, many new processes) is ridden out on
 * credit, a load that stays brings the rate down within seconds, and one that
 * ends brings it back at once. Weights of samples are their periods, so no
 * rate makes a profile wrong, only coarser.
 *
 * Pure: everything comes in, nothing is asked of the system. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct governor_budget {
	double cpu;	  /* of one core: 0.01 */
	uint64_t memory;  /* resident bytes */
	uint32_t rate_hz; /* at most, and if it can be */
};

/* All but the sizes only ever grow. */
struct governor_input {
	int64_t now_ns;
	uint64_t cpu_ns; /* of all threads, and of programs in the kernel */
	uint64_t memory; /* resident bytes */
};

enum governor_feature { /* in the order in which they go */
			FEATURE_ALL,
			FEATURE_NO_NEW_TABLES, /* no unwind table is built */
			FEATURE_LEAVES,	       /* user stacks are not walked */
};

/* How hard memory is looked for, see recorder_relieve(). */
#define RELIEF_MAX 3

struct governor_state {
	uint32_t rate_hz;
	enum governor_feature feature;
	uint32_t relief;
};

struct governor {
	struct governor_budget budget;
	struct governor_state state;
	struct governor_input last;
	bool has_last;
	double credit_s;    /* of CPU time */
	double used;	    /* of a core, over about ten seconds */
	double used_before; /* of a core, in the second before the last */
	int64_t hold_ns;    /* no rise before */
	int64_t lower_ns;   /* no step down before, but in an emergency */
	int64_t relief_ns;  /* when relief last changed */
};

void governor_init(struct governor *g, const struct governor_budget *budget);

/* Calls closer than half a second together are passed over. True: the state
 * changed, *ret_why says why (a static text). */
bool governor_step(struct governor *g, const struct governor_input *in, const char **ret_why);
