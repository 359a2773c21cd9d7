/* SPDX-License-Identifier: Apache-2.0 */
/* truth.h: what the functions of an example really used, so that a profile
 * can be compared with a measurement and not with an intention.
 *
 *   int64_t start = truth_start();  work();  truth_stop(&truth[WORK], start);
 *
 * CPU time of the calling thread (CLOCK_THREAD_CPUTIME_ID) is added up per
 * function and printed at the end, one line each, in percent of all:
 *
 *   truth parse_request self 60.0 total 60.0 cpu_ms 6012
 *
 * The loops have no memory traffic and no branch that depends on data, hence
 * a constant cost per step: a share is a number of steps. */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Neither inlined nor merged with another function of equal code. */
#ifdef __clang__
#define EXAMPLE_FUNCTION __attribute__((noinline))
#else
#define EXAMPLE_FUNCTION __attribute__((noipa))
#endif

struct truth {
	const char *function;
	int64_t total_ns;
	int64_t callee_ns; /* the part of total_ns in other functions of the list */
};

static inline int64_t truth_clock(clockid_t id)
{
	struct timespec ts;
	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline int64_t truth_start(void)
{
	return truth_clock(CLOCK_THREAD_CPUTIME_ID);
}

/* Returns what it added. */
static inline int64_t truth_stop(struct truth *t, int64_t start)
{
	int64_t ns = truth_clock(CLOCK_THREAD_CPUTIME_ID) - start;
	t->total_ns += ns;
	return ns;
}

static inline void truth_print(const struct truth *t, unsigned n)
{
	double all = 0;
	for (unsigned i = 0; i < n; i++)
		all += (double)(t[i].total_ns - t[i].callee_ns);
	for (unsigned i = 0; i < n && all > 0; i++)
		(void)printf("truth %s self %.1f total %.1f cpu_ms %lld\n", t[i].function,
			     100 * (double)(t[i].total_ns - t[i].callee_ns) / all, 100 * (double)t[i].total_ns / all,
			     (long long)(t[i].total_ns / 1000000));
}

/* Seconds to run, from the command line; 10 when there is none. */
static inline int64_t example_duration_ns(int argc, char **argv)
{
	char *end = NULL;
	errno = 0;
	double seconds = argc > 1 ? strtod(argv[1], &end) : 10;
	if (argc > 2 || errno || (end && (end == argv[1] || *end)) || !(seconds > 0 && seconds <= 86400)) {
		(void)fprintf(stderr, "usage: %s [SECONDS]   (more than 0, at most 86400; default 10)\n", argv[0]);
		exit(2);
	}
	return (int64_t)(seconds * 1e9);
}

/* `steps` steps of a nanosecond or so each, inside the function that calls
 * this: always inlined. The multiplier differs from caller to caller. */
static inline __attribute__((always_inline)) void example_work(uint64_t steps, uint64_t multiplier)
{
	uint64_t x = multiplier;
	for (uint64_t i = 0; i < steps; i++)
		x = x * multiplier + 1;
	__asm__ volatile("" : : "r"(x)); /* the result counts as used */
}
