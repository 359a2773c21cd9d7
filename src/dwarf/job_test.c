/* SPDX-License-Identifier: Apache-2.0 */
/* A program that does not do as it should costs its answers, and never more time than it was given. */
#include "base/clock.h"
#include "dwarf/job.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static char scratch[64];
static char program[128];

static int setup(void **state)
{
	(void)snprintf(scratch, sizeof(scratch), "/tmp/wick-job-XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	(void)snprintf(program, sizeof(program), "%s/fake-dwarf", scratch);
	return 0;
}

static int teardown(void **state)
{
	(void)unlink(program);
	return rmdir(scratch);
}

/* A shell script in the place of wick-dwarf. */
static void fake(const char *script)
{
	FILE *f = fopen(program, "w");
	assert_non_null(f);
	(void)fprintf(f, "#!/bin/sh\n%s\n", script);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(program, 0700), 0);
}

static int count(void *arg, const struct dwarf_answer *a)
{
	uint32_t *n = arg;
	(*n)++;
	return 0;
}

static int refuse(void *arg, const struct dwarf_answer *a)
{
	return -ENOSPC;
}

static int run(const char *path, int64_t timeout_ms, struct dwarf_sink sink, struct dwarf_outcome *ret)
{
	static const uint64_t addrs[] = { 0x1000, 0x2000 };
	struct error err;
	_cleanup_(close_fd)
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct dwarf_job job = {
		.program = path,
		.fd = fd,
		.addrs = addrs,
		.n = 2,
		.memory_mib = 64,
		.cpu_s = 10,
		.timeout_ms = timeout_ms,
	};
	return dwarf_job_run(&job, sink, ret, &err);
}

#define ONE_ANSWER "printf 'wdw1\\002\\000\\000\\000\\001\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000'\n"

static void test_ends(void **state)
{
	static const struct {
		const char *script;
		enum dwarf_end end;
		uint32_t n_answers;
		const char *says;
	} cases[] = {
		{ ONE_ANSWER "printf '\\003\\000\\000\\000\\001\\000\\000\\000'", DWARF_END_WHOLE, 1, "" },
		{ ONE_ANSWER "exit 4", DWARF_END_PROBLEM, 1, "64 MiB" },
		{ ONE_ANSWER "exit 1", DWARF_END_PROBLEM, 1, "status 1" },
		{ ONE_ANSWER "kill -SEGV $$", DWARF_END_PROBLEM, 1, "signal 11" },
		{ ONE_ANSWER "printf 'nonsense'", DWARF_END_GARBLED, 1, "record of kind" },
		{ "echo hello", DWARF_END_GARBLED, 0, "wdw1" },
		{ "printf 'wdw1\\004\\000\\003\\000sad'", DWARF_END_PROBLEM, 0, "sad" },
		{ "true", DWARF_END_PROBLEM, 0, "status 0" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t n = 0;
		struct dwarf_outcome o;
		fake(cases[i].script);
		assert_int_equal(run(program, 20000, (struct dwarf_sink){ count, &n }, &o), 0);
		assert_int_equal(o.end, cases[i].end);
		assert_int_equal(o.n_answers, cases[i].n_answers);
		assert_int_equal(n, cases[i].n_answers);
		if (!strstr(o.why.text, cases[i].says))
			fail_msg("case %zu: \"%s\" does not say \"%s\"", i, o.why.text, cases[i].says);
	}
}

/* Neither one that sleeps nor one that closed its pipe and lives on. */
static void test_time_is_kept(void **state)
{
	static const char *const scripts[] = { ONE_ANSWER "exec sleep 60", "exec >&-; exec sleep 60" };
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		uint32_t n = 0;
		struct dwarf_outcome o;
		int64_t start = clock_mono_ns();
		fake(scripts[i]);
		assert_int_equal(run(program, 1000, (struct dwarf_sink){ count, &n }, &o), 0);
		assert_int_equal(o.end, i == 0 ? DWARF_END_TIME : DWARF_END_PROBLEM);
		assert_true(clock_mono_ns() - start < INT64_C(20000000000));
	}
}

static void test_the_sink_ends_it(void **state)
{
	struct dwarf_outcome o;
	fake(ONE_ANSWER "exec sleep 60");
	assert_int_equal(run(program, 20000, (struct dwarf_sink){ refuse, NULL }, &o), -ENOSPC);
}

static void test_it_can_be_stopped(void **state)
{
	static const uint64_t addr = 0x1000;
	_Atomic bool stop = true;
	uint32_t n = 0;
	struct dwarf_outcome o;
	struct error err;
	_cleanup_(close_fd)
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fake("exec sleep 60");
	struct dwarf_job job = { .program = program, .fd = fd, .addrs = &addr, .n = 1, .memory_mib = 64, .cpu_s = 10 };
	job.timeout_ms = 50000;
	job.stop = &stop;
	int64_t start = clock_mono_ns();
	assert_int_equal(dwarf_job_run(&job, (struct dwarf_sink){ count, &n }, &o, &err), 0);
	assert_int_equal(o.end, DWARF_END_TIME);
	assert_true(clock_mono_ns() - start < INT64_C(20000000000));
}

static void test_no_such_program(void **state)
{
	uint32_t n = 0;
	struct dwarf_outcome o;
	assert_int_equal(run("/nonexistent/wick-dwarf", 1000, (struct dwarf_sink){ count, &n }, &o), -ENOENT);
}

/* It gets the three descriptors and nothing else of ours. */
static void test_nothing_leaks_into_it(void **state)
{
	uint32_t n = 0;
	struct dwarf_outcome o;
	fake("[ -z \"$HOME$PATH_OF_TESTS\" ] || exit 1\n"
	     "[ $(wc -c </dev/stdin) = 16 ] || exit 1\n"
	     "printf 'wdw1\\003\\000\\000\\000\\000\\000\\000\\000'");
	assert_int_equal(setenv("PATH_OF_TESTS", "x", 1), 0);
	assert_int_equal(run(program, 20000, (struct dwarf_sink){ count, &n }, &o), 0);
	assert_int_equal(o.end, DWARF_END_WHOLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_time_is_kept),
		cmocka_unit_test(test_the_sink_ends_it),
		cmocka_unit_test(test_it_can_be_stopped),
		cmocka_unit_test(test_no_such_program),
		cmocka_unit_test(test_nothing_leaks_into_it),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
