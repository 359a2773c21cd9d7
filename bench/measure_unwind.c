/* SPDX-License-Identifier: Apache-2.0 */
/* What unwinding costs: one line "name value" per figure of bench/budgets.
 *
 *   measure_unwind walk SECONDS PROGRAM [ARG...]   samples one instance of the program per CPU, 100 times a
 *                                                  second, and prints what the kernel side took
 *   measure_unwind table FILE                      compiles the unwind table of a binary */
#include "base/clock.h"
#include "collect/cpu_list.h"
#include "collect/process.h"
#include "collect/sampler.h"
#include "collect/unwinder.h"
#include "unwind/table.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define TABLES_MAX ((size_t)64 << 20)

struct measuring {
	struct process_table *processes;
	uint64_t n_samples, n_whole, n_frames;
	uint64_t root_hash[4096]; /* stacks that reach a root, by a hash of their hash */
};

static void on_stack(void *arg, const struct record_stack *s)
{
	struct measuring *m = arg;
	if (s->end == STACK_END_ROOT) {
		m->root_hash[s->hash % ARRAY_SIZE(m->root_hash)] = s->hash;
		if (s->n_frames > m->n_frames)
			m->n_frames = s->n_frames;
	}
}

static void on_sample(void *arg, const struct record_sample *s, const struct record_memory *memory)
{
	static struct record_stack rest;
	struct measuring *m = arg;
	int64_t now = clock_mono_ns();
	struct process *p = process_get(m->processes, s, now);
	if (p && memory)
		process_replay(m->processes, p, memory, now, &rest);
	m->n_samples++;
	m->n_whole += m->root_hash[s->user % ARRAY_SIZE(m->root_hash)] == s->user;
}

static void on_changed(void *arg, const struct map_event *e)
{
	struct measuring *m = arg;
	process_table_changed(m->processes, e, clock_mono_ns());
}

static pid_t start(char **command)
{
	pid_t pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)execv(command[0], command);
		_exit(127);
	}
	return pid;
}

static int fail(const char *what, const char *why)
{
	(void)fprintf(stderr, "measure_unwind: %s: %s\n", what, why);
	return 1;
}

static int sample(struct measuring *m, struct sampler *s, double seconds)
{
	int64_t end = clock_mono_ns() + (int64_t)(seconds * 1e9);
	while (clock_mono_ns() < end) {
		struct pollfd p = { .fd = sampler_fd(s), .events = POLLIN };
		(void)poll(&p, 1, 100);
		if (sampler_drain(s) < 0)
			return fail("draining", "failed");
	}
	return 0;
}

static int measure_walk(double seconds, char **command)
{
	static struct measuring m;
	struct sampler_options o = { .target = SAMPLE_ALL, .rate_hz = 100, .tables_max = TABLES_MAX };
	struct error err = { .text = "" };
	uint32_t cpus[CPUS_MAX], n_cpus;
	_cleanup_(sampler_free)
	struct sampler *s = NULL;
	struct binary_table *binaries = binary_table_new(1024, 128);
	m.processes = binaries ? process_table_new(1024, "measure_unwind", binaries) : NULL;
	if (!m.processes || cpu_list_online(cpus, &n_cpus, &err) < 0)
		return fail("starting", err.text);
	if (sampler_open(&o, (struct sample_sink){ on_stack, on_sample, on_changed, &m }, &s, &err) < 0)
		return fail("sampling", err.text);
	if (!sampler_unwinder(s) || sampler_unwind(s) == UNWIND_RECORDED) {
		(void)printf("skip no BPF: %s\n", sampler_downgrade(s));
		return 0;
	}
	process_table_set_unwinder(m.processes, sampler_unwinder(s), false);
	for (uint32_t i = 0; i < n_cpus; i++)
		(void)start(command);
	/* Tables are built while nobody counts. */
	int r = sample(&m, s, 2);
	struct sampler_stats before = sampler_stats(s);
	uint64_t n_samples = m.n_samples, n_whole = m.n_whole;
	if (r == 0)
		r = sample(&m, s, seconds);
	struct sampler_stats after = sampler_stats(s);
	for (int i = 0; i < SAMPLER_TIMES; i++) {
		after.walk_time[i] -= before.walk_time[i];
		after.sample_time[i] -= before.sample_time[i];
	}
	(void)printf("unwind_walk_p50 %.2f\nunwind_walk_p99 %.2f\n", (double)sampler_time(after.walk_time, 0.5) / 1e3,
		     (double)sampler_time(after.walk_time, 0.99) / 1e3);
	(void)printf("unwind_sample_p50 %.2f\nunwind_sample_mean %.2f\n",
		     (double)sampler_time(after.sample_time, 0.5) / 1e3,
		     (double)(after.run_ns - before.run_ns) / 1e3 / (double)(after.n_runs - before.n_runs));
	(void)printf("unwind_whole %.2f\n", 100.0 * (double)(m.n_whole - n_whole) / (double)(m.n_samples - n_samples));
	(void)fprintf(stderr, "# %llu samples, %llu frames at most, unwind=%s\n",
		      (unsigned long long)(m.n_samples - n_samples), (unsigned long long)m.n_frames,
		      sampler_unwind_name(sampler_unwind(s)));
	process_table_free(&m.processes);
	binary_table_free(&binaries);
	return r;
}

static int measure_table(const char *path)
{
	struct error err = { .text = "" };
	struct elf e;
	struct pool *pool;
	struct unwind_table t;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || elf_init(&e, fd, &err) < 0)
		return fail(path, fd < 0 ? strerror(errno) : err.text);
	int64_t best = INT64_MAX;
	for (int i = 0; i < 5; i++) {
		if (pool_new(NULL, POOL_MAX_SEGMENTS, &pool) < 0)
			return fail(path, "no memory");
		int64_t start = clock_mono_ns();
		int r = unwind_table_load(&e, pool, NULL, &t);
		int64_t spent = clock_mono_ns() - start;
		best = spent < best ? spent : best;
		if (r < 0)
			return fail(path, strerror(-r));
		if (i == 0)
			(void)printf("unwind_table_rows %u\nunwind_table_size %.2f\n", t.n_rows,
				     (double)pool_stats(pool).n_used_words * 4 / 1e6);
		unwind_table_unload(&t, pool);
		pool_free_all(&pool);
	}
	(void)printf("unwind_table_time %.3f\n", (double)best / 1e9);
	(void)close(fd);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 4 && strcmp(argv[1], "walk") == 0)
		return measure_walk(atof(argv[2]), argv + 3);
	if (argc == 3 && strcmp(argv[1], "table") == 0)
		return measure_table(argv[2]);
	(void)fprintf(stderr, "usage: measure_unwind walk SECONDS PROGRAM [ARG...] | table FILE\n");
	return 2;
}
