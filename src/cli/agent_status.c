/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/agent_status.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <string.h>

#define MAX_ROWS 40

/* "sampling.rate_hz" of the answer; NULL when it is not there. */
static const json_t *at(const json_t *j, const char *path)
{
	char key[64];
	for (const char *dot; j && *path; path = *dot ? dot + 1 : dot) {
		dot = strchrnul(path, '.');
		(void)snprintf(key, sizeof(key), "%.*s", (int)(dot - path), path);
		j = json_object_get(j, key);
	}
	return j;
}

static const char *text(const json_t *j, const char *path)
{
	const char *s = json_string_value(at(j, path));
	return s ? s : "";
}

static double number(const json_t *j, const char *path)
{
	return json_number_value(at(j, path));
}

static uint64_t count(const json_t *j, const char *path)
{
	json_int_t v = json_integer_value(at(j, path));
	return v > 0 ? (uint64_t)v : 0;
}

static double mib(const json_t *j, const char *path)
{
	return number(j, path) / (1 << 20);
}

static void put_sampling(const json_t *s)
{
	(void)printf("agent %s, pid %" PRIu64 ", to %s\n", text(s, "version"), count(s, "pid"),
		     text(s, "upload.server"));
	if (strcmp(text(s, "sampling.state"), "on") != 0) {
		(void)printf("sampling   stopped by %s\n", text(s, "sampling.stopped_by"));
		return;
	}
	(void)printf("sampling   %s, user stacks by %s, %" PRIu64 " Hz on %" PRIu64 " CPUs", text(s, "sampling.source"),
		     text(s, "sampling.unwind"), count(s, "sampling.rate_hz"), count(s, "sampling.cpus"));
	if (count(s, "sampling.rate_hz") < count(s, "budget.rate_hz"))
		(void)printf(" (of %" PRIu64 ")", count(s, "budget.rate_hz"));
	if (strcmp(text(s, "sampling.features"), "all") != 0)
		(void)printf(", %s", text(s, "sampling.features"));
	(void)putchar('\n');
	if (text(s, "sampling.why_not_bpf")[0])
		(void)printf("           not by BPF: %s\n", text(s, "sampling.why_not_bpf"));
	if (text(s, "sampling.last_change")[0])
		(void)printf("           last change %s: %s\n", text(s, "sampling.last_change_at"),
			     text(s, "sampling.last_change"));
}

static void put_cost(const json_t *s)
{
	(void)printf("CPU        %.3f %% of a core since the start, %.3f %% in the last %.0f s; budget %.4g %%\n",
		     number(s, "cost_since_start.cpu_percent"), number(s, "cost_since_line.cpu_percent"),
		     number(s, "cost_since_line.seconds"), number(s, "budget.cpu_percent"));
	(void)printf("           of it in the kernel %.3f %%, building unwind tables %.3f %%\n",
		     number(s, "cost_since_start.bpf_percent"), number(s, "cost_since_start.tables_percent"));
	(void)printf("memory     %.1f MiB resident (peak %.1f), budget %.0f; kernel %.1f MiB, budget %.0f\n",
		     mib(s, "memory.resident_bytes"), mib(s, "memory.peak_bytes"), mib(s, "budget.memory_bytes"),
		     mib(s, "memory.kernel_bytes"), mib(s, "budget.kernel_memory_bytes"));
}

static void put_samples(const json_t *s)
{
	uint64_t taken = count(s, "samples.taken");
	uint64_t cut = count(s, "samples.incomplete") + count(s, "samples.truncated") + count(s, "samples.stack_error");
	(void)printf("samples    %" PRIu64 ", %.2f %% of them without a whole stack; missing: ring full %" PRIu64
		     ", window full %" PRIu64 ", throttled %" PRIu64 "\n",
		     taken, taken ? 100.0 * (double)cut / (double)taken : 0, count(s, "samples.ring_full"),
		     count(s, "samples.window_full"), count(s, "samples.throttled"));
	if (count(s, "samples.sample_ns.p50"))
		(void)printf("           one takes %.1f us (p99 %.1f), its user stack %.1f us (p99 %.1f)\n",
			     number(s, "samples.sample_ns.p50") / 1e3, number(s, "samples.sample_ns.p99") / 1e3,
			     number(s, "samples.walk_ns.p50") / 1e3, number(s, "samples.walk_ns.p99") / 1e3);
}

static void put_tables(const json_t *s)
{
	(void)printf("tables     %" PRIu64 " binaries, %" PRIu64 " rows, %.1f MiB; %" PRIu64
		     " processes; built %" PRIu64 ", evicted %" PRIu64 ", postponed %" PRIu64 ", without room %" PRIu64
		     "\n",
		     count(s, "tables.binaries"), count(s, "tables.rows"), mib(s, "tables.used_bytes"),
		     count(s, "tables.processes"), count(s, "tables.built"), count(s, "tables.evicted"),
		     count(s, "tables.postponed"), count(s, "tables.no_room"));
}

