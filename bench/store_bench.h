/* SPDX-License-Identifier: Apache-2.0 */
/* store_bench.h: what the pieces of measure_store share. */
#pragma once

#include "fleet.h"
#include "store/store.h"

#define BENCH_MEMORY ((size_t)512 << 20) /* as --memory-limit */
#define BENCH_DAY_MS (24 * INT64_C(3600000))

/* Each prints its figures; the exit status. */
/* `timed`: with the times of samples. */
int bench_feed(const char *dir, uint32_t n_nodes, uint32_t n_days, bool timed);
int bench_feed_many(const char *dir, uint32_t n_stacks, uint32_t n_series);
int bench_query(const char *dir, uint32_t n_nodes, uint32_t n_days);
int bench_thin(const char *dir);
int bench_sizes(const char *dir);

/* The store with a server's shares of memory and no keeper of its own. Ends the program on failure. */
struct store *bench_open(const char *dir);
/* Ends the program with `err` unless r is 0. */
void bench_check(int r, const struct error *err);
/* Compacts until there is nothing to do at `now_ms`. */
void bench_tidy(struct store *s, int64_t now_ms);

/* A thread that looks at the anonymous memory of this process all the time. */
void bench_memory_begin(void);
/* The most it saw, in bytes. */
uint64_t bench_memory_peak(void);
/* Of /proc/self/status: "RssAnon", "RssFile"; bytes. */
uint64_t bench_memory_now(const char *field);
