/* SPDX-License-Identifier: Apache-2.0 */
/* busy.h: for programs to be unwound: CPU time that belongs to whoever calls
 * busy(), for as many seconds as the last argument says. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __clang__
#define FUNCTION __attribute__((noinline))
#else
#define FUNCTION __attribute__((noipa))
#endif

static double end_time;

static inline __attribute__((always_inline)) double seconds_of(clockid_t clock)
{
	struct timespec t;
	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void begin(int argc, char **argv, int last)
{
	if (argc != last + 1) {
		(void)fprintf(stderr, "%s: %d arguments are expected\n", argv[0], last);
		exit(2);
	}
	end_time = seconds_of(CLOCK_MONOTONIC) + atof(argv[last]);
}

static inline __attribute__((always_inline)) int time_is_up(void)
{
	return seconds_of(CLOCK_MONOTONIC) >= end_time;
}

/* Uses the CPU in the function that calls this. */
static inline __attribute__((always_inline)) void busy(double seconds)
{
	double end = seconds_of(CLOCK_THREAD_CPUTIME_ID) + seconds;
	do {
		uint64_t x = 1;
		for (int i = 0; i < 20000; i++)
			x = x * 6364136223846793005u + 1;
		__asm__ volatile("" : : "r"(x));
	} while (seconds_of(CLOCK_THREAD_CPUTIME_ID) < end);
}
