/* SPDX-License-Identifier: Apache-2.0 */
/* What naming costs: one line "name value" per figure of bench/budgets.
 *
 *   measure_symbols kernel             index /proc/kallsyms, look names up
 *   measure_symbols files FILE...      one pass per ELF file, the slowest counts
 *   measure_symbols perfmap            a generated map of 32 MB
 *   measure_symbols addresses FILE N   N addresses of FILE's code, to feed a peer */
#include "base/clock.h"
#include "base/file.h"
#include "object/kallsyms.h"
#include "object/perfmap.h"
#include "object/symtab.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define BATCH 200

static int64_t cpu_now(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

/* Peak resident size in KiB since the last peak_reset(). */
static long peak_kib(void)
{
	_cleanup_(close_file)
	FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	long kib = -1;
	while (f && kib < 0 && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	return kib;
}

static void peak_reset(void)
{
	_cleanup_(close_fd)
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)!write(fd, "5", 1);
}

static int count_named(void *arg, const struct symrange *r)
{
	*(uint32_t *)arg += r->name.size > 0;
	return 0;
}

static int fail(const struct error *err)
{
	(void)fprintf(stderr, "measure_symbols: %s\n", err->text);
	return 1;
}

static int measure_kernel(void)
{
	_cleanup_(kallsyms_free)
	struct kallsyms *k = NULL;
	struct error err;
	peak_reset();
	long before = peak_kib();
	int64_t start = cpu_now();
	if (kallsyms_open("/proc/kallsyms", "/var/tmp", &k, &err) < 0)
		return fail(&err);
	double ms = (double)(cpu_now() - start) / 1e6;
	printf("kallsyms_build_cpu %.1f\n", ms);
	printf("kallsyms_build_memory %ld\n", peak_kib() - before);

	uint64_t base = 0xffffffff81000000, addrs[BATCH];
	uint32_t n_named = 0;
	start = cpu_now();
	for (uint64_t round = 0; round < 50; round++) {
		for (uint64_t i = 0; i < BATCH; i++)
			addrs[i] = base + i * 40000 + round * 700;
		if (kallsyms_lookup(k, addrs, BATCH, (struct symrange_sink){ count_named, &n_named }, &err) < 0)
			return fail(&err);
	}
	printf("kallsyms_lookup_cpu %.2f\n", (double)(cpu_now() - start) / 1e3 / (50 * BATCH));
	return 0;
}

/* Addresses spread evenly over the executable segments, in rising order. */
static uint32_t spread(const struct elf *e, uint64_t *addrs, uint32_t n)
{
	uint64_t total = 0, before = 0;
	uint32_t k = 0;
	for (uint32_t i = 0; i < e->n_loads; i++)
		total += e->loads[i].executable ? e->loads[i].mem_size : 0;
	for (uint32_t i = 0; i < e->n_loads && total; i++) {
		const struct elf_load *l = &e->loads[i];
		if (!l->executable)
			continue;
		while (k < n && total / n * k < before + l->mem_size) {
			addrs[k] = l->vaddr + (total / n * k - before);
			k++;
		}
		before += l->mem_size;
	}
	return k;
}

/* Milliseconds of CPU for headers and one batch, the better of two passes:
 * the first may wait for the disk. -1: not such a file. */
static double measure_file(const char *path, uint32_t *ret_named)
{
	double best = -1;
	for (int round = 0; round < 2; round++) {
		_cleanup_(close_fd)
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct elf e;
		uint64_t addrs[BATCH];
		uint32_t n_named = 0;
		int64_t start = cpu_now();
		if (fd < 0 || elf_init(&e, fd, NULL) < 0)
			return -1;
		uint32_t n = spread(&e, addrs, BATCH);
		if (symtab_lookup(&e, addrs, n, (struct symrange_sink){ count_named, &n_named }, NULL) < 0)
			return -1;
		double ms = (double)(cpu_now() - start) / 1e6;
		*ret_named = n_named;
		if (best < 0 || ms < best)
			best = ms;
	}
	return best;
}

static int measure_files(int n, char **paths)
{
	double worst = 0;
	peak_reset();
	long before = peak_kib();
	for (int i = 0; i < n; i++) {
		uint32_t n_named = 0;
		double ms = measure_file(paths[i], &n_named);
		if (ms < 0)
			continue;
		(void)fprintf(stderr, "# %s: %.2f ms, %u of %d named\n", paths[i], ms, n_named, BATCH);
		if (ms > worst)
			worst = ms;
	}
	printf("symtab_pass_cpu %.2f\n", worst);
	printf("symtab_pass_memory %ld\n", peak_kib() - before);
	return 0;
}

static int measure_perfmap(void)
{
	_cleanup_(buf_done)
	struct buf b = buf_of(40 << 20);
	for (uint64_t i = 0; b.n < 32 << 20 && !b.failed; i++)
		buf_printf(&b, "%llx %x LazyCompile:*handler_%llu /srv/application/routes/module.js:%llu:17\n",
			   0x7f0000000000 + (unsigned long long)i * 512, 480, (unsigned long long)i,
			   (unsigned long long)i % 4000);
	_cleanup_(close_fd)
	int fd = memfd_create("perf.map", MFD_CLOEXEC);
	if (fd < 0 || b.failed || fd_write_all(fd, b.data, b.n) < 0)
		return 1;
	uint64_t addrs[BATCH];
	for (uint64_t i = 0; i < BATCH; i++)
		addrs[i] = 0x7f0000000000 + i * 700000;
	uint32_t n_named = 0;
	struct error err;
	int64_t start = cpu_now();
	if (perfmap_lookup(fd, addrs, BATCH, (struct symrange_sink){ count_named, &n_named }, NULL, &err) < 0)
		return fail(&err);
	printf("perfmap_rate %.0f\n", (double)b.n / 1e6 / ((double)(cpu_now() - start) / 1e9));
	return 0;
}

static int print_addresses(const char *path, uint32_t n)
{
	_cleanup_(close_fd)
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	_cleanup_(free_ptr)
	uint64_t *addrs = calloc(n, sizeof(*addrs));
	struct elf e;
	struct error err = { "no memory" };
	if (!addrs || elf_init(&e, fd, &err) < 0)
		return fail(&err);
	uint32_t k = spread(&e, addrs, n);
	for (uint32_t i = 0; i < k; i++)
		printf("%#llx\n", (unsigned long long)addrs[i]);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (strcmp(what, "kernel") == 0)
		return measure_kernel();
	if (strcmp(what, "files") == 0)
		return measure_files(argc - 2, argv + 2);
	if (strcmp(what, "perfmap") == 0)
		return measure_perfmap();
	if (strcmp(what, "addresses") == 0 && argc == 4)
		return print_addresses(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
	(void)fprintf(stderr, "usage: measure_symbols kernel | files FILE... | perfmap | addresses FILE N\n");
	return 2;
}