static void put_spool(const json_t *s)
{
	if (!at(s, "upload.spool")) {
		(void)printf("spool      none\n");
		return;
	}
	(void)printf("spool      %" PRIu64 " profiles, %.1f MiB of %.0f, in %s\n", count(s, "upload.spool.files"),
		     mib(s, "upload.spool.bytes"), mib(s, "upload.spool.limit_bytes"), text(s, "upload.spool.folder"));
	(void)printf("           %" PRIu64 " written, %" PRIu64 " dropped, %" PRIu64 " torn, %" PRIu64
		     " not written; %" PRIu64 " samples lost\n",
		     count(s, "upload.spool.written"), count(s, "upload.spool.dropped"), count(s, "upload.spool.torn"),
		     count(s, "upload.spool.failed"), count(s, "upload.spool.samples_lost"));
	if (text(s, "upload.spool.problem")[0])
		(void)printf("           %s\n", text(s, "upload.spool.problem"));
}

void agent_status(const json_t *s)
{
	put_sampling(s);
	put_cost(s);
	put_samples(s);
	put_tables(s);
	(void)printf("upload     %" PRIu64 " profiles sent, %" PRIu64 " queued, %" PRIu64 " attempts failed, %" PRIu64
		     " dropped, %" PRIu64 " refused\n",
		     count(s, "upload.sent"), count(s, "upload.queued"), count(s, "upload.failed"),
		     count(s, "upload.dropped"), count(s, "upload.refused"));
	put_spool(s);
}

static uint64_t sum(const json_t *j)
{
	uint64_t n = 0;
	const char *key;
	const json_t *value;
	json_object_foreach((json_t *)j, key, value) n += (uint64_t)json_integer_value(value);
	return n;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void put_ends(const json_t *unwind)
{
	const json_t *ends = at(unwind, "ends");
	uint64_t all = sum(ends);
	const char *key;
	const json_t *value;
	(void)printf("stacks end\n");
	json_object_foreach((json_t *)ends, key, value)(void)
		printf("%8.2f%%  %-16s %s\n", percent((uint64_t)json_integer_value(value), all), key,
		       text(at(unwind, "texts"), key));
}

static int by_frames(const void *a, const void *b)
{
	uint64_t x = count(*(const json_t *const *)a, "frames"), y = count(*(const json_t *const *)b, "frames");
	return x < y ? 1 : x > y ? -1 : 0;
}

/* The most frequent reason why stacks are not whole that end in this binary. */
static const char *worst_end(const json_t *row, uint64_t *ret)
{
	const char *worst = "", *key;
	const json_t *value;
	*ret = 0;
	json_object_foreach((json_t *)at(row, "ends"), key, value)
	{
		uint64_t n = (uint64_t)json_integer_value(value);
		if (strcmp(key, "root") == 0 || n <= *ret)
			continue;
		*ret = n;
		worst = key;
	}
	return worst;
}

static void put_row(const json_t *row)
{
	static const char *const found[] = { "found.register", "found.table", "found.fp", "found.heuristic" };
	uint64_t frames = count(row, "frames"), n;
	const char *worst = worst_end(row, &n);
	(void)printf("%12" PRIu64, frames);
	for (size_t i = 0; i < ARRAY_SIZE(found); i++)
		(void)printf(" %8.2f%%", percent(count(row, found[i]), frames));
	(void)printf(" %10" PRIu64 "  %s", n, text(row, "path")[0] ? text(row, "path") : "(others)");
	if (n)
		(void)printf("  %s", worst);
	(void)putchar('\n');
}

void agent_status_unwind(const json_t *unwind)
{
	put_ends(unwind);
	const json_t *binaries = at(unwind, "binaries");
	size_t n = json_array_size(binaries);
	_cleanup_(free_ptr)
	const json_t **rows = calloc(n + 1, sizeof(*rows));
	if (!rows)
		return;
	for (size_t i = 0; i < n; i++)
		rows[i] = json_array_get(binaries, i);
	qsort(rows, n, sizeof(*rows), by_frames);
	(void)printf("\n%12s %9s %9s %9s %9s %10s  %s\n", "frames", "sampled", "table", "fp", "guess", "incomplete",
		     "binary");
	for (size_t i = 0; i < n && i < MAX_ROWS; i++)
		put_row(rows[i]);
	if (n > MAX_ROWS)
		(void)printf("%zu more; --json shows all\n", n - MAX_ROWS);
}
