/* SPDX-License-Identifier: Apache-2.0 */
#include "store_bench.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void bench_check(int r, const struct error *err)
{
	if (r == 0)
		return;
	(void)fprintf(stderr, "measure_store: %s\n", err && err->text[0] ? err->text : strerror(-r));
	exit(1);
}

struct store *bench_open(const char *dir)
{
	struct error err = { "" };
	struct store *s;
	/* A key in WICK_ENCRYPTION_KEYS: the first one to come wipes it. */
	static struct keyring *keys;
	if (!keys)
		bench_check(keyring_load("", &keys, &err), &err);
	const struct store_options options = {
		.dir = dir,
		.memory_limit = BENCH_MEMORY,
		.head_memory = BENCH_MEMORY / 32 * 6,
		.tables_memory = BENCH_MEMORY / 32 * 5,
		.build_memory = BENCH_MEMORY / 32 * 4,
		.decode_memory = BENCH_MEMORY / 16 * 5 / 2,
		.n_threads = 2,
		.disk_limit = (uint64_t)1 << 40,
		.sums_age_ms = 4000 * BENCH_DAY_MS,
		.raw_age_ms = 4000 * BENCH_DAY_MS,
		.is_idle = true,
		.keys = keys,
	};
	bench_check(store_open(&options, &s, NULL, &err), &err);
	return s;
}

void bench_tidy(struct store *s, int64_t now_ms)
{
	bool more = true;
	while (more) {
		struct error err = { "" };
		int r = store_tidy(s, now_ms, &more, &err);
		/* Too large together: smaller ones are tried next. */
		bench_check(r == -ENOBUFS ? 0 : r, &err);
	}
}

uint64_t bench_memory_now(const char *field)
{
	uint64_t kib = 0;
	char line[256];
	size_t size = strlen(field);
	FILE *f = fopen("/proc/self/status", "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, field, size) == 0 && line[size] == ':')
			kib = strtoull(line + size + 1, NULL, 10);
	if (f)
		(void)fclose(f);
	return kib << 10;
}

static _Atomic uint64_t peak;

static void *watch(void *arg)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	for (;;) {
		uint64_t now = bench_memory_now("RssAnon");
		if (now > peak)
			peak = now;
		(void)nanosleep(&pause, NULL);
	}
	return arg;
}

void bench_memory_begin(void)
{
	pthread_t thread;
	peak = bench_memory_now("RssAnon");
	if (pthread_create(&thread, NULL, watch, NULL) == 0)
		(void)pthread_detach(thread);
}

uint64_t bench_memory_peak(void)
{
	return peak;
}
