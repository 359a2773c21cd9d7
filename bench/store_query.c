/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/crew.h"
#include "model/diff.h"
#include "query/merge.h"
#include "query/quality.h"
#include "query/timeline.h"
#include "store/view.h"
#include "store_bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BUDGET (BENCH_MEMORY / 16 * 5 / 4 * 3) /* of a server's query that has the pool alone */
#define REPEAT 9

struct asking {
	const char *dir;
	struct store *store;
	uint32_t n_nodes, n_days;
	bool is_raw; /* sums are not used */
	struct scan_stats stats;
	uint64_t n_profiles, n_tree;
};

/* ---- questions ---- */

typedef int (*add_part)(void *arg, const struct selection *s);

/* What query_next() does, without the names of debug files. */
static int walk(struct asking *a, const struct selector *selector, struct membudget *budget, add_part add, void *arg)
{
	struct error err = { "" };
	_cleanup_(view_free)
	struct view *v = NULL;
	int r = view_take(a->store, &v);
	for (uint32_t i = 0; r == 0 && i < view_n_parts(v); i++) {
		const struct part *p;
		struct selection s;
		if (!view_may_have(v, i, selector->from_ms, selector->to_ms))
			continue;
		bench_check(view_open(v, i, &p, &err), &err);
		r = selection_init(&s, p, selector, budget, NULL);
		s.stats = &a->stats;
		s.is_raw = a->is_raw;
		if (r == 0)
			r = add(arg, &s);
		selection_done(&s);
		view_close(v, i);
	}
	return r;
}

static int add_merge(void *arg, const struct selection *s)
{
	return merge_add(arg, s);
}

static struct selector days(uint32_t from, uint32_t to)
{
	return (struct selector){
		.type = slice_str("cpu:nanoseconds"),
		.from_ms = FLEET_START_MS + from * BENCH_DAY_MS,
		.to_ms = FLEET_START_MS + to * BENCH_DAY_MS,
	};
}

static void merge(struct asking *a, const struct selector *selector, struct membudget *budget, struct calltree *ret)
{
	struct merge_sums sums;
	_cleanup_(merge_free)
	struct merge *m = merge_new(slice_of(NULL, 0), false, budget);
	int r = m ? walk(a, selector, budget, add_merge, m) : -ENOMEM;
	if (r == 0)
		r = merge_finish(m, ret, &sums);
	bench_check(r, NULL);
	a->n_profiles = sums.n_profiles;
	a->n_tree = ret->n;
}

static void ask_day(struct asking *a)
{
	struct membudget budget = membudget_of(BUDGET);
	struct selector s = days(0, 1);
	struct calltree tree;
	merge(a, &s, &budget, &tree);
	calltree_done(&tree);
}

static void ask_two_days(struct asking *a)
{
	struct membudget budget = membudget_of(BUDGET);
	struct selector s = days(0, 2);
	struct calltree tree;
	merge(a, &s, &budget, &tree);
	calltree_done(&tree);
}

static void ask_node_hour(struct asking *a)
{
	struct membudget budget = membudget_of(BUDGET);
	struct selector s = days(0, 1);
	struct calltree tree;
	char host[32];
	fleet_host_name(a->n_nodes / 2, host);
	/* Not whole hours: single profiles at both ends. */
	s.from_ms += 13 * INT64_C(3600000) + 5 * INT64_C(60000);
	s.to_ms = s.from_ms + INT64_C(3600000);
	s.label[s.n_labels].name = slice_str("host");
	s.label[s.n_labels++].value = slice_str(host);
	merge(a, &s, &budget, &tree);
	calltree_done(&tree);
}

static int add_timeline(void *arg, const struct selection *s)
{
	return timeline_add(arg, s);
}

static void ask_series(struct asking *a)
{
	struct membudget budget = membudget_of(BUDGET);
	struct selector s = days(0, 1);
	_cleanup_(timeline_free)
	struct timeline *t = timeline_new(s.from_ms, FLEET_MINUTE_MS, 24 * 60, &budget);
	bench_check(t ? walk(a, &s, &budget, add_timeline, t) : -ENOMEM, NULL);
	const struct timeline_step *steps = timeline_finish(t);
	double sum = 0;
	for (uint32_t i = 0; i < 24 * 60; i++)
		sum += steps[i].value;
	a->n_profiles = (uint64_t)(sum / 60e9 + 0.5); /* each is a minute of a core */
}

/* As the server does: both sides at once, each with half of the memory. */
struct sides {
	struct asking asking[2];
	struct membudget budget[2];
	struct calltree tree[2];
	_Atomic uint32_t next;
};

static void make_side(void *arg, unsigned worker)
{
	struct sides *sides = arg;
	(void)worker;
	for (uint32_t i; (i = sides->next++) < 2;) {
		struct selector s = days(i, i + 1);
		sides->budget[i] = membudget_of(BUDGET / 2);
		merge(&sides->asking[i], &s, &sides->budget[i], &sides->tree[i]);
	}
}

static void ask_diff(struct asking *a)
{
	struct membudget budget = membudget_of(BUDGET);
	struct sides sides = { .asking = { *a, *a } };
	struct diff d;
	int r = diff_init(&d, &budget);
	crew_run(2, make_side, &sides);
	bench_check(membudget_charge(&budget, sides.budget[0].used + sides.budget[1].used) ? 0 : -ENOBUFS, NULL);
	for (uint32_t i = 0; r == 0 && i < 2; i++) {
		struct calltree *tree = &sides.tree[i];
		struct diff_window w = {
			.whole = tree->total[0],
			.samples = (double)tree->total[0] / 1e7,
			.seconds = 86400,
		};
		r = diff_add(&d, (enum diff_side)i, tree, &w);
		size_t held = sides.budget[i].used;
		calltree_done(tree);
		membudget_release(&budget, held - sides.budget[i].used);
		scan_stats_add(&a->stats, &sides.asking[i].stats);
	}
	a->n_profiles = sides.asking[0].n_profiles + sides.asking[1].n_profiles;
	if (r == 0)
		r = diff_finish(&d);
	bench_check(r, NULL);
	a->n_tree = d.tree.n;
	diff_done(&d);
}

/* ---- clocks and caches ---- */

static int forget_file(int dir, const char *name)
{
	_cleanup_(close_fd)
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? fd : posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* The next read goes to the disk. */
static const char *forget(const char *store)
{
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/blocks", store);
	sync();
	_cleanup_(close_fd)
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "3\n", 2) == 2)
		return "drop_caches";
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d));)
		(void)forget_file(dirfd(d), e->d_name);
	if (d)
		(void)closedir(d);
	return "posix_fadvise";
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* Median of `n` times. `cold`: with tables and pages on the disk, each time. */
static void measure(struct asking *a, const char *name, void (*ask)(struct asking *a), bool cold, uint32_t n)
{
	double ms[REPEAT], cpu[REPEAT]; /* the second tells what a busy machine adds */
	const char *how = "warm";
	for (uint32_t i = 0; i < n; i++) {
		if (cold) {
			store_close(&a->store);
			how = forget(a->dir);
			a->store = bench_open(a->dir);
		} else if (i == 0) {
			ask(a);
		}
		a->stats = (struct scan_stats){ 0 };
		int64_t start = clock_mono_ns(), cpu_start = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		ask(a);
		ms[i] = (double)(clock_mono_ns() - start) / 1e6;
		cpu[i] = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_start) / 1e6;
	}
	qsort(ms, n, sizeof(*ms), compare);
	qsort(cpu, n, sizeof(*cpu), compare);
	(void)fprintf(stderr,
		      "%s: %.1f ms (%.1f - %.1f, CPU %.1f, %s), %" PRIu64 " profiles, %" PRIu64 " chunks, %" PRIu64
		      " rows, "
		      "%" PRIu64 " bytes read, resolutions %x, tree %" PRIu64 "\n",
		      name, ms[n / 2], ms[0], ms[n - 1], cpu[n / 2], how, a->n_profiles, a->stats.n_chunks,
		      a->stats.n_rows, a->stats.n_bytes, a->stats.resolutions, a->n_tree);
	(void)printf("%s %.2f\n", name, ms[n / 2]);
}

int bench_query(const char *dir, uint32_t n_nodes, uint32_t n_days)
{
	struct asking a = { .dir = dir, .store = bench_open(dir), .n_nodes = n_nodes, .n_days = n_days };
	bench_memory_begin();
	a.is_raw = true;
	measure(&a, "merge_raw_cold", ask_day, true, 3);
	measure(&a, "merge_raw_warm", ask_day, false, 5);
	if (n_days > 1)
		measure(&a, "two_days_raw_cold", ask_two_days, true, 3);
	a.is_raw = false;
	measure(&a, "merge_sums_cold", ask_day, true, 3);
	measure(&a, "merge_sums_warm", ask_day, false, REPEAT);
	measure(&a, "node_hour_cold", ask_node_hour, true, 3);
	measure(&a, "node_hour_warm", ask_node_hour, false, REPEAT);
	measure(&a, "series_day_cold", ask_series, true, 3);
	measure(&a, "series_day_warm", ask_series, false, REPEAT);
	if (n_days > 1)
		measure(&a, "diff_days_warm", ask_diff, false, REPEAT);
	(void)printf("query_anon %.0f\n", (double)bench_memory_peak() / (1 << 20));
	(void)printf("query_file %.0f\n", (double)bench_memory_now("RssFile") / (1 << 20));
	store_close(&a.store);
	return 0;
}
